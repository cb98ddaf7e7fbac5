// The upper half of the page: a pad, what the nets read, their states, their answers; and what is changed in them.

const HALVES = [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, Infinity]; // stops of the bound: steps until half is gone
const ORDERS = {
  rows: "row by row, as trained",
  columns: "column by column",
  backwards: "backwards",
  shuffled: "shuffled",
};
const AT_START = {
  picture: 0,
  digit: 4,
  strokes: null,
  step: 0,
  layer: 0,
  bound: 11,
  cut: 0,
  order: "rows",
  rank: null,
  u: null,
  silent: false,
};
const view = { ...AT_START };
const element = (id) => document.getElementById(id);
const reads = (p) =>
  Number.isFinite(p[0]) ? `${best(p)}, ${percent(p[best(p)])}` : "nothing: its numbers are infinite";
const boundOf = () => (view.bound === 11 ? Infinity : HALVES[view.bound] === 0 ? 0 : 0.5 ** (1 / HALVES[view.bound]));

let pictures,
  reader,
  found = [],
  turn = 0,
  x,
  order,
  playing = false;

function permutation(side, name) {
  const T = side * side,
    places = Array.from({ length: T }, (_, i) => i);
  if (name === "columns") return places.map((t) => (t % side) * side + Math.floor(t / side));
  if (name === "backwards") return places.reverse();
  if (name === "shuffled") {
    const random = randomFrom(1);
    for (let i = T - 1; i > 0; i--) {
      const j = Math.floor(random() * (i + 1));
      [places[i], places[j]] = [places[j], places[i]];
    }
  }
  return places;
}

const shown = () => pictures[view.picture];
const steps = () => shown().side ** 2;
const indrnn = () => shown().nets.find((net) => net.kind === "indrnn");
const byMemory = (u) => Array.from(u.keys()).sort((a, b) => u[a] - u[b]);
const neuron = () => byMemory(indrnn().layers[view.layer].u)[view.rank];

function edit() {
  const changes = {};
  if (view.bound !== 11) changes.bound = boundOf();
  if (view.cut) changes.cut = view.cut;
  if (view.u !== null || view.silent)
    Object.assign(changes, { layer: view.layer, neuron: neuron(), u: view.u, silent: view.silent });
  return changes;
}

const changed = () => view.order !== "rows" || Object.keys(edit()).length > 0;

// Ask the worker to read what is on the pad; `still` keeps the step that is shown
function ask() {
  order = permutation(shown().side, view.order);
  const pixels = pixelsOf(view.strokes ?? [], shown().frame);
  x = Float32Array.from(order, (place) => pixels[place]);
  const names = shown().nets.map((net) => net.name);
  reader.postMessage({ turn: ++turn, plain: pixels, x: changed() ? x : null, edit: edit(), names });
  remember();
}

function answered({ data }) {
  if (data.turn !== turn) return;
  found = data.found.map((answer) => {
    const net = shown().nets.find(({ name }) => name === answer.name);
    return { ...answer, net, layer: Math.min(view.layer, net.layers.length - 1) };
  });
  for (const answer of found) picture(answer);
  document.body.dataset.turn = turn;
  drawAll();
}

// An answer's pictures, drawn once and shown up to the step
function picture(answer) {
  const { net, states, probabilities } = answer,
    T = steps(),
    h = states[answer.layer],
    N = h.length / T;
  const { u } = net.layers[answer.layer],
    rows = u ? byMemory(u).reverse() : Array.from({ length: N }, (_, n) => n);
  const most = new Float32Array(N);
  for (let i = 0; i < h.length; i++) if (Number.isFinite(h[i])) most[i % N] = Math.max(most[i % N], Math.abs(h[i]));
  const colours = ramp(KINDS[net.kind][1]);
  answer.rows = rows;
  answer.heat = painted(T, N, colours, (t, row) => Math.abs(h[t * N + rows[row]]) / (most[rows[row]] || 1));
  answer.forming = painted(T, 10, colours, (t, k) => probabilities[t * 10 + k]);
}

function drawAll() {
  const about = ({ net, probabilities, plain }) => {
    const now = `<b>${reads(probabilities.subarray(-10))}</b>`;
    const said = changed() ? `as trained it reads <b>${reads(plain)}</b>; changed so` : "nothing is changed; it reads";
    return `${KINDS[net.kind][0]}: ${said} ${now}.`;
  };
  element("changed").innerHTML = found.map(about).join(" ");
  drawUs();
  drawState();
  drawStep();
}

