// Explorers whose page computes what no frame holds, so that all of their controls answer, in a worker: each takes the
// frame that is nearest, `draft` (its sentence, its figures as objects), and what is wanted, and puts into it what Python
// would have drawn there. tests/browser/test_alive.py holds them to Python's view.

const ALIVE = {};
const NUMBER = " -?\\d+(?:\\.\\d+)?(?:e[-+]\\d+)?"; // in a sentence
const TIMES = `${NUMBER} ms (?:\\([^)]*\\)|in one pass)`;

// --- numbers as Python writes them ---

const fixed = (value, digits) => value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });

// format(value, ".{digits}g")
function general(value, digits = 6) {
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  if (value === 0) return "0";
  const [mantissa, power] = value.toExponential(digits - 1).split("e");
  const bare = (text) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);
  if (power >= -4 && power < digits) return bare(value.toFixed(Math.max(0, digits - 1 - power)));
  return `${bare(mantissa)}e${power[0]}${power.slice(1).padStart(2, "0")}`;
}

function thinned(count, most = 200) {
  const step = count > 1 ? Math.max(1, Math.ceil((count - 1) / most)) : 1;
  const places = [];
  for (let at = 0; at < count; at += step) places.push(at);
  if (places.at(-1) !== count - 1) places.push(count - 1);
  return places;
}

const half = (u) => (u <= 0 ? 0 : u >= 1 ? Infinity : Math.log(0.5) / Math.log(u));
const span = (steps) => (Number.isFinite(steps) ? `${general(steps, 3)} steps` : "without end");

function decades({ data }) {
  const values = data.flatMap((trace) => trace.y).filter((value) => value);
  const reach = values.length ? Math.log10(Math.max(...values) / Math.min(...values)) : 1;
  return Math.max(1, rounded(reach / 6));
}

// --- those of whose nets some may be hidden: a frame shows all ---

// A sentence without what it says of the nets that are not shown: "A 0.5, B 1.2; C 3." says parts of the form "NAME ...".
function without(text, names, part) {
  for (const name of names) {
    const said = `${name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}${part}`;
    text = text.replace(new RegExp(`(, |; )${said}`), "").replace(new RegExp(`${said}(, |; )?`), "");
  }
  return text;
}

function kept(figure, hidden) {
  figure.data = figure.data.filter(({ name }) => !hidden.some((one) => name === one || name.startsWith(`${one}, `)));
  return figure;
}

ALIVE.depth = ({ said, figures, alts }, wanted, { names, row, none }) => {
  const hidden = Object.keys(names).filter((kind) => !wanted[kind]).map((kind) => names[kind]);
  const [share, cost] = [`${NUMBER}( \\(\\d+ layers\\))?`, `: [\\d,]+ parameters,${TIMES}`];
  const shown = Object.keys(names).length - hidden.length;
  const trained = without(without(said, hidden, share), hidden, "(?=[,.;])").replace(/ Not trained yet, shown as they start: \.$/, "");
  const left = shown ? trained : none;
  alts.maps = alts.maps.replace(said, left);
  alts.layers = alts.layers.replace(said, left);
  alts.costs = without(alts.costs, hidden, cost) || none;

  const { maps, layers, time, costs } = figures;
  const axis = maps.layout.xaxis;
  const notes = new Map(maps.data.map((trace, i) => [trace.name, maps.layout.annotations[i]]));
  for (const key of Object.keys(maps.layout)) if (/^xaxis\d+$/.test(key)) delete maps.layout[key];
  const n = Math.max(1, kept(maps, hidden).data.length);
  const [gap, width] = [0.012, (1 - 0.012 * (n - 1)) / n];
  maps.layout.annotations = maps.data.map((trace, i) => {
    const [number, low] = [i === 0 ? "" : String(i + 1), i * (width + gap)];
    const title = { ...axis.title, text: i === Math.floor(n / 2) ? "time step" : "" };
    maps.layout[`xaxis${number}`] = { ...axis, title, domain: [low, low + width], anchor: "y" };
    trace.xaxis = `x${number}`;
    return { ...notes.get(trace.name), x: low };
  });
  const most = Math.max(1, ...maps.data.map((trace) => trace.y.length));
  Object.assign(maps.layout.yaxis, { dtick: Math.max(1, rounded(most / 6)), range: [0.5, most + 0.5] });
  for (const figure of [layers, time]) figure.layout.yaxis.dtick = decades(kept(figure, hidden));
  kept(costs, hidden);
  costs.layout.annotations = costs.layout.annotations.filter((note) => !hidden.includes(note.y));
  costs.layout.height = 80 + row * costs.data.length;
  costs.layout.yaxis.range = [costs.data.length - 0.15, -0.6];
  return { said: left, figures, alts };
};

