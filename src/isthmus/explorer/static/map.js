// The latent plane: two units of the code as a map with a marker. Points are drawn by points.js, all else here.

import { DensityPoints } from "./density.js";
import { segments } from "./contours.js";
import { inside, Nearest } from "./nearest.js";
import { WebglPoints } from "./points.js";

const REACH = 12; // pixels around the pointer in which a point is found
const REST = 160; // milliseconds after which a moved view is at rest

export class LatentMap {
  /** `on` has the functions move(x, y, stamp), pick(point), hover(point), view()
      and lasso(points); it may have early(x, y, stamp), which comes before move. */
  constructor(root, on) {
    this.root = root;
    this.on = on;
    this.overlay = root.querySelector("#overlay");
    const canvas = root.querySelector("#points");
    const wanted = new URLSearchParams(location.search).get("map");
    this.layer = (wanted === "density" ? null : WebglPoints.on(canvas)) ?? new DensityPoints(canvas);
    this.axes = [0, 1].map(() => ({ low: -3, high: 3, data: new Uint16Array(0), name: "" }));
    Object.assign(this, { centre: [0, 0], zoom: 50, whole: 50, marker: [0, 0], marks: [], path: [], prior: null });
    Object.assign(this, { mode: "drag", palette: () => new Float32Array(64), shown: new Uint8Array(0), pointers: new Map() });
    new ResizeObserver(() => this.resize()).observe(root);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    this.listen();
  }

  get flat() {
    return this.axes[1].flat;
  }

  // ---- places ----------------------------------------------------------------------------------------------------

  toScreen([x, y]) {
    return [(x - this.centre[0]) * this.zoom + this.width / 2, (this.centre[1] - y) * this.zoom + this.height / 2];
  }

  toData([px, py]) {
    return [(px - this.width / 2) / this.zoom + this.centre[0], this.centre[1] - (py - this.height / 2) / this.zoom];
  }

  toGrid(place) {
    return place.map((v, k) => ((v - this.axes[k].low) / (this.axes[k].high - this.axes[k].low)) * 65535);
  }

  /** Return the place of a point. */
  placeOf(point) {
    return this.axes.map((axis) => axis.low + (axis.data[point] / 65535) * (axis.high - axis.low));
  }

  nearest([px, py], reach = REACH) {
    if (!this.shown.length) return -1;
    this.grid ??= new Nearest(this.axes[0].data, this.axes[1].data);
    const radii = this.axes.map((axis) => ((reach / this.zoom) * 65535) / (axis.high - axis.low));
    return this.grid.find(...this.toGrid(this.toData([px, py])), ...radii, this.shown);
  }

  // ---- what is shown ---------------------------------------------------------------------------------------------

  setAxes(axes) {
    this.axes = axes;
    this.grid = null;
    this.layer.upload("x", axes[0].data);
    this.layer.upload("y", axes[1].data);
  }

  setColours(index, palette) {
    this.palette = palette;
    this.layer.upload("colour", index);
  }

  /** 0 hides a point, 1 makes it grey, 2 shows it. */
  setShown(shown) {
    this.shown = shown;
    this.layer.upload("shown", shown);
    this.draw();
  }

  /** Show all points, the marker's neighbourhood, and what is within two standard deviations. */
  showWhole() {
    const spans = this.axes.map((axis) => [Math.min(axis.low, -2.5), Math.max(axis.high, 2.5)]);
    this.centre = spans.map(([low, high]) => (low + high) / 2);
    const fit = [this.width, this.height].map((size, k) => size / ((spans[k][1] - spans[k][0]) * 1.08));
    this.zoom = this.whole = Math.min(...fit);
    this.draw();
  }

  resize() {
    const { width, height } = this.root.getBoundingClientRect();
    const ratio = Math.min(devicePixelRatio || 1, 2);
    const first = !this.width;
    Object.assign(this, { width, height, ratio });
    for (const canvas of [this.layer.canvas, this.overlay]) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    if (first && !this.placed) this.showWhole();
    this.draw();
  }

  // ---- drawing ---------------------------------------------------------------------------------------------------

  /** Draw points and overlay in the next frame; `moving` draws fewer points, and all of them at rest. */
  draw(moving = false) {
    this.moving = moving;
    this.stale = true;
    this.drawMarks();
    clearTimeout(this.rest);
    if (!moving) return;
    this.rest = setTimeout(() => {
      this.draw();
      this.on.view();
    }, REST);
  }

