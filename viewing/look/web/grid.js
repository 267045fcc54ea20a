/* A list of as many thumbnails as there are: only those in sight are in the document. */
"use strict";

const GAP = 8, CAPTION = 44, AHEAD = 4;
/* Cells that are printed: paper has no end, but readers have. */
const PRINTED = 120;

class Grid {
  constructor(root, open) {
    this.root = root;
    this.open = open;
    this.items = [];
    this.number = null;
    this.active = 0;
    this.cells = new Map();  // by place in the list
    this.spare = [];
    this.asked = false;
    this.printing = false;
    const soon = () => this.soon();
    addEventListener("scroll", soon, {passive: true});
    new ResizeObserver(() => this.layout()).observe(root);
    root.addEventListener("keydown", event => this.press(event));
    root.addEventListener("focusin", event => this.follow(event));
  }

  /* Show items, each with a number of it if one is given. The item that was reached with the keyboard stays, or what
     comes in its place. */
  show(items, number) {
    const place = items.indexOf(this.items[this.active]), reached = this.root.contains(document.activeElement);
    this.items = items;
    this.number = number;
    this.active = place >= 0 ? place : Math.max(0, Math.min(this.active, items.length - 1));
    for (const each of [...this.cells.keys()]) this.drop(each);
    this.layout();
    if (reached) this.reach(this.active);
  }

  layout() {
    const width = this.root.clientWidth;
    if (!width) return;
    const least = Number(document.getElementById("size").value);
    this.columns = Math.max(1, Math.floor((width + GAP) / (least + GAP)));
    this.side = Math.floor((width - GAP * (this.columns - 1)) / this.columns);
    this.height = this.side + CAPTION + GAP;
    this.root.style.setProperty("--side", `${this.side}px`);
    this.root.style.height = `${Math.ceil(this.items.length / this.columns) * this.height}px`;
    for (const [place, cell] of this.cells) this.put(cell, place);
    this.update();
  }

  soon() {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => {
      this.asked = false;
      this.update();
    });
  }

  /* Make what has come into sight, from what has left it. */
  update() {
    if (!this.columns || !this.root.clientWidth) return;
    const [first, last] = this.inSight();
    for (const place of [...this.cells.keys()]) {
      if ((place < first || place >= last) && place !== this.active) this.drop(place);
    }
    for (let place = first; place < last; place += 1) this.need(place);
    if (this.items.length) this.need(this.active);
  }

  inSight() {
    if (this.printing) return [0, Math.min(PRINTED, this.items.length)];
    const top = -this.root.getBoundingClientRect().top;
    const first = Math.floor(top / this.height) - AHEAD;
    const last = Math.ceil((top + innerHeight) / this.height) + AHEAD;
    const within = row => Math.min(this.items.length, Math.max(0, row * this.columns));
    return [within(first), within(last)];
  }

  need(place) {
    if (this.cells.has(place)) return;
    const cell = this.spare.pop() ?? this.begin();
    cell.fill(this.items[place], this.number);
    this.put(cell, place);
    cell.root.setAttribute("aria-setsize", this.items.length);
    cell.root.setAttribute("aria-posinset", place + 1);
    cell.picture.tabIndex = place === this.active ? 0 : -1;
    cell.root.hidden = false;
    this.cells.set(place, cell);
  }

  begin() {
    const cell = new Cell(this.open);
    cell.root.setAttribute("role", "listitem");
    this.root.append(cell.root);
    return cell;
  }

  put(cell, place) {
    const row = Math.floor(place / this.columns), column = place % this.columns;
    cell.root.style.order = place;  // on paper, where they flow
    cell.root.style.transform = `translate(${column * (this.side + GAP)}px, ${row * this.height}px)`;
  }

  drop(place) {
    const cell = this.cells.get(place);
    cell.rest();
    cell.root.hidden = true;
    this.cells.delete(place);
    this.spare.push(cell);
  }

  /* Bring a place of the list into sight and under the keyboard. */
  reach(place) {
    if (!this.items.length) return;
    const before = this.cells.get(this.active);
    if (before) before.picture.tabIndex = -1;
    this.active = Math.min(this.items.length - 1, Math.max(0, place));
    this.need(this.active);
    const {picture} = this.cells.get(this.active);
    picture.tabIndex = 0;
    picture.focus({preventScroll: true});
    picture.scrollIntoView({block: "nearest"});
    this.update();
  }

  reachItem(item) {
    const place = this.items.indexOf(item);
    if (place >= 0) this.reach(place);
  }

  press(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const page = this.columns * Math.max(1, Math.floor((innerHeight - CAPTION) / this.height));
    const moves = {
      ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns, ArrowDown: this.columns,
      PageUp: -page, PageDown: page, Home: -Infinity, End: Infinity,
    };
    if (!(event.key in moves)) return;
    event.preventDefault();
    this.reach(this.active + moves[event.key]);
  }

  /* The keyboard is where the pointer has clicked. */
  follow(event) {
    for (const [place, cell] of this.cells) {
      cell.picture.tabIndex = cell.picture === event.target ? 0 : -1;
      if (cell.picture === event.target) this.active = place;
    }
  }

  retag() {
    for (const cell of this.cells.values()) cell.retag();
  }

  print(printing) {
    this.printing = printing;
    this.update();
  }
}
