// A slider for each unit of the code.

import { element, short } from "./rows.js";

const SHOWN = 12; // sliders that are shown at first

export class Sliders {
  /** `order` has the units from top to bottom, and `moved(k, value, stamp)` is called when one is moved. */
  constructor(box, { low, high, order, name }, moved) {
    const make = (k) => {
      const ends = [Math.min(low[k], -3), Math.max(high[k], 3)];
      const slider = element("input", { type: "range", id: `unit-${k}`, min: ends[0], max: ends[1], step: (ends[1] - ends[0]) / 400 });
      const label = element("label", { htmlFor: `unit-${k}`, textContent: name(k) });
      const value = element("output", { htmlFor: `unit-${k}` });
      slider.addEventListener("input", (event) => moved(k, Number(slider.value), event.timeStamp));
      this.made.set(k, { slider, value });
      return [label, slider, value];
    };
    this.made = new Map();
    box.replaceChildren(...order.slice(0, SHOWN).flatMap(make));
    const rest = order.slice(SHOWN);
    if (!rest.length) return;
    const more = element("button", { type: "button", textContent: `Show ${rest.length} more units` });
    more.addEventListener("click", () => {
      more.replaceWith(...rest.flatMap(make));
      this.show(this.code);
    });
    box.append(more);
  }

  /** Set the sliders to a code. */
  show(code) {
    this.code = code;
    for (const [k, { slider, value }] of this.made) {
      const text = short(code[k]);
      if (value.textContent === text && document.activeElement !== slider) continue; // most units stay as they are
      if (document.activeElement !== slider || Math.abs(slider.value - code[k]) > slider.step) slider.value = code[k];
      value.textContent = text;
    }
  }
}
