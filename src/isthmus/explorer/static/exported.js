// The page that `isthmus explore --export` writes: the plane of two units, with the model's decoder, or with a grid of
// rows that were decoded beforehand.

import { Decoder } from "./decoder.js";
import { Legend } from "./legend.js";
import { LatentMap } from "./map.js";
import { element, imageSize, LiveRow, sentence, short } from "./rows.js";
import { Sliders } from "./sliders.js";

const data = JSON.parse(document.querySelector("#data").textContent);

function unpack(text) {
  const binary = atob(text);
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

const words = (text) => new Uint16Array(unpack(text).buffer);

class ExportedPage {
  constructor() {
    this.grid = data.bytes ? unpack(data.bytes) : null;
    this.code = data.code;
    this.addDecoder();
    this.view = new LiveRow(document.querySelector("#here-row"), data.row);
    this.legend = new Legend(document.querySelector("#legend"), () => this.filter());
    const nothing = () => {};
    this.map = new LatentMap(document.querySelector("#plane"), {
      move: (x, y) => this.move(x, y),
      pick: (point) => this.move(...this.map.placeOf(point)),
      hover: nothing,
      view: nothing,
      lasso: nothing,
    });
    this.map.setAxes(data.axes.map((axis) => ({ ...axis, data: words(axis.data) })));
    this.map.prior = data.prior;
    this.fillColours();
    this.map.resize();
    this.map.showWhole();
    document.querySelector("#reset").addEventListener("click", () => this.map.showWhole());
    document.querySelector("#plane").addEventListener("keydown", (event) => this.key(event));
    this.move(0, 0);
    document.body.dataset.ready = "true";
  }

  /** Make sliders if the page has the decoder, which other scripts may call as `isthmusDecode(code)`. */
  addDecoder() {
    if (!data.decoder) return;
    this.decoder = new Decoder(data.decoder, data.row, unpack);
    globalThis.isthmusDecode = (code) => Array.from(this.decoder.decode(code));
    const { low, high, order } = data;
    const names = { low, high, order, name: (k) => `unit ${k}` };
    const box = document.querySelector("#sliders");
    box.hidden = false;
    this.sliders = new Sliders(box, names, (k, value) => {
      this.code[k] = value;
      this.move(...data.units.map((unit) => this.code[unit]));
    });
  }

  fillColours() {
    const select = document.querySelector("#colour");
    select.replaceChildren(element("option", { value: "", textContent: "one colour" }),
      ...data.colours.map(({ name }, k) => element("option", { value: k, textContent: name })));
    select.value = data.colours.length ? 0 : "";
    const show = () => {
      const colour = select.value === "" ? null : data.colours[select.value];
      this.index = colour ? unpack(colour.index) : new Uint8Array(data.n_points);
      this.legend.show(colour?.legend ?? null);
      this.map.setColours(this.index, (opacity) => this.legend.palette(opacity));
      this.filter();
    };
    select.addEventListener("change", show);
    show();
  }

  filter() {
    const shown = Uint8Array.from(this.index, (k) => (this.legend.off.has(k) ? 0 : 2));
    const n = shown.reduce((sum, v) => sum + (v ? 1 : 0), 0);
    document.querySelector("#counts").textContent = `${n.toLocaleString("en")} of ${data.n_rows.toLocaleString("en")} rows`;
    this.map.setShown(shown);
  }

  /** Move the marker, and show the row there. */
  move(x, y) {
    this.map.setMarker([x, y]);
    const { header, bytes } = this.decoder ? this.decoded([x, y]) : this.nearby([x, y]);
    this.view.update(header, bytes);
    clearTimeout(this.speaking);
    this.speaking = setTimeout(() => {
      const row = data.row.kind === "image" ? "the image has changed" : sentence(data.row, header);
      document.querySelector("#status").textContent = `Marker at ${data.axes[0].name} ${short(x)}, ${data.axes[1].name} ${short(y)}: ${row}.`;
    }, 700);
  }

  decoded(place) {
    data.units.forEach((unit, k) => (this.code[unit] = place[k]));
    this.sliders.show(this.code);
    return this.decoder.show(this.code);
  }

  /** Return what the grid has there: images are mixed from the four nearest. */
  nearby(place) {
    const n = data.n_grid;
    const where = place.map((v, k) => {
      const [low, high] = data.limits[k];
      return Math.min(Math.max(((v - low) / (high - low)) * (n - 1), 0), n - 1);
    });
    return this.grid ? { header: {}, bytes: this.blend(where) } : { header: this.cells(where), bytes: null };
  }

  cells([i, j]) {
    const k = Math.round(i) * data.n_grid + Math.round(j);
    return { text: [data.cells.text[k]], place: [data.cells.place[k]] };
  }

  blend([i, j]) {
    const n = data.n_grid;
    const size = imageSize(data.row);
    const [a, b] = [Math.min(Math.floor(i), n - 2), Math.min(Math.floor(j), n - 2)];
    const [u, v] = [i - a, j - b];
    const starts = [a * n + b, a * n + b + 1, (a + 1) * n + b, (a + 1) * n + b + 1].map((k) => k * size);
    const weights = [(1 - u) * (1 - v), (1 - u) * v, u * (1 - v), u * v];
    return Uint8Array.from({ length: size }, (_, p) => starts.reduce((sum, start, k) => sum + weights[k] * this.grid[start + p], 0.5));
  }

  key(event) {
    const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    const { map } = this;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = (event.shiftKey ? 40 : 8) / map.zoom;
    if (arrow) this.move(map.marker[0] + step * arrow[0], map.marker[1] + step * arrow[1]);
    else if (event.key === "+" || event.key === "=") map.zoomBy(1.25, map.toScreen(map.marker));
    else if (event.key === "-") map.zoomBy(0.8, map.toScreen(map.marker));
    else if (event.key === "0") map.showWhole();
    else return;
    event.preventDefault();
  }
}

new ExportedPage();
