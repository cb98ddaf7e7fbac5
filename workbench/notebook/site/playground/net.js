// Recurrent nets by hand: forward, backward, Adam. No library, no state but what is handed over.
//
// A net is {layers, readout}. Values of T steps of B sequences lie step by step in one array: x (T, B, M) at
// (t * B + b) * M + m. Matrices lie row by row, (outputs, inputs). Sums are taken in double precision, kept in single.
//   indrnn    h_t = relu(W x_t + b + u * h_{t-1})                     Li et al. 2018, eq. (2); W (N, M), u (N)
//   rnn_tanh  h_t = tanh(W x_t + b + R h_{t-1})                       W (N, M), R (N, N)
//   lstm      i, f, g, o from W x_t + b + R h_{t-1}; c = f c + i g; h = o tanh(c)    W (4 N, M), R (4 N, N)
// The answer (B, K) is read after the last step: V h_T + d. Batch norm is folded into the matrices that follow it.

const sigmoid = (a) => 1 / (1 + Math.exp(-a));

// out (rows, N) += x W^T, four rows a load of the weights
function multiply(x, xAt, rows, W, N, M, out, outAt) {
  let r = 0;
  for (; r + 4 <= rows; r += 4) {
    const p = xAt + r * M,
      q = p + M,
      s = q + M,
      v = s + M,
      to = outAt + r * N;
    for (let n = 0, at = 0; n < N; n++) {
      let a = 0,
        b = 0,
        c = 0,
        d = 0;
      for (let m = 0; m < M; m++, at++) {
        const w = W[at];
        a += w * x[p + m];
        b += w * x[q + m];
        c += w * x[s + m];
        d += w * x[v + m];
      }
      out[to + n] += a;
      out[to + N + n] += b;
      out[to + 2 * N + n] += c;
      out[to + 3 * N + n] += d;
    }
  }
  for (; r < rows; r++)
    for (let n = 0, at = 0, p = xAt + r * M; n < N; n++) {
      let a = 0;
      for (let m = 0; m < M; m++, at++) a += W[at] * x[p + m];
      out[outAt + r * N + n] += a;
    }
}

// x's gradient (rows, M) += g W
function multiplyBack(g, gAt, rows, W, N, M, dx, dxAt) {
  for (let r = 0; r < rows; r++)
    for (let n = 0, p = dxAt + r * M; n < N; n++) {
      const by = g[gAt + r * N + n];
      if (by !== 0) for (let m = 0, at = n * M; m < M; m++, at++) dx[p + m] += by * W[at];
    }
}

// W's gradient (N, M) += g^T x
function outer(g, gAt, x, xAt, rows, N, M, dW) {
  for (let r = 0; r < rows; r++)
    for (let n = 0, p = xAt + r * M; n < N; n++) {
      const by = g[gAt + r * N + n];
      if (by !== 0) for (let m = 0, at = n * M; m < M; m++, at++) dW[at] += by * x[p + m];
    }
}

function affine(x, xAt, rows, W, b) {
  const N = b.length,
    out = new Float32Array(rows * N);
  for (let r = 0; r < rows; r++) out.set(b, r * N);
  multiply(x, xAt, rows, W, N, W.length / N, out, 0);
  return out;
}