ALIVE.length = ({ said, figures, alts }, wanted, { names }) => {
  const hidden = ["lstm", "irnn"].filter((kind) => !wanted[kind]).map((kind) => names[kind]);
  const goal = `${fixed(wanted.goal, 0)}`;
  const told = said.replace(/ at step ([\d,]+)(?: of [\d,]+ \(stopped there\))?(?=[;.])/g, (whole, step) =>
    Number(step.replaceAll(",", "")) < wanted.goal - 25 ? ` at step ${step} of ${goal} (stopped there)` : ` at step ${step}`,
  );
  const left = without(told, hidden, "[^;]*?(?=;|\\.$)").replace(": ; ", ": ");
  alts.learning = alts.learning.replace(said, left);
  alts.cost = without(alts.cost, hidden, TIMES);
  alts.memory = without(alts.memory, hidden, `(?:${NUMBER} at the first step| not asked here)`);
  alts.lengths = without(alts.lengths, hidden, "[^;]*?(?=;|\\.$)").replace(": ; ", ": ");

  const { learning, cost, memory, lengths } = figures;
  kept(lengths, hidden);
  const last = Math.max(wanted.goal, ...kept(learning, hidden).data.map((trace) => trace.x.at(-1) ?? 0));
  learning.layout.xaxis.range = [0, last * 1.02];
  const end = learning.layout.shapes.at(-1);
  end.x0 = end.x1 = wanted.goal;
  const note = learning.layout.annotations.at(-1);
  const side = wanted.goal > last / 2 ? { xanchor: "right", xshift: -4 } : { xanchor: "left", xshift: 4 };
  Object.assign(note, { text: `Train to step ${goal}`, x: wanted.goal, ...side });
  const unseen = (name) => hidden.some((one) => name.startsWith(`${one} `) && !name.endsWith(", published"));
  cost.data = cost.data.filter((trace) => !unseen(trace.name));
  for (const trace of cost.data) {
    const name = trace.name.replace(/, published$/, "");
    if (name !== trace.name) trace.showlegend = !cost.data.some((other) => other !== trace && other.name.startsWith(`${name} `));
  }
  memory.layout.yaxis.dtick = decades(kept(memory, hidden));
  return { said: left, figures, alts };
};

// --- closed forms, and a net's weights as they were recorded ---