  /** Draw the overlay in the next frame; the points too if their view has changed. */
  drawMarks() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      if (this.stale) this.drawPoints(this.moving);
      this.stale = false;
      this.drawOverlay();
    });
  }

  drawPoints(moving) {
    if (!this.width) return;
    const n = this.axes[0].data.length;
    const closer = Math.min(Math.max(Math.sqrt(this.zoom / this.whole), 1), 3);
    const base = n < 3000 ? 7 : n < 20000 ? 5 : n < 200000 ? 3 : 1.6;
    const opacity = n < 3000 ? 0.85 : n < 20000 ? 0.7 : n < 200000 ? 0.5 : 0.35;
    const sizes = [this.width, this.height];
    this.layer.draw({
      scale: this.axes.map((axis, k) => (2 * this.zoom * (axis.high - axis.low)) / sizes[k]),
      shift: this.axes.map((axis, k) => (2 * this.zoom * (axis.low - this.centre[k])) / sizes[k]),
      size: base * closer * this.ratio,
      palette: this.palette(opacity),
    }, moving);
  }

  drawOverlay() {
    if (!this.width) return;
    const c = this.overlay.getContext("2d");
    const style = getComputedStyle(this.root);
    this.ink = Object.fromEntries(["text", "soft", "line", "accent", "second", "sheet"].map((name) => [name,
      style.getPropertyValue(`--${name}`).trim()]));
    c.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    c.clearRect(0, 0, this.width, this.height);
    this.drawPrior(c);
    this.drawAxes(c);
    this.drawPath(c);
    this.marks.forEach((mark) => this.drawMark(c, mark));
    this.drawLasso(c);
    this.setMarker(this.marker);
  }

  drawPrior(c) {
    if (!this.prior || this.prior.kind === "none" || this.flat) return;
    c.strokeStyle = this.ink.soft;
    c.lineWidth = 1;
    c.globalAlpha = 0.6;
    c.beginPath();
    if (this.prior.kind === "circles") {
      const [x, y] = this.toScreen([0, 0]);
      for (const radius of this.prior.radii) {
        c.moveTo(x + radius * this.zoom, y);
        c.arc(x, y, radius * this.zoom, 0, 2 * Math.PI);
      }
    } else {
      const { n, levels, limits, density } = this.prior;
      this.prior.lines ??= levels.flatMap((level) => segments(density, n, level));
      const at = (v, k) => limits[k][0] + ((v + 0.5) / n) * (limits[k][1] - limits[k][0]);
      for (const [a, b, d, e] of this.prior.lines) {
        c.moveTo(...this.toScreen([at(a, 0), at(b, 1)]));
        c.lineTo(...this.toScreen([at(d, 0), at(e, 1)]));
      }
    }
    c.stroke();
    c.globalAlpha = 1;
  }

  drawAxes(c) {
    const step = [1, 2, 5].map((v) => v * 10 ** Math.floor(Math.log10(70 / this.zoom))).concat(
      10 ** Math.floor(Math.log10(70 / this.zoom) + 1)).find((v) => v * this.zoom >= 60);
    const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    const [left, top] = this.toData([0, 0]);
    const [right, bottom] = this.toData([this.width, this.height]);
    c.fillStyle = this.ink.soft;
    c.font = "12px system-ui, sans-serif";
    c.textBaseline = "alphabetic";
    c.textAlign = "center";
    const write = (v) => v.toFixed(decimals).replace("-", "−");
    for (let v = Math.ceil(left / step) * step; v < right; v += step) {
      const [x] = this.toScreen([v, 0]);
      if (x > 60 && x < this.width - 20) c.fillText(write(v), x, this.height - 6);
    }
    c.textAlign = "left";
    for (let v = Math.ceil(bottom / step) * step; !this.flat && v < top; v += step) {
      const [, y] = this.toScreen([0, v]);
      if (y > 26 && y < this.height - 24) c.fillText(write(v), 6, y + 4);
    }
    c.fillStyle = this.ink.text;
    c.textAlign = "right";
    c.fillText(`${this.axes[0].name} →`, this.width - 8, this.height - 22);
    c.textAlign = "left";
    if (!this.flat) c.fillText(`↑ ${this.axes[1].name}`, 6, 16);
  }

  drawPath(c) {
    if (this.path.length < 2) return;
    c.strokeStyle = this.ink.second;
    c.lineWidth = 2;
    c.beginPath();
    this.path.forEach((place, k) => c[k ? "lineTo" : "moveTo"](...this.toScreen(place)));
    c.stroke();
  }

  drawMark(c, { place, text, kind }) {
    const [x, y] = this.toScreen(place);
    c.lineWidth = 2.5;
    c.strokeStyle = kind === "dropped" ? this.ink.accent : this.ink.second;
    c.fillStyle = this.ink.sheet;
    c.beginPath();
    if (kind === "dropped") c.rect(x - 6, y - 6, 12, 12);
    else c.arc(x, y, 7, 0, 2 * Math.PI);
    c.globalAlpha = 0.75;
    c.fill();
    c.globalAlpha = 1;
    c.stroke();
    this.label(c, text, x + 11, y - 8);
  }

  label(c, text, x, y) {
    if (!text) return;
    c.font = "600 13px system-ui, sans-serif";
    c.textAlign = "left";
    c.lineWidth = 4;
    c.lineJoin = "round";
    c.strokeStyle = this.ink.sheet;
    c.strokeText(text, x, y);
    c.fillStyle = this.ink.text;
    c.fillText(text, x, y);
  }

  drawLasso(c) {
    if (!this.polygon) return;
    c.strokeStyle = this.ink.accent;
    c.fillStyle = this.ink.accent;
    c.lineWidth = 1.5;
    c.beginPath();
    this.polygon.forEach((p, k) => c[k ? "lineTo" : "moveTo"](...p));
    c.closePath();
    c.stroke();
    c.globalAlpha = 0.1;
    c.fill();
    c.globalAlpha = 1;
  }

  /** Move the marker, a separate element, so that the plane is not drawn again during a drag. */
  setMarker(place) {
    this.marker = place;
    if (!this.width) return;
    const [x, y] = this.toScreen(place);
    this.root.querySelector("#marker").style.transform = `translate(${x - 20}px, ${y - 20}px)`;
  }

  // ---- mouse and fingers -----------------------------------------------------------------------------------------

  listen() {
    const { root } = this;
    const at = (event) => {
      const box = root.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    root.addEventListener("pointerdown", (event) => this.down(event, at(event)));
    root.addEventListener("pointermove", (event) => this.moveTo(event, at(event)));
    root.addEventListener("pointerrawupdate", (event) => { // comes before the pointermove, which waits for a frame
      if (this.action === "drag" && this.pointers.has(event.pointerId)) this.on.early?.(...this.toData(at(event)), event.timeStamp);
    });
    for (const name of ["pointerup", "pointercancel"]) root.addEventListener(name, (event) => this.up(event));
    root.addEventListener("pointerleave", () => this.on.hover(-1));
    root.addEventListener("contextmenu", (event) => event.preventDefault());
    root.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoomBy(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), at(event));
    }, { passive: false });
  }

  zoomBy(factor, at = [this.width / 2, this.height / 2]) {
    const before = this.toData(at);
    this.zoom = Math.min(Math.max(this.zoom * factor, this.whole / 20), this.whole * 5000);
    const after = this.toData(at);
    this.centre = this.centre.map((v, k) => v + before[k] - after[k]);
    this.placed = true;
    this.draw(true);
  }

  panBy(dx, dy) {
    this.centre = [this.centre[0] - dx / this.zoom, this.centre[1] + dy / this.zoom];
    this.placed = true;
    this.draw(true);
  }

  down(event, place) {
    this.root.focus({ preventScroll: true });
    this.root.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, place);
    if (this.pointers.size === 2) {
      this.action = "pinch";
      this.polygon = null;
      return;
    }
    this.action = event.button > 0 || this.mode === "pan" ? "pan" : this.mode;
    if (this.action === "lasso") this.polygon = [place];
    if (this.action === "drag") {
      const point = this.nearest(place);
      if (point >= 0) this.on.pick(point);
      else this.on.move(...this.toData(place), event.timeStamp);
    }
  }

  moveTo(event, place) {
    const before = this.pointers.get(event.pointerId);
    if (!before) {
      this.hover(place);
      return;
    }
    if (this.action === "pinch") this.pinch(event.pointerId, place);
    this.pointers.set(event.pointerId, place);
    if (this.action === "pan") this.panBy(place[0] - before[0], place[1] - before[1]);
    if (this.action === "drag") this.on.move(...this.toData(place), event.timeStamp);
    if (this.action === "lasso") {
      this.polygon.push(place);
      this.drawMarks();
    }
  }

  pinch(id, place) {
    const [[, other]] = [...this.pointers].filter(([key]) => key !== id);
    const before = this.pointers.get(id);
    const length = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]) || 1;
    this.panBy((place[0] - before[0]) / 2, (place[1] - before[1]) / 2);
    this.zoomBy(length(place, other) / length(before, other), other);
  }

  up(event) {
    this.pointers.delete(event.pointerId);
    if (this.action === "lasso" && this.polygon) this.finishLasso(this.polygon);
    if (!this.pointers.size) this.action = null;
    this.on.view();
  }

  finishLasso(polygon) {
    this.polygon = null;
    const every = Math.max(1, Math.ceil(polygon.length / 96));
    const corners = polygon.filter((_, k) => k % every === 0).map((p) => this.toGrid(this.toData(p)));
    if (corners.length > 2) this.on.lasso(inside(corners, this.axes[0].data, this.axes[1].data));
    this.drawMarks();
  }

  hover(place) {
    this.hovered = place;
    this.hoverFrame ??= requestAnimationFrame(() => {
      this.hoverFrame = null;
      const point = this.mode === "lasso" ? -1 : this.nearest(this.hovered);
      this.root.classList.toggle("near", point >= 0);
      this.on.hover(point);
    });
  }
}