// What each kind does between the affine map a = W x + b and the states: `run` through time, and `back`. At step `cut`
// every memory is wiped: the states before it count as 0.
const CELLS = {
  indrnn: {
    run({ u, silent }, a, T, B, cut) {
      const N = u.length,
        h = new Float32Array(T * B * N);
      for (let t = 0, at = 0; t < T; t++) {
        const kept = t > 0 && t !== cut;
        for (let b = 0; b < B; b++)
          for (let n = 0; n < N; n++, at++) {
            const value = kept ? a[at] + u[n] * h[at - B * N] : a[at];
            h[at] = value <= 0 || (silent && silent[n]) ? 0 : value; // what is no number stays none, as in PyTorch
          }
      }
      return { h };
    },
    back({ u }, { h }, g, T, B, into, flow) {
      const N = u.length,
        width = B * N,
        da = new Float32Array(T * width),
        carried = new Float64Array(width);
      for (let t = T - 1; t >= 0; t--)
        for (let i = 0, at = t * width; i < width; i++, at++) {
          const d = g[at] + carried[i];
          flow[t] += d * d;
          da[at] = h[at] > 0 ? d : 0;
          carried[i] = da[at] * u[i % N];
          if (t > 0) into.u[i % N] += da[at] * h[at - width];
        }
      return da;
    },
  },
  rnn_tanh: {
    run({ R }, h, T, B, cut) {
      const N = Math.sqrt(R.length),
        width = B * N;
      for (let t = 0; t < T; t++) {
        if (t > 0 && t !== cut) multiply(h, (t - 1) * width, B, R, N, N, h, t * width);
        for (let at = t * width; at < (t + 1) * width; at++) h[at] = Math.tanh(h[at]);
      }
      return { h };
    },
    back({ R }, { h }, g, T, B, into, flow) {
      const N = Math.sqrt(R.length),
        width = B * N,
        da = new Float32Array(T * width);
      let carried = new Float64Array(width);
      for (let t = T - 1; t >= 0; t--) {
        for (let i = 0, at = t * width; i < width; i++, at++) {
          const d = g[at] + carried[i];
          flow[t] += d * d;
          da[at] = d * (1 - h[at] * h[at]);
        }
        if (t === 0) break;
        carried = new Float64Array(width);
        multiplyBack(da, t * width, B, R, N, N, carried, 0);
        outer(da, t * width, h, (t - 1) * width, B, N, N, into.R);
      }
      return da;
    },
  },
  lstm: {
    run({ R }, gates, T, B, cut) {
      const N = Math.sqrt(R.length / 4),
        width = B * N;
      const h = new Float32Array(T * width),
        c = new Float32Array(T * width);
      for (let t = 0; t < T; t++) {
        const kept = t > 0 && t !== cut;
        if (kept) multiply(h, (t - 1) * width, B, R, 4 * N, N, gates, 4 * t * width);
        for (let b = 0, at = t * width; b < B; b++)
          for (let n = 0, i = 4 * (t * width + b * N); n < N; n++, i++, at++) {
            gates[i] = sigmoid(gates[i]);
            gates[i + N] = sigmoid(gates[i + N]);
            gates[i + 2 * N] = Math.tanh(gates[i + 2 * N]);
            gates[i + 3 * N] = sigmoid(gates[i + 3 * N]);
            c[at] = gates[i] * gates[i + 2 * N] + (kept ? gates[i + N] * c[at - width] : 0);
            h[at] = gates[i + 3 * N] * Math.tanh(c[at]);
          }
      }
      return { h, c, gates };
    },
    back({ R }, { h, c, gates }, g, T, B, into, flow) {
      const N = Math.sqrt(R.length / 4),
        width = B * N,
        da = new Float32Array(4 * T * width);
      const kept = new Float64Array(width); // the cell's gradient
      let carried = new Float64Array(width);
      for (let t = T - 1; t >= 0; t--) {
        for (let b = 0, j = 0, at = t * width; b < B; b++)
          for (let n = 0, i = 4 * (t * width + b * N); n < N; n++, i++, j++, at++) {
            const [I, F, G, O] = [gates[i], gates[i + N], gates[i + 2 * N], gates[i + 3 * N]];
            const d = g[at] + carried[j],
              squashed = Math.tanh(c[at]);
            flow[t] += d * d;
            const dc = kept[j] + d * O * (1 - squashed * squashed);
            da[i] = dc * G * I * (1 - I);
            da[i + N] = t > 0 ? dc * c[at - width] * F * (1 - F) : 0;
            da[i + 2 * N] = dc * I * (1 - G * G);
            da[i + 3 * N] = d * squashed * O * (1 - O);
            kept[j] = dc * F;
          }
        if (t === 0) break;
        carried = new Float64Array(width);
        multiplyBack(da, 4 * t * width, B, R, 4 * N, N, carried, 0);
        outer(da, 4 * t * width, h, (t - 1) * width, B, 4 * N, N, into.R);
      }
      return da;
    },
  },
};

// One layer through time: x (T, B, M) -> {h (T, B, N), and what its way back needs}
function runLayer(layer, x, T, B, cut = -1) {
  return { x, ...CELLS[layer.kind].run(layer, affine(x, 0, T * B, layer.W, layer.b), T, B, cut) };
}

