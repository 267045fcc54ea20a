/* What is searched, sorted and filtered by: controls made from what the page holds. */
"use strict";

const byId = id => document.getElementById(id);

/* Say something for a while, to readers of screens too. */
function say(text) {
  byId("said").textContent = text;
}

function option(value, label) {
  return make("option", {value}, label);
}

function makeControls(changed) {
  byId("sort").append(option("", "as found"), option("name", "name"), ...[...numbers.values()].map(each => option(each.key, each.label)));
  offer(byId("flag"), data.flags.length, [option("", "all items"), ...data.flags.map(each => option(each.key, `${each.label} (${grouped(each.items.length)})`))]);
  byId("words").append(...[...words.values()].map(word => makeWord(word, changed)));
  byId("ranges").append(...[...numbers.values()].map(number => makeRange(number, changed)));
  byId("filters").hidden = !numbers.size && !words.size;
  listen(changed);
}

/* Fill a list of choices, or hide it where there is nothing to choose. */
function offer(select, any, options) {
  select.closest("label").hidden = !any;
  select.replaceChildren(...options);
}

function listen(changed) {
  byId("name").addEventListener("input", () => set({name: byId("name").value}, changed));
  byId("sort").addEventListener("change", () => set({sort: byId("sort").value}, changed));
  byId("flag").addEventListener("change", () => set({flag: byId("flag").value, sort: "", down: false}, changed));
  byId("tag").addEventListener("change", () => set({tag: byId("tag").value}, changed));
  byId("direction").addEventListener("click", () => set({down: !state.down}, changed));
  byId("all").addEventListener("click", () => set({...fresh(), sort: state.sort, down: state.down}, changed));
  byId("controls").addEventListener("submit", event => event.preventDefault());
}

function set(values, changed) {
  Object.assign(state, values);
  changed();
}

function makeWord(word, changed) {
  const pick = event => {
    if (event.target.value === "") state.words.delete(word.key);
    else state.words.set(word.key, Number(event.target.value));
    changed();
  };
  const counts = word.choices.map((_, choice) => word.values.filter(value => value === choice).length);
  const options = word.choices.map((choice, index) => option(index, `${visible(choice)} (${grouped(counts[index])})`));
  return make("label", {}, `${word.label} `, make("select", {id: `word-${word.key}`, onchange: pick}, option("", "all"), ...options));
}

/* Two ends of a number, with those that there are as a hint. */
function makeRange(number, changed) {
  const known = number.values.filter(value => value !== null);
  const ends = known.length ? [known.reduce((a, b) => Math.min(a, b)), known.reduce((a, b) => Math.max(a, b))] : ["", ""];
  const inputs = ["least", "most"].map((name, index) => make("input", {
    id: `${name}-${number.key}`, type: "number", step: "any", placeholder: tidyEnd(ends[index], number.digits, index),
    "aria-label": `${name === "least" ? "least" : "greatest"} ${number.label}`, disabled: !known.length,
    oninput: () => {
      setRange(number.key, inputs[0].value, inputs[1].value);
      changed();
    },
  }));
  const unit = number.unit ? ` ${number.unit}` : "";
  return make("div", {role: "group", "aria-label": number.label, title: number.help}, make("span", {}, `${number.label} `), inputs[0], " to ", inputs[1], unit);
}

/* An end, rounded so that everything lies within. */
function tidyEnd(value, digits, up) {
  if (value === "") return "";
  const power = 10 ** digits;
  return ((up ? Math.ceil(value * power) : Math.floor(value * power)) / power).toFixed(digits);
}

/* Show the state in the controls, where the address has changed it. */
function showControls() {
  byId("name").value = state.name;
  byId("sort").value = state.sort;
  byId("flag").value = state.flag;
  byId("tag").value = state.tag;
  const [up, down] = state.sort ? ["smallest first", "largest first"] : ["forwards", "backwards"];
  const [first, last] = state.sort === "name" ? ["A to Z", "Z to A"] : [up, down];
  byId("direction").textContent = state.down ? `↓ ${last}` : `↑ ${first}`;
  for (const word of words.keys()) byId(`word-${word}`).value = state.words.get(word) ?? "";
  for (const key of numbers.keys()) {
    const ends = state.ranges.get(key) ?? [-Infinity, Infinity];
    ["least", "most"].forEach((name, index) => { showEnd(byId(`${name}-${key}`), ends[index]); });
  }
  const filters = state.ranges.size + state.words.size;
  byId("filters").querySelector("summary").textContent = filters ? `Filters (${filters})` : "Filters";
  byId("all").hidden = !(filters || state.name || state.flag || state.tag);
}

/* What is being typed stays as it is: 1. and 1 are the same number. */
function showEnd(input, value) {
  if (document.activeElement !== input) input.value = end(value);
}
