// The points of the map, drawn by WebGL; density.js is used where there is no WebGL.
//
// Positions, colours and masks are buffers of their own, so that a filter or another unit uploads one of them. Points
// come in a random order: while the view moves, only as many are drawn as fit into a frame, and all of them at rest.

const VERTEX = `
attribute float ax; attribute float ay; attribute float acolour; attribute float ashown;
uniform vec2 scale; uniform vec2 shift; uniform float size; uniform vec4 palette[16];
varying vec4 colour;
void main() {
  gl_Position = vec4(vec2(ax, ay) * scale + shift, 0.0, 1.0);
  gl_PointSize = ashown > 1.5 ? size : size * 0.75;
  colour = palette[int(acolour)];
  if (ashown < 1.5) colour = vec4(palette[15].rgb, colour.a * 0.35);
  if (ashown < 0.5) gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
}`;
const FRAGMENT = `
precision mediump float;
varying vec4 colour; uniform float rounded;
void main() {
  if (rounded > 0.5 && distance(gl_PointCoord, vec2(0.5)) > 0.5) discard;
  gl_FragColor = vec4(colour.rgb * colour.a, colour.a);
}`;
const FRAME = 10; // milliseconds that drawing may take in a frame
const LEAST = 20000; // points that are drawn in any frame

function compile(gl, type, source) {
  const shader = gl.createShader(type);
  gl.shaderSource(shader, source);
  gl.compileShader(shader);
  return shader;
}

export class WebglPoints {
  /** Return a layer on a canvas, or null if the browser has no WebGL. */
  static on(canvas) {
    const gl = canvas.getContext("webgl", { antialias: false, alpha: true, depth: false, preserveDrawingBuffer: true });
    return gl ? new WebglPoints(canvas, gl) : null;
  }

  constructor(canvas, gl) {
    this.canvas = canvas;
    this.gl = gl;
    this.n = 0;
    this.budget = 2 * LEAST;
    this.setUp();
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    canvas.addEventListener("webglcontextrestored", () => {
      this.setUp();
      for (const [name, data] of Object.entries(this.data ?? {})) this.upload(name, data);
      this.draw(this.last, false);
    });
  }

  setUp() {
    const { gl } = this;
    const program = gl.createProgram();
    gl.attachShader(program, compile(gl, gl.VERTEX_SHADER, VERTEX));
    gl.attachShader(program, compile(gl, gl.FRAGMENT_SHADER, FRAGMENT));
    gl.linkProgram(program);
    gl.useProgram(program);
    this.program = program;
    this.buffers = Object.fromEntries(["x", "y", "colour", "shown"].map((name) => [name, gl.createBuffer()]));
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }

  /** Upload one attribute: x and y are uint16, colour and shown are uint8. */
  upload(name, data) {
    const { gl } = this;
    this.data = { ...this.data, [name]: data };
    this.n = data.length;
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[name]);
    gl.bufferData(gl.ARRAY_BUFFER, data, gl.DYNAMIC_DRAW);
    const place = gl.getAttribLocation(this.program, `a${name}`);
    const wide = data.BYTES_PER_ELEMENT === 2;
    gl.enableVertexAttribArray(place);
    gl.vertexAttribPointer(place, 1, wide ? gl.UNSIGNED_SHORT : gl.UNSIGNED_BYTE, wide, 0, 0);
  }

  /** Draw points: as many as fit into a frame, and if the view does not move all others in the frames after it. */
  draw(view, moving) {
    cancelAnimationFrame(this.next);
    if (!view || !this.n || !this.data?.shown) return;
    this.last = view;
    const { gl, canvas } = this;
    const uniform = (name) => gl.getUniformLocation(this.program, name);
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.uniform2f(uniform("scale"), view.scale[0], view.scale[1]);
    gl.uniform2f(uniform("shift"), view.shift[0], view.shift[1]);
    gl.uniform1f(uniform("size"), view.size);
    gl.uniform1f(uniform("rounded"), view.size > 3 ? 1 : 0);
    gl.uniform4fv(uniform("palette"), view.palette);
    if (moving) gl.drawArrays(gl.POINTS, 0, Math.min(this.n, this.budget));
    else this.slice(0);
  }

  /** Draw as many points as one frame has time for; the next frame resumes with the others. */
  slice(first) {
    const { gl } = this;
    const count = Math.min(this.n - first, this.budget);
    const start = performance.now();
    gl.drawArrays(gl.POINTS, first, count);
    if (count > LEAST / 2) {
      gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4)); // waits until they are drawn
      const each = Math.max(performance.now() - start, 0.2) / count;
      this.budget = Math.min(Math.max(LEAST, Math.round(FRAME / each)), 2 * this.budget);
    }
    if (first + count < this.n) this.next = requestAnimationFrame(() => this.slice(first + count));
  }
}
