// The page: loads what the server has prepared, and connects map, marker and tabs.

import { call } from "./api.js";
import { CompletePanel } from "./complete.js";
import { DatumPanel } from "./datum.js";
import { DropPanel } from "./drop.js";
import { firstCondition } from "./given.js";
import { Here } from "./here.js";
import { Legend } from "./legend.js";
import { LatentMap } from "./map.js";
import { PathPanel } from "./path.js";
import { element } from "./rows.js";
import { SheetPanel } from "./sheet.js";
import { readAddress, writeAddress } from "./state.js";
import { Tabs } from "./tabs.js";

const $ = (selector) => document.querySelector(selector);
const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

class App {
  constructor(model) {
    this.model = model;
    this.units = new Map(); // data of units by number: each is sent once
    const asked = readAddress();
    const own = Number.isInteger(asked.x) && asked.x < model.n_units;
    const [first, second = first] = model.order;
    this.view = {
      x: own ? asked.x : first,
      y: own && Number.isInteger(asked.y) && asked.y < model.n_units ? asked.y : second,
      code: asked.code.length === model.n_units ? asked.code : new Array(model.n_units).fill(0),
      condition: firstCondition(model, asked),
      view: asked.view,
      colour: asked.colour,
      point: asked.point !== null && asked.point < model.n_rows ? asked.point : null,
      other: asked.other !== null && asked.other < model.n_rows ? asked.other : null,
      tab: asked.tab,
      off: asked.off,
      find: asked.find,
    };
    this.asked = asked.given; // values of condition columns, which the server has to check
    this.selected = null; // uint8: points inside the lasso
    this.found = null; // uint8: points that were searched for
    this.dropped = [];
  }

  async start() {
    const { model, view } = this;
    $("#what").textContent = [`${model.name}: ${model.model}, ${model.n_units} unit${model.n_units > 1 ? "s" : ""}`,
      model.n_rows ? `${model.data && `${model.data}, `}${model.n_rows.toLocaleString("en")} rows` : "no data"].join(" · ");
    document.title = `${model.name} – isthmus explorer`;
    $("#loading").hidden = true;
    $("#page").hidden = false;
    this.legend = new Legend($("#legend"), () => this.filter());
    this.map = new LatentMap($("#plane"), {
      move: (x, y, stamp) => {
        this.near = null;
        this.moveMarker(x, y, stamp);
      },
      early: (x, y, stamp) => this.here.decode(stamp, this.withPlace(x, y)),
      pick: (point) => this.pick(point),
      hover: (point) => this.hover(point),
      view: () => this.remember(),
      lasso: (points) => this.lasso(points),
    });
    this.map.resize();
    this.makeTabs();
    this.here = new Here(this);
    this.fillSelects();
    this.listen();
    await this.setAxes();
    await this.setColour(view.off);
    this.map.resize(); // the legend has taken some of the room
    if (view.view) {
      this.map.centre = view.view.slice(0, 2);
      this.map.zoom = view.view[2] * (Math.min(this.map.width, this.map.height) / 600);
      this.map.placed = true;
    } else this.map.showWhole();
    if (view.find) await this.search(view.find);
    await this.here.given.restore(this.asked);
    this.here.moved();
    if (this.path && view.point !== null && view.other !== null) await this.path.show(view.point, view.other);
    if (view.point !== null) this.datum.look(view.point, false);
    this.path?.chosen(view.point);
    this.tabs.show(this.firstTab);
    this.map.draw();
    document.body.dataset.ready = "true";
  }

  makeTabs() {
    const { n_rows: n, has_density: density } = this.model;
    const names = {
      row: "Row",
      complete: "Complete",
      ...(n > 1 ? { path: "Path" } : {}),
      ...(density ? { new: "New rows" } : {}),
      own: "Your own",
    };
    this.tabs = new Tabs($("#tabs"), $("#panels"), names, (name) => {
      this.view.tab = name;
      this.remember();
      this.opens?.[name]?.open();
    });
    const panel = (name) => this.tabs.panel(name);
    this.datum = new DatumPanel(this, panel("row"));
    this.path = "path" in names ? new PathPanel(this, panel("path")) : null;
    this.opens = {
      complete: new CompletePanel(this, panel("complete")),
      new: density ? new SheetPanel(this, panel("new")) : null,
    };
    this.own = new DropPanel(this, panel("own"));
    this.firstTab = this.view.tab in names ? this.view.tab : "row";
    this.tabs.show("row");
  }

  // ---- units and the plane ---------------------------------------------------------------------------------------

  unitName(k) {
    return `unit ${k}`; // numbered from 0, as in the report
  }

  axisUnits() {
    return this.model.n_units > 1 ? [this.view.x, this.view.y] : [this.view.x];
  }

