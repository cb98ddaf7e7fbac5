// The explorer of single neurons where it computes: see alive.js, and explorers/neurons.py, whose figures these are.

const Z = 1.959963984540054; // of a 95 % interval
const signed = (value, digits) => `${value < 0 ? "" : "+"}${value.toFixed(digits)}`;
const column = (values, N, n) => Array.from({ length: values.length / N }, (_, t) => values[t * N + n]);

// The change of the share of right answers that an edit makes, [mean, low, high], paired (Agresti, Min 2005)
function effect(net, edit) {
  return once(JSON.stringify(["effect", net.origin, edit]), () => {
    const { steps: T, x, y, answers } = net;
    const B = y.length;
    const as = once(`states ${net.origin}`, () => forward(net, x, T, B).runs);
    const { layers, readout } = editedNet(net, edit);
    let h = edit.u === null ? as[edit.layer].h : runLayer(layers[edit.layer], as[edit.layer].x, T, B).h;
    for (const layer of layers.slice(edit.layer + 1)) h = runLayer(layer, h, T, B).h;
    const [N, K] = [h.length / T / B, readout.b.length];
    const out = affine(h, (T - 1) * B * N, B, readout.W, readout.b);
    let [lost, gained] = [0, 0];
    for (let b = 0; b < B; b++) {
      const right = Number(best(out.subarray(b * K, (b + 1) * K)) === y[b]);
      lost += Number(right < answers[b]);
      gained += Number(right > answers[b]);
    }
    const m = B + 2;
    const middle = (gained - lost) / m;
    const width = (Z * Math.sqrt(lost + gained + 1 - (gained - lost) ** 2 / m)) / m;
    return [(gained - lost) / B, middle - width, middle + width];
  });
}

// What each step x (T) adds to an answer, as interventions.contributions has it; `blank`: an input that says nothing
function contributions(net, x, blank, answer, points = 32) {
  const T = x.length;
  const path = new Float32Array(T * points);
  for (let t = 0; t < T; t++)
    for (let p = 0; p < points; p++) path[t * points + p] = blank + ((p + 0.5) / points) * (x[t] - blank);
  const run = forward(net, path, T, points);
  const asked = new Float32Array(points * net.readout.b.length);
  for (let p = 0; p < points; p++) asked[p * net.readout.b.length + answer] = 1;
  const slope = backward(net, run, asked).x;
  return Array.from(x, (value, t) => {
    let sum = 0;
    for (let p = 0; p < points; p++) sum += slope[t * points + p];
    return ((value - blank) * sum) / points;
  });
}

const changed = (effect) => {
  const [mean, low, high] = effect.map((v) => signed(100 * v, 1));
  return `${mean} points (${low} to ${high}, 95 % interval, paired)`;
};

function impulse(u, T) {
  const h = [1];
  while (h.length < T) h.push(Math.max(0, u * h.at(-1)));
  return h;
}

