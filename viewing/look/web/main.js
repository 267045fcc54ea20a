/* The page: views, and what they share. */
"use strict";

const list = new Grid(byId("cells"), item => viewer.open(item, list.items));
const viewer = new ItemView(byId("item"), item => list.reachItem(item));
const built = new Set();
const VIEWS = {
  items: () => {},
  duplicates: root => showDuplicates(root, openFrom),
  training: root => new TrainingView(root, openFrom),
  skipped: root => showSkipped(root),
  about: root => showMeanings(root),
};

function openFrom(item, items) {
  viewer.open(item, items);
}

/* Show what the state says. */
function arrange() {
  showControls();
  const items = chosen(), count = items.length;
  list.show(items, numbers.get(state.sort) ?? null);
  byId("count").textContent = count === data.count ? counted(count, "item") : `${grouped(count)} of ${counted(data.count, "item")}`;
  byId("paper").textContent = `${byId("count").textContent}${count > PRINTED ? `; the first ${PRINTED} are printed` : ""}`;
  byId("nothing").hidden = count > 0;
  byId("nothing").textContent = data.count ? "No item is like that. “Show all” takes the filters away." : "There are no items.";
  remember();
}

function showView() {
  for (const view of Object.keys(VIEWS)) {
    const root = byId(`view-${view}`), button = byId(`to-${view}`);
    if (!root) continue;
    root.hidden = view !== state.view;
    button.setAttribute("aria-pressed", view === state.view);
    if (root.hidden || built.has(view)) continue;
    built.add(view);
    VIEWS[view](root);
  }
  if (state.view === "items") list.layout();
}

function changeView(view) {
  state.view = view;
  showView();
  remember();
}

function fromAddress() {
  const {item} = state;
  recall();
  showView();
  arrange();
  if (state.item === null && viewer.dialog.open) viewer.dialog.close();
  else if (state.item !== null && state.item !== item) viewer.open(state.item, list.items);
}

/* The item that keys give tags to: the one that the keyboard or the pointer is on. */
function itemAtHand(event) {
  const cell = event.target.closest?.(".cell") ?? document.querySelector(".cell:hover");
  return cell ? Number(cell.dataset.item) : null;
}

for (const view of Object.keys(VIEWS)) byId(`to-${view}`)?.addEventListener("click", () => changeView(view));
document.addEventListener("keydown", event => {
  if (viewer.dialog.open) viewer.press(event);
  else if (!byId("sure").open) pressTag(event, itemAtHand(event));
});
byId("size").addEventListener("change", () => list.layout());
addEventListener("hashchange", fromAddress);
addEventListener("beforeprint", () => {
  if (byId("made")) byId("made").open = true;
  list.print(true);
});
addEventListener("afterprint", () => list.print(false));
addEventListener("tags", () => {
  list.retag();
  viewer.retag();
  for (const each of document.querySelectorAll(".cells .cell")) each.cell?.retag();
  if (state.tag) arrange();
});
makeControls(arrange);
makeTagging(() => list.items);
openTags();
showTags();
fromAddress();
