// Rows on the page: an image is a canvas, any other row is a list of cells.

/** Make an element with properties and children. */
export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** The size of an image in bytes. */
export const imageSize = (row) => row.width * row.height * row.channels;

/** Paint an image, whose bytes are grey or red, green and blue. */
export function paint(canvas, row, bytes, i = 0) {
  const { width, height, channels } = row;
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const start = i * imageSize(row);
  for (let k = 0; k < width * height; k++) {
    for (let c = 0; c < 3; c++) image.data[4 * k + c] = bytes[start + k * channels + (channels === 3 ? c : 0)];
    image.data[4 * k + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

/** Return a canvas with the image number i. */
export function picture(row, bytes, i, label) {
  const canvas = element("canvas", { className: "image" });
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", label);
  paint(canvas, row, bytes, i);
  return canvas;
}

/** Return how a number is written. */
export const short = (value, digits = 2) => (value === null ? "–" : value.toFixed(digits).replace("-", "−"));

/** Return the first cells of a row as a sentence. */
export function sentence(row, header, i = 0) {
  return row.columns
    .slice(0, 6)
    .map((name, k) => `${name} ${header.text[i][k] ?? "missing"}`)
    .join(", ");
}

/** A row that changes in place: what the marker stands for. */
export class LiveRow {
  constructor(parent, row) {
    this.row = row;
    if (row.kind === "image") {
      this.canvas = element("canvas", { className: "image" });
      this.canvas.setAttribute("role", "img");
      this.canvas.setAttribute("aria-label", "The image that the marker stands for");
      parent.replaceChildren(this.canvas);
      return;
    }
    this.cells = row.columns.map(() => ({ text: element("td"), bar: element("i") }));
    const lines = row.columns.map((name, k) => {
      const place = element("span", { className: "place" }, this.cells[k].bar);
      this.cells[k].place = place;
      return element("tr", {}, element("th", { scope: "row", textContent: name }), this.cells[k].text,
        element("td", {}, place));
    });
    const scroll = element("div", { className: "scroll", tabIndex: 0 }, element("table", {}, element("tbody", {}, ...lines)));
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", "The row that the marker stands for");
    parent.replaceChildren(scroll, ...hiddenColumns(row));
  }

  update(header, bytes) {
    if (this.canvas) {
      paint(this.canvas, this.row, bytes);
      return;
    }
    this.cells.forEach(({ text, bar, place }, k) => {
      const value = header.text[0][k] ?? "missing";
      if (text.textContent !== value) text.textContent = value;
      const where = header.place[0][k];
      place.hidden = where === null;
      if (where !== null) bar.style.left = `${100 * where}%`;
    });
  }
}

/** Return a line on columns that are not shown, if there are any. */
export function hiddenColumns(row) {
  const more = row.n_columns - row.columns.length;
  return more > 0 ? [element("p", { className: "small", textContent: `${more} more columns are not shown.` })] : [];
}

/** Return a table with a line for each of several rows. */
export function rowsTable(row, header, caption, first = null) {
  const head = element("tr", {}, ...row.columns.map((name) => element("th", { scope: "col", textContent: name })));
  const lines = header.text.map((texts, i) =>
    element("tr", {}, ...texts.map((text, k) => {
      const cell = element("td", { textContent: text ?? "missing", className: text === null ? "missing" : "" });
      if (first?.has(k)) cell.classList.add("filled");
      return cell;
    })));
  const table = element("table", {}, element("caption", { className: "visually-hidden", textContent: caption }),
    element("thead", {}, head), element("tbody", {}, ...lines));
  const box = element("div", { className: "wide", tabIndex: 0 }, table);
  box.setAttribute("role", "region");
  box.setAttribute("aria-label", caption);
  return box;
}
