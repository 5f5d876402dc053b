// The tab "Complete": pixels or cells of a row are cleared, and the model draws what might have been there.

import { call, latest } from "./api.js";
import { element, paint, picture, rowsTable } from "./rows.js";

const N = 8;

export class CompletePanel {
  constructor(app, panel) {
    this.app = app;
    this.cleared = new Set();
    this.seed = 0;
    this.ask = latest("complete", (answer) => this.show(answer), (error) => app.fail(error));
    const { row, n_rows: n } = app.model;
    const image = row.kind === "image";
    const take = (text, where, disabled) => {
      const button = element("button", { type: "button", textContent: text, disabled });
      button.addEventListener("click", () => this.take(where()));
      return button;
    };
    this.chosen = take("Chosen row", () => ({ point: app.view.point }), app.view.point === null);
    const sources = element("div", { className: "line" }, this.chosen,
      take("Row at the marker", () => ({ code: Array.from(app.view.code), condition: app.view.condition })));
    this.chosen.hidden = !n;
    this.editor = image ? new Brush(this) : new Cells(this);
    const again = element("button", { type: "button", textContent: "Draw again" });
    again.addEventListener("click", () => {
      this.seed += 1;
      this.run();
    });
    const none = element("button", { type: "button", textContent: "Clear nothing" });
    none.addEventListener("click", () => this.set([]));
    again.hidden = !app.model.has_density;
    this.result = element("div");
    this.result.setAttribute("aria-live", "polite");
    const text = image
      ? "Brush over pixels: they count as missing, and the model draws what might be there."
      : "Clear cells: they count as missing, and the model draws what might be there.";
    const buttons = element("div", { className: "line" }, ...this.editor.buttons, none, again);
    panel.replaceChildren(element("p", { className: "small", textContent: text }), sources,
      ...(image ? [buttons, element("div", { className: "side" }, this.editor.root, this.result)] : [this.editor.root, buttons, this.result]));
  }

  /** The tab is shown, or a row was chosen: it has the chosen row, unless that at the marker was asked for. */
  open() {
    const { point, code, condition } = this.app.view;
    this.chosen.disabled = point === null;
    if (this.app.tabs.current !== "complete") return;
    if (point === null) this.where ?? this.take({ code: Array.from(code), condition });
    else if (this.where?.point !== point && (!this.where || this.where.point !== undefined)) this.take({ point });
  }

  async take(where) {
    try {
      const { header, bytes } = await call("inspect", where);
      this.where = where;
      this.title = header.row === undefined ? "the row at the marker" : `row ${header.row.toLocaleString("en")}`;
      this.editor.take(header.original, bytes);
      this.run();
    } catch (error) {
      this.app.fail(error);
    }
  }

  set(cells) {
    this.cleared = new Set(cells);
    this.editor.draw();
    this.run();
  }

  run() {
    if (!this.where) return;
    if (!this.cleared.size && !this.editor.hasMissing()) {
      this.result.replaceChildren();
      return;
    }
    this.ask({ ...this.where, cleared: [...this.cleared], n: N, seed: this.seed });
  }

  show({ header, bytes }) {
    const { app } = this;
    if (!this.cleared.size && !this.editor.hasMissing()) return;
    const text = header.drawn
      ? `${header.n} completions of ${this.title}, drawn from p(missing | observed)`
      : `The completion of ${this.title}: ${app.model.model} has no density to draw others from`;
    const { row } = app.model;
    const shown = row.kind === "image"
      ? element("div", { className: "sheet four" }, ...Array.from({ length: header.n }, (_, k) => picture(row, bytes, k, `Completion ${k + 1}`)))
      : rowsTable(row, header, "Completions", this.editor.missing());
    const warning = header.unreliable
      ? [element("p", { className: "small", textContent: "Few draws fit the cells that are left: these completions are rough." })]
      : [];
    this.result.replaceChildren(element("h3", { textContent: text }), shown, ...warning);
  }
}

/** Cells of a table, each with a box that is ticked while its value counts. */
class Cells {
  constructor(panel) {
    this.panel = panel;
    this.root = element("div", { className: "scroll cells" });
    this.root.tabIndex = 0;
    this.root.setAttribute("role", "group");
    this.root.setAttribute("aria-label", "Cells that are known");
    this.buttons = [];
    this.texts = [];
  }

