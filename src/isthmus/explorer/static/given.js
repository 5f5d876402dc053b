// What a conditional model is given: a class, or a value for each column that it is conditioned on.

import { call } from "./api.js";
import { element } from "./rows.js";

/** Return the condition that a page starts with: a class of its address, or the start values of columns. */
export function firstCondition({ classes, given }, asked) {
  if (given.length) return Object.fromEntries(given.map(({ name, start }) => [name, start]));
  return classes && asked.label < classes.length ? asked.label : null;
}

/** Return the values of the first condition columns in words; "" if the model has none. */
export function givenText({ given }, condition) {
  if (!given.length || !condition) return "";
  return `, given ${given.slice(0, 6).map(({ name }) => `${name} ${condition[name]}`).join(", ")}`;
}

export class Given {
  /** `changed` is called when another condition was chosen. */
  constructor(app, changed) {
    this.app = app;
    this.changed = changed;
    const { classes, given } = app.model;
    const box = document.querySelector("#given");
    box.hidden = !classes && !given.length;
    if (given.length) {
      box.setAttribute("role", "group");
      box.setAttribute("aria-labelledby", "given-title");
    }
    this.fields = given.map((column, k) => this.field(column, k));
    const title = element("h3", { id: "given-title", textContent: "Given" });
    box.replaceChildren(...(classes ? [this.classes(classes)] : [title, ...this.fields.flatMap(({ parts }) => parts)]));
    box.classList.toggle("columns", given.length > 0);
  }

  classes(names) {
    const options = names.map((name, k) => element("option", { value: k, textContent: name }));
    this.select = element("select", { id: "label" }, element("option", { value: "", textContent: "any (average)" }), ...options);
    this.select.addEventListener("change", () => {
      this.app.view.condition = this.select.value === "" ? null : Number(this.select.value);
      this.changed();
    });
    return element("label", {}, "Class ", this.select);
  }

  field({ name, kind, levels }, k) {
    const input = kind === "level"
      ? element("select", { id: `given-${k}` }, ...levels.map((level) => element("option", { value: level, textContent: level })))
      : element("input", { id: `given-${k}`, type: kind === "days" ? "number" : kind, step: kind === "date" ? 1 : "any" });
    const problem = element("p", { id: `given-${k}-problem`, className: "problem" });
    problem.setAttribute("role", "alert");
    input.setAttribute("aria-describedby", problem.id);
    const label = element("label", { htmlFor: input.id, textContent: kind === "days" ? `${name} (days)` : name });
    const field = { name, input, problem, parts: [label, input, problem] };
    input.addEventListener("change", () => this.choose(field, input.value));
    return field;
  }

  /** Give a column another value if the server takes it; else its message is shown beside the field. */
  async choose(field, value) {
    const { view } = this.app;
    field.asked = value;
    let problem = "";
    try {
      await call("decode", { codes: [Array.from(view.code)], condition: { ...view.condition, [field.name]: value } });
    } catch (error) {
      problem = error.message;
    }
    if (field.asked !== value) return; // another value was chosen meanwhile
    field.problem.textContent = problem;
    field.input.setAttribute("aria-invalid", String(problem !== ""));
    if (problem) return;
    view.condition = { ...view.condition, [field.name]: value };
    this.changed();
  }

  /** Try the values of an address. */
  async restore(asked) {
    const wanted = this.fields.filter(({ name }) => asked.has(name));
    await Promise.all(wanted.map((field) => this.choose(field, asked.get(field.name))));
  }

  /** The condition may be another one: show it. */
  show() {
    const { condition } = this.app.view;
    if (this.select) this.select.value = condition ?? "";
    for (const { name, input, problem } of this.fields) {
      if (condition[name] === this.shown?.[name]) continue; // a value that was refused stays, with its message
      input.value = condition[name];
      input.setAttribute("aria-invalid", "false");
      problem.textContent = "";
    }
    this.shown = condition;
  }
}
