// The queue: one finding at a time, keyboard first. Deciding goes on to the next; arrows only look around.

import { decide, decisionOf } from "./ledger.js";
import { pickLabel } from "./picker.js";
import { address, picture, prefetch } from "./photos.js";
import { bytes, done, fileName, number, pixels, reason, some, title } from "./words.js";

const $ = (id) => document.getElementById(id);
const FILM = 9; // findings to each side
const AHEAD = 3;
const MAX_ENLARGED = 4;

let all; // {items, findings, photos, examples}
let say;
let shown = []; // items that the filter lets through
let at = 0;
const filter = { kind: "", label: "", state: "all" };

export function beginQueue(state, speak) {
  all = state;
  say = speak;
  for (const [i, item] of all.items.entries()) {
    item.number = i;
    item.kinds = [...new Set(item.findings.map((f) => all.findings[f].kind))];
  }
  const labels = [...new Set(all.items.flatMap((item) => item.photos.map((row) => all.photos[row].label)))].sort();
  $("of-class").replaceChildren(new Option("All classes", ""), ...labels.map((label) => new Option(label, label)));
  $("of-class").addEventListener("change", (event) => { filter.label = event.target.value; refilter(); });
  $("of-state").addEventListener("change", (event) => { filter.state = event.target.value; refilter(); });
  $("back").addEventListener("click", () => look(-1));
  $("on").addEventListener("click", () => look(1));
  $("show-all").addEventListener("click", () => {
    Object.assign(filter, { kind: "", label: "", state: "all" });
    $("of-class").value = "";
    $("of-state").value = "all";
    refilter();
    at = 0;
    draw();
  });
  $("kinds").addEventListener("wheel", (event) => {
    if (!event.deltaX) $("kinds").scrollLeft += event.deltaY;
  }, { passive: true });
  refilter();
}

// ---- what is shown

export function isDecided(item) {
  return item.findings.every((f) => {
    const { photo, related, copies } = all.findings[f];
    return decisionOf(photo) || (copies && related !== null && decisionOf(related));
  });
}

function refilter() {
  shown = all.items.filter((item) =>
    (!filter.kind || item.kinds.includes(filter.kind)) &&
    (!filter.label || item.photos.some((row) => all.photos[row].label === filter.label)) &&
    (filter.state === "all" || (filter.state === "decided") === isDecided(item)));
  const first = shown.findIndex((item) => !isDecided(item));
  at = Math.max(0, first);
  drawKinds();
  draw(first < 0 && shown.length > 0 && filter.state === "all");
}

function drawKinds() {
  const counts = new Map();
  for (const item of all.items) {
    for (const kind of item.kinds) {
      const [n, nDecided] = counts.get(kind) ?? [0, 0];
      counts.set(kind, [n + 1, nDecided + isDecided(item)]);
    }
  }
  const nDecided = all.items.filter(isDecided).length;
  const rows = [["", "All", all.items.length, nDecided], ...[...counts].map(([kind, [n, d]]) => [kind, title(kind), n, d])];
  const chips = new Map([...$("kinds").children].map((item) => [item.dataset.kind, item]));
  for (const [kind, words, n, d] of rows) {
    const item = chips.get(kind) ?? $("kinds").appendChild(kindChip(kind, words));
    item.classList.toggle("finished", n > 0 && d === n);
    item.firstChild.setAttribute("aria-pressed", filter.kind === kind);
    item.querySelector(".count").textContent = `${d}/${n}`;
    item.firstChild.setAttribute("aria-label", `${words}: ${d} of ${n} decided`);
  }
  $("n-decided").textContent = nDecided.toLocaleString("en");
  $("n-items").textContent = all.items.length.toLocaleString("en");
  $("bar").style.setProperty("--share", all.items.length ? nDecided / all.items.length : 1);
}

function kindChip(kind, words) {
  const item = document.createElement("li");
  item.dataset.kind = kind;
  const button = document.createElement("button");
  button.type = "button";
  button.append(words, " ", element("span", "count"));
  button.addEventListener("click", () => {
    filter.kind = kind;
    refilter();
    item.scrollIntoView({ block: "nearest", inline: "center" });
  });
  item.append(button);
  return item;
}

// ---- one item

