// All photos of a class: look through them, select several, decide about them at once.

import { decide, decisionOf } from "./ledger.js";
import { pickLabel } from "./picker.js";
import { picture } from "./photos.js";
import { zoom } from "./queue.js";
import { done, fileName, some, title } from "./words.js";

const $ = (id) => document.getElementById(id);
const AT_A_TIME = 200;

let kindsOf; // photo -> kinds of its findings
let say;
let photos = [];
let shown = [];
let chosen = new Set(); // rows
let focus = 0; // index in `shown`
let anchor = 0;
let asked = 0;

export function beginGallery(state, speak) {
  say = speak;
  kindsOf = new Map();
  for (const { photo, kind } of state.findings) {
    if (photo !== null) kindsOf.set(photo, new Set([...(kindsOf.get(photo) ?? []), kind]));
  }
  const labels = Object.entries(state.labels);
  $("class").replaceChildren(...labels.map(([label, n]) => new Option(`${label} (${n.toLocaleString("en")})`, label)));
  $("class").addEventListener("change", load);
  $("class-kind").addEventListener("change", refilter);
  $("class-state").addEventListener("change", refilter);
  $("tiles").addEventListener("click", click);
  $("tiles").addEventListener("dblclick", (event) => {
    const tile = event.target.closest("li");
    if (tile) zoom(shown[Number(tile.dataset.place)]);
  });
  new IntersectionObserver((entries) => { if (entries.some((entry) => entry.isIntersecting)) more(); }, { rootMargin: "1200px" })
    .observe($("tiles").appendChild(sentinel));
}

const sentinel = Object.assign(document.createElement("li"), { className: "sentinel", ariaHidden: "true" });

export function openClass(label) {
  if (label) $("class").value = label;
  return load();
}

async function load() {
  const label = $("class").value;
  const ask = (asked += 1);
  let answer;
  try {
    answer = await (await fetch(`photos?label=${encodeURIComponent(label)}`)).json();
  } catch {
    answer = {};
  }
  if (ask !== asked) return; // another class was chosen meanwhile
  if (!answer.photos) {
    say("The photos of this class could not be fetched"); // why is in the banner: the ledger follows the server
    return;
  }
  photos = answer.photos;
  const kinds = [...new Set(photos.flatMap((photo) => [...(kindsOf.get(photo.row) ?? [])]))];
  $("class-kind").replaceChildren(
    new Option("All photos", ""), new Option("With a finding", "*"), ...kinds.map((kind) => new Option(title(kind), kind)));
  refilter();
}

function refilter() {
  const kind = $("class-kind").value;
  const state = $("class-state").value;
  shown = photos.filter((photo) => {
    const kinds = kindsOf.get(photo.row);
    const action = decisionOf(photo.row)?.action ?? "undecided";
    return (!kind || (kind === "*" ? kinds : kinds?.has(kind))) && (state === "all" || state === action);
  });
  chosen = new Set();
  focus = anchor = 0;
  $("tiles").replaceChildren(sentinel);
  $("no-tiles").hidden = shown.length > 0;
  more();
  drawChosen();
  scrollTo(0, 0);
}

function more(until = 0) {
  const from = $("tiles").children.length - 1;
  const to = Math.min(shown.length, Math.max(from + AT_A_TIME, until));
  sentinel.before(...shown.slice(from, to).map((photo, i) => newTile(photo, from + i)));
  sentinel.hidden = to >= shown.length;
}

function newTile(photo, place) {
  const tile = document.createElement("li");
  tile.dataset.place = place;
  const button = document.createElement("button");
  button.type = "button";
  button.tabIndex = place === focus ? 0 : -1;
  const frame = picture(photo);
  frame.querySelector("img")?.setAttribute("alt", "");
  const name = document.createElement("span");
  name.className = "tile-name";
  name.textContent = fileName(photo);
  name.title = photo.path;
  const kinds = [...(kindsOf.get(photo.row) ?? [])];
  const note = document.createElement("span");
  note.className = "tile-kinds";
  note.textContent = kinds.map(title).join(", ");
  button.append(frame, name, note);
  tile.append(button);
  paint(tile);
  return tile;
}

