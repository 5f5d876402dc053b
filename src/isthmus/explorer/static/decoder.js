// The decoder of a model, evaluated on the page: dense layers, the mean of the likelihood, and the units of the data.

const logistic = (a) => 1 / (1 + Math.exp(-a));

/** 1 - erf(a), with a relative error of at most 1.2e-7: Press et al. (1992), Numerical Recipes in C, section 6.2. */
function complementaryError(a) {
  const t = 1 / (1 + 0.5 * Math.abs(a));
  const terms = [0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418, 0.37409196,
    1.00002368, -1.26551223];
  const value = t * Math.exp(-a * a + terms.reduce((sum, term) => sum * t + term));
  return a >= 0 ? value : 2 - value;
}

const FUNCTIONS = {
  identity: (a) => a,
  relu: (a) => Math.max(a, 0),
  elu: (a) => (a > 0 ? a : Math.expm1(a)),
  silu: (a) => a * logistic(a),
  gelu: (a) => 0.5 * a * complementaryError(-a * Math.SQRT1_2),
  tanh: Math.tanh,
  sigmoid: logistic,
  softplus: (a) => Math.max(a, 0) + Math.log1p(Math.exp(-Math.abs(a))),
  exp: (a) => Math.exp(Math.min(a, 30)) * (1 + Math.max(a - 30, 0)), // as the likelihoods of counts bound it
};

/** Add weight @ inputs to the outputs. */
function addProduct(outputs, weight, inputs) {
  const n = inputs.length;
  for (let i = 0, k = 0; i < outputs.length; i++) {
    let sum = 0;
    for (let j = 0; j < n; j++, k++) sum += weight[k] * inputs[j];
    outputs[i] += sum;
  }
  return outputs;
}

/** Return a number with five digits, as the server writes it. */
function numberText(value) {
  const size = Math.abs(value);
  if (value === 0) return "0";
  if (size >= 1e-4 && size < 1e7) {
    const text = value.toFixed(Math.max(0, 4 - Math.floor(Math.log10(size))));
    return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
  }
  return value.toExponential(3).replace(/e([+-])(\d)$/, "e$10$2");
}

export class Decoder {
  /** `data` is what `pack_decoder` returns, `row` the form of rows, and `unpack` makes bytes of base64. */
  constructor(data, row, unpack) {
    const floats = (text) => new Float32Array(unpack(text).buffer);
    const doubles = (text) => new Float64Array(unpack(text).buffer);
    this.layers = data.layers.map(({ weight, bias }) => ({ weight: floats(weight), bias: floats(bias) }));
    this.skip = data.skip === null ? null : floats(data.skip);
    Object.assign(this, { row, ranges: data.ranges, scale: doubles(data.scale), shift: doubles(data.shift) });
    Object.assign(this, { activation: FUNCTIONS[data.activation], mean: FUNCTIONS[data.mean] });
  }

  /** Return the numbers that a code stands for, in the units of the data. */
  decode(code) {
    let hidden = Float64Array.from(code);
    this.layers.forEach(({ weight, bias }, k) => {
      hidden = addProduct(Float64Array.from(bias), weight, hidden);
      if (k < this.layers.length - 1) hidden = hidden.map(this.activation);
    });
    if (this.skip) addProduct(hidden, this.skip, code);
    return hidden.subarray(0, this.scale.length).map((a, k) => this.mean(a) * this.scale[k] + this.shift[k]);
  }

  /** Return the row as `LiveRow` shows it: bytes of an image, or texts and places of cells. */
  show(code) {
    const numbers = this.decode(code);
    if (this.row.kind === "image") {
      const { low, high } = this.row;
      return { header: {}, bytes: Uint8ClampedArray.from(numbers, (v) => Math.floor(((v - low) * 255) / (high - low) + 0.5)) };
    }
    const place = Array.from(numbers, (v, k) => {
      if (!this.ranges[k]) return null;
      const [low, high] = this.ranges[k];
      return Math.min(Math.max((v - low) / (high - low), 0), 1);
    });
    return { header: { text: [Array.from(numbers, numberText)], place: [place] }, bytes: null };
  }
}