function draw(isDone = false) {
  const item = shown[at];
  const empty = !item || isDone;
  $("done").hidden = !empty;
  $("desk").hidden = $("film").hidden = empty;
  if (empty) {
    drawDone();
    return;
  }
  const photos = item.photos.map((row) => all.photos[row]);
  const isGroup = photos.length > 1;
  const first = all.findings[item.findings[0]];
  $("sheets").className = `sheets ${isGroup ? "group" : "single"} of-${Math.min(photos.length, 5)}`;
  $("sheets").replaceChildren(...photos.map((photo, i) => sheet(item, photo, isGroup ? i + 1 : null)));
  $("sheets").scrollTop = 0;
  $("title").textContent = title(first.kind);
  $("position").textContent = `${(at + 1).toLocaleString("en")} of ${shown.length.toLocaleString("en")}`;
  $("back").disabled = at === 0;
  $("on").disabled = at === shown.length - 1;
  drawReasons(item, isGroup);
  drawActs(item, photos);
  drawFacts(isGroup ? null : photos[0]);
  drawStrips(item, isGroup);
  drawFilm();
  $("notice").hidden = true;
  say(`${at + 1} of ${shown.length}: ${title(first.kind)}. ${photos.map((photo) => `${fileName(photo)}, ${photo.label}, ${done(decisionOf(photo.row))}`).join("; ")}`);
  for (let i = 1; i <= AHEAD; i += 1) shown[at + i]?.photos.slice(0, 4).forEach((row) => prefetch(all.photos[row]));
}

function sheet(item, photo, place) {
  const figure = element("figure", "sheet");
  figure.dataset.row = photo.row;
  const frame = picture(photo, "large");
  const image = frame.querySelector("img");
  // A tiny photo is shown larger, but not so large that nothing can be made out.
  if (image) image.style.setProperty("--most", `${photo.width_px * MAX_ENLARGED}px`);
  frame.addEventListener("click", () => zoom(photo));
  frame.append(stamp(photo.row));
  figure.append(frame);
  if (place) figure.append(comparison(item, photo, place));
  return figure;
}

function comparison(item, photo, place) {
  const photos = item.photos.map((row) => all.photos[row]);
  const caption = element("figcaption", "compare");
  const rows = [
    ["Label", photo.label, photos.some((other) => other.label !== photo.label)],
    ["Size", pixels(photo), photos.some((other) => pixels(other) !== pixels(photo)), best(photos, photo, (p) => p.width_px * p.height_px)],
    ["File", `${bytes(photo.n_bytes)} ${photo.format ?? ""}`, photos.some((other) => other.n_bytes !== photo.n_bytes), best(photos, photo, (p) => p.n_bytes)],
    ["Taken", photo.taken_at?.replace("T", " ") ?? "–", photos.some((other) => other.taken_at !== photo.taken_at)],
  ].filter(([name]) => name !== "Taken" || photos.some((other) => other.taken_at));
  const list = element("dl", "facts");
  for (const [name, value, differs, isBest] of rows) {
    const line = element("div", differs ? "differs" : "");
    line.append(element("dt", "", name), element("dd", isBest ? "best" : "", value));
    list.append(line);
  }
  const path = element("p", "path", photo.path);
  path.title = photo.path;
  const only = element("button", "act only");
  only.type = "button";
  if (place <= 9) only.append(element("kbd", "", place));
  only.append(element("span", "", "Keep only this"));
  only.setAttribute("aria-label", `Keep only ${fileName(photo)}, drop the others`);
  only.addEventListener("click", () => keepOnly(place - 1));
  caption.append(path, list, only);
  return caption;
}

const best = (photos, photo, figure) =>
  photos.every((other) => other === photo || figure(photo) > figure(other));

function stamp(row) {
  const decision = decisionOf(row);
  const mark = element("p", `stamp ${decision?.action ?? "none"}`, decision ? done(decision) : "");
  if (decision?.reviewer) mark.title = `by ${decision.reviewer}`;
  return mark;
}

