// Linked views: what the pointer is on, a step or a neuron, is marked in every figure of the explorer.
// A trace says where it holds them in its `meta`, see Picture.linked.

function pointed(point) {
  const found = {};
  for (const [what, where] of Object.entries(point.data.meta?.link ?? {})) {
    if (where === "x" || where === "y") found[what] = point[where];
    else if (where === "customdata") found[what] = point.customdata;
    else if (typeof where === "number") found[what] = where - point.x;
    else if (what === "step") found[what] = where[point.pointNumber[0] * point.data.z.length + point.pointNumber[1]];
  }
  return found;
}

// The places of a value in a trace, in units of its axes: {x}, {y}, {x, y} or {x, y, wide}.
function places(trace, where, value) {
  if (where === "x") return [{ x: value }];
  if (where === "y") return [{ y: value }];
  if (typeof where === "number") return [{ x: where - value }];
  if (where === "customdata") {
    const at = Array.from(trace.customdata).indexOf(value);
    return at < 0 ? [] : [{ x: trace.x[at], y: trace.y[at] }];
  }
  const side = trace.z.length;
  const at = where.indexOf(value);
  return at < 0 ? [] : [{ x: (at % side) + 1, y: Math.floor(at / side) + 1, wide: true }];
}

function box(plot, trace, place) {
  const axis = (letter) => {
    const name = trace[`${letter}axis`] ?? letter;
    return plot._fullLayout[`${letter}axis${name.slice(1)}`];
  };
  const [across, down] = [axis("x"), axis("y")];
  const left = (value) => across._offset + across.d2p(value);
  const top = (value) => down._offset + down.d2p(value);
  const inside = (at, of) => at >= of._offset - 1 && at <= of._offset + of._length + 1;
  if (place.x != null && !inside(left(place.x), across)) return null;
  if (place.y != null && !inside(top(place.y), down)) return null;
  if (place.y == null) return { left: left(place.x) - 1, top: down._offset, width: 2, height: down._length };
  if (place.x == null) return { left: across._offset, top: top(place.y) - 1, width: across._length, height: 2 };
  const [wide, high] = place.wide
    ? [Math.abs(left(place.x + 1) - left(place.x)), Math.abs(top(place.y + 1) - top(place.y))]
    : [18, 18];
  return { left: left(place.x) - wide / 2, top: top(place.y) - high / 2, width: wide, height: high };
}

function mark(plot, layer, found) {
  layer.replaceChildren();
  const seen = new Set();
  for (const trace of plot._fullData ?? []) {
    const { link, depends } = trace.meta ?? {};
    for (const [what, where] of Object.entries(link ?? {})) {
      if (found[what] == null || trace.visible !== true) continue;
      for (const place of places(trace, where, found[what])) {
        const at = box(plot, trace, place);
        const key = JSON.stringify(at);
        if (!at || seen.has(key)) continue;
        seen.add(key);
        const style = Object.entries(at).map(([name, value]) => `${name}: ${value}px`);
        const kind = place.x == null || place.y == null ? "wb-mark wb-line" : place.wide ? "wb-mark" : "wb-mark wb-round";
        layer.append(make("div", { class: kind, style: style.join("; "), "data-what": what, "data-value": found[what] }));
      }
    }
    if (depends && found.step != null) light(plot, trace, layer, depends[found.step - 1] ?? []);
  }
}

// What the step in hand depends on: the parts of the steps before it, as colour over a trace along them.
function light(plot, trace, layer, parts) {
  const most = Math.max(...parts.map(Math.abs), 1e-9);
  parts.forEach((part, i) => {
    const at = box(plot, trace, { x: i + 1, y: 0 });
    if (!at) return;
    const [from, to] = [box(plot, trace, { x: i + 0.5 }), box(plot, trace, { x: i + 1.5 })];
    const left = from ? from.left + 1 : at.left;
    const width = from && to ? to.left - from.left : 18;
    const { top, height } = box(plot, trace, { x: i + 1 });
    const colour = part > 0 ? "0, 114, 178" : "179, 88, 6";
    const style = `left: ${left}px; top: ${top}px; width: ${width}px; height: ${height}px; background: rgba(${colour}, ${(0.75 * Math.abs(part)) / most})`;
    layer.append(make("div", { class: "wb-light", style, "data-step": i + 1, "data-part": part.toPrecision(3) }));
  });
}
