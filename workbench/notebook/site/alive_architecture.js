// The explorer of architectures where it computes: see alive.js, and explorers/architecture.py, whose figures these are.
// A net's drawing is a text. Its numbers are polynomials of the width, of degree two, so that those at three widths say
// all.

const number = (text) => Number(text.replaceAll(",", ""));

// The text at a width, from those at the widths that were sampled
function textAt(texts, sampled, width, digits) {
  const parts = texts.map((text) => text.match(/\d+(?:,\d{3})*(?:\.\d+)?|\D+/g) ?? []);
  const weights = sampled.map((at) => sampled.reduce((by, other) => (other === at ? by : (by * (width - other)) / (at - other)), 1));
  const value = (i) => Math.round(weights.reduce((sum, by, k) => sum + by * number(parts[k][i]), 0));
  return parts[0].map((part, i) => (parts.every((one) => one[i] === part) ? part : digits(value(i)))).join("");
}

// Of [its parts, the ways past them] at each sampled width -> {parts: [{name, inside, features, parameters, kind}],
// arcs: [{start, end, kind, words}], parameters}
function drawingAt(texts, sampled, width) {
  const rows = (which, digits) =>
    textAt(texts.map((text) => text[which]), sampled, width, digits)
      .split("\n")
      .filter(Boolean)
      .map((row) => row.split("\t"));
  const [[parameters], ...boxes] = rows(0, (value) => fixed(value, 0));
  return {
    parameters: number(parameters),
    parts: boxes.map(([name, inside, features, parameters, kind]) => {
      return { name, inside, features: number(features), parameters: number(parameters), kind };
    }),
    arcs: rows(1, String).map(([start, end, kind, words]) => ({ start: Number(start), end: Number(end), kind, words })),
  };
}

function drawNet({ data, layout }, { parts, arcs }, words, { fill, row, ink, colours }) {
  const last = parts.length - 1;
  const kinds = [...new Set(parts.map(({ kind }) => kind))];
  const [text, given, dots, bar] = data.slice(-4);
  const ways = data.at(-5);
  const rows = parts.map((_, i) => i);
  const boxes = kinds.map((kind) => {
    const at = rows.filter((i) => parts[i].kind === kind);
    const y = at.flatMap((i) => [i - 0.38, i - 0.38, i + 0.38, i + 0.38, i - 0.38, null]);
    return { ...data[0], fillcolor: fill[kind], x: at.flatMap(() => [0, 10, 10, 0, 0, null]), y };
  });
  const between = rows.slice(1).flatMap((i) => [i - 0.62, i - 0.38, null]);
  const counted = (n) => fixed(n, 0);
  const sizes = parts.map(({ parameters }) => (parameters ? counted(parameters) : ""));
  const shapes = parts.map(({ features }) => `(T, B, ${counted(features)})`);
  if (!words) shapes[last] = `(B, ${counted(parts[last].features)})`;
  const named = (inside) => parts.map((part) => `<b>${part.name}</b>  ${inside(part)}`);
  const put = (trace, x, text, little) => ({ ...trace, x: rows.map(() => x), y: rows, text, meta: { narrow: { text: little } } });
  const hovertext = parts.map(({ name, inside, parameters }) => `${name}: ${inside}; ${counted(parameters)} parameters`);
  const x = parts.map(({ parameters }) => parameters);
  data.splice(
    0,
    data.length,
    ...boxes,
    { ...ways, x: between.map(() => 5), y: between },
    put(text, 0.15, named(({ inside }) => inside), named(({ inside }) => inside.split(", ")[0])),
    put(given, 9.85, shapes, sizes),
    { ...dots, x: rows.map(() => 5), y: rows, hovertext },
    { ...bar, x, y: rows, text: sizes, hovertext },
  );
  const note = { showarrow: false };
  for (const { start, end, kind, words } of arcs) {
    const sum = kind === "sum";
    const [at, low, high] = [sum ? -0.9 : -0.5, start + (sum ? 0 : 0.62), end + (sum ? 0 : 0.38)];
    const path = `M 0 ${low} L ${at} ${low} L ${at} ${high} L 0 ${high}`;
    layout.shapes.push({ type: "path", path, line: { color: colours[kind], width: 2.5 } });
    if (sum) layout.annotations.push({ ...note, text: "+", x: at, y: high, font: { size: 18, color: ink }, xanchor: "right" });
    else {
      const text = words.replaceAll(", each", ",<br>each").replaceAll(": ", ":<br>");
      const beside = { x: at - 0.1, y: (low + high) / 2, textangle: -90, xanchor: "right", font: { size: 11, color: ink } };
      layout.annotations.push({ ...note, text, ...beside });
    }
  }
  const most = Math.max(...x) || 1;
  const left = arcs.length ? -2.6 : -0.1;
  layout.height = Math.max(300, 90 + row * parts.length);
  layout.xaxis.range = layout.meta.narrow.xaxis.range = [left, 10.1];
  layout.xaxis2.range = [0, 1.18 * most];
  layout.yaxis.range = [-0.6, last + 0.6];
  layout.meta.narrow.height = layout.height - 40;
}

function drawShares({ data: [bar], layout }, { parts, parameters }, kinds) {
  const own = parts.reduce((sum, part) => sum + (part.kind === "indrnn" ? part.features : 0), 0);
  const sums = new Map(Object.entries(kinds).map(([kind, words]) => [words, parts.reduce((sum, part) => sum + (part.kind === kind ? part.parameters : 0), 0)]));
  sums.set(kinds.indrnn, sums.get(kinds.indrnn) - own);
  sums.set("IndRNN layers: recurrent weights u", own);
  const seen = [...sums].filter(([, n]) => n);
  const counts = seen.map(([, n]) => n);
  const text = counts.map((n) => fixed(n, 0));
  Object.assign(bar, { x: counts, y: seen.map(([words]) => words), meta: { narrow: { text } } });
  bar.text = counts.map((n, i) => `${text[i]} (${((100 * n) / parameters).toFixed(1)}%)`);
  const most = Math.max(...counts);
  layout.xaxis.range = [0, 1.25 * most];
  layout.meta.narrow.xaxis.range = [0, 4 * most];
  layout.height = 110 + 34 * seen.length;
}

ALIVE.architecture = ({ figures, alts }, { experiment, depth, width }, held) => {
  const { title, family, inputs, steps, outputs, size } = held.experiments[experiment];
  const [deep, wide] = [depth ?? size[0], width ?? size[1]];
  const { depths, words } = held.families[family];
  const drawn = drawingAt(depths[deep], held.sampled, wide);
  const own = drawn.parts.reduce((sum, part) => sum + (part.kind === "indrnn" ? part.features : 0), 0);
  const changed = deep !== size[0] || wide !== size[1] ? ", changed" : "";
  const given = inputs === 1 ? "1 input" : `${fixed(inputs, 0)} inputs`;
  let said = `${title}${changed}: ${given} a step over T = ${fixed(steps, 0)} steps, ${fixed(outputs, 0)} outputs; `;
  said += `${fixed(drawn.parameters, 0)} parameters`;
  said += own ? `, ${fixed(own, 0)} of them recurrent weights, one a neuron.` : ".";
  drawNet(figures.net, drawn, words, held);
  drawShares(figures.shares, drawn, held.kinds);
  const listed = drawn.parts.map((part) => `${part.name}: ${part.inside}, ${fixed(part.parameters, 0)} parameters`).join("; ");
  alts.net = `${said} From input to output: ${listed}`;
  alts.shares = `What the parameters do. ${said}`;
  return { said, figures, alts };
};
