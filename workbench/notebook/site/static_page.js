// A model for panel.js made of frames drawn beforehand: it answers what a kernel would, as far as the frames go.

class Still {
  constructor(held, library) {
    this.held = held;
    this.library = library;
    this.heard = new Map();
    this.state = { title: held.title, look: held.look, controls: held.controls, complaints: {}, still: true };
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
  pick() {
    const names = this.held.controls.map((control) => control.name);
    for (const { name, kind, stops } of this.held.controls)
      if (kind === "slider") this.wanted[name] = stops[nearest(stops, Number(this.wanted[name]) || 0)];
    this.frame = this.held.frames.find((frame) => names.every((name) => frame.values[name] === this.wanted[name]));
    this.frame ??= this.held.frames[0];
    this.state.values = this.frame.values;
    this.state.said = this.frame.said;
    this.state.panels = this.frame.panels.map((panel) => ({ ...panel, figure: this.held.figures[panel.figure] }));
  }
  send(message) {
    if (message.do === "plotly") return this.tell("msg:custom", { what: "plotly" }, [this.library]);
    const { page, turn } = message;
    if (message.do === "set") Object.assign(this.wanted, message.values);
    if (message.do === "reset") this.wanted = { ...this.held.start };
    if (message.do === "code" || message.do === "parameters")
      this.tell("msg:custom", { what: "text", page, text: this.frame[message.do] }, []);
    this.pick();
    this.state.answered = { page, turn };
    for (const name of ["values", "panels", "answered"]) this.tell(`change:${name}`);
  }
}

async function show(frames, library, el) {
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const unzipped = new Blob([bytes(frames)]).stream().pipeThrough(new DecompressionStream("gzip"));
  render({ model: new Still(JSON.parse(await new Response(unzipped).text()), bytes(library)), el });
}
