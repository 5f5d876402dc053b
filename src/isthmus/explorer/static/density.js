// The map where the browser has no WebGL: points are counted per pixel, and a pixel has the colour of most of its points.

export class DensityPoints {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.data = {};
  }

  upload(name, data) {
    this.data[name] = data;
  }

  draw(view) {
    const { x, y, colour, shown } = this.data;
    const { width, height } = this.canvas;
    if (!view || !x || !y || !shown || !width || !height) return;
    const coarse = x.length < 20000 ? 3 : 2; // pixels of the screen for each counted one
    const across = Math.ceil(width / coarse);
    const up = Math.ceil(height / coarse);
    const count = new Uint32Array(across * up);
    const last = new Uint8Array(across * up);
    for (let i = 0; i < x.length; i++) {
      if (shown[i] === 0) continue;
      const column = (((x[i] / 65535) * view.scale[0] + view.shift[0] + 1) / 2) * across;
      const row = ((1 - ((y[i] / 65535) * view.scale[1] + view.shift[1])) / 2) * up;
      if (column < 0 || row < 0 || column >= across || row >= up) continue;
      const place = (row | 0) * across + (column | 0);
      count[place] += 1;
      last[place] = shown[i] === 1 ? 15 : colour[i];
    }
    this.paint(count, last, across, up, view.palette);
  }

  paint(count, last, across, up, palette) {
    let most = 1;
    for (const value of count) most = Math.max(most, value);
    const image = new ImageData(across, up);
    for (let i = 0; i < count.length; i++) {
      if (!count[i]) continue;
      const k = 4 * last[i];
      image.data.set([palette[k] * 255, palette[k + 1] * 255, palette[k + 2] * 255], 4 * i);
      image.data[4 * i + 3] = 90 + 165 * Math.min(1, Math.log1p(count[i]) / Math.log1p(most));
    }
    const small = new OffscreenCanvas(across, up);
    small.getContext("2d").putImageData(image, 0, 0);
    this.context.imageSmoothingEnabled = false;
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.context.drawImage(small, 0, 0, this.canvas.width, this.canvas.height);
  }
}