ALIVE.neurons = ({ figures, alts }, wanted, held) => {
  const { layer: number, neuron, sort, example } = wanted;
  const { orders, unit, blank, paint } = held;
  const net = held.nets[wanted.record];
  const { steps: T, order, y } = net;
  const layer = number - 1;
  const us = Array.from(net.layers[layer].u);
  const [N, B, trained, costs] = [us.length, y.length, us[neuron], net.costs[layer]];
  const points = costs?.map(([mean]) => 0 - 100 * mean);
  const given = wanted.u === null || wanted.u === Number(trained.toFixed(4)) ? null : wanted.u;
  const grouped = us.filter((u) => u > (wanted.above ?? Infinity)).length;
  const silent = us.flatMap((u, n) => (u > (wanted.above ?? Infinity) || (wanted.silent && n === neuron) ? [n] : []));
  const edit = given !== null || silent.length ? { layer, neuron, u: given, silent } : null;
  const hushed = silent.includes(neuron);
  const parts = given === null ? [] : [`neuron ${neuron} with u = ${general(given)}`];
  if (grouped) parts.push(`silenced: ${grouped} of ${N}, all with u > ${general(wanted.above)}`);
  if (silent.length > grouped) parts.push(`neuron ${neuron} silenced`);

  const effects = new Map(costs ? [[`neuron ${neuron} silenced`, costs[neuron]]] : []);
  if (edit) effects.set(parts.join(", "), effect(net, edit));
  if (silent.length > 1 && silent.length <= N / 2) {
    const loud = [...us.keys()].filter((n) => !silent.includes(n));
    const least = loud.sort((a, b) => Math.abs(us[a]) - Math.abs(us[b])).slice(0, silent.length);
    const others = { layer, neuron, u: null, silent: least.sort((a, b) => a - b) };
    effects.set(`silenced: ${least.length} others, smallest |u|`, effect(net, others));
  }

  const x = Float32Array.from({ length: T }, (_, t) => net.x[t * B + example]);
  const asEdited = edit ? editedNet(net, edit) : net;
  const [seen, after] = [net, asEdited].map((one) => forward(one, x, T, 1));
  const { W, b } = net.layers[layer];
  const fed = column(affine(seen.runs[layer].x, 0, T, W, b), N, neuron);
  const state = column(seen.runs[layer].h, N, neuron);
  const stateAfter = hushed ? state.map(() => 0) : column(after.runs[layer].h, N, neuron);
  const answer = best(after.out);
  const adds = contributions(asEdited, x, blank, answer);

  const responses = [trained, given ?? trained].map((u) => impulse(u, T));
  const left = `of an impulse of 1, left alone, ${general(responses[0].at(-1), 2)} is there ${T - 1} steps later.`;
  const peak = Math.max(...state);
  let lived = `Over example ${example} its state stays 0.`;
  if (peak !== 0) {
    const empty = state.at(-1) === 0 && trained > 0;
    const end = empty ? "0 at the end: what it is given can empty it, whatever its u." : `${general(state.at(-1), 3)} at the end.`;
    lived = `Over example ${example} its state peaks at ${general(peak, 3)} at step ${best(state) + 1} and is ${end}`;
  }
  let standing = "What silencing it costs is not measured yet.";
  if (costs) {
    const more = points.filter((cost) => cost > points[neuron]).length;
    standing = `Silenced alone: ${changed(costs[neuron])}; ${more || "none"} of its layer ${more > 1 ? "cost" : "costs"} more.`;
  }
  const told = [...effects].slice(costs ? 1 : 0).map(([name, effect]) => `${name[0].toUpperCase()}${name.slice(1)}: ${changed(effect)}.`);
  const about = `Neuron ${neuron} of layer ${number}, u = ${trained.toFixed(4)}: ${left}`;
  const said = [about, standing, `${net.origin}: ${net.scored}.`, ...told].join(" ");

  const { roll, effect: differences, impulse: impulses, trace, painting, votes } = figures;
  const ranked = [...us.keys()];
  if (sort === "cost" && costs) ranked.sort((a, b) => points[b] - points[a]);
  else if (sort !== "number") ranked.sort((a, b) => us[a] - us[b]);
  const words = ranked.map((n) => `neuron ${n}: u = ${us[n].toFixed(4)}, half-life ${span(half(us[n]))}${costs ? `, ${general(points[n], 3)} ${unit}` : ""}`);
  const [all, chosen] = [roll.data[0], roll.data.at(-1)];
  Object.assign(all, { x: [...ranked.keys()], y: ranked.map((n) => us[n]), text: words, customdata: ranked });
  if (costs) Object.assign(all.marker, { color: ranked.map((n) => points[n]), cmax: Math.max(...points, 1e-9) });
  const dots = (x, y, name, marker) => ({ type: "scatter", mode: "markers", x, y, name, marker });
  const at = ranked.indexOf(neuron);
  roll.data = [all];
  if (silent.length) {
    const cross = { color: paint.pink, size: 9, symbol: "x-thin", line: { width: 2, color: paint.pink } };
    roll.data.push(dots(silent.map((n) => ranked.indexOf(n)), silent.map((n) => us[n]), "silenced", cross));
  }
  roll.data.push({ ...chosen, x: [at], y: [trained], name: `neuron ${neuron}` });
  if (given !== null) roll.data.push(dots([at], [given], "as edited", { color: paint.pink, size: 14, symbol: "diamond" }));
  roll.layout.xaxis.title.text = `neurons by ${orders[sort === "cost" && !costs ? "memory" : sort]}`;

  const [names, changes] = [[...effects.keys()], [...effects.values()].map((effect) => effect.map((v) => 100 * v))];
  const mark = differences.data[0];
  const bars = { array: changes.map(([mean, , high]) => high - mean), arrayminus: changes.map(([mean, low]) => mean - low) };
  Object.assign(mark, { x: changes.map(([mean]) => mean), y: [...names.keys()], text: names, error_x: { ...mark.error_x, ...bars } });
  mark.marker.color = [paint.orange, paint.pink, paint.blue].slice(0, names.length);
  const note = { showarrow: false, font: { color: paint.ink }, x: 0, xref: "paper", xanchor: "left", yshift: 22 };
  differences.layout.annotations = names.map((text, y) => ({ ...note, text, y }));

  const dotted = { color: paint.pink, width: 2.5, dash: "dot" };
  const another = ({ meta, ...line }, name, y) => ({ ...line, name, y, line: dotted });
  Object.assign(impulses.data[0], { y: responses[0], name: `as trained, u = ${trained.toFixed(4)}` });
  if (hushed) impulses.data.push(another(impulses.data[0], "silent", state.map(() => 0)));
  else if (given !== null) impulses.data.push(another(impulses.data[0], `edited, u = ${given.toFixed(4)}`, responses[1]));
  [fed, state].forEach((y, i) => (trace.data[i].y = y));
  if (edit) trace.data.push(another(trace.data[1], "edited", stateAfter));

  const side = Math.sqrt(T);
  const onto = (values) => {
    const canvas = [];
    order.forEach((pixel, t) => (canvas[pixel] = values[t]));
    return Array.from({ length: side }, (_, row) => canvas.slice(row * side, (row + 1) * side));
  };
  const most = Math.max(...adds.map(Math.abs), 1e-9);
  painting.data[0].z = onto(x);
  Object.assign(painting.data[1], { z: onto(adds), zmin: -most, zmax: most });
  painting.layout.title.text = `Which pixels say “${answer}”?`;
  const chances = [seen.out, after.out].map((out) => softmax(out, 0, out.length).map((p) => 100 * p));
  votes.data[0].y = chances[0];
  if (edit) votes.data.push({ ...votes.data[0], y: chances[1], name: "edited", marker: { color: paint.pink } });
  votes.layout.title.text = `Its answer (right: ${y[example]})`;

  const verdict = `The net answers ${answer}; ${y[example]} is right.`;
  alts.roll = `u of all neurons of layer ${number}, from ${Math.min(...us).toFixed(3)} to ${Math.max(...us).toFixed(3)}. ${said}`;
  alts.effect = [...effects].map(([name, effect]) => `${name}: ${changed(effect)}`).join("; ") || "Not measured.";
  alts.impulse = `Its answer to an impulse, left alone: ${left}`;
  alts.trace = lived;
  alts.painting = `The digit, and how much each pixel adds to the answer. ${verdict}`;
  alts.votes = verdict;
  return { said: `${said} ${lived}`, figures, alts };
};
