// Lines of equal density on a grid (marching squares).

/** Return segments [x0, y0, x1, y1] in cells of the grid; density[i * n + j] is at column i and row j. */
export function segments(density, n, level) {
  const found = [];
  const at = (i, j) => density[i * n + j];
  const cut = (a, b) => (level - a) / (b - a || 1);
  for (let i = 0; i + 1 < n; i++) {
    for (let j = 0; j + 1 < n; j++) {
      const [a, b, c, d] = [at(i, j), at(i + 1, j), at(i + 1, j + 1), at(i, j + 1)];
      const ends = [];
      if (a > level !== b > level) ends.push([i + cut(a, b), j]);
      if (b > level !== c > level) ends.push([i + 1, j + cut(b, c)]);
      if (c > level !== d > level) ends.push([i + 1 - cut(c, d), j + 1]);
      if (d > level !== a > level) ends.push([i, j + 1 - cut(d, a)]);
      for (let k = 0; k + 1 < ends.length; k += 2) found.push([...ends[k], ...ends[k + 1]]);
    }
  }
  return found;
}
