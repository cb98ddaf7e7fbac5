// One explorer on the page: controls, figures, a sentence, and what can be done with them. It draws what its model
// holds, a kernel's widget or the frames of a static page, and keeps no state of its own but what is on its way.

const INK = "#808080"; // figures.py's; the page's own colour takes its place
const PATIENCE = 10000; // milliseconds without an answer until the reader is told

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  if (/^(input|select|button|textarea)$/.test(tag)) node.dataset.lmSuppressShortcuts = "true"; // else JupyterLab takes its keys
  node.append(...children);
  return node;
}

function plotly(model) {
  globalThis.workbenchPlotly ??= new Promise((resolve, reject) => {
    const take = async (message, buffers) => {
      if (message.what !== "plotly") return;
      model.off("msg:custom", take);
      const unzipped = new Blob([buffers[0]]).stream().pipeThrough(new DecompressionStream("gzip"));
      const code = await new Response(unzipped).text();
      const before = "const module = {exports: {}}, exports = module.exports, define = undefined;";
      const parts = [before, code, "\nexport default module.exports;"];
      const address = URL.createObjectURL(new Blob(parts, { type: "text/javascript" }));
      import(address).then((library) => resolve(library.default), reject);
    };
    model.on("msg:custom", take);
    model.send({ do: "plotly" });
    setTimeout(() => reject(new Error("the plotting library did not come")), 60000);
  }).catch((error) => {
    globalThis.workbenchPlotly = undefined;
    throw error;
  });
  return globalThis.workbenchPlotly;
}