function paint(tile) {
  const photo = shown[Number(tile.dataset.place)];
  const decision = decisionOf(photo.row);
  tile.className = `tile ${decision?.action ?? "none"} ${chosen.has(photo.row) ? "chosen" : ""}`;
  tile.firstChild.setAttribute("aria-pressed", chosen.has(photo.row));
  let mark = tile.querySelector(".stamp");
  if (!mark) tile.querySelector(".frame").append((mark = document.createElement("p")));
  mark.className = `stamp ${decision?.action ?? "none"}`;
  mark.textContent = decision ? done(decision) : "";
}

export function redrawTiles() {
  for (const tile of $("tiles").querySelectorAll(".tile")) paint(tile);
  drawChosen();
}

function drawChosen() {
  const tally = { undecided: 0 };
  for (const photo of shown) {
    const action = decisionOf(photo.row)?.action ?? "undecided";
    tally[action] = (tally[action] ?? 0) + 1;
  }
  const words = { keep: "kept", drop: "dropped", relabel: "relabelled" };
  const counts = Object.keys(words).filter((action) => tally[action]).map((action) => `${tally[action]} ${words[action]}`);
  $("class-count").textContent = [some(shown.length, "photo"), ...counts].join(" · ");
  $("chosen").textContent = chosen.size ? `${chosen.size.toLocaleString("en")} selected` : "Click, or press Space, to select";
  $("tray").classList.toggle("armed", chosen.size > 0);
}

// ---- choosing

const tileAt = (place) => {
  if (place >= $("tiles").children.length - 1) more(place + 1);
  return $("tiles").children[place];
};

function click(event) {
  const tile = event.target.closest(".tile");
  if (!tile) return;
  const place = Number(tile.dataset.place);
  if (event.shiftKey) range(anchor, place);
  else {
    toggle(place);
    anchor = place;
  }
  setFocus(place);
}

function toggle(place) {
  const { row } = shown[place];
  if (!chosen.delete(row)) chosen.add(row);
  paint(tileAt(place));
  drawChosen();
}

function range(from, to) {
  for (let place = Math.min(from, to); place <= Math.max(from, to); place += 1) {
    chosen.add(shown[place].row);
    paint(tileAt(place));
  }
  drawChosen();
}

function setFocus(place) {
  const old = $("tiles").querySelector('button[tabindex="0"]');
  if (old) old.tabIndex = -1;
  focus = place;
  const button = tileAt(place).firstChild;
  button.tabIndex = 0;
  button.focus();
}

function columns() {
  const tiles = $("tiles").querySelectorAll(".tile");
  const top = tiles[0]?.offsetTop;
  let n = 0;
  while (n < tiles.length && tiles[n].offsetTop === top) n += 1;
  return Math.max(1, n);
}

// Returns whether the key was ours.
export function galleryKey(event) {
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns(), ArrowDown: columns() };
  if (event.target.closest?.("select") || !shown.length) return false;
  if (event.key in steps || event.key === "Home" || event.key === "End") {
    const to = event.key === "Home" ? 0 : event.key === "End" ? shown.length - 1 : focus + steps[event.key];
    if (to < 0 || to >= shown.length) return true;
    if (event.shiftKey) range(focus, to);
    else anchor = to;
    setFocus(to);
    return true;
  }
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "a") {
    range(0, shown.length - 1);
    return true;
  }
  if (event.key === "Escape") {
    clear();
    return true;
  }
  if (event.key === "z") {
    zoom(shown[focus]);
    return true;
  }
  return false;
}

function clear() {
  chosen = new Set();
  redrawTiles();
}

// Decide about what is selected, or about the photo that has the focus.
export async function actOnTiles(what) {
  if (what === "clear") {
    clear();
    return;
  }
  const hasFocus = document.activeElement?.closest?.(".tile");
  const rows = chosen.size ? [...chosen] : hasFocus ? [shown[focus].row] : [];
  if (!rows.length) {
    say("Select photos first.");
    return;
  }
  let label;
  if (what === "relabel") {
    label = await pickLabel({ not: $("class").value, many: rows.length });
    if (!label) return;
  }
  decide(rows.map((photo) => ({ photo, action: what, ...(label && { label }) })), { view: "gallery", label: $("class").value });
  clear();
}
