/* Tags as a table of comma-separated values, which commands read, and tables that people have edited. */
"use strict";

/* How a text begins that spreadsheets take for a formula, as in storage/tables.py. */
const FORMULA = /^'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/;
/* What stands for a number that is not known. */
const MISSING = /^(na|nan|null|none)?$/i;
const HEAD = ["source", "start", "seconds", "tag"];
const LISTED = 5;

function tagCsv() {
  const rows = pairs().map(([item, tag]) => [data.names[item], data.starts[item] ?? "", secondsOf(item), tag]);
  return [HEAD, ...rows].map(cells => `${cells.map(csvCell).join(",")}\r\n`).join("");
}

/* Seconds of a clip, or of a frame of a film; nothing for a picture. */
function secondsOf(item) {
  return data.starts[item] === null ? "" : Number(lengthOf(item).toFixed(6));
}

function csvCell(value) {
  let text = String(value);
  if (typeof value === "string") {
    /* Bytes of file names that are no text, written as storage/tables.py does. */
    text = text.replace(/[\ud800-\udfff]/gu, half => `\\u${half.charCodeAt(0).toString(16)}`);
    text = FORMULA.test(text) ? `'${text}` : text;
  }
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function downloadTags() {
  const address = URL.createObjectURL(new Blob([tagCsv()], {type: "text/csv;charset=utf-8"}));
  make("a", {href: address, download: "tags.csv"}).click();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
  say(`${counted(pairs().length, "row")} in tags.csv, among what you have downloaded.`);
}

/* Cells by row of a table with commas, semicolons or tabs between them. */
function parseCsv(text) {
  const line = text.replace(/^\ufeff/, ""), separator = separatorOf(line.split(/\r\n?|\n/, 1)[0]);
  const rows = [[]];
  const cells = new RegExp(`("(?:[^"]|"")*"|[^${separator}\\r\\n]*)(${separator}|\\r\\n?|\\n|$)`, "g");
  for (const [all, cell, after] of line.matchAll(cells)) {
    if (all === "" && rows.at(-1).length === 0) break;
    rows.at(-1).push(cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell);
    if (after === "") break;
    if (after !== separator) rows.push([]);
  }
  return rows.filter(row => row.some(cell => cell.trim()));
}

function separatorOf(head) {
  return [",", ";", "\t"].reduce((best, each) => head.split(each).length > head.split(best).length ? each : best);
}

/* Give the tags of a table; returns sentences on what was done, and on what is not of this page. */
function takeTable(text) {
  const [head = [], ...rows] = parseCsv(text);
  const column = name => head.map(cell => cell.trim().toLowerCase()).indexOf(name);
  if (column("source") < 0 || column("tag") < 0) {
    return "The table has no columns “source” and “tag”: nothing was read. A table with both can be downloaded here.";
  }
  const cell = (row, name) => plainCell((row[column(name)] ?? "").trim());
  const places = itemsBySource(), unknown = [], changes = [];
  for (const row of rows) {
    const tag = plainTag(cell(row, "tag"));
    const found = itemsOf(places, cell(row, "source"), cell(row, "start"), cell(row, "seconds"));
    if (!tag || !found.length) unknown.push(cell(row, "source"));
    for (const item of tag ? found : []) {
      if (tagsOf(item).includes(tag)) continue;
      give(item, tag);
      changes.push([item, tag, true]);
    }
  }
  changedTags(changes);
  return [`${counted(rows.length, "row")} read, ${counted(changes.length, "tag")} new.`, notHere(unknown)].join(" ").trim();
}

/* A cell without the apostrophe that keeps spreadsheets from computing it. */
function plainCell(text) {
  return text.startsWith("'") && FORMULA.test(text) ? text.slice(1) : text;
}

function itemsBySource() {
  const places = new Map();
  data.names.forEach((name, item) => {
    const key = plainCell(csvCell(name).replace(/^"|"$/g, "").replaceAll('""', '"'));
    if (!places.has(key)) places.set(key, []);
    places.get(key).push(item);
  });
  return places;
}

/* Items of a source that share a part of a stretch, as in data/exclusion.py; all of them where none is said. */
function itemsOf(places, source, start, seconds) {
  const items = places.get(source) ?? [], [from, long] = [start, seconds].map(plainNumber);
  return from === null ? items : items.filter(item => shares(item, from, long || lengthOf(item)));
}

/* A number as people and programs write it, as in storage/sheets.py; null where there is none. */
function plainNumber(text) {
  return MISSING.test(text) ? null : Number(text.replace(",", "."));
}

/* Whether more than rounding tells of an item lies in a stretch: half a frame, or half of the shorter of the two. */
function shares(item, from, long) {
  const begin = data.starts[item] ?? 0, length = lengthOf(item);
  const shared = Math.min(from + long, begin + length) - Math.max(from, begin);
  return shared > Math.min(1 / data.fps, long, length) / 2;
}

/* Seconds that an item takes in its source; the time of a frame for a picture. */
function lengthOf(item) {
  return data.frames[item] / data.fps;
}

function notHere(unknown) {
  if (!unknown.length) return "";
  const listed = [...new Set(unknown)].slice(0, LISTED).map(name => `“${visible(name)}”`).join(", ");
  const [rows, were] = unknown.length === 1 ? ["1 row names", "was"] : [`${grouped(unknown.length)} rows name`, "were"];
  return `${rows} nothing on this page, or no tag, and ${were} left out: ${listed}${unknown.length > LISTED ? " and more" : ""}.`;
}
