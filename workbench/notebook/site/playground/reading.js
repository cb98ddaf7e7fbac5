// A trained net reads one picture, pixel by pixel; what was done to the net is an `edit`:
//   {bound, cut, layer, neuron, u, silent}, each absent where nothing is done. Layers and neurons count from 0.

// A layer with an edit done to it
function editedLayer(layer, index, { bound = Infinity, layer: chosen, neuron, u, silent }) {
  if (!layer.u) return layer;
  const here = index === chosen;
  if (bound === Infinity && !(here && (u != null || silent))) return layer;
  const changed = layer.u.map((value) => Math.max(-bound, Math.min(bound, value)));
  if (here && u != null) changed[neuron] = u;
  const quiet = here && silent ? Uint8Array.from({ length: changed.length }, (_, n) => Number(n === neuron)) : null;
  return { ...layer, u: changed, silent: quiet };
}

// Layers are run again only from the first on that changed since the last reading.
class Reader {
  constructor(net) {
    this.net = net;
    this.known = [];
  }
  // x (T, 1, 1) -> {states: each layer's (T, N), probabilities (T, K): the answer if it stopped at each step}
  read(x, edit = {}) {
    const T = x.length,
      K = this.net.readout.b.length,
      cut = edit.cut ?? -1;
    let input = x,
      fresh = true;
    this.known = this.net.layers.map((layer, index) => {
      const changed = editedLayer(layer, index, edit),
        before = this.known[index];
      const key = JSON.stringify([cut, changed === layer ? null : [Array.from(changed.u), changed.silent]]);
      fresh &&= before?.key === key && (index ? before.x === input : same(before.x, input));
      const run = fresh ? before : { ...runLayer(changed, input, T, 1, cut), key, x: input };
      input = run.h;
      return run;
    });
    const logits = affine(input, 0, T, this.net.readout.W, this.net.readout.b),
      probabilities = new Float32Array(T * K);
    for (let t = 0; t < T; t++) probabilities.set(softmax(logits, t * K, K), t * K);
    return { states: this.known.map((run) => run.h), probabilities };
  }
}

const best = (p) => p.indexOf(Math.max(...p));

// A probability in words, as Python's `percent` writes it
function percent(p) {
  if (p > 0 && p < 0.0005) return "<0.1 %";
  if (p >= 0.9995 && p < 1 - 1e-6) return ">99.9 %";
  return `${Number((100 * p).toFixed(1))} %`;
}

const same = (a, b) => a.length === b.length && a.every((value, i) => value === b[i]);

// round(value) to the even of two whole numbers that are equally near
function rounded(value) {
  const low = Math.floor(value);
  if (value - low === 0.5) return low % 2 === 0 ? low : low + 1;
  return Math.round(value);
}

// Strokes in units of 100 as an image, the share of each pixel that the pen covers, as analysis/handwriting.py has it
function imageOf(strokes, { side, fill, pen, mass }, fit) {
  const points = strokes.flat();
  if (fit && points.length) {
    const [low, high] = [Math.min, Math.max].map((end) => [0, 1].map((axis) => end(...points.map((point) => point[axis]))));
    const extent = Math.max(high[0] - low[0], high[1] - low[1]);
    const scale = extent ? (100 * fill - pen) / extent : 1;
    strokes = strokes.map((stroke) => stroke.map((point) => point.map((v, i) => (v - (low[i] + high[i]) / 2) * scale + 50)));
  }
  const part = Math.ceil(112 / side);
  const fine = side * part;
  const covered = new Uint8Array(fine * fine);
  const range = (a, b) => {
    const [from, to] = [Math.min(a, b) - pen / 2, Math.max(a, b) + pen / 2].map((v) => Math.floor((v * fine) / 100));
    return [Math.max(0, from), Math.min(fine - 1, to)];
  };
  for (const stroke of strokes)
    stroke.forEach(([x0, y0], k) => {
      const [x1, y1] = stroke[k + 1] ?? stroke[k];
      const [dx, dy] = [x1 - x0, y1 - y0];
      const [[top, bottom], [left, right]] = [range(y0, y1), range(x0, x1)];
      for (let row = top; row <= bottom; row++)
        for (let col = left; col <= right; col++) {
          const [x, y] = [((col + 0.5) * 100) / fine - x0, ((row + 0.5) * 100) / fine - y0];
          const along = Math.min(Math.max((x * dx + y * dy) / Math.max(dx * dx + dy * dy, 1e-9), 0), 1);
          if ((x - along * dx) ** 2 + (y - along * dy) ** 2 <= (pen / 2) ** 2) covered[row * fine + col] = 1;
        }
    });
  const image = new Float64Array(side * side);
  covered.forEach((ink, i) => (image[Math.floor(i / fine / part) * side + Math.floor((i % fine) / part)] += ink / part ** 2));
  const sum = image.reduce((a, b) => a + b, 0);
  if (!(fit && mass && sum)) return image;
  const [right, down] = [(i) => i % side, (i) => Math.floor(i / side)].map((of) =>
    rounded((side - 1) / 2 - image.reduce((a, ink, i) => a + ink * of(i), 0) / sum),
  );
  return image.map((_, i) => {
    const [x, y] = [(i % side) - right, Math.floor(i / side) - down];
    return x >= 0 && x < side && y >= 0 && y < side ? image[y * side + x] : 0;
  });
}

// A net as the page carries it: arrays of float32 in base64
function unpacked(part) {
  if (Array.isArray(part)) return part.map(unpacked);
  if (part === null || typeof part !== "object") return part;
  return Object.fromEntries(
    Object.entries(part).map(([name, value]) => {
      if (!["W", "b", "u", "R", "still", "x"].includes(name)) return [name, unpacked(value)];
      return [name, new Float32Array(Uint8Array.from(atob(value), (letter) => letter.charCodeAt(0)).buffer)];
    }),
  );
}

// --- in a worker: first {nets}, then {turn, plain, x, edit, names}, x null where nothing is changed; the newest is
// answered ---

function serve() {
  let readers,
    waiting = null;
  const answer = () => {
    const { turn, plain, x, edit, names } = waiting;
    waiting = null;
    const found = names.map((name) => {
      const [asTrained, changed] = readers[name],
        before = asTrained.read(plain);
      return { name, plain: before.probabilities.slice(-10), ...(x ? changed.read(x, edit) : before) };
    });
    postMessage({ turn, found });
  };
  self.onmessage = ({ data }) => {
    if (data.nets) {
      readers = Object.fromEntries(data.nets.map((net) => [net.name, [new Reader(net), new Reader(net)]]));
      return;
    }
    if (!waiting) setTimeout(answer); // after all that has arrived meanwhile
    waiting = data;
  };
}
