// The pad: a pen for mouse, touch and keyboard.

function drawPad() {
  const { pen, wide } = sheet(element("pad"));
  pen.lineCap = pen.lineJoin = "round";
  pen.lineWidth = wide * 0.075;
  pen.strokeStyle = colour("ink");
  for (const stroke of view.strokes ?? []) {
    pen.beginPath();
    for (const [a, b] of [stroke[0], ...stroke]) pen.lineTo(a * wide, b * wide);
    pen.stroke();
  }
  if (keyed) {
    pen.fillStyle = colour("mark");
    pen.beginPath();
    pen.arc(cursor[0] * wide, cursor[1] * wide, penDown ? 6 : 4, 0, 7);
    pen.fill();
  }
}

const soon = onceAFrame(() => {
  drawPad();
  ask();
});

function begin(point) {
  if (view.digit !== null) view.strokes = [];
  stop();
  Object.assign(view, { digit: null, step: 0 });
  view.strokes = [...(view.strokes ?? []), [point]];
  soon();
}

function extend(point) {
  view.strokes.at(-1).push(point);
  soon();
}

function pad() {
  const canvas = element("pad");
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top].map((v) => Math.max(0, Math.min(1, v / box.width)));
  };
  let drawing = false;
  canvas.addEventListener("pointerdown", (event) => {
    if (!event.isPrimary || event.button) return; // a palm, a second finger, a menu
    canvas.setPointerCapture(event.pointerId);
    drawing = true;
    keyed = penDown = false;
    begin(place(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (drawing && event.isPrimary) for (const one of event.getCoalescedEvents?.() ?? [event]) extend(place(one));
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (event) => event.isPrimary && (drawing = false));
  canvas.addEventListener("keydown", (event) => {
    const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [];
    if (dx !== undefined) {
      keyed = true;
      cursor = [cursor[0] + dx / 28, cursor[1] + dy / 28].map((v) => Math.max(0, Math.min(1, v)));
      if (penDown) extend(cursor);
    } else if (event.key === " ") {
      keyed = true;
      penDown = !penDown;
      if (penDown) begin(cursor);
    } else if (event.key === "Delete" || event.key === "Backspace") wipe();
    else return;
    event.preventDefault();
    drawPad();
  });
  canvas.addEventListener("blur", () => (penDown = false));
}

function wipe() {
  stop();
  penDown = false;
  Object.assign(view, { strokes: [], digit: null, step: 0 });
  soon();
}
