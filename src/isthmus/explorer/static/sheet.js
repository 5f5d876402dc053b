// The tab "New rows": a sheet of rows drawn from the model, of a class if it is conditional.

import { call } from "./api.js";
import { element, picture, rowsTable } from "./rows.js";

export class SheetPanel {
  constructor(app, panel) {
    this.app = app;
    this.seed = 0;
    const { model } = app;
    this.select = element("select", { id: "sheet-label" }, element("option", { value: "", textContent: "any" }),
      ...(model.classes ?? []).map((name, k) => element("option", { value: k, textContent: name })));
    this.select.addEventListener("change", () => this.draw());
    const button = element("button", { type: "button", textContent: "Draw a sheet" });
    button.addEventListener("click", () => {
      this.seed += 1;
      this.draw();
    });
    this.result = element("div");
    const label = element("label", { hidden: !model.classes }, "Class ", this.select);
    const text = model.classes ? "Rows drawn from p(x|y)." : "Rows drawn from p(x).";
    panel.replaceChildren(element("p", { className: "small", textContent: text }),
      element("div", { className: "line" }, label, button), this.result);
  }

  open() {
    if (!this.result.children.length) this.draw();
  }

  async draw() {
    const { app } = this;
    const image = app.model.row.kind === "image";
    const label = this.select.value === "" ? null : Number(this.select.value);
    const name = label === null ? "" : ` of class ${app.model.classes[label]}`;
    try {
      const { header, bytes } = await call("draw", { n: image ? 24 : 12, label, seed: this.seed });
      const shown = image
        ? element("div", { className: "sheet six" }, ...Array.from({ length: header.n }, (_, k) => picture(app.model.row, bytes, k, `New image ${k + 1}${name}`)))
        : rowsTable(app.model.row, header, `New rows${name}`);
      this.result.replaceChildren(shown);
      app.say(`${header.n} new rows${name}.`);
    } catch (error) {
      app.fail(error);
    }
  }
}
