/* The curve of a training: a click says what it was trained on just before. */
"use strict";

/* Steps of which is shown what they were trained on, at least; the most items of one of them, and of all, about. */
const STEPS_BEFORE = 5, MOST_ITEMS = 64, FEWEST_ITEMS = 8, MOST_SHOWN = 1024;

class TrainingView {
  constructor(root, open) {
    this.open = open;
    this.chart = root.querySelector("#curve");
    this.slider = root.querySelector("#step");
    this.at = root.querySelector("#step-at");
    this.before = root.querySelector("#before");
    this.steps = data.training.curve.map(point => point[0]);
    this.losses = new Map(data.training.curve);
    this.slider.max = this.steps.length - 1;
    this.slider.addEventListener("input", () => this.choose(Number(this.slider.value)));
    root.querySelector("#jumps").append(...this.jumpButtons());
    new ResizeObserver(() => this.draw()).observe(this.chart);
    this.chart.addEventListener("click", event => this.click(event));
    this.choose(this.nearest(data.training.jumps[0] ?? this.steps.at(-1)));
  }

  jumpButtons() {
    if (!data.training.jumps.length) return [make("span", {}, "The loss did not jump.")];
    const attributes = step => ({type: "button", onclick: () => this.choose(this.nearest(step))});
    return data.training.jumps.map(step => make("button", attributes(step), `Jump at step ${grouped(step)}`));
  }

  draw() {
    const width = Math.min(900, this.chart.clientWidth);
    if (!width || width === this.width) return;
    this.width = width;
    const {curve, validation, unit, jumps} = data.training;
    const said = `Loss of training over steps ${grouped(this.steps[0])} to ${grouped(this.steps.at(-1))}, ${unit}, from `
      + `${curve[0][1].toPrecision(3)} to ${curve.at(-1)[1].toPrecision(3)}; ${counted(jumps.length, "jump")}.`;
    this.drawn = drawChart({
      lines: [{points: curve, kind: "first"}, {points: validation, kind: "second"}].filter(line => line.points.length),
      marks: jumps, labels: ["step", unit], alt: said, width, height: 280,
    });
    this.cursor = makeSvg("line", {class: "cursor", y1: MARGIN.top, y2: 280 - MARGIN.bottom});
    this.drawn.svg.append(this.cursor);
    this.chart.replaceChildren(this.drawn.svg);
    this.point();
  }

  click(event) {
    if (!this.drawn) return;
    const box = this.drawn.svg.getBoundingClientRect();
    this.choose(this.nearest(this.drawn.value((event.clientX - box.left) * this.width / box.width)));
  }

  /* The index of the step on the curve that is nearest. */
  nearest(step) {
    let best = 0;
    this.steps.forEach((each, index) => {
      if (Math.abs(each - step) < Math.abs(this.steps[best] - step)) best = index;
    });
    return best;
  }

  choose(index) {
    const step = this.steps[index];
    this.step = step;
    this.slider.value = index;
    const said = `step ${grouped(step)}, loss ${this.losses.get(step).toPrecision(4)} ${data.training.unit}`;
    this.at.textContent = said;
    this.slider.setAttribute("aria-valuetext", said);
    this.point();
    const batches = this.batchesBefore(index);
    const most = Math.min(MOST_ITEMS, Math.max(FEWEST_ITEMS, Math.floor(MOST_SHOWN / batches.length)));
    this.before.replaceChildren(...batches.map(batch => this.showBatch(batch, most)));
    if (!batches.length) this.before.append(make("p", {}, "What it was trained on before this step is not known."));
  }

  /* Of the steps since the point before, or of the last ones where these are fewer; newest first. */
  batchesBefore(index) {
    const until = data.training.batches.filter(([step]) => step <= this.steps[index]);
    const since = until.filter(([step]) => index > 0 && step > this.steps[index - 1]);
    return (since.length > STEPS_BEFORE ? since : until.slice(-STEPS_BEFORE)).reverse();
  }

  point() {
    if (!this.drawn) return;
    for (const end of ["x1", "x2"]) this.cursor.setAttribute(end, this.drawn.place(this.step));
  }

  showBatch([step, items, elsewhere], most) {
    const level = item => bits?.values[item] ?? -Infinity;
    const ordered = [...new Set(items)].sort((a, b) => level(b) - level(a) || a - b);
    const order = bits && items.length > 1 ? ", most surprising first" : "";
    const said = [
      items.length ? `${counted(items.length, "item")} of this page${order}` : "",
      elsewhere ? `${grouped(elsewhere)} elsewhere, not on this page` : "",
      ordered.length > MOST_ITEMS ? `the first ${MOST_ITEMS} are shown` : "",
    ].filter(Boolean).join("; ");
    return make("section", {}, make("h3", {}, `Step ${grouped(step)}`), make("p", {class: "faint"}, said || "nothing"),
      cellList(ordered.slice(0, MOST_ITEMS), bits, item => this.open(item, ordered)));
  }
}

/* Thumbnails of a few items, side by side. */
function cellList(items, number, open) {
  return make("div", {class: "cells", role: "list"}, ...items.map(item => {
    const cell = new Cell(open);
    cell.root.setAttribute("role", "listitem");
    cell.fill(item, number);
    cell.root.cell = cell;
    return cell.root;
  }));
}
