// The lower half of the page: three nets learn the adding problem, each in a worker.

const LENGTHS = [10, 20, 50, 100, 200, 350, 500],
  GAMMAS = [1e-6, 0.001, 0.1, 0.5, 1, 2, 10, 1000, Infinity];
const SOLVED = 0.01,
  LAST = 20000; // an error that counts as learned; the step at which a net stops
const TRIES = [
  ["T = 50: it takes seconds", { length: 2, gamma: 5 }],
  ["T = 200: who remembers?", { length: 4, gamma: 5 }],
  ["A bound too tight", { length: 3, gamma: 0 }],
  ["No bound at all", { length: 4, gamma: 8 }],
];
const learning = {
  length: 2,
  gamma: 5,
  seed: 1,
  kinds: ["indrnn", "lstm", "rnn_tanh"],
  running: false,
  began: 0,
  nets: {},
  guess: 1 / 6,
};
const T = () => LENGTHS[learning.length];
const boundNow = () => (learning.gamma === 8 ? null : GAMMAS[learning.gamma] ** (1 / T()));

function workerFor(code) {
  const address = URL.createObjectURL(
    new Blob([element("nets").textContent, `\n${code}();`], { type: "text/javascript" }),
  );
  const worker = new Worker(address);
  URL.revokeObjectURL(address);
  return worker;
}

function start() {
  learning.began++;
  for (const kind of learning.kinds) {
    learning.nets[kind]?.worker.terminate();
    const worker = workerFor("work");
    learning.nets[kind] = { worker, rows: [], seconds: 0, speed: 0 };
    worker.onmessage = ({ data }) => {
      const net = learning.nets[kind];
      if (net?.worker !== worker) return;
      net.rows.push(...data.rows);
      Object.assign(net, { ...data, rows: net.rows });
      const first = data.rows.find(([, error]) => error < SOLVED);
      if (first && !net.solved) net.solved = { step: first[0], seconds: data.seconds };
      if (data.steps >= LAST) worker.postMessage({ do: "pause" });
      if (ended()) running(false);
      redraw();
    };
    worker.postMessage({ do: "start", kind, T: T(), bound: boundNow(), seed: learning.seed, began: learning.began });
  }
  running(!ended());
}

// Whether there is nothing left to train: all nets are at the last step, or none is chosen
const ended = () => learning.kinds.every((kind) => learning.nets[kind]?.steps >= LAST);

const tell = (message) => Object.values(learning.nets).forEach(({ worker }) => worker.postMessage(message));

function running(now) {
  learning.running = now;
  element("train").disabled = ended();
  element("train").textContent = now ? "Pause" : Object.keys(learning.nets).length ? "Go on" : "Train";
  redraw();
}

function forget() {
  Object.values(learning.nets).forEach(({ worker }) => worker.terminate());
  Object.assign(learning, { nets: {} });
  running(false);
  drawTask();
  remember();
}

const redraw = onceAFrame(() => drawLearning());

function drawLearning() {
  const nets = learning.kinds
    .filter((kind) => learning.nets[kind]?.rows.length)
    .map((kind) => ({ kind, ...learning.nets[kind] }));
  const furthest = Math.max(500, ...nets.map(({ steps }) => steps)),
    shade = (kind) => colour(KINDS[kind][1]);
  const empty = nets.length ? "" : learning.kinds.length ? "Press Train" : "Choose a net";
  const finite = (rows) => rows.filter(([, value]) => Number.isFinite(value));
  const errors = nets.flatMap(({ rows }) => finite(rows).map(([, error]) => error)),
    lowest = Math.min(0.005, ...errors.filter((error) => error > 0));
  chart(element("errors"), {
    x: { from: 0, to: furthest, label: "steps of training" },
    y: { from: Math.max(1e-5, lowest / 1.5), to: Math.min(1e4, Math.max(1, ...errors)), log: true },
    levels: [
      { y: learning.guess, text: `always answering 1: ${short(learning.guess)}` },
      { y: SOLVED, text: "learned: 0.01" },
    ],
    lines: nets.map(({ kind, rows }) => ({ points: finite(rows), colour: shade(kind), name: KINDS[kind][0] })),
    empty,
  });
  chart(element("flows"), {
    x: { from: 1, to: T(), label: "step of the sequence" },
    y: { from: 1e-8, to: 10, log: true },
    lines: nets
      .filter(({ flow }) => flow?.length)
      .map(({ kind, flow }) => ({
        points: finite(flow.map((value, t) => [t + 1, value / flow.at(-1)])),
        colour: shade(kind),
        name: "",
      })),
  });
  const u = learning.nets.indrnn?.u ?? [],
    bound = boundNow(),
    most = Math.max(1.05, bound ?? 0, ...u.map(Math.abs)) * 1.02;
  chart(element("learned-us"), {
    x: { from: -most, to: most, label: "u" },
    y: { from: 0, to: 3, names: { 1: "layer 1", 2: "layer 2" } },
    levels: bound === null ? [] : [{ x: -bound }, { x: bound, text: `bound ${bound.toFixed(4)}` }],
    dots: [0, 1].map((layer) => ({
      points: u.slice(32 * layer, 32 * layer + 32).map((value, n) => [value, 0.7 + layer + (n % 8) * 0.08]),
      colour: colour("blue"),
      size: 3,
    })),
  });
  chart(element("pairs"), {
    x: { from: 0, to: 2, label: "true sum" },
    y: { from: 0, to: 2 },
    levels: [{ diagonal: true }],
    dots: nets.map(({ kind, pairs }) => ({ points: pairs ?? [], colour: shade(kind), size: 2 })),
  });
  const at =
    nets.map(({ kind, steps, error }) => `${KINDS[kind][0]} ${short(error)} after ${steps} steps`).join(", ") ||
    "nothing trained yet";
  const left = nets
    .filter(({ flow }) => flow?.length)
    .map(({ kind, flow }) => `${KINDS[kind][0]} ${short(flow[0] / flow.at(-1))}`)
    .join(", ");
  describe("errors", `Error against steps of training: ${at}`);
  describe("flows", `Share of the gradient that arrives at the first step: ${left || "nothing trained yet"}`);
  const range = u.length ? `${short(Math.min(...u))} to ${short(Math.max(...u))}` : "nothing trained yet";
  describe("learned-us", `Recurrent weights of the IndRNN: ${range}`);
  describe("pairs", `Answers against true sums: ${at}`);
  drawNumbers(nets);
  sayLearning(nets);
}

