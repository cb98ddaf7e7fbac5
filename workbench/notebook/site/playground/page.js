// The page begins here: what the address says, what every control does.

let resting;

// The address holds all that differs from the start, once the hand rests: browsers refuse to change it at every move
function remember() {
  clearTimeout(resting);
  resting = setTimeout(address, 250);
}

function address() {
  if (view.step === steps()) view.step = 0; // all of it, whichever net
  const told = new URLSearchParams();
  for (const [name, value] of Object.entries(view))
    if (!["strokes", "digit"].includes(name) && value !== started[name]) told.set(name, value);
  if (view.digit === null) told.set("drawn", writtenStrokes(view.strokes ?? []));
  else if (view.digit !== started.digit) told.set("digit", view.digit);
  if (learning.length !== 2) told.set("length", learning.length);
  if (learning.gamma !== 5) told.set("gamma", learning.gamma);
  if (learning.seed !== 1) told.set("seed", learning.seed);
  const now = `#${told}`;
  if (now !== location.hash && !(now === "#" && !location.hash)) history.replaceState(null, "", now);
}

let started;

// What the address says; where something is tried the drawing stays, and what trains
function recall(tried) {
  const told = new URLSearchParams(location.hash.slice(1));
  const whole = (name, low, high, otherwise) => {
    const value = told.has(name) ? Number(told.get(name)) : NaN;
    return Number.isInteger(value) && value >= low && value <= high ? value : otherwise;
  };
  const { digit, strokes } = view;
  Object.assign(view, AT_START, tried && { digit, strokes });
  view.picture = whole("picture", 0, pictures.length - 1, 0);
  view.layer = whole("layer", 0, 99, indrnn().layers.length - 1);
  settle();
  started = { ...view };
  view.step = whole("step", 1, steps(), 0);
  view.rank = whole("rank", 0, indrnn().layers[view.layer].u.length - 1, view.rank);
  view.bound = whole("bound", 0, 11, 11);
  view.cut = whole("cut", 0, steps() - 1, 0);
  view.silent = told.get("silent") === "true";
  if (told.has("u") && Math.abs(Number(told.get("u"))) <= 1.2) view.u = Number(told.get("u"));
  if (told.get("order") in ORDERS) view.order = told.get("order");
  if (!tried) {
    view.digit = told.has("drawn") ? null : whole("digit", 0, 9, 4);
    view.strokes = view.digit === null ? readStrokes(told.get("drawn")) : drawnDigit(view.digit);
    Object.assign(learning, {
      length: whole("length", 0, 6, 2),
      gamma: whole("gamma", 0, 8, 5),
      seed: whole("seed", 1, 999, 1),
    });
    for (const id of ["length", "gamma"]) element(id).value = learning[id];
  }
  Object.assign(started, {
    picture: 0,
    digit: AT_START.digit,
    layer: pictures[0].nets.find((net) => net.kind === "indrnn").layers.length - 1,
  });
}

function wire() {
  const on = (id, event, act) => element(id).addEventListener(event, act);
  const changes = (id, take) =>
    on(id, "input", () => {
      take(element(id));
      showControls();
      ask();
    });
  on("play", "click", play);
  on("wipe", "click", wipe);
  on("step", "input", () => {
    stop();
    view.step = Number(element("step").value);
    requestAnimationFrame(drawStep);
  });
  changes("bound", ({ value }) => (view.bound = Number(value)));
  changes("cut", ({ value }) => (view.cut = Number(value)));
  changes("order", ({ value }) => (view.order = value));
  changes("neuron", ({ value }) => Object.assign(view, { rank: Number(value), u: null, silent: false }));
  changes("u", ({ value }) => (view.u = Number(value)));
  changes("silent", ({ checked }) => (view.silent = checked));
  on("restore", "click", () => {
    Object.assign(view, { bound: 11, cut: 0, order: "rows", u: null, silent: false });
    showControls();
    ask();
  });
  for (const [value, text] of Object.entries(ORDERS)) element("order").append(new Option(text, value));
  for (let digit = 0; digit < 10; digit++) {
    const draw = () => {
      Object.assign(view, { digit, strokes: drawnDigit(digit), step: 0 });
      stop();
      soon();
    };
    element("ours").append(make("button", { "aria-label": `Our ${digit}`, onclick: draw }, digit));
  }
  on("train", "click", () => {
    if (!Object.keys(learning.nets).length) return start();
    tell({ do: learning.running ? "pause" : "go on" });
    running(!learning.running);
  });
  on("again", "click", () => {
    learning.seed++;
    forget();
    start();
  });
  on("length", "input", () => {
    learning.length = Number(element("length").value);
    forget();
  });
  on("gamma", "input", () => {
    learning.gamma = Number(element("gamma").value);
    tell({ do: "bound", bound: boundNow() });
    drawTask();
    redraw();
    remember();
  });
  for (const [text, values] of TRIES) {
    const train = () => {
      Object.assign(learning, values);
      for (const id of ["length", "gamma"]) element(id).value = learning[id];
      forget();
      start();
    };
    element("tries").append(make("button", { onclick: train }, text));
  }
  for (const kind of Object.keys(KINDS)) {
    const choose = () => {
      const wanted = (name) => (name === kind ? box.checked : learning.kinds.includes(name));
      learning.kinds = Object.keys(KINDS).filter(wanted);
      forget();
    };
    const box = make("input", { type: "checkbox", checked: true, onchange: choose });
    element("kinds").append(make("label", {}, box, KINDS[kind][0]));
  }
}

function everything() {
  drawPixels.ramp = null;
  shades.clear();
  drawPad();
  found.forEach(picture);
  if (found.length) drawAll();
  drawTask();
  redraw();
}

pictures = unpacked(JSON.parse(element("data").textContent));
reader = workerFor("serve");
reader.onmessage = answered;
reader.postMessage({ nets: pictures.flatMap(({ nets }) => nets) });
recall(false);
wire();
layOut();
everything();
ask();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", everything);
addEventListener("resize", everything);
function follow(tried) {
  const before = [learning.length, learning.gamma, learning.seed].join();
  stop();
  recall(tried);
  if (before !== [learning.length, learning.gamma, learning.seed].join()) forget();
  layOut();
  drawPad();
  ask();
}

addEventListener("hashchange", () => follow(false));
for (const link of document.querySelectorAll(".try"))
  link.addEventListener("click", (event) => {
    event.preventDefault();
    history.pushState(null, "", link.hash || "#");
    follow(true);
  });
