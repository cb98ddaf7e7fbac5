// The figures of an explorer: each with its title, its words and its ways out, drawn by plotly.

const INK = "#808080"; // figures.py's; the page's own colour takes its place
const TITLE = 32; // pixels of a figure that its title takes where it is drawn in it
const SAME = 4; // pixels that a width may change until the figure is drawn anew
const SETTLED = 80; // milliseconds without a change of width until then
const NARROW = 760; // pixels of width below which a figure takes the form that it has for narrow places

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

// plotly's markup as plain words
const words = (text) => new DOMParser().parseFromString(text ?? "", "text/html").body.textContent;

function panel(name, act, hovered) {
  const plot = make("div", { class: "wb-plot", role: "img" });
  const marks = make("div", { class: "wb-marks", "aria-hidden": "true" });
  const frame = make("div", { class: "wb-frame" }, plot, marks);
  const title = make("h3", { class: "wb-title" });
  const button = (text, about, onclick) =>
    make("button", { type: "button", class: "wb-small", title: about, "aria-label": `${about}: ${name}`, onclick }, text);
  const picture = async (format) => {
    const library = await globalThis.workbenchPlotly;
    const above = titled.text ? TITLE : 0;
    const margin = { ...plot.layout.margin, t: plot._fullLayout._size.t + above };
    const layout = { ...plot.layout, title: titled, margin, paper_bgcolor: background(plot) };
    const size = { width: plot.clientWidth, height: plot.clientHeight + above, scale: format === "png" ? 2 : 1 };
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
  const whole = make("div", { class: "wb-panel" }, make("div", { class: "wb-head" }, title, ways), frame);
  let text = "";
  let known = [];
  let traces = [];
  let titled = {};
  let listening = false;
  let last;
  let width = 0;
  const other = () => plot.clientWidth > 0 && Math.abs(plot.clientWidth - width) > SAME;
  const draw = async (library, spec, colour) => {
    last = [library, spec, colour];
    plot.setAttribute("aria-label", spec.alt);
    whole.classList.toggle("wb-wide", spec.wide);
    const wanted = spec.figure.replaceAll(`"${INK}"`, JSON.stringify(colour));
    if (wanted === text && !other()) return;
    if (other()) {
      library.purge(plot); // plotly, resized, leaves the legend, and what only one form has, where they were
      listening = false;
      known = [];
      width = plot.clientWidth;
    }
    text = wanted;
    const { data, layout } = JSON.parse(wanted);
    if (width && width < NARROW) {
      Object.assign(layout, layout.meta?.narrow);
      for (const trace of data) Object.assign(trace, trace.meta?.narrow);
    }
    const texts = data.map((trace) => JSON.stringify(trace));
    traces = data.map((trace, i) => (texts[i] === known[i] ? traces[i] : trace)); // the same object is not drawn again
    known = texts;
    delete layout.template; // the default look is all white and doubles the work
    titled = layout.title ?? {};
    title.textContent = words(titled.text);
    delete layout.title; // a heading of the page instead, which breaks its lines and has a place of its own
    if (titled.text) {
      layout.margin = { ...layout.margin, t: Math.max(8, (layout.margin?.t ?? 80) - TITLE) };
      layout.height = (layout.height ?? 450) - TITLE;
    }
    plot.style.height = `${layout.height}px`; // else plotly, where the width changes, takes what it finds
    await library.react(plot, traces, layout, { displayModeBar: false });
    marks.replaceChildren();
    if (!listening) {
      listening = true;
      plot.on("plotly_click", ({ points: [p] }) =>
        act({ do: "click", figure: name, point: { x: p.x, y: p.y, trace: p.data.name, customdata: p.customdata } }),
      );
      plot.on("plotly_hover", ({ points: [p] }) => hovered(pointed(p)));
      plot.on("plotly_unhover", () => hovered({}));
    }
  };
  let settling;
  const settle = () => {
    clearTimeout(settling);
    settling = setTimeout(() => last && other() && draw(...last), SETTLED);
  };
  new ResizeObserver(settle).observe(plot);
  return { whole, draw, mark: (found) => mark(plot, marks, found), forget: (library) => library?.purge(plot) };
}