const describe = (id, text) => element(id).setAttribute("aria-label", text);

const weights = (kind) => arrays(freshNet(kind, 10, 1, randomFrom(1))).reduce((sum, { length }) => sum + length, 0);

function drawNumbers(nets) {
  const cells = (kind) => {
    const net = nets.find((one) => one.kind === kind);
    if (!net) return ["–", "–", "–", "–"];
    const solved = net.solved
      ? `step ${net.solved.step.toLocaleString("en")}, ${net.solved.seconds.toFixed(1)} s`
      : "not yet";
    return [
      net.steps.toLocaleString("en"),
      short(net.error),
      net.speed ? net.speed.toFixed(net.speed < 10 ? 1 : 0) : "–",
      solved,
    ];
  };
  const heads = ["net", "weights", "steps", "error", "steps a second", `below ${SOLVED}`];
  const row = (kind) => {
    const name = `<th style="color: var(--${KINDS[kind][1]})">${KINDS[kind][0]}</th>`;
    return `<tr>${name}<td>${[weights(kind).toLocaleString("en"), ...cells(kind)].join("</td><td>")}</td></tr>`;
  };
  element("numbers").innerHTML =
    `<thead><tr><th>${heads.join("</th><th>")}</th></tr></thead><tbody>${learning.kinds.map(row).join("")}</tbody>`;
}

function sayLearning(nets) {
  if (!nets.length) {
    element("learned").innerHTML = learning.kinds.length
      ? `All is set: T = ${T()}. <b>Press Train.</b> Watch whose curve leaves the upper line first, ` +
        "and how much of the gradient still arrives at the first steps."
      : "No net is chosen: choose one under Nets.";
    return;
  }
  element("learned").innerHTML = nets
    .map(({ kind, solved, error, rows }) => {
      const name = `<b style="color: var(--${KINDS[kind][1]})">${KINDS[kind][0]}</b>`;
      if (solved) return `${name} was below ${SOLVED} at step ${solved.step.toLocaleString("en")}.`;
      if (!Number.isFinite(error)) return `${name} has diverged: its numbers are infinite.`;
      const worth = error >= learning.guess ? ", no better than always answering 1" : "";
      return `${name} is at ${short(error)} after ${rows.at(-1)[0].toLocaleString("en")} steps${worth}.`;
    })
    .join(" ");
}

function drawTask() {
  const fixed = addingBatch(T(), CHECKED, randomFrom(1000 * learning.seed + 1)).y;
  learning.guess = meanSquare(fixed.map(() => 1), fixed); // about 1/6
  const { x, y } = addingBatch(T(), 1, randomFrom(1000 * learning.seed + 1)),
    { pen, wide, high } = sheet(element("task")),
    marked = [],
    labels = [];
  for (let t = 0; t < T(); t++) {
    const at = (wide * t) / T(),
      here = x[2 * t + 1] === 1,
      tall = (high - 20) * x[2 * t];
    pen.fillStyle = colour(here ? "mark" : "line");
    pen.fillRect(at, high - tall, Math.max(here ? 3 : 1, wide / T() - 1), tall);
    if (here) {
      marked.push(x[2 * t]);
      labels.push([x[2 * t].toFixed(2), Math.max(14, Math.min(wide - 14, at)), high - tall - 6]);
    }
  }
  pen.textAlign = "center";
  pen.font = "600 13px system-ui, sans-serif";
  pen.lineWidth = 4;
  pen.strokeStyle = colour("paper");
  pen.fillStyle = colour("mark");
  for (const label of labels) {
    pen.strokeText(...label);
    pen.fillText(...label);
  }
  const sum = `${marked[0].toFixed(2)} + ${marked[1].toFixed(2)} = ${y[0].toFixed(2)}`;
  const said = `One sequence: ${sum} is to be answered after step ${T()}.`;
  element("task-says").textContent = said;
  element("task").setAttribute("aria-label", said);
  const bound = boundNow();
  element("length-value").textContent = T();
  element("length").setAttribute("aria-valuetext", `${T()} steps`);
  element("gamma-value").textContent = bound === null ? "none" : `|u| ≤ ${bound.toFixed(4)}`;
  element("gamma").setAttribute(
    "aria-valuetext",
    bound === null ? "no bound" : `gamma ${GAMMAS[learning.gamma]}, |u| at most ${bound.toFixed(4)}`,
  );
  const gamma = GAMMAS[learning.gamma];
  const most = gamma < 1 ? "at most this share of a gradient is left" : "a gradient grows at most so many times";
  element("gamma-says").textContent =
    bound === null
      ? "Any u may grow: over T steps a gradient may explode."
      : `γ = ${gamma}: |u| ≤ γ^(1/T), so over T steps ${most}. May be moved while it trains.`;
}
