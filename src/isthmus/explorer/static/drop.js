// The tab "Your own": an image, a row or a file is dropped, and shown where it lands.

import { call } from "./api.js";
import { comparison, likelihood } from "./datum.js";
import { givenText } from "./given.js";
import { element } from "./rows.js";

const LARGEST = 32 * 2 ** 20;

export class DropPanel {
  constructor(app, panel) {
    this.app = app;
    this.image = app.model.row.kind === "image";
    const accept = this.image ? "image/*,.npy,.csv" : ".csv,.npy";
    this.file = element("input", { type: "file", id: "own-file", accept });
    this.file.addEventListener("change", () => this.file.files[0] && this.take(this.file.files[0]));
    const what = this.image ? "an image, an .npy or a .csv file" : "a .csv or an .npy file";
    this.zone = element("div", { className: "zone" },
      element("label", { htmlFor: "own-file", textContent: `Drop ${what} here, or choose one: ` }), this.file);
    this.invert = element("input", { type: "checkbox", id: "own-invert" });
    const invert = element("label", { className: "small", hidden: !this.image }, this.invert, " invert it (dark ink on white paper)");
    this.result = element("div");
    this.result.setAttribute("aria-live", "polite");
    panel.replaceChildren(this.zone, invert, ...(this.image ? [] : this.typed()), this.result);
    for (const name of ["dragover", "drop"]) {
      addEventListener(name, (event) => event.preventDefault()); // the browser would leave the page
    }
    addEventListener("drop", (event) => {
      const [file] = event.dataTransfer.files;
      if (!file) return;
      app.tabs.show("own");
      this.take(file);
    });
    this.zone.addEventListener("dragenter", () => this.zone.classList.add("over"));
    for (const name of ["dragleave", "drop"]) this.zone.addEventListener(name, () => this.zone.classList.remove("over"));
  }

  /** Return a field in which rows can be typed. */
  typed() {
    const { columns, n_columns: n } = this.app.model.row;
    this.text = element("textarea", { id: "own-text", rows: 3, spellcheck: false });
    this.text.placeholder = `${columns.join(",")}${n > columns.length ? ",…" : ""}\n…`;
    const button = element("button", { type: "button", textContent: "Place these rows" });
    button.addEventListener("click", () => this.send("typed.csv", this.text.value));
    return [element("label", { htmlFor: "own-text", textContent: "Or type rows, names of columns first:" }), this.text,
      element("div", { className: "line" }, button)];
  }

  async take(file) {
    if (file.size > LARGEST) {
      this.app.fail(new Error(`${file.name} is larger than ${LARGEST / 2 ** 20} MiB.`));
      return;
    }
    if (!file.type.startsWith("image/")) {
      this.send(file.name, file);
      return;
    }
    if (!this.image) {
      this.app.fail(new Error("The model is not one of images: drop a .csv file."));
      return;
    }
    try {
      this.send("pixels", await this.scaled(file));
    } catch {
      this.app.fail(new Error(`${file.name} is no image that the browser can read.`));
    }
  }

  /** Return the bytes of an image file, cut to the model's shape and scaled to its size. */
  async scaled(file) {
    const { width, height, channels } = this.app.model.row;
    const bitmap = await createImageBitmap(file);
    const scale = Math.min(bitmap.width / width, bitmap.height / height);
    const [w, h] = [width * scale, height * scale];
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext("2d");
    context.fillStyle = "white";
    context.fillRect(0, 0, width, height);
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, (bitmap.width - w) / 2, (bitmap.height - h) / 2, w, h, 0, 0, width, height);
    const { data } = context.getImageData(0, 0, width, height);
    const bytes = new Uint8Array(width * height * channels);
    const side = this.invert.checked ? 255 : 0;
    for (let i = 0; i < width * height; i++) {
      const rgb = data.subarray(4 * i, 4 * i + 3);
      if (channels === 3) bytes.set(rgb.map((v) => Math.abs(side - v)), 3 * i);
      else bytes[i] = Math.abs(side - (0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]));
    }
    return bytes;
  }

  async send(name, content) {
    const { app } = this;
    const condition = app.model.given.length ? app.view.condition : null; // a class is averaged over
    const query = new URLSearchParams({ name, ...(condition && { condition: JSON.stringify(condition) }) });
    try {
      const { header } = await call("place", {}, { raw: content, query: `?${query}` });
      this.condition = condition;
      app.dropped = header.codes.map((code, k) => ({ code, text: header.n > 1 && k < 20 ? `${k + 1}` : header.n > 1 ? "" : "yours" }));
      app.showMarks();
      this.header = header;
      this.list(header);
      await this.show(0);
    } catch (error) {
      app.fail(error);
    }
  }

  list(header) {
    this.detail = element("div");
    const buttons = Array.from({ length: Math.min(header.n, 200) }, (_, k) => {
      const button = element("button", { type: "button", textContent: `${k + 1}` });
      button.title = likelihood(this.app, { score: header.scores[k], rank: header.ranks[k] });
      button.addEventListener("click", () => this.show(k));
      return button;
    });
    const many = header.n > 1
      ? [element("h3", { textContent: `${header.n.toLocaleString("en")} rows` }), element("div", { className: "line numbers" }, ...buttons)]
      : [];
    this.result.replaceChildren(...many, this.detail);
  }

  async show(k) {
    const { app } = this;
    try {
      const { header, bytes } = await call("inspect", { dropped: k, condition: this.condition });
      const title = this.header.n > 1 ? `Row ${k + 1}` : "Your row";
      const given = givenText(app.model, header.condition ?? this.condition);
      this.detail.replaceChildren(element("h3", { textContent: title + given }),
        ...comparison(app, header, bytes));
      if (header.condition) app.view.condition = header.condition; // that of its file
      app.goTo(header.code);
    } catch (error) {
      app.fail(error);
    }
  }
}