  fillSelects() {
    const { model, view } = this;
    const options = () => model.order.map((k) => element("option", { value: k, textContent: this.unitName(k) }));
    for (const axis of ["x", "y"]) {
      const select = $(`#${axis}-unit`);
      select.replaceChildren(...options());
      select.value = view[axis];
      select.disabled = model.n_units < 2;
      select.addEventListener("change", async () => {
        const other = axis === "x" ? "y" : "x";
        const chosen = Number(select.value);
        if (chosen === view[other]) view[other] = view[axis]; // swap
        view[axis] = chosen;
        await this.setAxes();
        this.map.showWhole();
        this.here.moved();
      });
    }
    const colours = model.colours.map(({ name }, k) =>
      element("option", { value: k, textContent: name }));
    $("#colour").replaceChildren(element("option", { value: "", textContent: "one colour" }), ...colours);
    const asked = model.colours.findIndex(({ name }) => name === view.colour);
    $("#colour").value = asked >= 0 ? asked : view.colour === "none" ? "" : (model.colour ?? "");
    $("#colour").addEventListener("change", () => this.setColour());
  }

  async unit(k) {
    if (!this.units.has(k)) {
      const { bytes } = await call("unit", { k });
      this.units.set(k, new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2));
    }
    const { low, high } = this.model;
    return { low: low[k], high: high[k], data: this.units.get(k), name: this.unitName(k) };
  }

  async setAxes() {
    const { view, model, map } = this;
    const x = await this.unit(view.x);
    let y;
    if (model.n_units > 1) y = await this.unit(view.y);
    else {
      let seed = 1;
      const scatter = () => (seed = (seed * 16807) % 2147483647) / 2147483647; // only to tell points apart
      y = { low: -1, high: 1, name: "", flat: true, data: Uint16Array.from(x.data, () => 24000 + 17535 * scatter()) };
    }
    map.setAxes([x, y]);
    if (model.n_units > 1) map.prior = (await call("prior", { i: view.x, j: view.y })).header;
    for (const axis of ["x", "y"]) $(`#${axis}-unit`).value = view[axis];
    this.showMarks();
  }

  async setColour(off = []) {
    const chosen = $("#colour").value;
    this.view.colour = chosen === "" ? "none" : this.model.colours[chosen].name;
    let index = new Uint8Array(this.model.n_rows);
    let legend = null;
    if (chosen !== "") {
      const answer = await call("colour", { k: Number(chosen) });
      legend = answer.header;
      index = answer.bytes;
      clearTimeout(this.again);
      if (legend.growing) this.again = setTimeout(() => this.setColour(), 3000);
    }
    this.index = index;
    this.legend.show(legend, off);
    this.map.setColours(index, (opacity) => this.legend.palette(opacity));
    this.filter();
  }

  /** Show the points of the entries that are on; those outside a selection or search are grey. */
  filter() {
    const { index, legend, selected, found } = this;
    const shown = new Uint8Array(this.model.n_rows);
    let n = 0;
    for (let i = 0; i < shown.length; i++) {
      if (legend.off.has(index[i])) continue;
      const inside = (!selected || selected[i]) && (!found || found[i]);
      shown[i] = inside ? 2 : 1;
      if (inside) n += 1;
    }
    this.view.off = [...legend.off].sort((a, b) => a - b);
    this.map.setShown(shown);
    const all = n === shown.length;
    const text = all ? `${n.toLocaleString("en")} rows` : `${n.toLocaleString("en")} of ${shown.length.toLocaleString("en")} rows`;
    $("#counts").textContent = shown.length ? text : "";
    if (!all) this.say(`${text} shown.`);
    this.remember();
  }

  lasso(points) {
    this.selected = points.some(Boolean) ? points : null;
    this.filter();
  }

  async search(text) {
    this.view.find = text;
    try {
      this.found = text.trim() && this.model.n_rows ? (await call("find", { text })).bytes : null;
      this.filter();
    } catch (error) {
      this.fail(error);
    }
  }

  // ---- the marker and chosen rows --------------------------------------------------------------------------------

  placeMarker() {
    const [x, y] = this.axisUnits();
    this.map.setMarker([this.view.code[x], y === undefined ? 0 : this.view.code[y]]);
  }

  /** Return the marker's code with other values of the units on the axes. */
  withPlace(x, y) {
    const code = [...this.view.code];
    const [first, second] = this.axisUnits();
    code[first] = x;
    if (second !== undefined) code[second] = y;
    return code;
  }

  moveMarker(x, y, stamp) {
    this.view.code = this.withPlace(x, y);
    this.picked = null;
    this.here.moved(stamp);
  }

  goTo(code) {
    this.view.code = Array.from(code);
    this.here.moved();
  }

  pick(point) {
    this.moveMarker(...this.map.placeOf(point));
    this.picked = point;
    if (["new", "own"].includes(this.tabs.current)) this.tabs.show("row");
    this.datum.look(point, true);
  }

  /** A row was chosen: the marker takes its whole code, unless it has been dragged on meanwhile. */
  chosen({ point, code, condition }) {
    if (this.picked === point) this.view.code = Array.from(code);
    const ends = this.path?.chosen(point); // all of a path is decoded given the condition of its first row
    if (!ends) Object.assign(this.view, { point, other: null });
    if (!ends && condition !== null) this.view.condition = condition;
    this.here.moved();
    this.showMarks();
    this.opens.complete.open();
  }

  /** Another class, or another value of a column, was chosen. */
  conditionChanged() {
    this.here.moved();
    const { point, other } = this.view;
    if (other !== null) this.path.show(point, other);
    if (this.model.given.length) this.opens.new?.open();
  }

  hover(point) {
    if (point >= 0 && this.tabs.current === "row") this.datum.look(point, false);
    else if (point < 0 && this.view.point !== null && this.datum.wanted !== this.view.point) {
      if (this.tabs.current === "row") this.datum.look(this.view.point, false);
    }
  }

  showMarks() {
    const marks = [];
    const mark = (point, text) => marks.push({ place: this.map.placeOf(point), text });
    if (this.view.point !== null) mark(this.view.point, this.view.other === null ? "" : "A");
    if (this.view.other !== null) mark(this.view.other, "B");
    const [x, y] = this.axisUnits();
    for (const { code, text } of this.dropped) marks.push({ place: [code[x], code[y] ?? 0], text, kind: "dropped" });
    this.map.marks = marks;
    this.map.path = this.path?.places() ?? [];
    this.map.drawMarks();
  }

  // ---- keys ------------------------------------------------------------------------------------------------------

  listen() {
    $("#plane").addEventListener("keydown", (event) => this.key(event));
    $("#reset").addEventListener("click", () => {
      this.map.showWhole();
      this.remember();
    });
    let timer;
    $("#find").value = this.view.find;
    $("#find").addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.search($("#find").value), 250);
    });
    for (const radio of document.querySelectorAll("input[name=mode]")) {
      radio.addEventListener("change", () => {
        this.map.mode = radio.value;
        $("#plane").classList.toggle("pan", radio.value === "pan");
      });
    }
    addEventListener("hashchange", () => location.reload());
  }

  key(event) {
    const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    const { map } = this;
    if (event.ctrlKey || event.metaKey) return;
    if (arrow && event.altKey) map.panBy(-60 * arrow[0], 60 * arrow[1]);
    else if (arrow) {
      this.near = null;
      const step = (event.shiftKey ? 40 : 8) / map.zoom;
      this.moveMarker(map.marker[0] + step * arrow[0], map.marker[1] + step * arrow[1], event.timeStamp);
    } else if (event.key === "Enter") this.pickNear(0);
    else if (event.key === "n") this.pickNear(1);
    else if (event.key === "p") this.pickNear(-1);
    else if (event.key === "+" || event.key === "=") map.zoomBy(1.25, map.toScreen(map.marker));
    else if (event.key === "-") map.zoomBy(0.8, map.toScreen(map.marker));
    else if (event.key === "0") map.showWhole();
    else if (event.key === "l") this.lasso(this.around(60));
    else if (event.key === "Escape") this.lasso([]);
    else return;
    event.preventDefault();
  }

  /** Return which points are within some pixels of the marker. */
  around(reach) {
    const [mx, my] = this.map.marker;
    return Uint8Array.from(this.map.shown, (_, i) => {
      const [x, y] = this.map.placeOf(i);
      return Math.hypot(x - mx, y - my) * this.map.zoom < reach ? 1 : 0;
    });
  }

  /** Choose the point nearest to the marker (0), or go on in the order of distance from where that was. */
  pickNear(step) {
    if (step === 0 || !this.near) {
      const [mx, my] = this.map.marker;
      const distance = (i) => {
        const [x, y] = this.map.placeOf(i);
        return (x - mx) ** 2 + (y - my) ** 2;
      };
      const shown = [...this.map.shown.keys()].filter((i) => this.map.shown[i] === 2);
      const pairs = shown.map((i) => [distance(i), i]).sort((a, b) => a[0] - b[0]);
      this.near = { points: pairs.slice(0, 200).map(([, i]) => i), at: 0 };
    } else this.near.at = Math.max(0, Math.min(this.near.points.length - 1, this.near.at + step));
    if (this.near.points.length) this.pick(this.near.points[this.near.at]);
  }

  // ---- address, messages -----------------------------------------------------------------------------------------

  remember() {
    clearTimeout(this.writing);
    this.writing = setTimeout(() => {
      const { map } = this;
      const side = Math.min(map.width, map.height) / 600 || 1;
      writeAddress({ ...this.view, view: map.placed ? [...map.centre, map.zoom / side] : null });
    }, 250);
  }

  say(text) {
    $("#status").textContent = text;
  }

  fail(error) {
    $("#problem").textContent = error.message;
    $("#problem").hidden = false;
    clearTimeout(this.failing);
    this.failing = setTimeout(() => ($("#problem").hidden = true), 8000);
  }
}

async function main() {
  try {
    for (;;) {
      const { header } = await call("status");
      if (header.error) throw new Error(header.error);
      if (header.ready) break;
      $("#loading-text").textContent = `Encoding ${header.done.toLocaleString("en")} of ${header.of.toLocaleString("en")} rows …`;
      $("#progress").value = header.of ? header.done / header.of : 0;
      await wait(150);
    }
    await new App((await call("model")).header).start();
  } catch (error) {
    $("#loading").hidden = true;
    $("#problem").textContent = error.message;
    $("#problem").hidden = false;
    throw error;
  }
}

main();
