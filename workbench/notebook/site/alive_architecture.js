// The explorer of architectures where it computes: see alive.js, and explorers/architecture.py, whose figures these are.
// A net's drawing is a text. Its numbers are polynomials of the width, of degree two, so that those at three widths say
// all; a deeper net has more of what the third layer, or block, added to the second. Dense nets are counted layer by layer.

const MAP = /(\d+(?:,\d{3})*) → (\d+(?:,\d{3})*)/; // inputs and outputs
const number = (text) => Number(text.replaceAll(",", ""));
const counted = (n) => fixed(n, 0);
const total = (parts, of = () => true, what = "parameters") => parts.reduce((sum, part) => sum + (of(part) ? part[what] : 0), 0);
const recurrent = (parts) => total(parts, ({ kind }) => kind === "indrnn", "features");

// The text at a width, from those at the widths that were sampled
function textAt(texts, sampled, width) {
  const parts = texts.map((text) => text.match(/\d+(?:,\d{3})*(?:\.\d+)?|\D+/g) ?? []);
  const weights = sampled.map((at) => sampled.reduce((by, other) => (other === at ? by : (by * (width - other)) / (at - other)), 1));
  const value = (i) => Math.round(weights.reduce((sum, by, k) => sum + by * number(parts[k][i]), 0));
  return parts[0].map((part, i) => (parts.every((one) => one[i] === part) ? part : counted(value(i)))).join("");
}

// Of [its parts, the ways past them] -> {parts: [{name, inside, features, parameters, kind}], arcs: [{start, end, kind}]}
function drawing(parts, arcs) {
  const rows = (text) => text.split("\n").filter(Boolean).map((row) => row.split("\t"));
  return {
    parts: rows(parts).map(([name, inside, features, parameters, kind]) => {
      return { name, inside, features: number(features), parameters: number(parameters), kind };
    }),
    arcs: rows(arcs).map(([start, end, kind]) => ({ start: Number(start), end: Number(end), kind })),
  };
}

function drawingAt({ texts }, sampled, depth, width) {
  const few = texts.map((drawn) => drawing(...[0, 1].map((which) => textAt(drawn.map((one) => one[which]), sampled, width))));
  if (depth < 3) return few[depth - 1];
  const [less, more] = few.slice(1);
  const start = less.parts.findIndex((part, i) => JSON.stringify(part) !== JSON.stringify(more.parts[i]));
  const end = start + more.parts.length - less.parts.length;
  const repeated = Array(depth - 2).fill(more.parts.slice(start, end)).flat();
  const [first, second] = more.arcs;
  const arcs = first ? Array.from({ length: depth }, (_, i) => {
    const by = i * (second.start - first.start);
    return { ...first, start: first.start + by, end: first.end + by };
  }) : [];
  return { parts: [...more.parts.slice(0, start), ...repeated, ...more.parts.slice(end)], arcs };
}

// As models/dense.py makes it: `blocks` of so many layers, growth k; `each` is 2 where differences are passed on too
function denseAt({ texts: [[[text]]], blocks: drawn, each }, blocks, k) {
  const rows = drawing(text, "").parts;
  const [parts, arcs] = [[], []];
  const add = (row, inputs, N) => {
    const [before, given] = row.inside.match(MAP).slice(1).map(number);
    const parameters = inputs * N + (row.parameters / given - before) * N;
    parts.push({ ...row, inside: row.inside.replace(MAP, `${counted(inputs)} → ${counted(N)}`), features: N, parameters });
  };
  let at = rows.findIndex(({ name }) => name === "bottleneck");
  parts.push(...rows.slice(0, at));
  let M = parts.at(-1).features;
  if (parts.at(-1).kind === "indrnn") {
    const inputs = number(parts.at(-1).inside.match(MAP)[1]);
    add(parts.pop(), inputs, (M = 6 * k));
  }
  blocks.forEach((count, b) => {
    const [start, came] = [parts.length - 1, M];
    for (let j = 0; j < count; j++, M += k) {
      add(rows[at], each * M, 4 * k);
      add(rows[at + 1], each * 4 * k, k);
    }
    const words = `${count} layers, each reads all before it: ${each * came} to ${each * M} features`;
    arcs.push({ start, end: parts.length - 1, kind: "block", words });
    at += 2 * drawn[b];
    if (rows[at].name === "transition") add(rows[at++], each * M, (M = Math.floor(M / 2)));
  });
  for (const row of rows.slice(at)) {
    if (!row.inside.includes("→")) parts.push(row);
    else add(row, each * M, row.features);
    M = row.features;
  }
  return { parts, arcs };
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

function drawShares({ data: [bar], layout }, { parts }, kinds) {
  const [own, parameters] = [recurrent(parts), total(parts)];
  const sums = new Map(Object.entries(kinds).map(([kind, words]) => [words, total(parts, (part) => part.kind === kind)]));
  sums.set(kinds.indrnn, sums.get(kinds.indrnn) - own);
  sums.set("IndRNN layers: recurrent weights u", own);
  const seen = [...sums].filter(([, n]) => n);
  const counts = seen.map(([, n]) => n);
  const text = counts.map(counted);
  Object.assign(bar, { x: counts, y: seen.map(([words]) => words), meta: { narrow: { text } } });
  bar.text = counts.map((n, i) => `${text[i]} (${((100 * n) / parameters).toFixed(1)} %)`);
  const most = Math.max(...counts);
  layout.xaxis.range = [0, 1.25 * most];
  layout.meta.narrow.xaxis.range = [0, 4 * most];
  layout.height = 110 + 34 * seen.length;
}

ALIVE.architecture = ({ figures, alts }, { experiment, depth, width }, held) => {
  const { title, family, inputs, steps, outputs, size, blocks } = held.experiments[experiment];
  const [deep, wide] = [depth ?? size[0], width ?? size[1]];
  const kin = held.families[family];
  const drawn = blocks ? denseAt(kin, blocks[deep], wide) : drawingAt(kin, held.sampled, deep, wide);
  const own = recurrent(drawn.parts);
  const changed = deep !== size[0] || wide !== size[1] ? ", changed" : "";
  const given = inputs === 1 ? "1 input" : `${counted(inputs)} inputs`;
  let said = `${title[0].toUpperCase()}${title.slice(1)}${changed}: ${given} a step over `;
  said += `T = ${counted(steps)} steps, ${counted(outputs)} outputs; `;
  said += `${counted(total(drawn.parts))} parameters`;
  said += own ? `, ${counted(own)} of them recurrent weights, one a neuron.` : ".";
  drawNet(figures.net, drawn, kin.words, held);
  drawShares(figures.shares, drawn, held.kinds);
  const listed = drawn.parts.map(({ name, inside, parameters }) => `${name}: ${inside}, ${counted(parameters)} parameters`);
  alts.net = `${said} From input to output: ${listed.join("; ")}`;
  alts.shares = `What the parameters do. ${said}`;
  return { said, figures, alts };
};
