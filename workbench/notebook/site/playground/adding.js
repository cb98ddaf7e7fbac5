// Training on the adding problem, step by step: what the page's workers run, and what its test runs without a worker.
// Sequences have two numbers a step: one in [0, 1), and a mark, 1 at two steps, one in each half. The answer is the sum
// of the two marked numbers (Hochreiter and Schmidhuber 1997); always answering 1 costs 1/6.

const BATCH = 16,
  CHECKED = 200,
  EVERY = 25; // sequences a step; fixed ones that measure; steps between measurements
const RATE = { indrnn: 5e-3, lstm: 1e-2, rnn_tanh: 2e-3 }; // the rivals' the best of 0.002, 0.005, 0.01 at T = 20

function addingBatch(T, B, random) {
  const x = new Float32Array(T * B * 2),
    y = new Float32Array(B),
    half = Math.floor(T / 2);
  for (let b = 0; b < B; b++) {
    for (let t = 0; t < T; t++) x[(t * B + b) * 2] = random();
    for (const t of [Math.floor(random() * half), half + Math.floor(random() * (T - half))]) {
      x[(t * B + b) * 2 + 1] = 1;
      y[b] += x[(t * B + b) * 2];
    }
  }
  return { x, y };
}

// Nets of about equally many weights: IndRNN 2 layers of 32, LSTM 16 units, RNN-tanh 32 units
function freshNet(kind, T, bound, random) {
  const within = (n, low, high) => Float32Array.from({ length: n }, () => low + (high - low) * random());
  const matrix = (N, M, width) => within(N * M, -1 / Math.sqrt(width), 1 / Math.sqrt(width));
  const near = 2 ** (1 / T); // of |u|: after T steps at most twice, at least half of it is left
  const layers = {
    indrnn: () => [
      { kind, W: matrix(32, 2, 32), b: new Float32Array(32), u: within(32, 0, Math.min(bound, near)) },
      {
        kind,
        W: matrix(32, 32, 32),
        b: new Float32Array(32),
        u: within(32, ...[1 / near, near].map((u) => Math.min(bound, u))),
      },
    ],
    lstm: () => [
      // forget gates begin open
      { kind, W: matrix(64, 2, 16), b: new Float32Array(64).fill(1, 16, 32), R: matrix(64, 16, 16) },
    ],
    rnn_tanh: () => [{ kind, W: matrix(32, 2, 32), b: new Float32Array(32), R: matrix(32, 32, 32) }],
  }[kind]();
  const N = kind === "lstm" ? 16 : 32;
  return { layers, readout: { W: matrix(1, N, N), b: new Float32Array(1) } };
}

const meanSquare = (out, y) => out.reduce((sum, value, b) => sum + (value - y[b]) ** 2, 0) / y.length;

class Training {
  constructor({ kind, T, bound, seed }) {
    bound ??= Infinity; // null in a message: none
    const random = randomFrom(1000 * seed + 7);
    this.fixed = addingBatch(T, CHECKED, randomFrom(1000 * seed + 1));
    this.random = randomFrom(1000 * seed + 2);
    this.net = freshNet(kind, T, bound, random);
    this.adam = new Adam(this.net, { rate: RATE[kind], bound });
    Object.assign(this, { T, steps: 0 });
  }
  step() {
    const { x, y } = addingBatch(this.T, BATCH, this.random);
    const run = forward(this.net, x, this.T, BATCH);
    const found = backward(
      this.net,
      run,
      run.out.map((value, b) => (2 * (value - y[b])) / BATCH),
    );
    this.adam.step(found);
    this.steps++;
    this.flow = found.flow.at(-1); // of the layer that is read: through time alone
  }
  error() {
    this.answers = forward(this.net, this.fixed.x, this.T, CHECKED).out;
    return (this.measured = meanSquare(this.answers, this.fixed.y));
  }
  // What the page draws: all numbers of now
  report() {
    const { steps, measured, answers, fixed } = this,
      u = this.net.layers.flatMap((layer) => Array.from(layer.u ?? []));
    const pairs = Array.from(answers, (answer, b) => [fixed.y[b], answer]);
    return { steps, error: measured, flow: Array.from(this.flow ?? []), u, pairs };
  }
}

// --- in a worker: {do: "start", kind, T, bound, seed}, "pause", "go on"; bound may be moved while it trains ---

function work() {
  let training = null,
    going = false,
    began = 0,
    spent = 0;
  const turn = () => {
    if (!going) return;
    const from = performance.now(),
      first = training.steps,
      rows = [];
    do {
      training.step();
      if (training.steps % EVERY === 0) rows.push([training.steps, training.error()]);
    } while (performance.now() - from < 120);
    spent += performance.now() - from;
    const speed = (1000 * (training.steps - first)) / (performance.now() - from);
    postMessage({ began, rows, speed, seconds: spent / 1000, ...training.report() });
    setTimeout(turn);
  };
  self.onmessage = ({ data }) => {
    if (data.do === "start") {
      training = new Training(data);
      spent = 0;
      began = data.began;
      postMessage({ began, rows: [[0, training.error()]], speed: 0, seconds: 0, ...training.report() });
    }
    if (data.do === "bound") training.adam.bound = data.bound ?? Infinity;
    const before = going;
    going = data.do === "pause" ? false : data.do === "bound" ? going : true;
    if (going && !before) setTimeout(turn);
  };
}
