// A stroke is a list of points [x, y] in a square of side 1.

// What a net reads of strokes, each pixel from -1 to 1
const pixelsOf = (strokes, frame) => {
  const large = strokes.map((stroke) => stroke.map((point) => point.map((v) => 100 * v)));
  return Float32Array.from(imageOf(large, frame, true), (ink) => 2 * ink - 1);
};

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
