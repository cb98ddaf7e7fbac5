// The pad, on which a reader draws.

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
  if (hand.keyed) {
    pen.fillStyle = colour("mark");
    pen.beginPath();
    pen.arc(...hand.at.map((part) => part * wide), hand.down ? 6 : 4, 0, 7);
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

function wipe() {
  stop();
  Object.assign(view, { strokes: [], digit: null, step: 0 });
  soon();
}

const hand = penOn(element("pad"), [0.5, 0.5], { begin, extend, back: wipe, draw: drawPad });
