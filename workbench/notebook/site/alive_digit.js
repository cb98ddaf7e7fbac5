// The explorer of one's own digit where it computes: see alive.js, and explorers/digit.py, whose figures these are.

const strokesOf = (text) => {
  const strokes = text.split(";").map((part) => part.trim()).filter(Boolean);
  return strokes.map((part) => part.split(/\s+/).map((point) => point.split(",").map(Number)));
};

// A net over a drawing -> {chances (T) of (10), shares(answer) (T, N), pixels (T)}
function readDrawing(net, order, { strokes, cut, silent, fit }) {
  return once(JSON.stringify(["read", net.origin, order[1], strokes, cut, silent, fit]), () => {
    const image = imageOf(strokesOf(strokes), net.frame, fit);
    const pixels = Float32Array.from(order, (pixel) => 2 * image[pixel] - 1);
    const T = pixels.length;
    const bound = (u) => Math.max(-cut, Math.min(cut, u));
    const bounded = { ...net, layers: net.layers.map((layer) => ({ ...layer, u: layer.u.map(bound) })) };
    const h = forward(bounded, pixels, T, 1).runs.at(-1).h;
    const { still } = net.layers.at(-1);
    const N = still.length;
    const shares = ({ readout }, answer, from = 0) =>
      h.subarray(from * N).map((state, i) => readout.W[answer * N + (i % N)] * (state - still[i % N]));
    const answers = ({ readout }) => affine(h, 0, T, readout.W, readout.b);
    let [now, logits] = [bounded, answers(bounded)];
    const K = logits.length / T;
    if (silent) {
      const most = largest(shares(now, best(logits.slice(-K)), T - 1), silent);
      now = editedNet(bounded, { layer: net.layers.length - 1, neuron: 0, u: null, silent: most });
      logits = answers(now);
    }
    const chances = times(T).map((t) => softmax(logits, (t - 1) * K, K));
    return { chances, shares: (answer) => shares(now, answer), pixels };
  });
}

ALIVE.digit = ({ figures, alts }, wanted, { nets, orders, whole, paint, speaking }) => {
  const net = nets[wanted.record];
  const T = net.steps;
  const rows = [...Array(T).keys()];
  const order = wanted.permuted ? orders[T] : rows;
  const step = wanted.step ?? T;
  const [side, { cut, silent }] = [Math.sqrt(T), wanted];
  const edited = cut < whole || silent > 0 || wanted.permuted;
  const plain = readDrawing(net, rows, { ...wanted, cut: whole, silent: 0 });
  const now = edited ? readDrawing(net, order, wanted) : plain;
  const { chances } = now;
  const [at, last] = [chances[step - 1], chances.at(-1)];
  const answer = best(last);
  const likely = (p) => `${best(p)} (${percent(Math.max(...p))})`;
  const since = chances.findLastIndex((p) => best(p) !== answer) + 2;
  const settled = `from ${since > 1 ? `pixel ${since}` : "the first pixel"} on`;
  let said = now.pixels.every((ink) => ink === -1) ? "Nothing is drawn yet. " : "";
  said += `After ${step} of ${T} pixels it reads ${likely(at)}. At the end: ${answer}, ${settled}.`;
  if (edited) said += ` Left as trained it reads ${likely(plain.chances.at(-1))}.`;
  said += ` ${net.origin}: ${net.tested}.`;

  const { seen, votes, forming, speakers } = figures;
  const cells = Array.from({ length: side }, () => Array(side));
  const turns = Array(T);
  order.forEach((pixel, t) => {
    const ink = (now.pixels[t] + 1) / 2;
    cells[Math.floor(pixel / side)][pixel % side] = rounded(1000 * (t < step ? ink : 0.25 * ink)) / 1000;
    turns[pixel] = t + 1;
  });
  Object.assign(seen.data[0], { z: cells, x: times(side), y: times(side) });
  seen.data[0].meta.link.step = turns;
  const [row, col] = [Math.floor(order[step - 1] / side), order[step - 1] % side];
  Object.assign(seen.layout.shapes[0], { x0: col + 0.5, x1: col + 1.5, y0: row + 0.5, y1: row + 1.5 });
  seen.layout.title.text = `${step} of ${T} pixels read`;
  const dtick = Math.max(1, Math.floor(side / 4));
  Object.assign(seen.layout.xaxis, { dtick, range: [0.5, side + 0.5] });
  Object.assign(seen.layout.yaxis, { dtick, range: [side + 0.5, 0.5] });

  const percents = (p) => p.map((v) => 100 * v);
  votes.data[0].y = percents(plain.chances[step - 1]);
  if (edited) votes.data.push({ ...votes.data[0], y: percents(at), name: "edited", marker: { color: paint.pink } });
  votes.layout.title.text = `Its answer after ${step} pixels: ${best(at)}`;

  const shown = thinned(T, 400);
  const peaks = Array.from(last, (_, k) => Math.max(...chances.map((p) => p[k])));
  const coloured = [...new Set([answer, ...largest(peaks, 4)])].slice(0, 4);
  const shade = (k) => [paint.orange, paint.blue, paint.green, paint.pink][coloured.indexOf(k)];
  const line = forming.data[0];
  const digits = [...last.keys()].sort((a, b) => coloured.includes(a) - coloured.includes(b));
  forming.data = digits.map((k) => ({
    ...line,
    x: shown.map((t) => t + 1),
    y: shown.map((t) => 100 * chances[t][k]),
    name: `${k}`,
    line: shade(k) ? { color: shade(k), width: 2.5 } : { color: paint.ink, width: 1 },
    showlegend: shade(k) !== undefined,
  }));
  forming.layout.title.text = `The answer forming: ${answer}, ${settled}`;
  const { u } = net.layers.at(-1);
  const shares = now.shares(answer);
  const loudest = largest(shares.slice(-u.length), speaking);
  const voice = speakers.data[0];
  speakers.data = loudest.map((n, i) => ({
    ...voice,
    x: shown.map((t) => t + 1),
    y: shown.map((t) => shares[t * u.length + n]),
    name: `neuron ${n}, u = ${u[n].toFixed(3)}`,
    line: { ...voice.line, color: [paint.orange, paint.blue, paint.green, paint.pink, paint.yellow][i] },
  }));
  speakers.layout.title.text = `The neurons that say ${answer}`;
  speakers.layout.yaxis.title.text = `adds to the score of ${answer}`;
  for (const { layout } of [forming, speakers]) {
    layout.xaxis.range = [0, T + 1];
    Object.assign(layout.shapes.at(-1), { x0: step, x1: step });
  }
  alts.seen = `The drawing as ${side} by ${side} pixels, ${step} of ${T} read so far.`;
  alts.votes = `After ${step} of ${T} pixels: ${best(at)}, ${percent(Math.max(...at))}.`;
  alts.forming = `The chance of each digit after each pixel. ${said}`;
  alts.speakers = `The ${speaking} neurons of the last layer that add most to the score of ${answer}, step by step.`;
  return { said, figures, alts };
};
