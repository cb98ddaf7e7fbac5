// The controls of an explorer: each knows how to show a value; `turn(name, value)` is called when the reader turns it.

let serial = 0;

function control(spec, turn) {
  const id = `workbench-${serial++}`;
  const complaint = make("p", { class: "wb-complaint", id: `${id}-wrong`, role: "alert" });
  const about = { id, "aria-describedby": `${id}-help ${id}-wrong`, "data-name": spec.name };
  const help = make("p", { class: "wb-help", id: `${id}-help` }, spec.help);
  const label = make("label", { for: id }, spec.label);
  const kind = { slider, choice, switch: toggle, drawing, writing: line }[spec.kind];
  const { body, show, halt } = kind(spec, about, turn, label);
  const whole = make("div", { class: `wb-control wb-${spec.kind}` }, ...body, complaint, help);
  const complain = (text) => {
    complaint.textContent = text ?? "";
    whole.querySelectorAll("input, select, textarea").forEach((e) => e.setAttribute("aria-invalid", String(!!text)));
  };
  return { whole, show, complain, halt, spec: JSON.stringify(spec) };
}

function nearest(stops, value) {
  let best = 0;
  stops.forEach((stop, i) => {
    if (Math.abs(stop - value) < Math.abs(stops[best] - value)) best = i;
  });
  return best;
}

const readable = (value) => (Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6))));

// What a reader typed, or an address says, as the value of a control; what fits none stays as it is, to be refused.
function typed(spec, text) {
  if (spec.kind === "switch") return { true: true, false: false }[text] ?? text;
  const number = text.trim().replace(/,(?=\d{3}(\D|$))/g, ""); // commas between thousands alone
  return spec.kind === "slider" && number !== "" && Number.isFinite(Number(number)) ? Number(number) : text;
}

function slider(spec, about, turn, label) {
  const said = (value) => `${readable(value)} ${spec.unit}`.trim();
  const range = make("input", { ...about, type: "range", min: 0, max: spec.stops.length - 1, step: 1 });
  const name = `${spec.label}, exact${spec.unit ? `, in ${spec.unit}` : ""}`;
  const exact = make("input", { type: "text", inputmode: "decimal", class: "wb-exact", "aria-label": name });
  let shown = "";
  const go = (place) => {
    const value = spec.stops[place];
    range.value = place;
    exact.value = shown = readable(value);
    range.setAttribute("aria-valuetext", said(value));
    turn(spec.name, value);
  };
  const take = () => {
    if (exact.value === shown) return;
    halt();
    shown = exact.value;
    turn(spec.name, typed(spec, shown));
  };
  exact.addEventListener("change", take);
  exact.addEventListener("keydown", (event) => event.key === "Enter" && take());
  const show = (given) => {
    const value = given ?? spec.rest;
    range.value = nearest(spec.stops, value);
    range.setAttribute("aria-valuetext", said(value));
    if (document.activeElement !== exact || exact.value === shown) exact.value = shown = readable(value);
  };
  const { halt, ways } = spec.play ? player(spec, range, go) : { halt: () => {}, ways: [] };
  range.addEventListener("input", () => {
    halt();
    go(Number(range.value));
  });
  const unit = make("span", { class: "wb-unit", "aria-hidden": "true" }, spec.unit);
  const row = make("div", { class: "wb-row" }, range, ...ways);
  return { body: [label, make("div", { class: "wb-value" }, exact, unit), row], show, halt };
}

const PACE = 350; // milliseconds from one stop of a playing slider to the next, at least

// Play, pause and step through a slider's stops: one ahead only when the last is drawn, from the start again at the end.
function player(spec, range, go) {
  let playing;
  const last = spec.stops.length - 1;
  const explorer = () => range.closest(".wb-explorer");
  const halt = () => {
    clearInterval(playing);
    playing = undefined;
    play.textContent = "Play";
    play.setAttribute("aria-label", `Play: ${spec.label}`);
  };
  const ahead = () => go(Number(range.value) < last ? Number(range.value) + 1 : 0);
  const tick = () => {
    if (!range.isConnected) return halt();
    if (explorer().dataset.waiting === "true") return undefined;
    if (Number(range.value) >= last) return halt();
    return ahead();
  };
  const start = () => {
    if (playing !== undefined) return halt();
    explorer().dispatchEvent(new Event("wb-halt")); // one plays at a time
    play.textContent = "Pause";
    play.setAttribute("aria-label", `Pause: ${spec.label}`);
    playing = setInterval(tick, PACE);
    return ahead();
  };
  const step = () => {
    halt();
    ahead();
  };
  const button = (text, onclick) =>
    make("button", { type: "button", class: "wb-small", "aria-label": `${text}: ${spec.label}`, onclick }, text);
  const play = button("Play", start);
  return { halt, ways: [play, button("Step", step)] };
}

function choice(spec, about, turn, label) {
  const options = spec.options.map(([value, text]) => make("option", { value }, text));
  const select = make("select", { ...about, onchange: () => turn(spec.name, select.value) }, ...options);
  return { body: [label, select], show: (value) => (select.value = value) };
}

function toggle(spec, about, turn, label) {
  const box = make("input", { ...about, type: "checkbox", onchange: () => turn(spec.name, box.checked) });
  return { body: [box, label], show: (value) => (box.checked = value) };
}
