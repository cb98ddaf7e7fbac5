// From a pen's strokes to the pixels that a net reads. A stroke is a list of points [x, y] in a square of side 1.

const PEN = { 28: 1.2, 8: 2.4 }; // radius of the pen, in pixels of the 28 and of the 32 that become 8

// Twenty of the 28 pixels are the digit's, and its middle of mass stands in the middle, as MNIST's are (LeCun et al.
// 1998); of the 8 x 8 digits each pixel counts the ink in 4 x 4 of 32 x 32 that the digit fills (Alpaydin and Kaynak
// 1998).
function pixelsOf(strokes, side, levels) {
  const grid = side === 8 ? 32 : side,
    room = side === 8 ? 32 : 20,
    pen = PEN[side];
  const points = strokes.flat();
  if (!points.length) return new Float32Array(side * side).fill(-1);
  const [xs, ys] = [0, 1].map((axis) => points.map((point) => point[axis]));
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const scale = (room - 2 * pen) / Math.max(right - left, bottom - top, 0.15);
  const place = (dx, dy) =>
    strokes.map((stroke) =>
      stroke.map(([x, y]) => [
        (x - (left + right) / 2) * scale + grid / 2 + dx,
        (y - (top + bottom) / 2) * scale + grid / 2 + dy,
      ]),
    );
  let ink = inked(place(0, 0), grid, pen);
  if (side === 28) {
    let [sum, x, y] = [0, 0, 0];
    ink.forEach((v, i) => {
      sum += v;
      x += v * ((i % grid) + 0.5);
      y += v * (Math.floor(i / grid) + 0.5);
    });
    ink = inked(place(grid / 2 - x / sum, grid / 2 - y / sum), grid, pen);
    return ink.map((v) => (2 * Math.round(255 * v)) / levels - 1);
  }
  const counts = new Float32Array(side * side);
  ink.forEach((v, i) => {
    counts[Math.floor(i / grid / 4) * side + Math.floor((i % grid) / 4)] += v >= 0.5 ? 1 : 0;
  });
  return counts.map((n) => (2 * n) / levels - 1);
}

// How much of each pixel a round pen covers: 1 inside, falling to 0 over the width of a pixel
function inked(strokes, grid, pen) {
  const ink = new Float32Array(grid * grid);
  for (const stroke of strokes)
    for (let k = 0; k < stroke.length; k++) {
      const [ax, ay] = stroke[Math.max(k - 1, 0)],
        [bx, by] = stroke[k];
      const reach = pen + 1,
        dx = bx - ax,
        dy = by - ay,
        square = dx * dx + dy * dy;
      const [x0, x1] = [Math.min(ax, bx) - reach, Math.max(ax, bx) + reach];
      const [y0, y1] = [Math.min(ay, by) - reach, Math.max(ay, by) + reach];
      for (let y = Math.max(0, Math.floor(y0)); y < Math.min(grid, y1); y++)
        for (let x = Math.max(0, Math.floor(x0)); x < Math.min(grid, x1); x++) {
          const [px, py] = [x + 0.5 - ax, y + 0.5 - ay];
          const along = square ? Math.max(0, Math.min(1, (px * dx + py * dy) / square)) : 0;
          const covered = pen + 0.5 - Math.hypot(px - along * dx, py - along * dy);
          const at = y * grid + x;
          ink[at] = Math.max(ink[at], Math.min(1, Math.max(0, covered)));
        }
    }
  return ink;
}

// A smooth line through points, by Catmull and Rom; a point that stands twice is a corner.
function smooth(points, parts = 6) {
  const line = [points[0]];
  for (let i = 0; i + 1 < points.length; i++) {
    const [a, b, c, d] = [points[i - 1] ?? points[i], points[i], points[i + 1], points[i + 2] ?? points[i + 1]];
    for (let k = 1; k <= parts; k++) {
      const t = k / parts;
      line.push(
        [0, 1].map(
          (n) =>
            0.5 *
            (2 * b[n] +
              (c[n] - a[n]) * t +
              (2 * a[n] - 5 * b[n] + 4 * c[n] - d[n]) * t * t +
              (3 * (b[n] - c[n]) + d[n] - a[n]) * t * t * t),
        ),
      );
    }
  }
  return line;
}

// Ten digits by our own hand, in percent of the square
const DRAWN = [
  "52,16 38,22 32,42 34,66 46,83 60,78 68,58 66,34 56,18 50,16",
  "52,16 51,40 49,62 48,84",
  "33,32 40,19 54,16 66,24 65,40 52,58 33,81 33,81 50,80 70,82",
  "33,22 48,15 64,22 63,38 48,47 48,47 64,54 68,70 54,84 32,79",
  "40,16 36,36 32,54 32,54 50,54 72,53|62,30 60,56 57,86",
  "68,17 40,17 40,17 36,46 36,46 54,43 68,56 64,76 48,84 31,79",
  "60,15 46,30 36,52 36,72 48,84 63,78 65,62 53,53 38,62",
  "29,19 50,19 71,18 71,18 60,42 48,86",
  "63,24 52,15 38,22 42,40 60,54 66,70 52,85 36,76 40,58 60,40 65,28 60,18 52,15",
  "65,30 54,17 38,24 36,42 50,50 64,38 65,28 65,28 62,56 57,85",
];

const drawnDigit = (digit) =>
  DRAWN[digit]
    .split("|")
    .map((stroke) => smooth(stroke.split(" ").map((point) => point.split(",").map((v) => v / 100))));

// Strokes as a short text for the address, and back; two letters a coordinate would be too exact for a hand
const CODE = 35;
const writtenStrokes = (strokes) =>
  strokes
    .map((stroke) =>
      thinned(stroke)
        .flat()
        .map((v) => Math.round(v * CODE).toString(36))
        .join(""),
    )
    .join("-");

function readStrokes(text) {
  if (!/^([0-9a-z]{2})+(-([0-9a-z]{2})+)*$/.test(text) || text.length > 1000) return [];
  return text.split("-").map((stroke) =>
    smooth(
      stroke.match(/../g).map((two) => [...two].map((v) => parseInt(v, 36) / CODE)),
      3,
    ),
  );
}

function thinned(stroke) {
  const left = [stroke[0]];
  for (const point of stroke)
    if (Math.hypot(point[0] - left.at(-1)[0], point[1] - left.at(-1)[1]) > 0.05) left.push(point);
  return left.length > 1 || stroke.length < 2 ? left : [stroke[0], stroke.at(-1)];
}
