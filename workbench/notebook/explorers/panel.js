// One explorer on the page: controls, figures, a sentence, and what can be done with them. It draws what its model
// holds, a kernel's widget or the frames of a static page, and keeps no state of its own but what is on its way and
// what can be undone.

const PATIENCE = 10000; // milliseconds without an answer until the reader is told
const ONE_MOVE = 1000; // milliseconds within which moves of one control are undone as one

// The states that were, to go back to and forth: `saw` each that nothing follows, `move` to the last one or the next.
function history(first, go) {
  const past = [];
  const future = [];
  let now = first;
  let before = { name: "", at: 0 };
  const saw = (values) => {
    const names = Object.keys(values).filter((name) => now[name] !== values[name]);
    if (names.length === 0) return;
    const same = names.length === 1 && names[0] === before.name && Date.now() - before.at < ONE_MOVE;
    if (!same) past.push(now);
    future.length = 0;
    before = { name: names[0], at: Date.now() };
    now = values;
  };
  const move = (from, to) => {
    if (from.length === 0) return;
    to.push(now);
    now = from.pop();
    before = { name: "", at: 0 };
    go(now);
  };
  return { saw, past, future, undo: () => move(past, future), redo: () => move(future, past) };
}

// The state that the page's address asks for (#steps=784&gamma=5), as far as it names controls; null if none.
function asked(model) {
  const values = model.get("values");
  const specs = model.get("controls");
  const given = [...new URLSearchParams(location.hash.slice(1))].filter(([name]) => name in values);
  const read = (name, text) => {
    const spec = specs.find((known) => known.name === name);
    return spec ? typed(spec, text) : String(values[name]) === text ? values[name] : text;
  };
  return given.length ? Object.fromEntries(given.map(([name, text]) => [name, read(name, text)])) : null;
}

// The page's address with the state in it, and without the token of a server.
function address(values) {
  const here = new URL(location.href);
  here.searchParams.delete("token");
  here.hash = new URLSearchParams(Object.entries(values).filter(([, value]) => value !== null)).toString();
  return here.href;
}

function scroller(node) {
  for (let at = node.parentElement; at; at = at.parentElement)
    if (/auto|scroll/.test(getComputedStyle(at).overflowY) && at.scrollHeight > at.clientHeight) return at;
  return document.documentElement;
}

