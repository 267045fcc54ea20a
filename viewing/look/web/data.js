/* What the page holds, and how it is said. */
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const NONE = "–";

/* Characters that are commands rather than letters, as in storage/terminal.py. */
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
const SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"};

/* Text in which nothing is hidden: what turns the direction of writing is shown as \u202e. */
function visible(text) {
  return String(text).replace(HIDDEN, each => {
    const code = each.codePointAt(0), digits = code.toString(16);
    if (SHORT[each]) return SHORT[each];
    if (code < 0x100) return `\\x${digits.padStart(2, "0")}`;
    return code < 0x10000 ? `\\u${digits.padStart(4, "0")}` : `\\U${digits.padStart(8, "0")}`;
  });
}

function grouped(number) {
  return number.toLocaleString("en-GB");
}

function counted(number, noun) {
  return `${grouped(number)} ${noun}${number === 1 ? "" : "s"}`;
}

/* An element with attributes and children; `on...` are listeners. */
function make(tag, attributes = {}, ...children) {
  return dressed(document.createElement(tag), attributes, children);
}

function makeSvg(tag, attributes = {}, ...children) {
  return dressed(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function dressed(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

const numbers = new Map(data.numbers.map(each => [each.key, each]));
const words = new Map(data.words.map(each => [each.key, each]));
const flags = new Map(data.flags.map(each => [each.key, each]));
const defects = data.flags.map(({label, items}) => ({label, items: new Set(items)}));
const shownNames = data.names.map(visible);
/* Surprise of a whole item, where it was measured. */
const bits = numbers.get("bits") ?? [...numbers.values()].find(each => each.unit.startsWith("bit"));

function formatted(number, value) {
  return value === null ? NONE : `${value.toFixed(number.digits)}${number.unit ? ` ${number.unit}` : ""}`;
}

function isFilm(item) {
  return data.frames[item] > 1;
}

/* Where an item begins. */
function when(item) {
  return data.starts[item] === null ? "" : `from ${data.starts[item].toFixed(2)} s`;
}

/* What is wrong with an item, in words. */
function defectsOf(item) {
  return defects.filter(each => each.items.has(item)).map(each => each.label);
}

/* What stands for a picture of an item where it cannot be seen. */
function described(item) {
  const said = [...numbers.values()]
    .filter(each => each.values[item] !== null)
    .slice(0, 4)
    .map(each => `${each.label} ${formatted(each, each.values[item])}`);
  const kind = isFilm(item) ? "Film" : "Picture";
  return [`${kind} ${shownNames[item]} ${when(item)}`.trim(), ...said, ...defectsOf(item)].join("; ");
}

/* Which page this is: tags are kept for it and for no other. */
function identity() {
  let hash = 0x811c9dc5;
  for (const character of JSON.stringify([data.title, data.names, data.starts, data.tags.given])) {
    hash = Math.imul(hash ^ character.codePointAt(0), 0x01000193);
  }
  return (hash >>> 0).toString(16).padStart(8, "0");
}
