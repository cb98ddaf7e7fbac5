// Controls of the upper half: time, and the four cards that change a net.

// What becomes of a state that nothing is added to: relu(u h) is 0 where u is negative
const fades = (u) => {
  if (u >= 1) return "it never fades";
  if (u < 0.01) return "it is gone at the next step";
  const steps = Math.log(0.5) / Math.log(u);
  return `half is gone after ${steps < 10 ? steps.toFixed(1) : Math.round(steps)} steps`;
};

function drawUs() {
  const { u } = indrnn().layers[view.layer],
    bound = boundOf(),
    { pen, wide, high } = sheet(element("us"));
  const most = Math.max(1.1, ...Array.from(u, Math.abs)),
    at = (value) => wide / 2 + (value / most) * (wide / 2 - 8);
  if (bound < most) {
    pen.fillStyle = colour("press");
    pen.fillRect(at(-bound), 6, Math.max(2, at(bound) - at(-bound)), high - 28);
  }
  pen.fillStyle = colour("soft");
  pen.textAlign = "center";
  for (const value of [-1, 0, 1]) pen.fillText(value, at(value), high - 4);
  const places = new Map(),
    chosen = neuron();
  byMemory(u).forEach((n, rank) => {
    const value = n === chosen && view.u !== null ? view.u : Math.max(-bound, Math.min(bound, u[n])),
      column = Math.round(at(value) / 5),
      above = places.get(column) ?? 0;
    places.set(column, above + 1);
    pen.fillStyle = colour(rank === view.rank ? "mark" : "blue");
    pen.globalAlpha = rank === view.rank ? 1 : 0.75;
    pen.beginPath();
    pen.arc(
      at(Math.max(-most, Math.min(most, value))),
      high - 27 - Math.min(above * 4, high - 36),
      rank === view.rank ? 4 : 2.2,
      0,
      7,
    );
    pen.fill();
  });
  pen.globalAlpha = 1;
  const said =
    view.bound === 11
      ? `as trained, |u| at most ${Math.max(...Array.from(u, Math.abs)).toFixed(3)} in this layer`
      : `|u| ≤ ${bound.toFixed(3)}: ${fades(bound)}`;
  element("bound-value").textContent = said;
  element("bound").setAttribute("aria-valuetext", said);
  element("us").setAttribute("aria-label", `Recurrent weights of layer ${view.layer + 1}; ${said}`);
}

function drawState() {
  const { u } = indrnn().layers[view.layer],
    n = neuron(),
    T = steps(),
    N = u.length;
  const { pen, wide, high } = sheet(element("state")),
    states = found.find(({ net }) => net.kind === "indrnn").states[view.layer];
  const values = Array.from({ length: T }, (_, t) => states[t * N + n]),
    most = Math.max(1e-9, ...values.filter(Number.isFinite)),
    told = values.every(Number.isFinite) ? `at most ${short(most > 1e-9 ? most : 0)}` : "infinite";
  pen.strokeStyle = colour("line");
  pen.strokeRect(0.5, high - 0.5, wide, 0);
  pen.strokeStyle = colour("blue");
  pen.lineWidth = 1.75;
  pen.beginPath();
  for (let t = 0; t < T; t++)
    pen.lineTo((wide * (t + 0.5)) / T, high - 3 - Math.min(1, values[t] / most) * (high - 18));
  pen.stroke();
  pen.fillStyle = colour("soft");
  pen.fillText(told, 2, 10);
  const said = `Neuron ${n} of layer ${view.layer + 1}, u = ${u[n].toFixed(3)}: left alone ${fades(u[n])}`;
  const other = `u = ${view.u?.toFixed(3)}: left alone ${fades(view.u)}`;
  const given = view.u === null ? `u = ${u[n].toFixed(3)}, as trained` : other;
  element("neuron-value").textContent = said;
  element("u-value").textContent = view.silent ? "silent" : given;
  element("neuron").setAttribute("aria-valuetext", said);
  element("u").setAttribute("aria-valuetext", given);
  element("state").setAttribute("aria-label", `State of neuron ${n} over ${T} steps, ${told}`);
}

