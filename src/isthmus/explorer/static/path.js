// The tab "Path": a straight line between the codes of two rows, as a film strip.

import { call } from "./api.js";
import { element, imageSize, paint, picture, rowsTable } from "./rows.js";

const STEPS = 9;

export class PathPanel {
  constructor(app, panel) {
    this.app = app;
    this.set = element("button", { type: "button", textContent: "From the chosen row to …", disabled: true });
    this.set.addEventListener("click", () => this.wait());
    this.save = element("button", { type: "button", textContent: "Download", hidden: true });
    this.save.addEventListener("click", () => this.download());
    this.result = element("div");
    const text = "Choose a row, press the button, and choose another: the rows between their codes.";
    panel.replaceChildren(element("p", { className: "small", textContent: text }),
      element("div", { className: "line" }, this.set, this.save), this.result);
  }

  /** A row was chosen: it is the end of the path if one was asked for. */
  chosen(point) {
    this.set.disabled = point === null;
    if (!this.waiting || point === null || point === this.start) return false;
    this.waiting = false;
    this.set.textContent = "From the chosen row to …";
    this.show(this.start, point);
    return true;
  }

  wait() {
    this.waiting = !this.waiting;
    this.start = this.app.view.point;
    this.set.textContent = this.waiting ? "Now choose the other row (or press to cancel)" : "From the chosen row to …";
    if (this.waiting) this.app.say("Now choose the row at which the path ends.");
  }

  async show(start, stop) {
    const { app } = this;
    try {
      const { header, bytes } = await call("path", { start, stop, n: STEPS, condition: app.view.condition });
      Object.assign(app.view, { point: start, other: stop });
      this.codes = header.codes;
      this.bytes = bytes;
      const { row } = app.model;
      if (row.kind === "image") {
        const strip = header.codes.map((code, k) => this.step(k, picture(row, bytes, k, `Step ${k + 1} of ${STEPS}`)));
        this.result.replaceChildren(element("div", { className: "strip" }, ...strip));
      } else {
        this.result.replaceChildren(rowsTable(row, header, "Rows along the path"));
      }
      this.rows = header.text;
      this.save.hidden = false;
      app.showMarks();
      app.remember();
      app.say(`The path has ${STEPS} steps.`);
    } catch (error) {
      app.fail(error);
    }
  }

  /** Return a button that moves the marker to a step. */
  step(k, content) {
    const button = element("button", { type: "button", className: "bare" }, content);
    button.addEventListener("click", () => this.app.goTo(this.codes[k]));
    return button;
  }

  places() {
    const units = this.app.axisUnits();
    return this.app.view.other === null || !this.codes ? [] : this.codes.map((code) => units.map((k) => code[k] ?? 0));
  }

  download() {
    const { row } = this.app.model;
    if (row.kind !== "image") {
      const quote = (text) => (/[",\n]/.test(text ?? "") ? `"${text.replaceAll('"', '""')}"` : (text ?? ""));
      const lines = [row.columns, ...this.rows].map((cells) => cells.map(quote).join(","));
      save(new Blob([`${lines.join("\n")}\n`], { type: "text/csv" }), "path.csv");
      return;
    }
    const scale = Math.max(1, Math.round(96 / row.height));
    const [w, h] = [row.width * scale, row.height * scale];
    const canvas = element("canvas", { width: STEPS * (w + 4) - 4, height: h });
    const context = canvas.getContext("2d");
    context.imageSmoothingEnabled = false;
    for (let k = 0; k < STEPS; k++) {
      const one = element("canvas");
      paint(one, row, this.bytes.subarray(k * imageSize(row)), 0);
      context.drawImage(one, k * (w + 4), 0, w, h);
    }
    canvas.toBlob((blob) => save(blob, "path.png"));
  }
}

function save(blob, name) {
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
