// The tab "New rows": a sheet of rows drawn from the model, of a class if it is conditional.

import { call } from "./api.js";
import { givenText } from "./given.js";
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
    this.text = element("p", { className: "small" });
    panel.replaceChildren(this.text,
      element("div", { className: "line" }, label, button), this.result);
  }

  /** The class that was chosen in the tab; of a model that is conditioned on columns, the values at the marker. */
  condition() {
    if (this.app.model.given.length) return this.app.view.condition;
    return this.select.value === "" ? null : Number(this.select.value);
  }

  /** The tab is shown, or columns have other values: a sheet is drawn unless there is one given the same. */
  open() {
    if (this.app.tabs.current === "new" && this.asked !== JSON.stringify(this.condition())) this.draw();
  }

  async draw() {
    const { app } = this;
    const image = app.model.row.kind === "image";
    const { classes, given } = app.model;
    const condition = this.condition();
    this.asked = JSON.stringify(condition);
    const values = givenText(app.model, condition);
    const name = classes && condition !== null ? ` of class ${classes[condition]}` : values;
    this.text.textContent = `Rows drawn from p(${classes || given.length ? "x|y" : "x"})${values}.`;
    try {
      const { header, bytes } = await call("draw", { n: image ? 24 : 12, condition, seed: this.seed });
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
