/* Duplicates, what was left out, and what a reader must know. */
"use strict";

const GROUPS_AT_ONCE = 40;

/* Groups of items that show the same, leaks first; some at once, because there may be thousands. */
function showDuplicates(root, open) {
  const shown = make("div"), more = make("button", {type: "button"}, "Show more groups");
  let next = 0;
  const add = () => {
    shown.append(...data.duplicates.slice(next, next + GROUPS_AT_ONCE).map((group, index) => showGroup(group, next + index, open)));
    next += GROUPS_AT_ONCE;
    more.hidden = next >= data.duplicates.length;
  };
  more.addEventListener("click", add);
  const leaks = data.duplicates.filter(group => group.leak).length;
  root.append(make("p", {}, data.duplicates.length
    ? `${counted(data.duplicates.length, "group")} of items that show almost the same. `
      + (leaks ? `${leaks === 1 ? "One is a leak" : `${grouped(leaks)} are leaks`}: the same is trained on and held out for validation.` : "None is both trained on and held out.")
    : "No two items show almost the same."), shown, more);
  add();
}

function showGroup(group, index, open) {
  const split = words.get("split");
  const splits = split && [...new Set(group.items.map(item => split.values[item]))].map(choice => choice === null ? "no split" : visible(split.choices[choice]));
  const distance = `the nearest two differ in ${group.distance} of 64 bits`;
  return make("section", {class: group.leak ? "group leak" : "group"},
    make("h3", {}, `${group.leak ? "Leak: group" : "Group"} ${grouped(index + 1)}`),
    make("p", {class: "faint"}, [counted(group.items.length, "item"), splits && `in ${splits.join(" and ")}`, distance].filter(Boolean).join("; ")),
    cellList(group.items, null, item => open(item, group.items)));
}

function showSkipped(root) {
  if (!data.skipped.length) {
    root.append(make("p", {}, "Nothing was left out."));
    return;
  }
  const rows = data.skipped.map(([name, reason]) => make("tr", {}, make("td", {}, visible(name)), make("td", {}, visible(reason))));
  root.append(make("p", {}, "What could not be used, and tags that are on nothing here."), table("What was left out", ["name", "why"], rows));
}

function table(label, heads, rows) {
  return make("div", {class: "table", role: "region", "aria-label": label, tabindex: 0},
    make("table", {}, make("thead", {}, make("tr", {}, ...heads.map(each => make("th", {scope: "col"}, each)))), make("tbody", {}, ...rows)));
}

/* What the numbers and defects are, in words. */
function showMeanings(root) {
  const rows = [...numbers.values(), ...data.flags].map(each => make("tr", {}, make("td", {}, each.label), make("td", {}, each.help)));
  if (rows.length) root.append(make("h3", {}, "What the numbers mean"), table("What the numbers mean", ["name", "meaning"], rows));
}
