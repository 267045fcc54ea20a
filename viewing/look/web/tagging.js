/* The panel of tags: new ones, for all items shown, undone, saved and loaded. */
"use strict";

function makeTagging(shown) {
  byId("new-tag").addEventListener("submit", event => {
    event.preventDefault();
    addTag(byId("tag-name").value);
    byId("tag-name").value = "";
  });
  byId("give-all").addEventListener("click", () => tagAll(shown(), true));
  byId("take-all").addEventListener("click", () => tagAll(shown(), false));
  byId("undo").addEventListener("click", undoTags);
  byId("download").addEventListener("click", downloadTags);
  byId("load").addEventListener("change", loadTable);
  byId("sure-no").addEventListener("click", () => byId("sure").close());
}

/* Ask before many items change at once. */
function tagAll(items, giving) {
  const tag = byId("which-tag").value, sure = byId("sure");
  const name = `“${visible(tag)}”`;
  byId("sure-text").textContent = giving
    ? `Give the tag ${name} to all ${counted(items.length, "item")} that are shown?`
    : `Take the tag ${name} from all ${counted(items.length, "item")} that are shown?`;
  byId("sure-yes").onclick = () => {
    sure.close();
    const changed = tagItems(items, tag, giving);
    say(`${giving ? "Given to" : "Taken from"} ${counted(changed, "item")}: ${name}. “Undo” takes it back.`);
  };
  sure.showModal();
}

async function loadTable(event) {
  const [file] = event.target.files;
  if (!file) return;
  const bytes = new Uint8Array(await file.arrayBuffer());
  say(takeTable(new TextDecoder(encodingOf(bytes)).decode(bytes)));
  event.target.value = "";
}

/* Spreadsheets save “Unicode text” as UTF-16. */
function encodingOf([first, second]) {
  if (first === 0xff && second === 0xfe) return "utf-16le";
  return first === 0xfe && second === 0xff ? "utf-16be" : "utf-8";
}

/* Show the tags wherever they are shown. */
function showTags() {
  const counts = new Map(tags.known.map(tag => [tag, 0]));
  for (const [, tag] of pairs()) counts.set(tag, counts.get(tag) + 1);
  const labels = tags.known.map(tag => [tag, `${visible(tag)} (${grouped(counts.get(tag))})`]);
  offer(byId("tag"), true, [option("", "any or none"), option(ANY, "any tag"), option(UNTAGGED, "no tag"), ...labels.map(each => option(...each))]);
  byId("tag").value = state.tag;
  const which = byId("which-tag").value;
  byId("which-tag").replaceChildren(...tags.known.map(tag => option(tag, visible(tag))));
  byId("which-tag").value = tags.known.includes(which) ? which : tags.known[0];
  byId("tag-keys").replaceChildren(...tags.known.map(tagKey));
  byId("tagging").querySelector("summary").textContent = tags.given.size ? `Tags (${grouped(tags.given.size)})` : "Tags";
  byId("undo").disabled = !tags.undo.length;
  byId("not-kept").hidden = tags.kept;
  dispatchEvent(new Event("tags"));
}

function tagKey(tag) {
  const key = keyOf(tag);
  return make("li", {}, ...(key ? [make("kbd", {}, key), " "] : []), visible(tag));
}