function save(name, content, type) {
  const link = make("a", { href: URL.createObjectURL(new Blob([content], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function background(node) {
  for (let at = node; at; at = at.parentElement) {
    const colour = getComputedStyle(at).backgroundColor;
    if (colour !== "rgba(0, 0, 0, 0)" && colour !== "transparent") return colour;
  }
  return "white";
}

function csv(plot) {
  const quote = (cell) => (/[",\n]/.test(String(cell)) ? `"${String(cell).replaceAll('"', '""')}"` : (cell ?? ""));
  const rows = [["trace", "x", "y", "z"]];
  for (const trace of plot._fullData) {
    if (trace.hoverinfo === "skip") continue; // drawn for the eye alone
    const name = trace.name ?? "";
    if (trace.z) {
      trace.z.forEach((line, i) =>
        Array.from(line).forEach((z, j) => rows.push([name, trace.x?.[j] ?? j, trace.y?.[i] ?? i, z])),
      );
    } else {
      const length = Math.max(trace.x?.length ?? 0, trace.y?.length ?? 0);
      for (let i = 0; i < length; i++) rows.push([name, trace.x?.[i] ?? i, trace.y?.[i] ?? "", ""]);
    }
  }
  return rows.map((row) => row.map(quote).join(",")).join("\n") + "\n";
}

// --- controls: each knows how to show a value; `turn(name, value)` is called when the reader turns it ---

let serial = 0;

function control(spec, turn) {
  const id = `workbench-${serial++}`;
  const complaint = make("p", { class: "wb-complaint", id: `${id}-wrong`, role: "alert" });
  const about = { id, "aria-describedby": `${id}-help ${id}-wrong`, "data-name": spec.name };
  const help = make("p", { class: "wb-help", id: `${id}-help` }, spec.help);
  const label = make("label", { for: id }, spec.label);
  const { body, show } = { slider, choice, toggle }[spec.kind === "switch" ? "toggle" : spec.kind](spec, about, turn);
  const whole = make("div", { class: `wb-control wb-${spec.kind}` });
  whole.append(...(spec.kind === "switch" ? [body, label] : [label, body]), complaint, help);
  const complain = (text) => {
    complaint.textContent = text ?? "";
    whole.querySelectorAll("input, select").forEach((e) => e.setAttribute("aria-invalid", String(!!text)));
  };
  return { whole, show, complain, spec: JSON.stringify(spec) };
}

function nearest(stops, value) {
  let best = 0;
  stops.forEach((stop, i) => {
    if (Math.abs(stop - value) < Math.abs(stops[best] - value)) best = i;
  });
  return best;
}

const readable = (value) => (Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6))));

function slider(spec, about, turn) {
  const said = (value) => `${readable(value)} ${spec.unit}`.trim();
  const range = make("input", { ...about, type: "range", min: 0, max: spec.stops.length - 1, step: 1 });
  const name = `${spec.label}, exact${spec.unit ? `, in ${spec.unit}` : ""}`;
  const exact = make("input", { type: "text", inputmode: "decimal", class: "wb-exact", "aria-label": name });
  let shown = "";
  range.addEventListener("input", () => {
    const value = spec.stops[Number(range.value)];
    exact.value = shown = readable(value);
    range.setAttribute("aria-valuetext", said(value));
    turn(spec.name, value);
  });
  const take = () => {
    const text = exact.value.trim().replaceAll(",", "");
    if (text === shown) return;
    shown = text;
    turn(spec.name, text !== "" && Number.isFinite(Number(text)) ? Number(text) : exact.value);
  };
  exact.addEventListener("change", take);
  exact.addEventListener("keydown", (event) => event.key === "Enter" && take());
  const show = (value) => {
    range.value = nearest(spec.stops, value);
    range.setAttribute("aria-valuetext", said(value));
    if (document.activeElement !== exact) exact.value = shown = readable(value);
  };
  const unit = make("span", { class: "wb-unit", "aria-hidden": "true" }, spec.unit);
  return { body: make("div", { class: "wb-row" }, range, exact, unit), show };
}

function choice(spec, about, turn) {
  const options = spec.options.map(([value, text]) => make("option", { value }, text));
  const select = make("select", { ...about, onchange: () => turn(spec.name, select.value) }, ...options);
  return { body: select, show: (value) => (select.value = value) };
}

function toggle(spec, about, turn) {
  const box = make("input", { ...about, type: "checkbox", onchange: () => turn(spec.name, box.checked) });
  return { body: box, show: (value) => (box.checked = value) };
}

// --- one figure with its words and its ways out ---

function panel(name, act) {
  const plot = make("div", { class: "wb-plot", role: "img" });
  const button = (text, title, onclick) =>
    make("button", { type: "button", title, "aria-label": `${title}: ${name}`, onclick }, text);
  const picture = async (format) => {
    const library = await globalThis.workbenchPlotly;
    const size = { width: plot.clientWidth, height: plot.clientHeight, scale: format === "png" ? 2 : 1 };
    const layout = { ...plot.layout, paper_bgcolor: background(plot) };
    const address = await library.toImage({ data: plot.data, layout }, { format, ...size });
    save(`${name}.${format}`, await (await fetch(address)).blob(), "");
  };
  const ways = make(
    "div",
    { class: "wb-ways" },
    button("PNG", "Save as PNG", () => picture("png")),
    button("SVG", "Save as SVG", () => picture("svg")),
    button("CSV", "Save the numbers as CSV", () => save(`${name}.csv`, csv(plot), "text/csv")),
  );
  const whole = make("div", { class: "wb-panel" }, plot, ways);
  let text = "";
  let known = [];
  let traces = [];
  let listening = false;
  const draw = async (library, spec, colour) => {
    plot.setAttribute("aria-label", spec.alt);
    whole.classList.toggle("wb-wide", spec.wide);
    const wanted = spec.figure.replaceAll(`"${INK}"`, JSON.stringify(colour));
    if (wanted === text) return;
    text = wanted;
    const { data, layout } = JSON.parse(wanted);
    const texts = data.map((trace) => JSON.stringify(trace));
    traces = data.map((trace, i) => (texts[i] === known[i] ? traces[i] : trace)); // the same object is not drawn again
    known = texts;
    delete layout.template; // the default look is all white and doubles the work
    await library.react(plot, traces, layout, { displayModeBar: false, responsive: true });
    if (!listening) {
      listening = true;
      plot.on("plotly_click", ({ points: [p] }) =>
        act({ do: "click", figure: name, point: { x: p.x, y: p.y, trace: p.data.name, customdata: p.customdata } }),
      );
    }
  };
  return { whole, draw, forget: (library) => library?.purge(plot) };
}

// --- the whole ---

function render({ model, el }) {
  const page = Math.random().toString(36).slice(2);
  const controls = new Map();
  const panels = new Map();
  let pending = {};
  let turn = 0;
  let waiting = false;
  let timer;

  const banner = make("p", { class: "wb-banner", role: "alert" });
  const form = make("form", { class: "wb-controls", onsubmit: (event) => event.preventDefault() });
  const figures = make("div", { class: "wb-figures" });
  const said = make("p", { class: "wb-said", role: "status" });
  const begin = make("button", { type: "button", class: "wb-begin" });
  const bar = make("progress", { max: 1, "aria-label": "Progress" });
  const progress = make("span", { role: "status", class: "wb-progress" });
  const text = make("textarea", { readonly: true, rows: 2, "aria-label": "Copied text", class: "wb-text" });
  const button = (label, action) => make("button", { type: "button", onclick: () => act({ do: action }) }, label);
  const still = model.get("still"); // a page without a kernel
  const actions = make("div", { class: "wb-actions" }, button("Reset", "reset"));
  actions.append(button("Copy as papermill parameters", "parameters"), button("Copy as code", "code"));
  if (!still) actions.append(button("Save as HTML", "html"));
  const work = make("div", { class: "wb-work" }, begin, bar, progress);
  form.append(work);
  const side = make("div", { class: "wb-side" }, form);
  const title = make("h2", {}, model.get("title"));
  const look = make("p", { class: "wb-look" }, make("b", {}, "Look: "), model.get("look"));
  const body = make("div", { class: "wb-body" }, side, make("div", { class: "wb-main" }, said, figures));
  const whole = make("section", { class: "wb-explorer", "aria-label": model.get("title") });
  whole.append(title, look, banner, body, actions, text);
  text.hidden = true;
  el.append(whole);

  const lost = "The kernel is gone or was started anew. What was recorded is kept: run this cell again to go on.";
  const act = (message) => {
    model.send({ ...message, page, turn: ++turn });
    clearTimeout(timer);
    timer = setTimeout(() => {
      banner.textContent = "No answer from the kernel yet: it is busy, or gone (then run this cell again).";
      waiting = false;
    }, PATIENCE);
  };
  const flush = () => {
    if (waiting || Object.keys(pending).length === 0) return;
    const values = pending;
    pending = {};
    waiting = true;
    act({ do: "set", values });
  };
  begin.addEventListener("click", () => act({ do: model.get("work").state === "idle" ? "start" : "stop" }));

  const drawControls = () => {
    const specs = model.get("controls");
    const values = model.get("values");
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
        const fresh = control(spec, (name, value) => {
          pending[name] = value;
          flush();
        });
        if (known) known.whole.replaceWith(fresh.whole);
        else form.insertBefore(fresh.whole, work);
        controls.set(spec.name, (known = fresh));
        if (focused) fresh.whole.querySelector("input, select").focus();
      }
      if (!(spec.name in pending)) known.show(values[spec.name]);
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
          panels.set(spec.name, panel(spec.name, act));
          figures.append(panels.get(spec.name).whole);
        }
        await panels.get(spec.name).draw(library, spec, colour);
      }
      said.textContent = model.get("said");
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
    whole.dataset.turn = String(which);
    waiting = false;
    flush();
  };
  const received = async (message, buffers) => {
    if (message.page !== page) return;
    if (message.what === "file") save(message.file, buffers[0], "text/html");
    if (message.what === "text") {
      text.hidden = false;
      text.value = message.text;
      text.select();
      await navigator.clipboard?.writeText(message.text).catch(() => {}); // selected already, where it is not allowed
    }
  };
  const gone = () => (banner.textContent = lost);

  const listeners = {
    "change:controls": drawControls,
    "change:values": drawControls,
    "change:panels": drawSights,
    "change:said": drawSights,
    "change:complaints": complain,
    "change:work": drawWork,
    "change:answered": answered,
    "msg:custom": received,
    comm_live_update: gone,
  };
  for (const [event, listener] of Object.entries(listeners)) model.on(event, listener);
  const theme = new MutationObserver(() => requestAnimationFrame(drawSights));
  theme.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "class"] });
  drawControls();
  drawWork();
  complain();
  drawSights();
  return () => {
    theme.disconnect();
    clearTimeout(timer);
    for (const [event, listener] of Object.entries(listeners)) model.off(event, listener);
    for (const known of panels.values()) globalThis.workbenchPlotly?.then((library) => known.forget(library));
  };
}

export default { render };
