// The explorer of one's own digit where it computes: see alive.js, and explorers/digit.py, whose figures these are.

// Strokes in units of 100 as an image, the share of each pixel that the pen covers, as analysis/handwriting.py has it
function imageOf(text, { side, fill, pen, mass }, fit) {
  let strokes = text.split(";").map((part) => part.trim()).filter(Boolean);
  strokes = strokes.map((part) => part.split(/\s+/).map((point) => point.split(",").map(Number)));
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
  for (const stroke of strokes)
    stroke.forEach(([x0, y0], k) => {
      const [x1, y1] = stroke[k + 1] ?? stroke[k];
      const [dx, dy] = [x1 - x0, y1 - y0];
      for (let row = 0, i = 0; row < fine; row++)
        for (let col = 0; col < fine; col++, i++) {
          const [x, y] = [((col + 0.5) * 100) / fine - x0, ((row + 0.5) * 100) / fine - y0];
          const along = Math.min(Math.max((x * dx + y * dy) / Math.max(dx * dx + dy * dy, 1e-9), 0), 1);
          if ((x - along * dx) ** 2 + (y - along * dy) ** 2 <= (pen / 2) ** 2) covered[i] = 1;
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

// A net over a drawing -> {chances (T) of (10), shares(answer) (T, N), pixels (T)}
function readDrawing(net, order, { strokes, cut, silent, fit }) {
  return once(JSON.stringify(["read", net.origin, order[1], strokes, cut, silent, fit]), () => {
    const image = imageOf(strokes, net.frame, fit);
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
