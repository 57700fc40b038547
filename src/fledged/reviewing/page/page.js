// The page of `fledged review`: fetch what there is, then listen to keys and buttons.

import { actOnTiles, beginGallery, galleryKey, openClass, redrawTiles } from "./gallery.js";
import { begin, canUndo, decisionOf, redo, undo } from "./ledger.js";
import { setLabels } from "./picker.js";
import { act, beginQueue, go, keepOnly, look, lookAt, nextUndecided, notice, redraw, zoomCurrent } from "./queue.js";
import { done, some } from "./words.js";

const $ = (id) => document.getElementById(id);
const TOAST_MS = 4000;

let state = null;
let view = "queue";
let fading = 0;

function show(name) {
  view = name;
  for (const each of ["queue", "gallery"]) {
    $(each).hidden = each !== name;
    $(`to-${each}`).setAttribute("aria-pressed", each === name);
  }
  document.body.dataset.view = name;
  if (name === "gallery") openClass();
  else redraw(true);
  history.replaceState(null, "", name === "gallery" ? "#classes" : "#");
}

// ---- telling

function say(text) {
  $("status").textContent = text;
}

function toast(text, offered = null) {
  $("toast-text").textContent = text;
  $("toast-act").hidden = !offered;
  $("toast-act").textContent = offered === "redo" ? "Redo" : "Undo";
  $("toast-act").dataset.act = offered ?? "";
  $("toast-act").disabled = false;
  $("toast").hidden = false;
  clearTimeout(fading);
  fading = setTimeout(() => { $("toast").hidden = true; }, TOAST_MS);
}

function trouble(problem) {
  $("trouble").hidden = !problem;
  if (problem) $("trouble").textContent = `${problem.error}. ${problem.remedy ?? ""}`;
}

function changed(photos) {
  redraw(view === "queue");
  if (view === "gallery") redrawTiles();
  for (const button of document.querySelectorAll('[data-act="undo"]')) button.disabled = !canUndo();
  const [first] = photos;
  const words = photos.length > 1 ? some(photos.length, "photo") : state.photos[first]?.path ?? "1 photo";
  const counts = new Map();
  for (const photo of photos) {
    const decision = done(decisionOf(photo));
    counts.set(decision, (counts.get(decision) ?? 0) + 1);
  }
  const mixed = [...counts].map(([decision, n]) => `${n} ${decision.toLowerCase()}`).join(", ");
  toast(counts.size === 1 ? `${done(decisionOf(first))}: ${words}` : mixed, canUndo() ? "undo" : null);
}

function refused({ isConflict, photos, error, remedy, place }) {
  if (!isConflict) trouble({ error, remedy });
  const now = photos.map(decisionOf).find(Boolean) ?? null;
  const who = now?.reviewer ? ` by ${now.reviewer}` : "";
  const words = isConflict
    ? `Not saved: it was decided elsewhere in the meantime (${done(now)}${who}). Decide again to overrule that.`
    : `Not saved: ${error}.`;
  toast(words);
  say(words);
  if (place?.view === "queue" && view === "queue") {
    go(place.item);
    notice(words);
  }
}

function others(photos) {
  redraw(view === "queue");
  if (view === "gallery") redrawTiles();
  const names = [...new Set(photos.map((photo) => decisionOf(photo)?.reviewer).filter(Boolean))];
  const who = names.length ? names.join(", ") : "Another tab";
  toast(`${who} decided about ${some(photos.length, "photo")} elsewhere`);
}

function saving(n) {
  $("saved").textContent = n ? "Saving…" : "All saved";
  $("saved").classList.toggle("busy", n > 0);
}

// ---- doing

function takeBack(way) {
  const step = way === "undo" ? undo() : redo();
  if (!step) {
    toast(`Nothing to ${way} in this tab`);
    return;
  }
  if (step.place?.view === "queue") {
    if (view !== "queue") show("queue");
    go(step.place.item);
  } else if (step.place && view !== "gallery") show("gallery");
  if (way === "undo") toast(`Undone. ${$("toast-text").textContent}`, "redo");
  say(way === "undo" ? "Undone" : "Done again");
}

function perform(what) {
  if (what === "undo" || what === "redo") takeBack(what);
  else if (view === "queue") act(what);
  else actOnTiles(what);
}

const KEYS = { k: "keep", d: "drop", r: "relabel", u: "undo", y: "redo", a: "advise" };
const LOOKS = {
  ArrowLeft: () => look(-1), ArrowRight: () => look(1), Home: () => lookAt("first"), End: () => lookAt("last"),
  n: nextUndecided, z: zoomCurrent,
};

// Undo and redo as everywhere else: Ctrl-Z, Ctrl-Shift-Z and Ctrl-Y; on a Mac with Command.
function wayBack(event) {
  if (event.altKey || !(event.ctrlKey || event.metaKey)) return null;
  const key = event.key.toLowerCase();
  if (key === "z") return event.shiftKey ? "redo" : "undo";
  return key === "y" ? "redo" : null;
}

addEventListener("keydown", (event) => {
  if (document.querySelector("dialog[open]") || !state) return;
  const isSelect = event.target.closest?.("select, input");
  const way = wayBack(event);
  if (way && !isSelect) {
    perform(way);
    event.preventDefault();
    return;
  }
  if (view === "gallery" && galleryKey(event)) {
    event.preventDefault();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || isSelect) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (key === "?") $("help").showModal();
  else if (key === "g") show(view === "queue" ? "gallery" : "queue");
  else if (key in KEYS) { if (!event.repeat) perform(KEYS[key]); } // a key that is held decides once
  else if (view === "queue" && key in LOOKS) LOOKS[key]();
  else if (view === "queue" && /^[1-9]$/.test(key)) { if (!event.repeat) keepOnly(Number(key) - 1); }
  else return;
  event.preventDefault();
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-act]");
  if (button) perform(button.dataset.act);
});
$("to-queue").addEventListener("click", () => show("queue"));
$("to-gallery").addEventListener("click", () => show("gallery"));
$("show-classes").addEventListener("click", () => show("gallery"));
$("ask-help").addEventListener("click", () => $("help").showModal());
for (const id of ["help", "zoom"]) {
  $(id).addEventListener("click", (event) => { if (event.target === $(id) || event.target.id === "zoomed") $(id).close(); });
}

// A list that was used with the mouse must not swallow the keys that decide.
let pointed = null;
addEventListener("pointerdown", (event) => { pointed = event.target.closest?.("select"); });
addEventListener("change", (event) => { if (pointed && event.target === pointed) pointed.blur(); });

// ---- beginning

async function start() {
  const response = await fetch("queue");
  if (!response.ok) {
    const problem = await response.json().catch(() => ({ error: "This page belongs to a review that has ended", remedy: "" }));
    trouble(problem);
    return;
  }
  state = await response.json();
  state.labels = Object.fromEntries(Object.entries(state.labels).sort(([a], [b]) => a.localeCompare(b)));
  $("lake").textContent = state.lake;
  document.title = `Review of ${state.lake} · fledged`;
  setLabels(Object.keys(state.labels));
  begin(state, { changed, refused, others, saving, trouble });
  beginQueue(state, say);
  beginGallery(state, say);
  for (const button of document.querySelectorAll('[data-act="undo"]')) button.disabled = true;
  show(location.hash === "#classes" ? "gallery" : "queue");
}

start().catch(() => trouble({ error: "The server does not answer", remedy: "Start fledged review again." }));
