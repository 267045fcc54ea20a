/* Which items are shown, and in which order; the address remembers it. */
"use strict";

const state = fresh();

function fresh() {
  return {view: "items", name: "", sort: "", down: false, flag: "", tag: "", ranges: new Map(), words: new Map(), item: null};
}

/* Items to show, in order. */
function chosen() {
  const wanted = state.name.normalize().toLowerCase();
  const flag = flags.get(state.flag);
  const items = flag ? [...flag.items] : [...data.names.keys()];
  const kept = items.filter(item =>
    (!wanted || shownNames[item].normalize().toLowerCase().includes(wanted)) && inRanges(item) && hasWords(item) && hasTag(item));
  return sorted(kept);
}

function inRanges(item) {
  for (const [key, [least, most]] of state.ranges) {
    const value = numbers.get(key).values[item];
    if (value === null || value < least || value > most) return false;
  }
  return true;
}

function hasWords(item) {
  for (const [key, choice] of state.words) if (words.get(key).values[item] !== choice) return false;
  return true;
}

function hasTag(item) {
  if (!state.tag) return true;
  const has = tagsOf(item);
  if (state.tag === ANY) return has.length > 0;
  return state.tag === UNTAGGED ? has.length === 0 : has.includes(state.tag);
}

/* Items without a value come last, whichever the direction. */
function sorted(items) {
  const sign = state.down ? -1 : 1;
  if (state.sort === "name") {
    const collator = new Intl.Collator("en", {numeric: true});
    return items.sort((a, b) => sign * collator.compare(shownNames[a], shownNames[b]) || a - b);
  }
  const values = numbers.get(state.sort)?.values;
  if (!values) return state.down ? items.reverse() : items;
  return items.sort((a, b) => {
    const x = values[a], y = values[b];
    if (x === null || y === null) return (x === null) - (y === null) || a - b;
    return sign * (x - y) || a - b;
  });
}

/* The address keeps the state, so that it can be kept and sent. */
function remember() {
  const said = new URLSearchParams();
  if (state.view !== "items") said.set("view", state.view);
  for (const key of ["name", "sort", "flag", "tag"]) if (state[key]) said.set(key, state[key]);
  if (state.down) said.set("down", "1");
  for (const [key, [least, most]] of state.ranges) said.set(`n.${key}`, `${end(least)}..${end(most)}`);
  for (const [key, choice] of state.words) said.set(`w.${key}`, words.get(key).choices[choice]);
  if (state.item !== null) said.set("item", state.item);
  history.replaceState(null, "", `#${said}`);
}

function end(value) {
  return Number.isFinite(value) ? value : "";
}

/* Take the state from the address; what it says of things that are not on the page is left out. */
function recall() {
  const said = new URLSearchParams(location.hash.slice(1));
  Object.assign(state, fresh(), {name: said.get("name") ?? "", down: said.get("down") === "1"});
  if (document.getElementById(`view-${said.get("view")}`)) state.view = said.get("view");
  if ([ANY, UNTAGGED, ...tags.known].includes(said.get("tag"))) state.tag = said.get("tag");
  const sort = said.get("sort");
  if (sort === "name" || numbers.has(sort)) state.sort = sort;
  if (flags.has(said.get("flag"))) state.flag = said.get("flag");
  for (const key of numbers.keys()) {
    const [least, most] = (said.get(`n.${key}`) ?? "").split("..");
    if (most !== undefined) setRange(key, least, most);
  }
  for (const [key, word] of words) {
    const choice = said.has(`w.${key}`) ? word.choices.indexOf(said.get(`w.${key}`)) : -1;
    if (choice >= 0) state.words.set(key, choice);
  }
  const item = Number(said.get("item") ?? NaN);
  if (Number.isInteger(item) && item >= 0 && item < data.count) state.item = item;
}

/* Keep items whose number lies between two ends, as they are typed; an empty one is no end. */
function setRange(key, least, most) {
  const ends = [least === "" ? -Infinity : Number(least), most === "" ? Infinity : Number(most)];
  if (ends.some(Number.isNaN) || (least === "" && most === "")) state.ranges.delete(key);
  else state.ranges.set(key, ends);
}
