/* Thumbnails: a picture that opens its item, and plays it if it is a film, with a line or two below. */
"use strict";

/* Characters at the end of a name that are always seen: numbers and kinds of files stand there. */
const ENDING = 10;

let playing = null;

class Cell {
  constructor(open) {
    this.item = null;
    this.touched = false;
    this.picture = make("button", {type: "button", class: "picture"});
    this.progress = make("span", {class: "progress"});
    this.name = make("span", {class: "name"});
    this.line = make("span", {class: "line"});
    this.picture.append(this.progress);
    this.root = make("div", {class: "cell"}, this.picture, make("div", {class: "caption"}, this.name, this.line));
    this.listen(open);
  }

  listen(open) {
    this.picture.addEventListener("pointerdown", event => { this.touched = event.pointerType === "touch"; });
    this.picture.addEventListener("click", event => {
      /* The first tap plays a film, the next opens it. */
      if (this.touched && event.detail && isFilm(this.item) && playing !== this) this.play();
      else open(this.item);
    });
    this.picture.addEventListener("pointerenter", event => {
      if (event.pointerType === "mouse" && !calm.matches) this.play();
    });
    this.picture.addEventListener("pointerleave", event => { if (event.pointerType === "mouse") this.rest(); });
    this.picture.addEventListener("focus", () => {
      if (!calm.matches && this.picture.matches(":focus-visible")) this.play();
    });
    this.picture.addEventListener("blur", () => this.rest());
    this.picture.addEventListener("keydown", event => {
      if (event.key !== " ") return;
      event.preventDefault();
      if (playing === this) this.rest();
      else this.play();
    });
  }

  /* Show an item, with a number of it if one is given. */
  fill(item, number = null) {
    if (item !== this.item) {
      if (playing === this) playing = null;
      this.item = item;
      this.name.replaceChildren(...halves(shownNames[item]));
      this.root.dataset.item = item;
      this.picture.setAttribute("aria-label", described(item));
      this.picture.classList.toggle("film", isFilm(item));
      this.thumbnail();
    }
    this.number = number;
    this.retag();
  }

  /* Say anew which tags the item has. */
  retag() {
    const tags = tagsOf(this.item).map(visible);
    /* Of a unit the first word, as there is little room: bits of bits per token. */
    const [unit] = this.number?.unit.split(" ") ?? [];
    const value = this.number ? formatted({...this.number, unit}, this.number.values[this.item]) : when(this.item);
    this.line.textContent = [...tags.map(each => `[${each}]`), value].join(" ");
    this.root.classList.toggle("excluded", tags.includes("exclude"));
    this.root.classList.toggle("tagged", tags.length > 0);
  }

  thumbnail() {
    const {item} = this;
    showThumbnail(this.picture, item, () => item === this.item && playing !== this);
  }

  async play() {
    const {item} = this;
    if (!isFilm(item) || playing === this) return;
    playing?.rest();
    playing = this;
    const strip = await filmOf(item).catch(() => null);
    if (!strip || playing !== this || item !== this.item) return;
    showFrame(this.picture, item, 0);
    const begun = performance.now(), frames = data.frames[item];
    const step = now => {
      if (playing !== this || item !== this.item) return;
      const frame = Math.max(0, Math.floor((now - begun) / 1000 * data.fps)) % frames;
      showFrame(this.picture, item, frame);
      this.progress.style.width = `${100 * (frame + 1) / frames}%`;
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  rest() {
    if (playing !== this) return;
    playing = null;
    this.progress.style.width = "0";
    this.thumbnail();
  }
}

/* A name in two parts, of which the first gives way where there is no room. */
function halves(name) {
  const characters = [...name];
  return [characters.slice(0, -ENDING), characters.slice(-ENDING)].map(each => make("span", {}, each.join("")));
}

/* Where a part of a sheet lies, in the per cent that CSS wants. */
function share(place, count) {
  return count > 1 ? 100 * place / (count - 1) : 0;
}

/* Show the thumbnail of an item as the background of an element, if that is still wanted when it is there. */
async function showThumbnail(element, item, wanted) {
  const {style} = element;
  style.backgroundImage = "none";
  const sheet = await sheetOf(item).catch(() => null);
  if (!sheet || !wanted()) return;
  const rows = Math.round(sheet.naturalHeight / data.side), place = item % SHEET;
  style.backgroundImage = `url("${sheetPath(item)}")`;
  style.backgroundSize = `${100 * COLUMNS}% ${100 * rows}%`;
  style.backgroundPosition = `${share(place % COLUMNS, COLUMNS)}% ${share(Math.floor(place / COLUMNS), rows)}%`;
}

/* Show one frame of a film as the background of an element. */
function showFrame(element, item, frame) {
  const {style} = element;
  style.backgroundImage = `url("${filmPath(item)}")`;
  style.backgroundSize = `${100 * data.frames[item]}% 100%`;
  style.backgroundPosition = `${share(frame, data.frames[item])}% 0`;
}

/* Show a frame, or the thumbnail where there is no film, if that is still wanted when it is there. */
async function showPicture(element, item, frame, wanted = () => true) {
  const film = isFilm(item) && await filmOf(item).catch(() => null);
  if (!wanted()) return;
  if (film) showFrame(element, item, frame);
  else await showThumbnail(element, item, wanted);
}