  take(original) {
    this.texts = original.text[0];
    const { columns } = this.panel.app.model.row;
    this.boxes = columns.map((name, k) => {
      const gone = this.texts[k] === null;
      const box = element("input", { type: "checkbox", checked: !gone, disabled: gone });
      box.addEventListener("change", () => {
        if (box.checked) this.panel.cleared.delete(k);
        else this.panel.cleared.add(k);
        this.panel.run();
      });
      return box;
    });
    const label = (name, k) => element("label", {}, this.boxes[k], ` ${name}: `,
      element("b", { textContent: this.texts[k] ?? "missing" }));
    this.root.replaceChildren(...columns.map(label));
    this.draw();
  }

  draw() {
    this.boxes?.forEach((box, k) => {
      if (!box.disabled) box.checked = !this.panel.cleared.has(k);
    });
  }

  hasMissing() {
    return this.texts.includes(null);
  }

  missing() {
    return new Set([...this.panel.cleared, ...this.texts.flatMap((text, k) => (text === null ? [k] : []))]);
  }
}

/** An image on which pixels are brushed away, with the mouse, a finger, or arrow keys and the space bar. */
class Brush {
  constructor(panel) {
    this.panel = panel;
    this.row = panel.app.model.row;
    this.canvas = element("canvas", { className: "image brush", tabIndex: 0 });
    this.canvas.setAttribute("role", "application");
    this.canvas.setAttribute("aria-label", "Image to brush on: arrow keys move the brush, space clears pixels");
    this.size = element("input", { type: "range", min: 1, max: Math.max(2, Math.round(this.row.width / 3)), value: Math.max(1, Math.round(this.row.width / 7)) });
    this.root = element("div", { className: "brushbox" }, this.canvas,
      element("label", { className: "small" }, "Brush ", this.size));
    const { width, height } = this.row;
    const half = (text, test) => {
      const button = element("button", { type: "button", textContent: text });
      button.addEventListener("click", () => panel.set([...Array(width * height).keys()].filter((i) => test(i % width, Math.floor(i / width)))));
      return button;
    };
    this.buttons = [half("Lower half", (_, y) => y >= height / 2), half("Right half", (x) => x >= width / 2)];
    this.cursor = [Math.floor(width / 2), Math.floor(height / 2)];
    this.listen();
  }

  listen() {
    const { canvas } = this;
    const at = (event) => {
      const box = canvas.getBoundingClientRect();
      return [((event.clientX - box.left) / box.width) * this.row.width, ((event.clientY - box.top) / box.height) * this.row.height];
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.last = at(event);
      this.clear(this.last);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!this.last) return;
      const [start, end] = [this.last, at(event)];
      const steps = Math.max(1, Math.ceil(Math.max(...end.map((v, k) => Math.abs(v - start[k])))));
      this.last = end;
      this.clear(...Array.from({ length: steps }, (_, i) => end.map((v, k) => start[k] + ((i + 1) / steps) * (v - start[k]))));
    });
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => (this.last = null));
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (step) this.cursor = this.cursor.map((v, k) => Math.min(Math.max(v + step[k], 0), [this.row.width, this.row.height][k] - 1));
      else if (event.key === " ") this.clear(this.cursor.map((v) => v + 0.5));
      else return;
      event.preventDefault();
      this.draw();
    });
    for (const name of ["focus", "blur"]) canvas.addEventListener(name, () => this.draw());
  }

  /** Clear the pixels around some places: a fast mouse is seen every few pixels only. */
  clear(...places) {
    const { width, height } = this.row;
    const reach = Math.max(Number(this.size.value) / 2, 0.5);
    const near = (i) => ([x, y]) => Math.max(Math.abs((i % width) + 0.5 - x), Math.abs(Math.floor(i / width) + 0.5 - y)) <= reach;
    for (let i = 0; i < width * height; i++) if (places.some(near(i))) this.panel.cleared.add(i);
    this.draw();
    this.panel.run();
  }

  take(_header, bytes) {
    this.bytes = bytes;
    this.draw();
  }

  draw() {
    if (!this.bytes) return;
    paint(this.canvas, this.row, this.bytes);
    const context = this.canvas.getContext("2d");
    const { width } = this.row;
    for (const i of this.panel.cleared) {
      context.fillStyle = (i + Math.floor(i / width)) % 2 ? "#c2410c" : "#8f3009";
      context.fillRect(i % width, Math.floor(i / width), 1, 1);
    }
    if (document.activeElement === this.canvas && this.canvas.matches(":focus-visible")) {
      context.fillStyle = "#3f90da";
      context.fillRect(...this.cursor, 1, 1);
    }
  }

  hasMissing() {
    return false;
  }
}