function render({ model, el }) {
  const page = Math.random().toString(36).slice(2);
  const controls = new Map();
  const panels = new Map();
  let pending = {};
  let turn = 0;
  let waiting = false;
  let timer;

  const button = (label, onclick, more = {}) => make("button", { type: "button", onclick, ...more }, label);
  const banner = make("p", { class: "wb-banner", role: "alert" });
  const form = make("form", { class: "wb-controls", onsubmit: (event) => event.preventDefault() });
  const figures = make("div", { class: "wb-figures" });
  const see = make("p", { class: "wb-see", role: "status" });
  const said = make("p", { class: "wb-said", role: "status" });
  const begin = button("", () => act({ do: model.get("work").state === "idle" ? "start" : "stop" }), { class: "wb-begin" });
  const bar = make("progress", { max: 1, "aria-label": "Progress" });
  const progress = make("span", { role: "status", class: "wb-progress" });
  const text = make("textarea", { readonly: true, rows: 2, "aria-label": "Copied text", class: "wb-text" });
  const still = model.get("still"); // a page without a kernel
  const alone = still || model.get("app"); // its address is its own
  const undo = button("Undo", () => past.undo());
  const redo = button("Redo", () => past.redo());
  const back = make("div", { class: "wb-back" }, button("Reset", () => act({ do: "reset" })), undo, redo);
  const actions = make("div", { class: "wb-actions" }, button("Copy link", () => copied(address(model.get("values")))));
  actions.append(button("Copy as code", () => act({ do: "code" })));
  actions.append(button("Copy as papermill parameters", () => act({ do: "parameters" })));
  if (!still) actions.append(button("Save as HTML", () => act({ do: "html" })));
  const work = make("div", { class: "wb-work" }, begin, bar, progress);
  form.append(work);
  const side = make("div", { class: "wb-side" }, back, form);
  const title = make("h2", {}, model.get("title"));
  const look = make("p", { class: "wb-look" }, make("b", {}, "Look: "), model.get("look"));
  const main = make("div", { class: "wb-main" }, see, said, figures);
  const whole = make("section", { class: "wb-explorer", "aria-label": model.get("title") });
  const exercise = (label) => act({ do: "exercise", label });
  const tries = model.get("exercises").map((label) => button(label, () => exercise(label)));
  const trying = make("div", { class: "wb-try", role: "group", "aria-label": "Try" }, ...tries);
  if (model.get("presets").length) {
    const options = ["Presets", ...model.get("presets")].map((label, i) => make("option", { value: i ? label : "" }, label));
    const select = make("select", { "aria-label": "Presets" }, ...options);
    select.addEventListener("change", () => {
      if (select.value) exercise(select.value);
      select.value = "";
    });
    trying.append(select);
  }
  whole.append(title, look, trying, banner, make("div", { class: "wb-body" }, side, main), actions, text);
  text.hidden = true;
  el.append(whole);

  const lost = "The kernel is gone or was started anew. What was recorded is kept: run this cell again to go on.";
  const halt = () => controls.forEach((known) => known.halt?.());
  const wait = (whether) => (whole.dataset.waiting = String((waiting = whether)));
  const act = (message) => {
    if (message.do !== "set") halt();
    model.send({ ...message, page, turn: ++turn });
    clearTimeout(timer);
    timer = setTimeout(() => {
      banner.textContent = "No answer from the kernel yet: it is busy, or gone (then run this cell again).";
      wait(false);
    }, PATIENCE);
  };
  const flush = () => {
    if (waiting || Object.keys(pending).length === 0) return;
    const values = pending;
    pending = {};
    wait(true);
    act({ do: "set", values });
  };
  const set = (values) => {
    Object.assign(pending, values);
    flush();
  };
  const past = history(model.get("values"), (values) => {
    halt();
    set(values);
  });

  const drawControls = () => {
    const specs = model.get("controls");
    const values = model.get("values");
    if (!waiting) past.saw(values); // else an answer on the way would be taken for a move
    undo.disabled = past.past.length === 0;
    redo.disabled = past.future.length === 0;
    for (const [name, known] of controls) {
      if (!specs.some((spec) => spec.name === name)) {
        known.whole.remove();
        controls.delete(name);
      }
    }
    for (const spec of specs) {
      let known = controls.get(spec.name);
      if (!known || known.spec !== JSON.stringify(spec)) {
        const focused = known?.whole.contains(document.activeElement);
        const fresh = control(spec, (name, value) => set({ [name]: value }));
        if (known) known.whole.replaceWith(fresh.whole);
        else form.insertBefore(fresh.whole, work);
        controls.set(spec.name, (known = fresh));
        if (focused) fresh.whole.querySelector("input, select, canvas, textarea").focus();
      }
      if (!(spec.name in pending) && !(spec.name in model.get("complaints"))) known.show(values[spec.name]);
    }
  };
  const drawWork = () => {
    const { state, label, share, said: words } = model.get("work");
    begin.hidden = !label;
    begin.textContent = label;
    begin.disabled = state === "stopping";
    bar.hidden = state === "idle";
    if (share == null) bar.removeAttribute("value");
    else bar.value = share;
    progress.textContent = words;
    whole.dataset.work = state;
  };
  const complain = () => {
    const complaints = model.get("complaints");
    for (const [name, known] of controls) known.complain(complaints[name]);
    banner.textContent = complaints[""] ?? "";
  };
  let frame;
  const hovered = (found) => {
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(() => panels.forEach((known) => known.mark(found)));
  };
  const fit = () => whole.style.setProperty("--wb-room", `${scroller(whole).clientHeight}px`);
  let drawn = Promise.resolve();
  const drawSights = () => {
    drawn = drawn.then(async () => {
      const specs = model.get("panels");
      const library = await plotly(model);
      const colour = getComputedStyle(whole).color;
      for (const [name, known] of panels) {
        if (!specs.some((spec) => spec.name === name)) {
          known.forget(library);
          known.whole.remove();
          panels.delete(name);
        }
      }
      for (const spec of specs) {
        if (!panels.has(spec.name)) {
          panels.set(spec.name, panel(spec.name, act, hovered));
          figures.append(panels.get(spec.name).whole);
        }
        await panels.get(spec.name).draw(library, spec, colour);
      }
      said.textContent = model.get("said");
      see.textContent = model.get("see");
      fit();
      whole.dataset.drawn = String(Number(whole.dataset.drawn ?? 0) + 1);
    });
    drawn = drawn.catch((error) => (banner.textContent = `The figures could not be drawn: ${error.message}`));
    return drawn;
  };
  const answered = async () => {
    const { page: whose, turn: which } = model.get("answered");
    if (whose !== page || which < turn) return; // another page's, or one more is on its way
    clearTimeout(timer);
    if (!model.get("complaints")[""]) banner.textContent = "";
    await drawn;
    if (alone) window.history.replaceState(null, "", address(model.get("values")));
    whole.dataset.turn = String(which);
    wait(false);
    flush();
    drawControls(); // where it failed they stand as they stood
  };
  const copied = async (words) => {
    text.hidden = false;
    text.value = words;
    text.select();
    await navigator.clipboard?.writeText(words).catch(() => {}); // selected already, where it is not allowed
  };
  const received = async (message, buffers) => {
    if (message.page !== page) return;
    if (message.what === "file") save(message.file, buffers[0], "text/html");
    if (message.what === "text") await copied(message.text);
  };
  const gone = () => (banner.textContent = lost);
  const follow = () => asked(model) && set(asked(model));

  const listeners = {
    "change:controls": drawControls,
    "change:values": drawControls,
    "change:panels": drawSights,
    "change:said": drawSights,
    "change:see": drawSights,
    "change:complaints": complain,
    "change:work": drawWork,
    "change:answered": answered,
    "msg:custom": received,
    comm_live_update: gone,
  };
  for (const [event, listener] of Object.entries(listeners)) model.on(event, listener);
  const again = () =>
    requestAnimationFrame(() => {
      drawControls(); // a drawing's ink
      drawSights();
    });
  const theme = new MutationObserver(again);
  theme.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-theme", "class"] });
  const system = matchMedia("(prefers-color-scheme: dark)");
  system.addEventListener("change", again);
  window.addEventListener("hashchange", follow);
  window.addEventListener("resize", fit);
  whole.addEventListener("wb-halt", halt);
  drawControls();
  drawWork();
  complain();
  drawSights();
  follow();
  return () => {
    halt();
    theme.disconnect();
    system.removeEventListener("change", again);
    window.removeEventListener("hashchange", follow);
    window.removeEventListener("resize", fit);
    clearTimeout(timer);
    for (const [event, listener] of Object.entries(listeners)) model.off(event, listener);
    for (const known of panels.values()) globalThis.workbenchPlotly?.then((library) => known.forget(library));
  };
}

export default { render };
