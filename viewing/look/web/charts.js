/* Line charts as SVG: every line has its own dashes, so that they stay apart in grey. */
"use strict";

const MARGIN = {left: 56, right: 12, top: 12, bottom: 40};

/* A chart of lines.

  `lines` are {name, points: [[x, y], ...], kind}, `kind` a class; `marks` are values of x with a vertical line.
  The chart's `place(x)` gives the pixel of a value of x, and `value(pixel)` the value at a pixel. */
function drawChart({lines, marks = [], labels, alt, width, height}) {
  const points = lines.flatMap(line => line.points);
  const x = axis(points.map(point => point[0]), MARGIN.left, width - MARGIN.right);
  const y = axis(points.map(point => point[1]), height - MARGIN.bottom, MARGIN.top);
  const svg = makeSvg("svg", {viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": alt, class: "chart"});
  svg.append(...ticks(y, 4).flatMap(value => [
    makeSvg("line", {class: "rule", x1: MARGIN.left, x2: width - MARGIN.right, y1: y.place(value), y2: y.place(value)}),
    makeSvg("text", {x: MARGIN.left - 6, y: y.place(value) + 4, "text-anchor": "end"}, tidy(value)),
  ]));
  svg.append(...ticks(x, Math.max(2, Math.floor(width / 110))).map(value =>
    makeSvg("text", {x: x.place(value), y: height - MARGIN.bottom + 16, "text-anchor": "middle"}, tidy(value))));
  svg.append(
    makeSvg("text", {x: (MARGIN.left + width - MARGIN.right) / 2, y: height - 6, "text-anchor": "middle"}, labels[0]),
    makeSvg("text", {x: 12, y: (height - MARGIN.bottom) / 2, "text-anchor": "middle", transform: `rotate(-90 12 ${(height - MARGIN.bottom) / 2})`}, labels[1]),
    ...marks.map(value => makeSvg("line", {class: "mark", x1: x.place(value), x2: x.place(value), y1: MARGIN.top, y2: height - MARGIN.bottom})),
    ...lines.flatMap(line => drawLine(line, x, y)),
  );
  return {svg, place: x.place, value: x.value};
}

function drawLine({points, kind}, x, y) {
  const path = points.map(([a, b]) => `${x.place(a).toFixed(1)},${y.place(b).toFixed(1)}`).join(" ");
  const dots = points.length > 40 ? [] : points.map(([a, b]) =>
    makeSvg("circle", {class: kind, cx: x.place(a), cy: y.place(b), r: 3}));
  return [makeSvg("polyline", {class: kind, points: path, fill: "none"}), ...dots];
}

/* From values to pixels and back. */
function axis(values, from, to) {
  let least = Infinity, most = -Infinity;
  for (const value of values) {
    least = Math.min(least, value);
    most = Math.max(most, value);
  }
  if (!(most > least)) {
    least -= 0.5;
    most += 0.5;
  }
  return {
    least,
    most,
    place: value => from + (to - from) * (value - least) / (most - least),
    value: pixel => least + (most - least) * (pixel - from) / (to - from),
  };
}

/* Round values along an axis, about `count` of them. */
function ticks({least, most}, count) {
  const rough = (most - least) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(each => each * power).find(each => each >= rough);
  const found = [];
  for (let number = Math.ceil(least / step); number * step <= most; number += 1) found.push(number * step);
  return found;
}

function tidy(value) {
  return Math.abs(value) >= 1000 ? grouped(Math.round(value)) : String(Number(value.toPrecision(4)));
}
