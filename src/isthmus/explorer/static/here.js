// The marker: its code, the row that it stands for, and a slider for each unit.

import { latest } from "./api.js";
import { Given, givenText } from "./given.js";
import { element, LiveRow, sentence, short } from "./rows.js";

const SHOWN = 12; // sliders that are shown at first

export class Here {
  constructor(app) {
    this.app = app;
    const { model } = app;
    this.view = new LiveRow(document.querySelector("#here-row"), model.row);
    this.ask = latest("decode", (answer, body) => this.show(answer, body), (error) => app.fail(error));
    this.makeSliders();
    this.given = new Given(app, () => app.conditionChanged());
  }

  makeSliders() {
    const { model, view } = this.app;
    const make = (k) => {
      const [low, high] = [Math.min(model.low[k], -3), Math.max(model.high[k], 3)];
      const slider = element("input", { type: "range", id: `unit-${k}`, min: low, max: high, step: (high - low) / 400 });
      const name = element("label", { htmlFor: `unit-${k}`, textContent: this.app.unitName(k) });
      const value = element("output", { htmlFor: `unit-${k}` });
      slider.addEventListener("input", (event) => {
        view.code[k] = Number(slider.value);
        this.moved(event.timeStamp);
      });
      this.sliders.set(k, { slider, value });
      return [name, slider, value];
    };
    this.sliders = new Map();
    const box = document.querySelector("#sliders");
    box.replaceChildren(...model.order.slice(0, SHOWN).flatMap(make));
    const rest = model.order.slice(SHOWN);
    if (!rest.length) return;
    const more = element("button", { type: "button", textContent: `Show ${rest.length} more units` });
    more.addEventListener("click", () => {
      more.replaceWith(...rest.flatMap(make));
      this.showCode();
    });
    box.append(more);
  }

  /** Decode the marker's code unless that was asked last; `stamp` is the time of the event that moved it. */
  decode(stamp = null, code = this.app.view.code) {
    const { condition } = this.app.view;
    const asked = JSON.stringify([...code, condition]);
    if (asked === this.asked) return;
    this.asked = asked;
    this.ask({ codes: [Array.from(code)], condition, stamp });
  }

  /** The code has changed: move the marker, the sliders and the row. */
  moved(stamp = null) {
    this.app.placeMarker();
    this.showCode();
    this.decode(stamp);
    this.app.remember();
  }

  showCode() {
    for (const [k, { slider, value }] of this.sliders) {
      const code = this.app.view.code[k];
      const text = short(code);
      if (value.textContent === text && document.activeElement !== slider) continue; // most units stay as they are
      if (document.activeElement !== slider || Math.abs(slider.value - code) > slider.step) slider.value = code;
      value.textContent = text;
    }
    this.given.show();
  }

  show({ header, bytes }, body) {
    this.view.update(header, bytes);
    if (body.stamp) performance.measure("drag", { start: body.stamp, end: performance.now() });
    const { model } = this.app;
    clearTimeout(this.speaking);
    this.speaking = setTimeout(() => {
      const place = this.app.axisUnits().map((k) => `${this.app.unitName(k)} ${short(this.app.view.code[k])}`).join(", ");
      const row = model.row.kind === "image" ? "the image has changed" : sentence(model.row, header);
      this.app.say(`Marker at ${place}${givenText(model, body.condition)}: ${row}.`);
    }, 700);
  }
}