function drawReasons(item, isGroup) {
  const lines = new Map();
  const shownKind = all.findings[item.findings[0]].kind; // in the title
  for (const f of item.findings) {
    const finding = all.findings[f];
    const photo = all.photos[finding.photo];
    const words = `${title(finding.kind)}|${reason(finding, photo)}`;
    lines.set(words, [...(lines.get(words) ?? []), { finding, photo }]);
  }
  $("reasons").replaceChildren(...[...lines.values()].slice(0, 12).map((same) => {
    const { finding, photo } = same[0];
    const row = document.createElement("li");
    if (finding.kind !== shownKind) row.append(element("strong", "", title(finding.kind)), " ");
    row.append(reason(finding, photo));
    if (isGroup && !finding.copies) row.append(" ", element("em", "", fileName(photo)));
    return row;
  }));
}

function drawActs(item, photos) {
  const many = photos.length;
  $("say-keep").textContent = many === 1 ? "Keep" : many === 2 ? "Keep both" : `Keep all ${many}`;
  $("say-drop").textContent = many === 1 ? "Drop" : many === 2 ? "Drop both" : `Drop all ${many}`;
  $("copies-hint").hidden = many === 1;
  const advice = advised(item);
  const button = document.querySelector("#acts .advised");
  button.hidden = !advice;
  if (advice) $("advised").textContent = adviceWords(advice, many);
}

function advised(item) {
  const changes = new Map();
  for (const f of item.findings) {
    const { photo, related, copies, advice, suggested } = all.findings[f];
    if (advice === "drop" && !(copies && changes.get(related)?.action === "drop")) {
      changes.set(photo, { photo, action: "drop" });
    } else if (advice === "relabel" && suggested && changes.get(photo)?.action !== "drop") {
      changes.set(photo, { photo, action: "relabel", label: suggested });
    }
  }
  if (!changes.size) return null;
  return item.photos.map((photo) => changes.get(photo) ?? { photo, action: "keep" });
}

function adviceWords(changes, many) {
  const dropped = changes.filter(({ action }) => action === "drop");
  const relabelled = changes.find(({ action }) => action === "relabel");
  if (relabelled && !dropped.length) return `As advised: it is ${relabelled.label}`;
  if (many === 1) return "As advised: drop";
  const names = dropped.map(({ photo }) => fileName(all.photos[photo]));
  return `As advised: drop ${names.length === 1 ? names[0] : some(names.length, "photo")}`;
}

function drawFacts(photo) {
  $("facts").hidden = !photo;
  if (!photo) return;
  const rows = [
    ["Label", photo.label], ["Path", photo.path], ["Size", pixels(photo)], ["File", `${bytes(photo.n_bytes)} ${photo.format ?? ""}`],
    ["Taken", photo.taken_at?.replace("T", " ")], ["Camera", photo.camera],
  ].filter(([, value]) => value);
  $("facts").replaceChildren(...rows.map(([name, value]) => {
    const line = document.createElement("div");
    line.append(element("dt", "", name), element("dd", "", value));
    return line;
  }));
}

// Photos of the classes in question, to compare with.
function drawStrips(item, isGroup) {
  const labels = [];
  if (!isGroup) {
    for (const f of item.findings) {
      const { kind, photo, suggested } = all.findings[f];
      if (suggested || kind === "outlier") labels.push(all.photos[photo].label, ...(suggested ? [suggested] : []));
    }
  }
  $("strips").replaceChildren(...[...new Set(labels)].map((label, i) => {
    const strip = element("section", "strip");
    const words = element("h2", "", label);
    words.append(" ", element("small", "", i === 0 ? "its label" : "suggested"));
    const row = element("div", "strip-photos");
    const examples = (all.examples[label] ?? []).filter((number) => number !== item.photos[0]);
    row.append(...examples.map((number) => picture(all.photos[number])));
    if (!examples.length) row.append(element("p", "small", "No photo of it yet"));
    strip.append(words, row);
    return strip;
  }));
}

function drawFilm() {
  const old = new Map([...$("film").children].map((cell) => [Number(cell.dataset.item), cell]));
  const cells = [];
  for (let i = Math.max(0, at - FILM); i <= Math.min(shown.length - 1, at + FILM); i += 1) {
    const item = shown[i];
    const cell = old.get(item.number) ?? filmCell(item);
    const made = isDecided(item) ? item.photos.map(decisionOf).filter(Boolean) : [];
    const decision = made.find(({ action }) => action !== "drop") ?? made[0] ?? null; // of copies, the one that stays
    cell.className = `cell ${decision?.action ?? "none"}`;
    cell.firstChild.setAttribute("aria-label", `${title(item.kinds[0])}, ${fileName(all.photos[item.photos[0]])}, ${done(decision)}`);
    if (i === at) cell.firstChild.setAttribute("aria-current", "true");
    else cell.firstChild.removeAttribute("aria-current");
    cells.push(cell);
  }
  $("film").replaceChildren(...cells);
  const now = $("film").querySelector("[aria-current]")?.parentElement;
  if (now) $("film").scrollLeft = now.offsetLeft - ($("film").clientWidth - now.offsetWidth) / 2;
}

