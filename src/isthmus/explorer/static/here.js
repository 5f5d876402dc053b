// The marker: its code, the row that it stands for, and a slider for each unit.

import { latest } from "./api.js";
import { Given, givenText } from "./given.js";
import { LiveRow, sentence, short } from "./rows.js";
import { Sliders } from "./sliders.js";

export class Here {
  constructor(app) {
    this.app = app;
    const { model } = app;
    this.view = new LiveRow(document.querySelector("#here-row"), model.row);
    this.ask = latest("decode", (answer, body) => this.show(answer, body), (error) => app.fail(error));
    const { low, high, order } = model;
    const names = { low, high, order, name: (k) => app.unitName(k) };
    this.sliders = new Sliders(document.querySelector("#sliders"), names, (k, value, stamp) => {
      app.view.code[k] = value;
      this.moved(stamp);
    });
    this.given = new Given(app, () => app.conditionChanged());
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
    this.sliders.show(this.app.view.code);
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
