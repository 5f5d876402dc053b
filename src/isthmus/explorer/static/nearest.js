// Which point is nearest to a place: points are sorted into the cells of a grid, once for each pair of units.

const SIDE = 256;

export class Nearest {
  /** x and y are uint16. */
  constructor(x, y) {
    this.x = x;
    this.y = y;
    const n = x.length;
    const start = new Uint32Array(SIDE * SIDE + 1);
    for (let i = 0; i < n; i++) start[(y[i] >> 8) * SIDE + (x[i] >> 8) + 1] += 1;
    for (let i = 0; i < SIDE * SIDE; i++) start[i + 1] += start[i];
    const next = start.slice();
    const sorted = new Uint32Array(n);
    for (let i = 0; i < n; i++) sorted[next[(y[i] >> 8) * SIDE + (x[i] >> 8)]++] = i;
    this.start = start;
    this.sorted = sorted;
  }

  /**
   * Return the nearest shown point within the radii (rx, ry) of a place, all in units of uint16, or -1.
   * Of many points on one place, that with the lowest number is returned.
   */
  find(px, py, rx, ry, shown) {
    const from = (v, r) => Math.max(0, (v - r) >> 8);
    const to = (v, r) => Math.min(SIDE - 1, (v + r) >> 8);
    let best = -1;
    let least = 1;
    for (let row = from(py, ry); row <= to(py, ry); row++) {
      for (let column = from(px, rx); column <= to(px, rx); column++) {
        const cell = row * SIDE + column;
        for (let k = this.start[cell]; k < this.start[cell + 1]; k++) {
          const i = this.sorted[k];
          if (shown[i] !== 2) continue;
          const distance = ((this.x[i] - px) / rx) ** 2 + ((this.y[i] - py) / ry) ** 2;
          if (distance < least) {
            least = distance;
            best = i;
          }
        }
      }
    }
    return best;
  }
}

/** Return which points are inside a polygon of [x, y] in units of uint16, as uint8. */
export function inside(polygon, x, y) {
  const xs = polygon.map((p) => p[0]);
  const ys = polygon.map((p) => p[1]);
  const [left, right, bottom, top] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const found = new Uint8Array(x.length);
  for (let i = 0; i < x.length; i++) {
    const px = x[i];
    const py = y[i];
    if (px < left || px > right || py < bottom || py > top) continue;
    let odd = 0;
    for (let a = 0, b = xs.length - 1; a < xs.length; b = a++) {
      if (ys[a] > py !== ys[b] > py && px < ((xs[b] - xs[a]) * (py - ys[a])) / (ys[b] - ys[a]) + xs[a]) odd ^= 1;
    }
    found[i] = odd;
  }
  return found;
}
