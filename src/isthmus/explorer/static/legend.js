// Colours of the points, and the legend, whose entries hide and show them.

import { element } from "./rows.js";

// Ten colours that can be told apart by colour-blind people (M. Petroff, 2021), and two more.
const LEVELS = ["#3f90da", "#ffa90e", "#bd1f01", "#832db6", "#4a9a5b", "#e76300", "#a96b59", "#92dadd", "#717581",
  "#b9ac70", "#d36fb0", "#5b6abf"];
const RAMP = ["#440154", "#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#e8d21d"]; // viridis
const RAMP_DARK = ["#5d4a9c", "#4f62ad", "#3f7fb0", "#2f97a5", "#2bb08f", "#5bcb78", "#abe04c", "#fde725"];
const ONLY = "#3f90da";

const isDark = () => matchMedia("(prefers-color-scheme: dark)").matches;

const rgb = (colour) => [1, 3, 5].map((k) => parseInt(colour.slice(k, k + 2), 16) / 255);

export class Legend {
  /** Call `onChange` when entries are hidden or shown. */
  constructor(parent, onChange) {
    this.parent = parent;
    this.onChange = onChange;
    this.off = new Set();
    this.show(null);
  }

  /** Show a legend; null has one colour for all points. */
  show(legend, off = []) {
    this.legend = legend;
    this.off = new Set(off);
    const names = legend?.names ?? [];
    const buttons = names.map((name, k) => {
      const swatch = element("span", { className: "swatch" });
      swatch.style.background = this.colour(k);
      const count = element("span", { className: "small", textContent: legend.counts[k].toLocaleString("en") });
      const button = element("button", { type: "button" }, swatch, name, count);
      button.addEventListener("click", () => this.toggle(k));
      button.addEventListener("dblclick", () => this.only(k));
      return button;
    });
    this.parent.replaceChildren(...buttons);
    this.parent.hidden = !names.length;
    this.mark();
  }

  mark() {
    [...this.parent.children].forEach((button, k) => button.setAttribute("aria-pressed", String(!this.off.has(k))));
  }

  toggle(k) {
    if (!this.off.delete(k)) this.off.add(k);
    this.mark();
    this.onChange();
  }

  /** Show one entry only; if it is the only one already, show all. The two clicks before have changed nothing. */
  only(k) {
    const others = this.legend.names.map((_, i) => i).filter((i) => i !== k);
    this.off = new Set(this.off.size === others.length && !this.off.has(k) ? [] : others);
    this.mark();
    this.onChange();
  }

  colour(k) {
    const { legend } = this;
    if (!legend) return ONLY;
    if (legend.missing && k === legend.names.length - 1) return isDark() ? "#77838f" : "#9aa3ac";
    if (legend.kind === "levels") return LEVELS[k % LEVELS.length];
    const ramp = isDark() ? RAMP_DARK : RAMP;
    const bands = legend.names.length - (legend.missing ? 1 : 0);
    return ramp[bands > 1 ? Math.min(ramp.length - 1, Math.round((k * (ramp.length - 1)) / (bands - 1))) : 4];
  }

  /** Return 16 colours for the points with an opacity; the last one is that of points outside a selection. */
  palette(opacity) {
    const found = new Float32Array(64);
    for (let k = 0; k < 15; k++) found.set([...rgb(this.colour(k)), opacity], 4 * k);
    found.set([...rgb(isDark() ? "#55606b" : "#b9bfc6"), opacity], 60);
    return found;
  }
}
