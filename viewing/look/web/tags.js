/* Tags of items: given with keys and buttons, kept by the browser, and handed over as a CSV table. */
"use strict";

const ANY = "*", UNTAGGED = "-";
const KEYS = {x: "exclude", k: "keep"};
const shelf = `secondsight look ${identity()}`;
const tags = {known: [], given: new Map(), kept: true, undo: []};

/* What the browser has kept of an earlier visit; otherwise what the page was made with. */
function openTags() {
  const kept = readShelf();
  tags.known = kept?.known ?? [...new Set([...Object.values(KEYS), ...data.tags.known])];
  for (const [item, tag] of kept?.given ?? data.tags.given) give(item, tag);
}

function readShelf() {
  try {
    const text = localStorage.getItem(shelf);
    return text === null ? null : checked(text);
  } catch {
    tags.kept = false;
    return null;
  }
}

/* What was kept, if this page has kept it. */
function checked(text) {
  try {
    const {known, given} = JSON.parse(text);
    const right = ([item, tag]) => Number.isInteger(item) && item >= 0 && item < data.count && typeof tag === "string";
    return known.every(name => typeof name === "string") && given.every(right) ? {known, given} : null;
  } catch {
    return null;
  }
}

function keepTags() {
  try {
    localStorage.setItem(shelf, JSON.stringify({known: tags.known, given: pairs()}));
    tags.kept = true;
  } catch {
    tags.kept = false;
  }
}

function pairs() {
  const items = [...tags.given.keys()].sort((a, b) => a - b);
  return items.flatMap(item => tagsOf(item).map(tag => [item, tag]));
}

function tagsOf(item) {
  return [...tags.given.get(item) ?? []];
}

function give(item, tag) {
  if (!tags.given.has(item)) tags.given.set(item, new Set());
  tags.given.get(item).add(tag);
  if (!tags.known.includes(tag)) tags.known.push(tag);
}

function take(item, tag) {
  const has = tags.given.get(item);
  has?.delete(tag);
  if (has?.size === 0) tags.given.delete(item);
}

/* Give a tag to items, or take it; what has changed can be undone. */
function tagItems(items, tag, giving) {
  const changed = items.filter(item => tagsOf(item).includes(tag) !== giving);
  for (const item of changed) (giving ? give : take)(item, tag);
  changedTags([...changed.map(item => [item, tag, giving])]);
  return changed.length;
}

function toggleTag(item, tag) {
  const giving = !tagsOf(item).includes(tag);
  tagItems([item], tag, giving);
  say(`${shownNames[item]} ${giving ? "has the tag" : "has no longer the tag"} “${visible(tag)}”.`);
}

function changedTags(changes) {
  if (changes.length) tags.undo.push(changes);
  keepTags();
  showTags();
}

function undoTags() {
  const changes = tags.undo.pop();
  if (!changes) return;
  for (const [item, tag, given] of changes) (given ? take : give)(item, tag);
  keepTags();
  showTags();
  say(`Undone for ${counted(changes.length, "item")}.`);
}

/* A tag as commands read it: capitals and small letters are the same. */
function plainTag(name) {
  return name.trim().toLowerCase();
}

function addTag(name) {
  const tag = plainTag(name);
  if (!tag || tag === ANY || tag === UNTAGGED) return;
  if (!tags.known.includes(tag)) tags.known.push(tag);
  keepTags();
  showTags();
}

/* The key that gives a tag: a letter for those that have one, digits for the others in their order. */
function keyOf(tag) {
  const letter = Object.keys(KEYS).find(key => KEYS[key] === tag);
  const digit = tags.known.filter(each => !Object.values(KEYS).includes(each)).indexOf(tag) + 1;
  return letter ?? (digit >= 1 && digit <= 9 ? String(digit) : "");
}

/* Tag the item that the keyboard is on. */
function pressTag(event, item) {
  if (item === null || event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.target.closest?.("input:not([type=range]):not([type=radio]), select, textarea")) return;
  const tag = tags.known.find(each => keyOf(each) === event.key.toLowerCase());
  if (!tag) return;
  event.preventDefault();
  toggleTag(item, tag);
}
