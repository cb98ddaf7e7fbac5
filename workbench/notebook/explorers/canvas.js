// Controls that a reader writes into: a square to draw in, and a line of text.

const UNITS = 100; // a drawing is so many wide and high

const written = (strokes) => strokes.map((stroke) => stroke.map((point) => point.join(",")).join(" ")).join("; ");
const strokesOf = (text) =>
  text
    .split(";")
    .map((part) => part.trim())
    .filter(Boolean)
    .map((part) => part.split(/\s+/).map((point) => point.split(",").map(Number)));

function drawing(spec, about, turn, label) {
  const name = `${spec.label}: arrow keys move the pen, space puts it down or lifts it`;
  const size = { width: 300, height: 300, "aria-label": name };
  const canvas = make("canvas", { ...about, class: "wb-canvas", tabindex: 0, role: "application", ...size });
  canvas.dataset.lmSuppressShortcuts = "true";
  const told = make("span", { class: "wb-pen", role: "status" });
  let strokes = [];

  const paint = () => {
    const context = canvas.getContext("2d");
    const scale = canvas.width / UNITS;
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.strokeStyle = context.fillStyle = getComputedStyle(canvas).color;
    Object.assign(context, { lineWidth: spec.pen * scale, lineCap: "round", lineJoin: "round" });
    for (const stroke of strokes) {
      context.beginPath();
      for (const [x, y] of [stroke[0], ...stroke]) context.lineTo(x * scale, y * scale);
      context.stroke();
    }
    if (document.activeElement !== canvas) return;
    context.beginPath();
    context.arc(...pen.at.map((part) => part * canvas.width), 7, 0, 2 * Math.PI);
    Object.assign(context, { lineWidth: 3, strokeStyle: pen.down ? "#d55e00" : "#56b4e9" });
    context.stroke();
  };
  const changed = () => {
    paint();
    turn(spec.name, written(strokes));
  };
  const units = (point) => point.map((part) => Math.round(part * UNITS));
  const begin = (point) => {
    strokes.push([units(point)]);
    changed();
  };
  const extend = (point) => {
    const [[x, y], next] = [strokes.at(-1).at(-1), units(point)];
    if (Math.abs(x - next[0]) + Math.abs(y - next[1]) < (pen.drawing ? 2 : 1)) return;
    strokes.at(-1).push(next);
    changed();
  };
  const put = (others) => {
    Object.assign(pen, { down: false, drawing: false }); // a finger may still be on the drawing
    strokes = others;
    changed();
  };
  const undo = () => put(strokes.slice(0, -1));
  const pen = penOn(canvas, [0.5, 0.3], { begin, extend, back: undo, draw: paint, tell: (words) => (told.textContent = words) });
  canvas.addEventListener("focus", paint);
  const button = (text, title, onclick) => make("button", { type: "button", title, "aria-label": title, onclick }, text);
  const ready = spec.ready.map(([name, text]) => button(name, `Draw a ${name}`, () => put(strokesOf(text))));
  const tools = make("div", { class: "wb-tools" }, button("Clear", "Clear the drawing", () => put([])));
  tools.append(button("Undo line", "Take the last line back", undo), told);
  const show = (value) => {
    if (!pen.drawing && !pen.down) strokes = strokesOf(value);
    requestAnimationFrame(paint); // when it is on the page its colour is known
  };
  return { body: [label, canvas, tools, make("div", { class: "wb-tools" }, ...ready)], show };
}

function line(spec, about, turn, label) {
  const input = make("textarea", { ...about, rows: 3, maxlength: spec.most, spellcheck: "false", class: "wb-line-of-text" });
  input.addEventListener("input", () => turn(spec.name, input.value.replaceAll("\n", " ")));
  return { body: [label, input], show: (value) => document.activeElement !== input && (input.value = value) };
}