function filmCell(item) {
  const cell = element("li", "cell");
  cell.dataset.item = item.number;
  const button = element("button", "");
  button.type = "button";
  button.tabIndex = -1; // arrow keys do the same
  const frame = picture(all.photos[item.photos[0]]);
  frame.querySelector("img")?.setAttribute("alt", "");
  if (item.photos.length > 1) frame.append(element("span", "many", item.photos.length));
  button.append(frame);
  button.addEventListener("click", () => go(item.number));
  cell.append(button);
  return cell;
}

function drawDone() {
  const none = !all.items.length;
  const left = all.items.filter((item) => !isDecided(item)).length;
  $("done-title").textContent = none ? "Nothing was found" : shown.length || !left ? "All decided" : "Nothing here";
  $("done-text").textContent = none
    ? "No finding about any photo. The classes are there to look through."
    : left
      ? `No finding is like that, or all of them are decided; ${some(left, "finding")} elsewhere ${left === 1 ? "is" : "are"} not.`
      : "Every finding is decided. Press Ctrl-C in the terminal, then run: fledged prepare";
  $("show-all").hidden = none;
}

// ---- what people do

export function look(step) {
  const to = at + step;
  if ($("desk").hidden || to < 0 || to >= shown.length) return;
  at = to;
  draw();
}

export function lookAt(end) {
  at = end === "first" ? 0 : Math.max(0, shown.length - 1);
  draw();
}

export function nextUndecided() {
  const ahead = shown.findIndex((item, i) => i > at && !isDecided(item));
  const to = ahead >= 0 ? ahead : shown.findIndex((item) => !isDecided(item));
  if (to >= 0) at = to;
  draw(to < 0);
}

// Show the item with a number, whatever the filter is.
export function go(itemNumber) {
  let to = shown.findIndex((item) => item.number === itemNumber);
  if (to < 0) {
    shown = [...shown, all.items[itemNumber]].sort((a, b) => a.number - b.number);
    to = shown.findIndex((item) => item.number === itemNumber);
  }
  at = to;
  draw();
}

export async function act(what) {
  const item = shown[at];
  if (!item || $("desk").hidden) return;
  if (what === "keep" || what === "drop") take(item, item.photos.map((photo) => ({ photo, action: what })));
  if (what === "advise" && advised(item)) take(item, advised(item));
  if (what === "relabel") {
    const first = item.findings.map((f) => all.findings[f].suggested).find(Boolean);
    const now = item.photos.length === 1 ? all.photos[item.photos[0]].label : null;
    const label = await pickLabel({ first, not: now, many: item.photos.length });
    if (label) take(item, item.photos.map((photo) => ({ photo, action: "relabel", label })));
  }
}

export function keepOnly(place) {
  const item = shown[at];
  if (!item || item.photos.length < 2 || place >= item.photos.length) return;
  take(item, item.photos.map((photo, i) => ({ photo, action: i === place ? "keep" : "drop" })));
}

function take(item, changes) {
  decide(changes, { view: "queue", item: item.number });
  nextUndecided();
}

export function redraw(isCurrent) {
  drawKinds();
  if (!isCurrent || $("desk").hidden) return;
  for (const figure of $("sheets").children) {
    figure.querySelector(".stamp").replaceWith(stamp(Number(figure.dataset.row)));
  }
  drawFilm();
}

export function notice(text) {
  $("notice").textContent = text;
  $("notice").hidden = false;
}

export function zoomCurrent() {
  const item = shown[at];
  if (item && !$("desk").hidden) zoom(all.photos[item.photos[0]]);
}

export function zoom(photo) {
  if (photo.error) return;
  $("zoomed").src = address(photo, "large");
  $("zoomed").alt = fileName(photo);
  $("zoom").showModal();
}

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}
