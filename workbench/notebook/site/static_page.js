// A model for panel.js made of frames drawn beforehand: it answers what a kernel would, as far as the frames go.

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
    this.pick();
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
    if (kind === "drawing" || kind === "writing")
      return this.held.frames.some((frame) => frame.values[name] === value) ? null : "this page has no frame of it";
    if (value === null && rest !== null) return null;
    if (typeof value !== "number") return "a number is needed";
    const [low, high] = [stops[0], stops[stops.length - 1]];
    return low <= value && value <= high ? null : `${low} to ${high} is allowed`;
  }
  take(values) {
    this.state.complaints = {};
    for (const [name, value] of Object.entries(values)) {
      const { kind, stops } = this.held.controls.find((control) => control.name === name) ?? {};
      const wrong = this.wrong(name, value);
      if (wrong) this.state.complaints[kind ? name : ""] = `${name}: ${value} received; ${wrong}`;
      else this.wanted[name] = kind === "slider" && value !== null ? stops[nearest(stops, value)] : value;
    }
  }
  pick() {
    const names = this.held.controls.map((control) => control.name);
    this.frame = this.held.frames.find((frame) => names.every((name) => frame.values[name] === this.wanted[name]));
    this.frame ??= this.held.frames[0];
    this.state.see = JSON.stringify(this.wanted) === this.tried?.at ? this.tried.see : "";
    this.state.values = this.frame.values;
    this.state.said = this.frame.said;
    this.state.panels = this.frame.panels.map((panel) => ({ ...panel, figure: this.held.figures[panel.figure] }));
  }
  send(message) {
    if (message.do === "plotly") return this.tell("msg:custom", { what: "plotly" }, [this.library]);
    const { page, turn } = message;
    if (message.do === "set") this.take(message.values);
    if (message.do === "reset") this.wanted = { ...this.held.start };
    if (message.do === "exercise") {
      const { values, see } = this.held.exercises[message.label] ?? this.held.presets[message.label];
      Object.assign(this.wanted, values);
      this.tried = { at: JSON.stringify(this.wanted), see };
    }
    if (message.do === "code" || message.do === "parameters")
      this.tell("msg:custom", { what: "text", page, text: this.frame[message.do] }, []);
    this.pick();
    this.state.answered = { page, turn };
    for (const name of ["complaints", "values", "panels", "answered"]) this.tell(`change:${name}`);
  }
}

async function show(frames, library, el) {
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const unzipped = new Blob([bytes(frames)]).stream().pipeThrough(new DecompressionStream("gzip"));
  const held = JSON.parse(await new Response(unzipped).text());
  globalThis.workbenchModel = held.alive ? new Alive(held, bytes(library)) : new Still(held, bytes(library));
  render({ model: globalThis.workbenchModel, el });
}