// What changes with the step alone: the work of a frame while scrubbing
function drawStep() {
  const began = performance.now(),
    T = steps(),
    t = view.step || T;
  drawPixels(t);
  element("step").value = t;
  element("steps").textContent = `pixel ${t} of ${T}`;
  for (const [i, answer] of found.entries()) {
    drawTrace(answer, t, T);
    const p = answer.probabilities.subarray((t - 1) * 10, t * 10),
      first = best(p);
    for (const [k, bar] of Array.from(element("bars").children[i].querySelectorAll(".bar")).entries()) {
      bar.children[1].style.setProperty("--share", `${100 * p[k]}%`);
      bar.children[2].textContent = Number.isFinite(p[k]) ? percent(p[k]) : "–";
      bar.classList.toggle("first", k === first);
    }
    const [name, about] = [KINDS[answer.net.kind][0], `after ${t} of ${T} pixels`];
    answer.says = `${name} ${about}: <b>${reads(p)}</b>.`;
    answer.net.canvas.setAttribute("aria-label", `${name}, states of layer ${answer.layer + 1}, ${about} it reads ${reads(p)}`);
  }
  element("now").innerHTML = view.strokes?.length
    ? found.map(({ says }) => says).join(" ")
    : "An empty pad: draw a digit on it, or take one of ours.";
  (globalThis.frames_ms ??= []).push(performance.now() - began);
}

// The picture's pixels: those that were read in full, the others faint, the one being read outlined
function drawPixels(t) {
  const { side } = shown(),
    { pen, wide } = sheet(element("pixels")),
    cell = wide / side;
  const colours = (drawPixels.ramp ??= ramp("blue")),
    blank = rgb(colour("press")),
    image = pen.createImageData(side, side);
  order.forEach((place, at) => {
    const value = (x[at] + 1) / 2,
      [r, g, b] = value < 0.02 && at < t ? blank : colours[Math.round(255 * Math.min(1, value))];
    image.data.set([r, g, b, at < t ? 255 : 60], 4 * place);
  });
  const small = (drawPixels.small ??= document.createElement("canvas"));
  small.width = small.height = side;
  small.getContext("2d").putImageData(image, 0, 0);
  pen.imageSmoothingEnabled = false;
  pen.drawImage(small, 0, 0, wide, wide);
  const now = order[t - 1];
  pen.strokeStyle = colour("mark");
  pen.lineWidth = 2.5;
  pen.strokeRect((now % side) * cell, Math.floor(now / side) * cell, cell, cell);
  element("pixels").setAttribute("aria-label", `The ${side} by ${side} pixels, ${t} of them read`);
}

const GUTTER = 54,
  MARGIN = 12; // left of a trace for what its rows are, right for the chosen one

function drawTrace({ net, heat, forming, rows, layer }, t, T) {
  const { pen, wide, high } = sheet(net.canvas),
    span = wide - GUTTER - MARGIN,
    low = 10 * 11,
    top = high - low - 30,
    x0 = GUTTER;
  for (const [image, y, tall] of [
    [heat, 0, top],
    [forming, top + 10, low],
  ]) {
    pen.imageSmoothingEnabled = image === heat && 3 * T > span; // few steps, and the ten answers, stand apart
    pen.globalAlpha = 0.16;
    pen.drawImage(image, x0, y, span, tall);
    pen.globalAlpha = 1;
    pen.drawImage(image, 0, 0, t, image.height, x0, y, (span * t) / T, tall);
    pen.strokeStyle = colour("line");
    pen.strokeRect(x0 + 0.5, y + 0.5, span - 1, tall - 1);
  }
  pen.fillStyle = colour("soft");
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  pen.font = "11px system-ui, sans-serif";
  for (let k = 0; k < 10; k++) pen.fillText(k, x0 - 7, top + 10 + 11 * k + 6);
  const { u } = net.layers[layer];
  if (u)
    for (const share of [0, 0.25, 0.5, 0.75, 1]) {
      const row = Math.round(share * (rows.length - 1));
      pen.fillText(
        `${share ? "" : "u "}${u[rows[row]].toFixed(3)}`,
        x0 - 7,
        Math.max(7, Math.min(top - 6, ((row + 0.5) * top) / rows.length)),
      );
    }
  pen.textAlign = "center";
  for (const at of ticks(0, T, false, wide < 600 ? 4 : 8))
    if (at) pen.fillText(at, Math.min(wide - 12, x0 + (span * at) / T), high - 8);
  pen.strokeStyle = colour("mark");
  pen.lineWidth = 1.5;
  if (u && view.rank !== null && layer === view.layer) {
    const at = ((rows.length - 0.5 - view.rank) * top) / rows.length;
    pen.fillStyle = colour("mark");
    pen.beginPath();
    pen.moveTo(x0 + span + 2, at);
    pen.lineTo(wide, at - 6);
    pen.lineTo(wide, at + 6);
    pen.fill();
  }
  pen.beginPath();
  pen.moveTo(x0 + (span * t) / T, 0);
  pen.lineTo(x0 + (span * t) / T, high - 18);
  pen.stroke();
}