// x (T, B, M) -> {runs, out (B, K)}
function forward(net, x, T, B, cut = -1) {
  const runs = [];
  for (const layer of net.layers) runs.push(runLayer(layer, runs.length ? runs.at(-1).h : x, T, B, cut));
  const N = net.readout.W.length / net.readout.b.length,
    h = runs.at(-1).h;
  return { runs, T, B, out: affine(h, (T - 1) * B * N, B, net.readout.W, net.readout.b) };
}

// From the answers' gradient g (B, K): {gradients like the net's own arrays, x (T, B, M), flow a layer (T)}, where flow
// is the length of the gradient at the layer's states of each step, all sequences together. Nothing may have been cut.
function backward(net, { runs, T, B }, g) {
  const { W, b } = net.readout,
    K = b.length,
    N = W.length / K,
    last = runs.at(-1).h,
    from = (T - 1) * B * N;
  const readout = { W: new Float64Array(W.length), b: new Float64Array(K) };
  outer(g, 0, last, from, B, K, N, readout.W);
  g.forEach((value, i) => (readout.b[i % K] += value));
  let arriving = new Float32Array(last.length);
  multiplyBack(g, 0, B, W, K, N, arriving, from);
  const layers = [],
    flow = [];
  for (let i = runs.length - 1; i >= 0; i--) {
    const layer = net.layers[i],
      { x } = runs[i],
      wide = layer.b.length,
      M = layer.W.length / wide;
    const into = {};
    for (const name of ["W", "b", "u", "R"]) if (layer[name]) into[name] = new Float64Array(layer[name].length);
    const through = new Float64Array(T);
    const da = CELLS[layer.kind].back(layer, runs[i], arriving, T, B, into, through);
    outer(da, 0, x, 0, T * B, wide, M, into.W);
    for (let at = 0; at < da.length; at++) into.b[at % wide] += da[at];
    arriving = new Float32Array(T * B * M);
    multiplyBack(da, 0, T * B, layer.W, wide, M, arriving, 0);
    layers.unshift(into);
    flow.unshift(through.map(Math.sqrt));
  }
  return { layers, readout, x: arriving, flow };
}

// All arrays of a net, or of its gradients, in one order
const arrays = ({ layers, readout }) =>
  [...layers, readout].flatMap((part) => ["W", "b", "u", "R"].filter((name) => part[name]).map((name) => part[name]));

// Adam (Kingma and Ba 2015) on a net, its gradient's length clipped first; u stays in [-bound, bound] after each step.
class Adam {
  constructor(net, { rate = 5e-3, longest = 1, bound = Infinity } = {}) {
    Object.assign(this, { net, rate, longest, bound, steps: 0 });
    [this.mean, this.square] = [0, 1].map(() => arrays(net).map((values) => new Float64Array(values.length)));
  }
  step(gradients) {
    const found = arrays(gradients);
    let length = 0;
    for (const g of found) for (let i = 0; i < g.length; i++) length += g[i] * g[i];
    const scale = Math.min(1, this.longest / (Math.sqrt(length) + 1e-6));
    this.steps++;
    const [first, second] = [1 - 0.9 ** this.steps, 1 - 0.999 ** this.steps];
    arrays(this.net).forEach((values, k) => {
      const g = found[k],
        mean = this.mean[k],
        square = this.square[k];
      for (let i = 0; i < values.length; i++) {
        const d = g[i] * scale;
        mean[i] += 0.1 * (d - mean[i]);
        square[i] += 0.001 * (d * d - square[i]);
        values[i] -= (this.rate * mean[i]) / first / (Math.sqrt(square[i] / second) + 1e-8);
      }
    });
    for (const { u } of this.net.layers)
      if (u) for (let n = 0; n < u.length; n++) u[n] = Math.max(-this.bound, Math.min(this.bound, u[n]));
  }
}

function softmax(logits, from, K) {
  const values = Array.from(logits.subarray(from, from + K)),
    most = Math.max(...values);
  const powers = values.map((v) => Math.exp(v - most)),
    sum = powers.reduce((a, b) => a + b);
  return powers.map((p) => p / sum);
}

// A generator of numbers in [0, 1) from a seed (mulberry32)
function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
