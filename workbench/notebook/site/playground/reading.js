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