ALIVE.bounds = ({ figures, alts }, wanted, held) => {
  const { nets, lengths, cuts, rounding, longest, smallest, level, ink } = held;
  const { steps, gamma, epsilon, moment, memory, cut } = wanted;
  const net = nets[`${wanted.record} ${wanted.clamp}`];
  const bounds = (T) => [epsilon ** (1 / T), gamma ** (1 / T)];
  const [low, high] = bounds(steps);
  const [least, most] = bounds(net.own);
  const { step, layers: written } = net.moments[net.places[moment / 5]];
  const layers = written.map((us) => us.map((u) => Math.fround(u))); // nine digits name a float32
  const every = layers.flat().map(Math.abs);
  const over = every.filter((u) => u > most * (1 + rounding)).length;
  const under = every.filter((u) => u < least).length;
  const counts = `of its ${every.length} neurons ${over} would explode and ${under} forget`;
  const ends = `${least.toFixed(5)} and ${most.toFixed(5)}`;
  const judged = `over the T = ${fixed(net.own, 0)} steps that it reads, |u| must lie between ${ends}: ${counts}`;

  const { funnel, gradient, weights, tightening } = figures;
  funnel.data[0].y = lengths.map((T) => bounds(T)[1]);
  funnel.data[1].y = lengths.map((T) => bounds(T)[0]);
  funnel.layout.yaxis.range = [Math.min(0.6, 0.98 * low), Math.max(1.4, 1.02 * high)];
  Object.assign(funnel.data[2], { x: [steps, steps], y: [low, high], name: `at T = ${fixed(steps, 0)}` });
  alts.funnel = alts.funnel.replace(/At .*/, `At ${steps} steps: ${low.toFixed(5)} to ${high.toFixed(5)}.`);

  const shown = thinned(steps + 1);
  [low ** 2, low, 1, high, high ** 2].forEach((u, i) => {
    const within = (value) => Math.min(Math.max(value, smallest), 1 / smallest);
    Object.assign(gradient.data[i], { x: shown, y: shown.map((k) => within(u ** k)), name: `|u| = ${general(u)}` });
  });
  [gamma, epsilon].forEach((wish, i) => {
    Object.assign(gradient.layout.shapes[i], { y0: wish, y1: wish });
    gradient.layout.annotations[i].y = Math.log10(wish);
  });
  const reach = 2.2 * Math.max(Math.log10(gamma), -Math.log10(epsilon), 0.2);
  Object.assign(gradient.layout.yaxis, { dtick: Math.max(1, rounded(reach / 3)), range: [-reach, reach] });
  alts.gradient = alts.gradient.replace(
    /after .*/,
    `after ${steps} steps ${[epsilon ** 2, epsilon, 1, gamma].map((v) => general(v)).join(", ")} and ` +
      `${general(gamma ** 2)} for these five |u|; wanted is ${general(epsilon)} to ${general(gamma)}.`,
  );

  const trace = weights.data[0];
  weights.data = layers.map((u, i) => ({
    ...trace,
    name: `layer ${i + 1}`,
    x: u.map((_, n) => i + 1 - 0.36 + (0.72 * (n + 0.5)) / u.length),
    y: memory ? u.map((v) => Math.min(Math.max(half(v), 0.1), longest)) : u,
    text: u.map((v) => `u = ${v.toFixed(5)}, half-life ${span(half(v))}`),
    marker: { ...trace.marker, size: u.length <= 64 ? 6 : 4 },
    hovertemplate: trace.hovertemplate.replace(/layer \d+/, `layer ${i + 1}`),
  }));
  const { layout } = weights;
  const title = memory ? "How long each neuron remembers" : "Recurrent weights by layer";
  layout.title.text = `${title}; shaded: for T = ${fixed(net.own, 0)}`;
  layout.yaxis.title.text = memory ? "half-life, steps" : "recurrent weight u";
  const [band, below] = layout.shapes;
  if (memory) {
    const { tickfont } = gradient.layout.yaxis; // of powers of ten
    Object.assign(layout.yaxis, { type: "log", range: [-1.1, 6.3], exponentformat: "power", tickfont });
    const plain = { ...band, line: { width: 0, color: ink } };
    layout.shapes = [{ ...plain, y0: Math.min(half(least), longest), y1: 3 * longest }];
  } else {
    layout.shapes = [{ ...band, y0: least, y1: most }, { ...below, y0: -most, y1: -least }];
    if (cut < cuts.at(-1)) for (const sign of [1, -1]) layout.shapes.push({ ...level, y0: sign * cut, y1: sign * cut });
  }
  layout.xaxis.range = [0.5, layers.length + 0.5];
  alts.weights = `The recurrent weights of ${net.origin} after step ${fixed(step, 0)}, layer by layer: ${judged}.`;

  const at = step === 0 ? "at its start" : `after step ${fixed(step, 0)}`;
  const halves = half(low);
  let said =
    `Over T = ${fixed(steps, 0)} steps |u| must lie between ${low.toFixed(5)} and ${high.toFixed(5)}, ` +
    `a range ${general(high - low, 2)} wide; at its lower end a memory ` +
    `${Number.isFinite(halves) ? `halves in ${fixed(halves, 1)} steps` : "never fades"}. ${net.origin}, here ${at}` +
    `${net.own === steps ? `, reads so many: ${counts}` : `: ${judged}`}.`;
  if (net.cut) {
    const place = cuts.indexOf(cut);
    const { heights, scored, changed, unit } = net.cut;
    tightening.data[0].y = heights;
    const name = `|u| ≤ ${general(cut, 4)}: ${general(heights[place], 3)}`;
    Object.assign(tightening.data[1], { x: [cut], y: [heights[place]], name });
    tightening.layout.yaxis.title.text = unit;
    for (const key of ["range", "rangemode"]) delete tightening.layout.yaxis[key];
    Object.assign(tightening.layout.yaxis, unit.endsWith("%") ? { range: [0, 100] } : { rangemode: "tozero" });
    const uncut = general(heights.at(-1), 3);
    alts.tightening = `${unit} of the net as every |u| is cut to less: ${scored[place]} at ${general(cut)}, ${uncut} uncut.`;
    said += ` Its ${net.best}weights reach, uncut, ${scored.at(-1)}`;
    said += cut < cuts.at(-1) ? `; with every |u| cut to ${general(cut)} ${changed[place]}.` : ".";
  } else {
    delete figures.tightening;
  }
  return { said, figures, alts };
};

// --- in a worker: first {held}, what the page holds, then {wanted} ---

let held;

self.onmessage = ({ data: message }) => {
  if (message.held) {
    held = { ...message.held, data: unpacked(message.held.data) };
    return;
  }
  const { sweep, name, data, frames, figures: drawn } = held;
  const { wanted } = message;
  const frame = frames.find(({ values }) => sweep.every((one) => values[one] === wanted[one]));
  const draft = { said: frame.said, figures: {}, alts: {} };
  for (const { name: panel, figure, alt } of frame.panels) {
    draft.figures[panel] = JSON.parse(drawn[figure]);
    draft.alts[panel] = alt;
  }
  const { said, figures, alts } = ALIVE[name](draft, wanted, data);
  const shown = frame.panels.filter((panel) => panel.name in figures);
  const panels = shown.map((panel) => ({ ...panel, figure: JSON.stringify(figures[panel.name]), alt: alts[panel.name] }));
  postMessage({ said, panels });
};