// --- time ---

function stop() {
  playing = false;
  element("play").textContent = "Play";
  remember();
}

function play() {
  if (playing) return stop();
  playing = true;
  element("play").textContent = "Pause";
  if (!view.step || view.step >= steps()) view.step = 1;
  const pace = steps() / 9000; // steps a millisecond: nine seconds a digit
  let last = null,
    part = view.step;
  const frame = (now) => {
    if (!playing) return;
    part = Math.min(steps(), part + (last === null ? 0 : (now - last) * pace));
    last = now;
    view.step = Math.floor(part);
    drawStep();
    if (view.step >= steps()) stop();
    else requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}

// --- what depends on the net shown ---

function radios(place, name, labels, chosen, pick) {
  const choices = labels.map((text, index) => {
    const about = { type: "radio", name, value: index, checked: index === chosen, onchange: () => pick(index) };
    return make("label", { class: "choice" }, make("input", about), make("span", {}, text));
  });
  element(place).replaceChildren(element(place).querySelector("legend"), ...choices);
}

function layOut() {
  const { nets } = shown(),
    T = steps();
  found = [];
  element("step").max = T;
  element("cut").max = T - 1;
  radios(
    "pictures",
    "picture",
    pictures.map((p) => p.title),
    view.picture,
    (index) => {
      Object.assign(view, { picture: index, step: 0, layer: Infinity, rank: null, u: null, silent: false, cut: 0 });
      settle();
      layOut();
      ask();
    },
  );
  radios(
    "layers",
    "layer",
    indrnn().layers.map((_, i) => `${i + 1}`),
    view.layer,
    (index) => {
      Object.assign(view, { layer: index, rank: null, u: null, silent: false });
      settle();
      showControls();
      ask();
    },
  );
  const shade = (kind) => `--shade: var(--${KINDS[kind][1]})`;
  const bar = (k) => make("div", { class: "bar" }, make("span", {}, k), make("i"), make("output"));
  element("bars").replaceChildren(
    ...nets.map(({ kind }) => make("div", { style: shade(kind) }, ...Array.from({ length: 10 }, (_, k) => bar(k)))),
  );
  element("traces").className = nets.length > 1 ? "pair" : "";
  element("traces").replaceChildren(
    ...nets.map((net) => {
      net.canvas = make("canvas", { role: "img", onclick: (event) => clicked(event, net.canvas, net) });
      const caption = make("figcaption", {}, make("b", {}, KINDS[net.kind][0]), `, ${net.says}`);
      return make("figure", { class: "trace", style: shade(net.kind) }, caption, net.canvas);
    }),
  );
  showControls();
}

function clicked(event, canvas, net) {
  const box = canvas.getBoundingClientRect(),
    high = canvas.clientHeight - 140,
    share = (event.clientX - box.left - GUTTER) / (box.width - GUTTER - MARGIN);
  view.step = Math.max(1, Math.min(steps(), Math.ceil(share * steps())));
  stop();
  const N = indrnn().layers[view.layer].u.length,
    row = Math.floor(((event.clientY - box.top) / high) * N);
  if (net.kind !== "indrnn" || row >= N) return drawStep();
  Object.assign(view, { rank: N - 1 - row, u: null, silent: false });
  showControls();
  ask();
}

// Values that fit the net shown, and the controls as the values are
function settle() {
  view.layer = Math.min(view.layer, indrnn().layers.length - 1);
  view.step = Math.min(view.step, steps());
  const last = indrnn().layers[view.layer].u.length - 1;
  view.rank = Math.min(view.rank ?? last, last);
}

function showControls() {
  const { u } = indrnn().layers[view.layer],
    said = view.cut ? `after pixel ${view.cut}` : "nowhere: all is remembered";
  element("neuron").max = u.length - 1;
  element("neuron").value = view.rank;
  element("u").value = view.u ?? u[neuron()];
  element("silent").checked = view.silent;
  element("bound").value = view.bound;
  element("cut").value = view.cut;
  element("cut-value").textContent = said;
  element("cut").setAttribute("aria-valuetext", said);
  element("order").value = view.order;
}
