// Pictures on canvases, in the theme's colours.

const shades = new Map(); // emptied when the theme changes
function colour(name) {
  if (!shades.has(name))
    shades.set(name, getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim());
  return shades.get(name);
}
const KINDS = { indrnn: ["IndRNN", "blue"], lstm: ["LSTM", "orange"], rnn_tanh: ["RNN-tanh", "pink"] };

// A canvas made as sharp as the screen -> {pen, wide, high}, all in CSS pixels, wiped
function sheet(canvas) {
  const wide = canvas.clientWidth,
    high = canvas.clientHeight,
    sharp = devicePixelRatio || 1;
  if (canvas.width !== Math.round(wide * sharp) || canvas.height !== Math.round(high * sharp)) {
    canvas.width = Math.round(wide * sharp);
    canvas.height = Math.round(high * sharp);
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(sharp, 0, 0, sharp, 0, 0);
  pen.clearRect(0, 0, wide, high);
  pen.font = "12px system-ui, sans-serif";
  return { pen, wide, high };
}

function rgb(text) {
  const digits = text.replace("#", "");
  return [0, 2, 4].map((at) => parseInt(digits.slice(at, at + 2), 16));
}

// What is asked for many times before the next frame is done once, in it
function onceAFrame(act) {
  let due = false;
  return () => {
    if (due) return;
    due = true;
    requestAnimationFrame(() => {
      due = false;
      act();
    });
  };
}

// 256 colours from the paper over a colour to its strongest
function ramp(name) {
  const stops = [colour("card"), colour(`${name}-fill`), colour(`${name}-strong`)].map(rgb);
  return Array.from({ length: 256 }, (_, i) => {
    const at = (i / 255) * 2,
      from = Math.min(1, Math.floor(at)),
      share = at - from;
    return stops[from].map((v, k) => Math.round(v + share * (stops[from + 1][k] - v)));
  });
}

// A picture of columns x rows, value(column, row) in [0, 1]; what is infinite has the strongest colour
function painted(columns, rows, colours, value) {
  const canvas = Object.assign(document.createElement("canvas"), { width: columns, height: rows });
  const pen = canvas.getContext("2d"),
    image = pen.createImageData(columns, rows);
  for (let row = 0, at = 0; row < rows; row++)
    for (let column = 0; column < columns; column++, at += 4) {
      const light = value(column, row),
        [r, g, b] = colours[light >= 0 && light < 1 ? Math.round(255 * light) : 255];
      image.data[at] = r;
      image.data[at + 1] = g;
      image.data[at + 2] = b;
      image.data[at + 3] = 255;
    }
  pen.putImageData(image, 0, 0);
  return canvas;
}

const short = (value) =>
  value === 0
    ? "0"
    : Math.abs(value) >= 1e4 || Math.abs(value) < 1e-3
      ? value.toExponential(0).replace("e+", "e")
      : String(+value.toPrecision(3));

function ticks(low, high, log, count) {
  if (log) {
    const [a, b] = [Math.ceil(Math.log10(low) - 1e-9), Math.floor(Math.log10(high) + 1e-9)],
      step = Math.max(1, Math.ceil((b - a) / count));
    return Array.from({ length: Math.floor((b - a) / step) + 1 }, (_, i) => 10 ** (a + i * step));
  }
  const rough = (high - low) / count,
    power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((n) => n * power >= rough) ?? 10),
    found = [];
  for (let v = Math.ceil(low / step) * step; v <= high + step / 1e6; v += step) found.push(+v.toPrecision(12));
  return found;
}

// Lines, dots and dashed levels over two axes. spec: {x, y: {from, to, log, label}, lines, dots, levels}
function chart(canvas, { x, y, lines = [], dots = [], levels = [], empty = "" }) {
  const { pen, wide, high } = sheet(canvas),
    left = 56,
    right = 12,
    top = 12,
    bottom = 38;
  const [soft, line, ink] = ["soft", "line", "ink"].map(colour);
  const place = ({ from, to, log }, value, start, end) => {
    const f = log ? Math.log10 : (v) => v;
    return start + ((f(Math.max(value, log ? from / 100 : -Infinity)) - f(from)) / (f(to) - f(from))) * (end - start);
  };
  const px = (value) => place(x, value, left, wide - right),
    py = (value) => place(y, value, high - bottom, top);
  pen.lineWidth = 1;
  pen.strokeStyle = line;
  pen.fillStyle = soft;
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  for (const value of y.names ? Object.keys(y.names) : ticks(y.from, y.to, y.log, 5)) {
    const at = Math.round(py(value)) + 0.5;
    pen.beginPath();
    pen.moveTo(left, at);
    pen.lineTo(wide - right, at);
    pen.stroke();
    pen.fillText(y.names?.[value] ?? short(value), left - 6, at);
  }
  pen.textAlign = "center";
  for (const value of ticks(x.from, x.to, x.log, wide < 420 ? 4 : 7))
    pen.fillText(value.toLocaleString("en"), px(value), high - bottom + 13);
  pen.fillText(x.label, (left + wide - right) / 2, high - 8);
  pen.textAlign = "left";
  pen.save();
  pen.beginPath();
  pen.rect(left, top - 8, wide - left - right, high - bottom - top + 12);
  pen.clip();
  for (const level of levels) {
    const [ax, ay, bx, by] =
      level.y != null
        ? [left, py(level.y), wide - right, py(level.y)]
        : level.x != null
          ? [px(level.x), top, px(level.x), high - bottom]
          : [px(x.from), py(x.from), px(x.to), py(x.to)];
    pen.setLineDash([5, 4]);
    pen.strokeStyle = soft;
    pen.beginPath();
    pen.moveTo(ax, ay);
    pen.lineTo(bx, by);
    pen.stroke();
    pen.setLineDash([]);
    pen.fillStyle = soft;
    pen.textAlign = "right";
    if (level.text)
      pen.fillText(level.text, level.y != null ? wide - right - 4 : ax - 6, level.y != null ? ay - 8 : top + 8);
    pen.textAlign = "left";
  }
  for (const { points, colour: shade, size = 2.5 } of dots) {
    pen.fillStyle = shade;
    for (const [a, b] of points) {
      pen.beginPath();
      pen.arc(px(a), py(b), size, 0, 7);
      pen.fill();
    }
  }
  for (const { points, colour: shade } of lines) {
    pen.strokeStyle = shade;
    pen.lineWidth = 2.25;
    pen.lineJoin = "round";
    pen.beginPath();
    points.forEach(([a, b], i) => (i ? pen.lineTo(px(a), py(b)) : pen.moveTo(px(a), py(b))));
    pen.stroke();
  }
  pen.restore();
  const ends = lines.filter((l) => l.name && l.points.length).map((l) => ({ ...l, at: l.points.at(-1) })),
    taken = [];
  pen.font = "600 12px system-ui, sans-serif";
  for (const { name, colour: shade, at } of ends.sort((a, b) => py(a.at[1]) - py(b.at[1]))) {
    let where = Math.max(top + 6, Math.min(high - bottom - 8, py(at[1]) - 9));
    while (taken.some((other) => Math.abs(other - where) < 14)) where += 14;
    taken.push(where);
    const end = px(at[0]),
      room = pen.measureText(name).width;
    pen.fillStyle = shade;
    pen.fillText(name, Math.max(left + 4, Math.min(wide - right - room, end - room)), where);
  }
  if (empty) {
    pen.fillStyle = ink;
    pen.font = "14px system-ui, sans-serif";
    pen.textAlign = "center";
    pen.fillText(empty, (left + wide) / 2, high / 2 - 20);
  }
}
