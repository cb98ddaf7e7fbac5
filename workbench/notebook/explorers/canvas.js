// Controls that a reader writes into: a square to draw in, and a line of text.

const UNITS = 100; // a drawing is so many wide and high
const REACH = 4; // units that an arrow key moves the pen; 1 with Shift

const written = (strokes) => strokes.map((stroke) => stroke.map((point) => point.join(",")).join(" ")).join("; ");
const strokesOf = (text) =>
  text
    .split(";")
    .map((part) => part.trim())
    .filter(Boolean)
    .map((part) => part.split(/\s+/).map((point) => point.split(",").map(Number)));

function drawing(spec, about, turn, label) {
  const canvas = make("canvas", { ...about, class: "wb-canvas", tabindex: 0, role: "application", width: 300, height: 300 });
  canvas.setAttribute("aria-label", `${spec.label}: arrow keys move the pen, space puts it down or lifts it`);
  canvas.dataset.lmSuppressShortcuts = "true";
  const told = make("span", { class: "wb-pen", role: "status" });
  let strokes = [];
  let pen = [50, 30]; // of the keyboard
  let down = false;
  let hand = null; // the stroke that a pointer is drawing

  const paint = () => {
    const context = canvas.getContext("2d");
    const scale = canvas.width / UNITS;
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.strokeStyle = context.fillStyle = getComputedStyle(canvas).color;
    Object.assign(context, { lineWidth: spec.pen * scale, lineCap: "round", lineJoin: "round" });
    for (const stroke of strokes) {
      context.beginPath();
      stroke.forEach(([x, y], i) => (i ? context.lineTo(x * scale, y * scale) : context.moveTo(x * scale, y * scale)));
      if (stroke.length === 1) context.lineTo(stroke[0][0] * scale, stroke[0][1] * scale);
      context.stroke();
    }
    if (document.activeElement !== canvas) return;
    context.beginPath();
    context.arc(pen[0] * scale, pen[1] * scale, 7, 0, 2 * Math.PI);
    Object.assign(context, { lineWidth: 3, strokeStyle: down ? "#d55e00" : "#56b4e9" });
    context.stroke();
  };
  const tell = () => {
    paint();
    turn(spec.name, written(strokes));
  };
  const at = (event) => {
    const { left, top, width, height } = canvas.getBoundingClientRect();
    const unit = (part) => Math.round(Math.min(Math.max(part, 0), 1) * UNITS);
    return [unit((event.clientX - left) / width), unit((event.clientY - top) / height)];
  };
  const go = (point) => {
    const [x, y] = hand[hand.length - 1];
    if (Math.abs(x - point[0]) + Math.abs(y - point[1]) < 2) return;
    hand.push(point);
    tell();
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (!event.isPrimary || event.button) return; // a palm, a second finger, a menu
    canvas.setPointerCapture(event.pointerId);
    down = false;
    strokes.push((hand = [at(event)]));
    tell();
  });
  canvas.addEventListener("pointermove", (event) => event.isPrimary && hand && go(at(event)));
  for (const end of ["pointerup", "pointercancel"])
    canvas.addEventListener(end, (event) => event.isPrimary && (hand = null));
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  canvas.addEventListener("keydown", (event) => {
    const { key } = event;
    if (key in moves) {
      const pace = event.shiftKey ? 1 : REACH;
      pen = pen.map((value, i) => Math.min(Math.max(value + pace * moves[key][i], 0), UNITS));
      if (down) strokes[strokes.length - 1].push([...pen]);
    } else if (key === " ") {
      down = !down;
      if (down) strokes.push([[...pen]]);
      told.textContent = down ? "pen down" : "pen up";
    } else if (key === "Backspace") {
      undo();
    } else return;
    event.preventDefault();
    event.stopPropagation();
    if (down) tell();
    else paint();
  });
  canvas.addEventListener("focus", paint);
  canvas.addEventListener("blur", () => {
    down = false; // the pen is lifted, so that what is chosen elsewhere is shown
    told.textContent = "";
    paint();
  });
  const undo = () => {
    down = false;
    strokes.pop();
    tell();
  };
  const put = (text) => {
    down = false;
    strokes = strokesOf(text);
    tell();
  };
  const button = (text, title, onclick) => make("button", { type: "button", title, "aria-label": title, onclick }, text);
  const ready = spec.ready.map(([name, text]) => button(name, `Draw a ${name}`, () => put(text)));
  const tools = make("div", { class: "wb-tools" }, button("Clear", "Clear the drawing", () => put("")));
  tools.append(button("Undo line", "Take the last line back", undo), told);
  const show = (value) => {
    if (!hand && !down) strokes = strokesOf(value);
    requestAnimationFrame(paint); // when it is on the page its colour is known
  };
  return { body: [label, canvas, tools, make("div", { class: "wb-tools" }, ...ready)], show };
}

function line(spec, about, turn, label) {
  const input = make("textarea", { ...about, rows: 3, maxlength: spec.most, spellcheck: "false", class: "wb-line-of-text" });
  input.addEventListener("input", () => turn(spec.name, input.value.replaceAll("\n", " ")));
  return { body: [label, input], show: (value) => document.activeElement !== input && (input.value = value) };
}
