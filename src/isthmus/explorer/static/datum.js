// The tab "Row": a datum, its reconstruction, and what is odd about it.

import { call } from "./api.js";
import { givenText } from "./given.js";
import { element, hiddenColumns, imageSize, picture, short } from "./rows.js";

/** Return in words how likely a row is. */
export function likelihood(app, { score, rank }) {
  const value = score === null ? "not finite" : `${short(score, 1)} nats`;
  if (rank === null || !app.model.n_rows) return `${app.model.quantity} is ${value}`;
  const share = Math.round(100 * rank);
  const than = rank < 0.005 ? "less likely than nearly all rows" : `more likely than ${share} % of the rows`;
  return `${app.model.quantity} is ${value}, ${than}`;
}

/** Return in words what is odd about a row. */
export function oddities(app, { odd, n_unusual: n }) {
  const cell = app.model.row.kind === "image" ? "pixel" : "cell";
  if (!n) return `Every ${cell} is as expected.`;
  const named = odd.slice(0, 3).map(({ name, word, excess }) => `${name} is ${word} (${short(excess, 1)} nats above its median)`);
  return `${n} unusual ${cell}${n > 1 ? "s" : ""}: ${named.join("; ")}${n > named.length ? "; …" : "."}`;
}

/** Return the elements that show a row, its reconstruction and its errors. */
export function comparison(app, header, bytes) {
  const { row } = app.model;
  const words = [
    element("p", { textContent: `${likelihood(app, header)}.` }),
    element("p", { textContent: oddities(app, header) }),
  ];
  if (row.kind === "image") {
    const size = imageSize(row);
    const figure = (canvas, text) => element("figure", {}, canvas, element("figcaption", { textContent: text }));
    const images = element("div", { className: "pair" },
      figure(picture(row, bytes, 0, "The image"), "original"),
      figure(picture(row, bytes.subarray(size), 0, "Its reconstruction"), "reconstruction"),
      figure(picture(row, bytes.subarray(2 * size), 0, "Errors above the median of each pixel"),
        `error above the median: white is ${short(header.excess_range, 1)} nats`));
    return [images, ...words];
  }
  const columns = ["column", "original", "reconstruction", "nats", ""];
  const head = element("tr", {}, ...columns.map((text, k) =>
    element(text ? "th" : "td", { ...(text ? { scope: "col" } : {}), textContent: text, className: k === 3 ? "number" : "" })));
  const lines = row.columns.map((name, k) => {
    const word = header.words[k];
    const line = element("tr", {},
      element("th", { scope: "row", textContent: name }),
      element("td", { textContent: header.original.text[0][k] ?? "missing" }),
      element("td", { textContent: header.reconstruction.text[0][k] ?? "missing" }),
      element("td", { textContent: short(header.errors[k]), className: "number" }),
      element("td", { textContent: word === "as expected" ? "" : word }));
    if (word.endsWith("unusual")) line.className = "odd";
    return line;
  });
  const table = element("table", {}, element("thead", {}, head), element("tbody", {}, ...lines));
  const scroll = element("div", { className: "scroll", tabIndex: 0 }, table);
  scroll.setAttribute("role", "region");
  scroll.setAttribute("aria-label", "Cells of the row, with their errors");
  const note = element("p", { className: "small", textContent: `Nats are −log p of each cell given ${header.given}.` });
  return [...words, scroll, note, ...hiddenColumns(row)];
}

export class DatumPanel {
  constructor(app, panel) {
    this.app = app;
    this.panel = panel;
    this.text = app.model.n_rows
      ? "Move the mouse over a point, or choose one: its original, its reconstruction, and what is odd about it."
      : "There are no rows: pass DATA to `isthmus explore MODEL DATA`, or drop a file in the last tab.";
    this.clear();
  }

  clear() {
    this.panel.replaceChildren(element("p", { className: "small", textContent: this.text }));
  }

  title(header) {
    const label = header.label === null ? "" : `, label ${header.label}`;
    return `Row ${header.row.toLocaleString("en")}${label}${givenText(this.app.model, header.condition)}`;
  }

  show({ header, bytes }) {
    this.panel.replaceChildren(element("h3", { textContent: this.title(header) }), ...comparison(this.app, header, bytes));
  }

  /** Show a point; it is chosen if `choose`, and only looked at otherwise. */
  async look(point, choose) {
    this.wanted = point;
    if (this.busy && !choose) return;
    this.busy = true;
    try {
      const answer = await call("inspect", { point });
      if (choose) this.app.chosen(answer.header);
      if (this.wanted === point) this.show(answer);
      if (choose) {
        this.app.say(`${this.title(answer.header)}. ${likelihood(this.app, answer.header)}. ${oddities(this.app, answer.header)}`);
      }
    } catch (error) {
      this.app.fail(error);
    }
    this.busy = false;
    if (this.wanted !== point && this.wanted >= 0) this.look(this.wanted, false);
  }
}
