// What pages that run a trained net share, see alive.js.

const times = (T) => Array.from({ length: T }, (_, t) => t + 1);
// The places of the largest values, the largest first
const largest = (values, count) => [...values.keys()].sort((a, b) => values[b] - values[a]).slice(0, count);

// What was made is kept until there is much of it
const made = new Map();
function once(key, make) {
  if (made.size > 300) made.clear();
  if (!made.has(key)) made.set(key, make());
  return made.get(key);
}

// The net with another u in one neuron of a layer, where it is not null, and with nothing of the silent ones reaching
// what follows
function editedNet(net, { layer, neuron, u, silent }) {
  const parts = [...net.layers, net.readout];
  if (u !== null) parts[layer] = { ...parts[layer], u: parts[layer].u.with(neuron, u) };
  if (silent.length) {
    const { still } = parts[layer];
    const next = parts[layer + 1];
    const [W, b] = [next.W.slice(), next.b.slice()];
    for (const n of silent)
      for (let k = 0, i = n; k < b.length; k++, i += still.length) {
        b[k] += W[i] * still[n];
        W[i] = 0;
      }
    parts[layer + 1] = { ...next, W, b };
  }
  return { ...net, layers: parts.slice(0, -1), readout: parts.at(-1) };
}
