// A model for panel.js made of frames drawn beforehand: it answers what a kernel would, as far as the frames go.

const STROKES = /^(\s*(\d\d?|100),(\d\d?|100)(?=[\s;]|$)|\s*;){0,2000}\s*$/; // as analysis/handwriting.py reads them

class Still {
  constructor(held, library) {
    this.held = held;
    this.library = library;
    this.heard = new Map();
    this.state = { title: held.title, look: held.look, controls: held.controls, complaints: {}, still: true };
    this.state.exercises = Object.keys(held.exercises);
    this.state.presets = Object.keys(held.presets);
    this.state.work = { state: "idle", label: "", share: null, said: "" };
    this.wanted = { ...held.start };
  }
  get(name) {
    return this.state[name];
  }
  on(event, listener) {
    this.heard.set(event, [...(this.heard.get(event) ?? []), listener]);
  }
  off(event, listener) {
    this.heard.set(event, (this.heard.get(event) ?? []).filter((known) => known !== listener));
  }
  tell(event, ...content) {
    for (const listener of this.heard.get(event) ?? []) listener(...content);
  }
  // What is wrong with a value, in words; null if nothing. A slider stands at its nearest stop.
  wrong(name, value) {
    const { kind, stops, options, rest } = this.held.controls.find((control) => control.name === name) ?? {};
    if (kind === undefined) return value === this.held.start[name] ? null : `this page holds ${this.held.start[name]} alone`;
    if (kind === "choice") return options.some(([known]) => known === value) ? null : "no such choice";
    if (kind === "switch") return typeof value === "boolean" ? null : "true or false is needed";
    if (kind === "drawing" && this.held.alive) return STROKES.test(value) ? null : "points x,y from 0 to 100 are needed";
    if (kind === "drawing" || kind === "writing")
      return this.held.frames.some((frame) => frame.values[name] === value) ? null : "this page has no frame of it";
    if (value === null && rest !== null) return null;
    if (typeof value !== "number") return "a number is needed";
    const [low, high] = [stops[0], stops[stops.length - 1]];
    return low <= value && value <= high ? null : `${low} to ${high} is allowed`;
  }
  take(values) {
    for (const [name, value] of Object.entries(values)) {
      const { kind, stops } = this.held.controls.find((control) => control.name === name) ?? {};
      const wrong = this.wrong(name, value);
      if (wrong) this.state.complaints[kind ? name : ""] = `${name}: ${value} received; ${wrong}`;
      else this.wanted[name] = kind === "slider" && value !== null ? stops[nearest(stops, value)] : value;
    }
  }
  async pick() {
    const names = this.held.controls.map((control) => control.name);
    this.frame = this.held.frames.find((frame) => names.every((name) => frame.values[name] === this.wanted[name]));
    this.frame ??= this.held.frames[0];
    this.state.see = JSON.stringify(this.wanted) === this.tried?.at ? this.tried.see : "";
    this.state.values = this.frame.values;
    this.state.said = this.frame.said;
    this.state.panels = this.frame.panels.map((panel) => ({ ...panel, figure: this.held.figures[panel.figure] }));
  }
  async send(message) {
    if (message.do === "plotly") return this.tell("msg:custom", { what: "plotly" }, [this.library]);
    const { page, turn } = message;
    const copies = message.do === "code" || message.do === "parameters";
    if (!copies) this.state.complaints = {};
    if (message.do === "set") this.take(message.values);
    if (message.do === "reset") this.wanted = { ...this.held.start };
    if (message.do === "exercise") {
      const { values, see } = this.held.exercises[message.label] ?? this.held.presets[message.label];
      Object.assign(this.wanted, values);
      this.tried = { at: JSON.stringify(this.wanted), see };
    }
    if (copies) this.tell("msg:custom", { what: "text", page, text: this.frame[message.do] }, []);
    await this.pick();
    this.state.answered = { page, turn };
    for (const name of ["complaints", "values", "panels", "answered"]) this.tell(`change:${name}`);
  }
}

// A model whose frames are only where to begin: a worker computes what no frame holds.
class Alive extends Still {
  constructor(held, library) {
    super(held, library);
    const address = URL.createObjectURL(new Blob([COMPUTING], { type: "text/javascript" }));
    this.worker = new Worker(address);
    URL.revokeObjectURL(address);
    const { frames, figures, alive } = held;
    this.worker.postMessage({ held: { frames, figures, ...alive, controls: null } });
    this.last = Promise.resolve();
  }
  // -> {said, panels}, one question after the other
  compute(wanted) {
    const ask = () =>
      new Promise((resolve, reject) => {
        this.worker.onmessage = ({ data }) => resolve(data);
        this.worker.onerror = ({ message }) => reject(new Error(message));
        this.worker.postMessage({ wanted });
      });
    return (this.last = this.last.then(ask, ask));
  }
  async pick() {
    const { leading, controls, name } = this.held.alive;
    this.held.controls = this.state.controls = controls[leading.map((one) => this.wanted[one]).join()];
    for (const { name, kind, stops } of this.state.controls)
      if (kind === "slider" && this.wanted[name] !== null) this.wanted[name] = stops[nearest(stops, this.wanted[name])];
    const values = { ...this.wanted };
    this.state.see = JSON.stringify(values) === this.tried?.at ? this.tried.see : "";
    const named = { true: "True", false: "False", null: "None" };
    const code = (value) => named[value] ?? JSON.stringify(value);
    const word = (value) => named[value] ?? (/^[\w@%+=:,./-]+$/.test(value) ? value : `'${value}'`);
    const book = `explore_${name}`;
    const each = (write) => Object.entries(values).map(write);
    this.frame = {
      code: `wb.${book}(${each(([name, value]) => `${name}=${code(value)}`).join(", ")})`,
      parameters: `papermill ${book}.ipynb ${book}_out.ipynb ${each(([name, value]) => `-p ${name} ${word(value)}`).join(" ")}`,
    };
    Object.assign(this.state, { values, ...(await this.compute(values)) });
  }
  send(message) {
    const { clicked } = this.held.alive;
    if (message.do === "click" && clicked && Number.isInteger(message.point.customdata))
      Object.assign(this.wanted, clicked.sets, { [clicked.name]: message.point.customdata });
    return super.send(message);
  }
  tell(event, ...content) {
    if (event === "change:values") super.tell("change:controls");
    super.tell(event, ...content);
  }
}

async function show(frames, library, el) {
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const unzipped = new Blob([bytes(frames)]).stream().pipeThrough(new DecompressionStream("gzip"));
  const held = JSON.parse(await new Response(unzipped).text());
  const model = held.alive ? new Alive(held, bytes(library)) : new Still(held, bytes(library));
  await model.pick();
  globalThis.workbenchModel = model;
  render({ model, el });
}
