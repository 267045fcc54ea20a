/* Files that lie beside the page: sheets of thumbnails, strips of frames, tokens and surprise. */
"use strict";

/* Thumbnails of a sheet, and in a row of it. */
const SHEET = 256, COLUMNS = 16;
const KEPT_FILMS = 60;
const missing = new Set();
const sheets = new Map(), films = new Map(), chunks = new Map(), waiting = new Map();

/* The files of tokens and surprise are scripts that call `look.receive`. */
const look = {
  receive(kind, number, text) {
    waiting.get(`${kind}/${number}`)?.(Uint8Array.from(atob(text), each => each.charCodeAt(0)));
  },
};

function loadPicture(path) {
  return new Promise((resolve, reject) => {
    const picture = new Image();
    picture.onload = () => resolve(picture);
    picture.onerror = () => {
      lack(path);
      reject(new Error(path));
    };
    picture.src = path;
  });
}

function sheetPath(item) {
  return data.sheets[Math.floor(item / SHEET)];
}

function filmPath(item) {
  return `films/${String(item).padStart(6, "0")}.jpg`;
}

function sheetOf(item) {
  const path = sheetPath(item);
  if (!sheets.has(path)) sheets.set(path, loadPicture(path));
  return sheets.get(path);
}

/* The strip of an item's frames, side by side. */
function filmOf(item) {
  const path = filmPath(item);
  const found = films.get(path) ?? loadPicture(path);
  films.delete(path);
  films.set(path, found);
  if (films.size > KEPT_FILMS) films.delete(films.keys().next().value);
  return found;
}

function loadChunk(kind, number) {
  const path = data[kind].files[number];
  return new Promise((resolve, reject) => {
    const script = document.createElement("script"), key = `${kind}/${number}`;
    const fail = () => {
      lack(path);
      reject(new Error(path));
    };
    waiting.set(key, bytes => {
      waiting.delete(key);
      resolve(bytes);
    });
    script.onload = () => {
      script.remove();
      if (waiting.has(key)) fail();  // another file has its name
    };
    script.onerror = fail;
    script.src = path;
    document.head.append(script);
  });
}

/* The bytes of an item's tokens or surprise. */
async function bytesOf(kind, item, length) {
  const {chunk} = data[kind], number = Math.floor(item / chunk), path = data[kind].files[number];
  if (!chunks.has(path)) chunks.set(path, loadChunk(kind, number));
  const bytes = await chunks.get(path), start = (item % chunk) * length;
  return bytes.slice(start, start + length);
}

/* An item's tokens, in raster order (t, h, w). */
async function tokensOf(item) {
  const {grid: [t, h, w], bytes} = data.tokens;
  const {buffer} = await bytesOf("tokens", item, t * h * w * bytes);
  return bytes === 2 ? new Uint16Array(buffer) : new Uint32Array(buffer);
}

/* Bits of surprise at each of an item's tokens. */
async function surpriseOf(item) {
  const [t, h, w] = data.tokens.grid;
  const levels = await bytesOf("surprise", item, t * h * w);
  return Float32Array.from(levels, each => each * data.surprise.most_bits / 255);
}

/* Which of an item's latent frames a frame belongs to; the first may stand for fewer frames than the others. */
function latentOf(item, frame) {
  const [t] = data.tokens.grid, {latent} = data.tokens;
  const first = Math.max(1, data.frames[item] - (t - 1) * latent);
  return frame < first ? 0 : Math.min(t - 1, 1 + Math.floor((frame - first) / latent));
}

/* The first frame that belongs to a latent frame. */
function frameOf(item, latent) {
  const [t] = data.tokens.grid;
  const first = Math.max(1, data.frames[item] - (t - 1) * data.tokens.latent);
  return latent === 0 ? 0 : Math.min(data.frames[item] - 1, first + (latent - 1) * data.tokens.latent);
}

/* A file is not there: the page was moved without what belongs to it. */
function lack(path) {
  missing.add(path.split("/")[0]);
  const folders = [...missing].sort().map(each => `“${each}”`);
  const banner = document.getElementById("missing");
  banner.textContent = `Files of the ${folders.length === 1 ? "folder" : "folders"} ${folders.join(", ")} are missing `
    + "beside this page. Copy the whole folder that the page was made in, and open the page there. "
    + "Numbers, sorting and tags work without them.";
  banner.hidden = false;
}
