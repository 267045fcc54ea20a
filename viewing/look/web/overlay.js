/* Tokens and surprise, drawn over a frame: a grid of buttons, one for each token. */
"use strict";

/* From dark to bright in equal steps of lightness, so that it reads in grey: stops of matplotlib's “inferno” (CC0). */
const HEAT = [[0, 0, 4], [66, 10, 104], [147, 38, 103], [221, 81, 58], [252, 165, 10], [252, 255, 164]];
/* Pixels that a digit of a code takes, and those of the stage on a screen. */
const DIGIT = 5.2, STAGE = 480;
const HEAT_OPACITY = 0.65, CODE_OPACITY = 0.62;

class Overlay {
  constructor(root, choose) {
    this.root = root;
    this.choose = choose;
    this.buttons = [];
    this.active = 0;
    this.selected = null;
    root.addEventListener("keydown", event => this.press(event));
    root.addEventListener("click", event => {
      const place = this.buttons.indexOf(event.target.closest("button"));
      if (place >= 0) this.pick(place);
    });
  }

  /* Show the tokens of one latent frame, `mode` being codes, colours or surprise. */
  show(tokens, surprise, latent, mode) {
    const [, h, w] = data.tokens.grid;
    this.start = latent * h * w;
    this.tokens = tokens;
    if (!this.buttons.length) this.build(h, w);
    const small = this.root.clientWidth / w < 44;
    this.root.classList.toggle("small", small);
    this.root.classList.toggle("fine", !written(this.root.clientWidth / w));
    for (const [place, button] of this.buttons.entries()) this.dress(button, place, surprise?.[this.start + place], mode, small);
  }

  dress(button, place, bits, mode, small) {
    const position = this.start + place, code = this.tokens[position];
    const row = Math.floor(place / this.columns) + 1, column = place % this.columns + 1;
    const said = `row ${row}, column ${column}: code ${code}${bits === undefined ? "" : `, ${bits.toFixed(1)} bits`}`;
    button.setAttribute("aria-label", said);
    button.title = said;
    button.textContent = textOf(mode, code, bits, small);
    button.style.background = background(mode, code, bits);
    button.classList.toggle("dark", mode === "surprise" && bits > 0.6 * data.surprise.most_bits);
    button.setAttribute("aria-pressed", position === this.selected);
  }

  build(h, w) {
    this.root.style.gridTemplate = `repeat(${h}, 1fr) / repeat(${w}, 1fr)`;
    this.columns = w;
    this.buttons = Array.from({length: h * w}, (_, place) =>
      make("button", {type: "button", tabindex: place === this.active ? 0 : -1}));
    this.root.append(...this.buttons);
  }

  pick(place) {
    this.move(place);
    this.selected = this.start + place;
    this.buttons.forEach((button, each) => button.setAttribute("aria-pressed", each === place));
    this.choose(this.selected, this.tokens[this.selected]);
  }

  move(place) {
    this.buttons[this.active].tabIndex = -1;
    this.active = place;
    this.buttons[place].tabIndex = 0;
  }

  press(event) {
    const moves = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns, ArrowDown: this.columns};
    if (!(event.key in moves)) return;
    event.preventDefault();
    event.stopPropagation();
    const place = this.active + moves[event.key];
    if (place < 0 || place >= this.buttons.length) return;
    this.move(place);
    this.buttons[place].focus();
  }
}

/* Whether the codes can be written on tokens of so many pixels. */
function written(pixels) {
  return pixels >= DIGIT * String(data.tokens.vocabulary - 1).length;
}

/* What stands on a token; where there are many, colours alone show surprise. */
function textOf(mode, code, bits, small) {
  if (mode === "codes") return String(code);
  return mode === "surprise" && !small ? bits.toFixed(1) : "";
}

function background(mode, code, bits) {
  if (mode === "surprise") return heat(bits / data.surprise.most_bits, HEAT_OPACITY);
  /* Neighbours among the codes get colours that are far apart, in lightness too. */
  if (mode === "colours") return `hsl(${(code * 137.508) % 360} 75% ${30 + (code * 29) % 50}% / ${CODE_OPACITY})`;
  return "rgb(0 0 0 / .35)";  // white digits are read on white frames too
}

function heat(level, opacity) {
  const place = Math.min(1, Math.max(0, level)) * (HEAT.length - 1);
  const below = Math.min(HEAT.length - 2, Math.floor(place)), part = place - below;
  const mixed = HEAT[below].map((each, index) => Math.round(each + (HEAT[below + 1][index] - each) * part));
  return `rgb(${mixed.join(" ")} / ${opacity})`;
}

/* What the colours of surprise mean. */
function heatLegend() {
  const {most_bits: most} = data.surprise;
  const bar = make("span", {class: "bar"});
  bar.style.background = `linear-gradient(to right, ${HEAT.map(each => `rgb(${each.join(" ")})`).join(", ")})`;
  return make("p", {class: "legend"}, "surprise ", make("span", {}, "0"), bar, make("span", {}, `${most.toFixed(1)} bits or more`));
}

/* Other places of a code: thumbnails with the token outlined, which open their item. */
function showCode(root, code, open) {
  if (!data.codes) {
    root.replaceChildren(make("h3", {}, `Code ${code}`));
    return;
  }
  const total = data.codes.counts.reduce((sum, each) => sum + each, 0), number = data.codes.counts[code];
  const places = data.codes.places[code];
  const which = places.length < number ? `Here are ${places.length} of them.` : "";
  root.replaceChildren(
    make("h3", {}, `Code ${code}`),
    make("p", {}, `Occurs ${number === 1 ? "once" : `${grouped(number)} times`} on this page, `
      + `${(100 * number / total).toPrecision(2)} % of all tokens. ${which}`),
    make("div", {class: "places"}, ...places.map(([item, position]) => occurrence(item, position, open))),
  );
}

function occurrence(item, position, open) {
  const [, h, w] = data.tokens.grid, latent = Math.floor(position / (h * w)), place = position % (h * w);
  const frame = frameOf(item, latent), row = Math.floor(place / w), column = place % w;
  const outline = make("span", {class: "outline"});
  Object.assign(outline.style, {
    left: `${100 * column / w}%`, top: `${100 * row / h}%`, width: `${100 / w}%`, height: `${100 / h}%`,
  });
  const said = `${shownNames[item]}, ${isFilm(item) ? `frame ${frame + 1}, ` : ""}row ${row + 1}, column ${column + 1}`;
  const button = make("button", {type: "button", class: "picture", title: said, "aria-label": said, onclick: () => open(item, frame, position)}, outline);
  showPicture(button, item, frame);
  return button;
}
