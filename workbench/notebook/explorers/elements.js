// What explorers and the playground make their pages of: elements, and a pen.

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  if (/^(input|select|button|textarea)$/.test(tag)) node.dataset.lmSuppressShortcuts = "true"; // else JupyterLab takes its keys
  node.append(...children);
  return node;
}

const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const PACE_OF_KEYS = 0.04; // that an arrow key moves the pen, of the canvas; a quarter of it with Shift

// A pen on a canvas, for mouse, finger and arrow keys, that begins `at` a point [x, y], each from 0 to 1. `begin` a stroke
// and `extend` it are given points, `back` takes one back, `draw` shows the pen, `tell` is told of it in words.
function penOn(canvas, at, { begin, extend, back, draw, tell = () => {} }) {
  const pen = { at, down: false, drawing: false, keyed: false }; // down: by the keyboard; drawing: by a pointer
  const inside = (point) => point.map((part) => Math.min(Math.max(part, 0), 1));
  const place = (event) => {
    const { left, top, width, height } = canvas.getBoundingClientRect();
    return inside([(event.clientX - left) / width, (event.clientY - top) / height]);
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (!event.isPrimary || event.button) return; // a palm, a second finger, a menu
    canvas.setPointerCapture(event.pointerId);
    Object.assign(pen, { down: false, drawing: true, keyed: false });
    begin(place(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!event.isPrimary || !pen.drawing) return;
    for (const one of event.getCoalescedEvents?.() ?? [event]) extend(place(one));
  });
  for (const end of ["pointerup", "pointercancel"])
    canvas.addEventListener(end, (event) => event.isPrimary && (pen.drawing = false));
  canvas.addEventListener("keydown", (event) => {
    const { key } = event;
    if (key in MOVES) {
      const pace = event.shiftKey ? PACE_OF_KEYS / 4 : PACE_OF_KEYS;
      pen.at = inside(pen.at.map((part, i) => part + pace * MOVES[key][i]));
      if (pen.down) extend(pen.at);
    } else if (key === " ") {
      pen.down = !pen.down;
      tell(pen.down ? "pen down" : "pen up");
      if (pen.down) begin(pen.at);
    } else if (key === "Backspace" || key === "Delete") {
      Object.assign(pen, { down: false, drawing: false });
      back();
    } else return;
    pen.keyed = true;
    event.preventDefault();
    event.stopPropagation();
    draw();
  });
  canvas.addEventListener("blur", () => {
    pen.down = false; // it is lifted, so that what is chosen elsewhere is shown
    tell("");
    draw();
  });
  return pen;
}
