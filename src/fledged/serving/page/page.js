// Photos in, cards out. Names of classes and files are only ever set as text, never as HTML.

import { onPhotograph, photograph } from "./camera.js";
import { copy, curl, equip } from "./card.js";
import { post, request } from "./server.js";
import { fits, shrink } from "./shrink.js";
import { megabytes, milliseconds, percent, question } from "./words.js";

const AT_ONCE = 2; // photos on their way to the server
const CLOSE = 0.1; // a lead smaller than this is worth a word
const $ = (id) => document.getElementById(id);

let model = null; // its facts, once the server has told them
let limits = null;
const waiting = [];
let nBusy = 0;

// ---- asking

function ask(files) {
  const entries = [...files].map((file) => ({ file, card: newCard(file) }));
  if (!entries.length) return;
  $("cards").prepend(...entries.map((entry) => entry.card));
  $("results").hidden = false;
  waiting.push(...entries);
  summarise();
  introduced.then(next); // which says how large a photo may be
}

function next() {
  while (nBusy < AT_ONCE && waiting.length) {
    nBusy += 1;
    answer(waiting.shift()).finally(() => {
      nBusy -= 1;
      summarise();
      next();
    });
  }
}

async function answer(entry) {
  const { file, card } = entry;
  if (!(await prepare(entry))) {
    showProblem(card, file, {
      error: `${megabytes(file.size)} is over the limit of ${limits.max_megabytes} MB`,
      remedy: "Take a smaller version of this photo.",
    });
    return;
  }
  try {
    const start = performance.now();
    const response = await post("classify", entry.photo);
    const body = await response.json();
    entry.tookS = (performance.now() - start) / 1000;
    if (response.ok) showAnswer(entry, body);
    else showProblem(card, file, body);
  } catch {
    showProblem(card, file, {
      error: "The server did not answer",
      remedy: "Check that it is running, and drop photos rather than a folder.",
    });
  }
}

/** Makes a photo smaller that is larger than the server takes; whether it can be sent now. */
async function prepare(entry) {
  entry.photo = entry.file;
  const maxBytes = limits ? limits.max_megabytes * 2 ** 20 : Infinity;
  if (fits(entry.file, maxBytes)) return true;
  entry.smaller = await shrink(entry.file, maxBytes, model.preprocess.size_px);
  entry.photo = entry.smaller?.photo;
  return Boolean(entry.smaller);
}

// ---- cards

function newCard(file) {
  const card = $("card").content.firstElementChild.cloneNode(true);
  const image = card.querySelector("img");
  const url = URL.createObjectURL(file);
  image.addEventListener("load", () => URL.revokeObjectURL(url));
  image.addEventListener("error", () => {
    URL.revokeObjectURL(url);
    image.hidden = true;
    card.querySelector(".no-preview").hidden = false;
  });
  image.src = url;
  card.querySelector(".file").textContent = file.name;
  card.querySelector(".file").title = file.name;
  card.querySelector(".extension").textContent = /\.(\w{1,5})$/.exec(file.name)?.[1] ?? "?";
  return card;
}

function showAnswer(entry, answer) {
  const { card, file } = entry;
  entry.answer = answer;
  card.classList.replace("waiting", "answered");
  card.querySelector(".bars").replaceChildren(...answer.top_k.map(newBar));
  const [first, second] = answer.top_k;
  if (!answer.accepted) {
    card.classList.add("unknown");
    card.querySelector(".label").textContent = "Unknown";
    note(card, `Probably none of its classes. If it is one after all, ${answer.label} is the likeliest.`);
  } else {
    card.querySelector(".label").textContent = answer.label;
    card.querySelector(".confidence").textContent = percent(answer.confidence);
    if (second && first.score - second.score < CLOSE) note(card, `A close call: ${second.label} is nearly as likely.`);
  }
  if (entry.smaller) {
    const [from, to] = [entry.smaller.from, entry.smaller.to].map(([width, height]) => `${width} × ${height}`);
    const smaller = card.querySelector(".smaller");
    smaller.textContent =
      `Made smaller before it was sent, from ${from} to ${to} pixels: the server takes ${limits.max_megabytes} MB. ` +
      "The answer may differ a little from that for the original.";
    smaller.hidden = false;
  }
  const times = `${milliseconds(answer.seconds)}, ${milliseconds(entry.tookS)} there and back`;
  card.querySelector(".time").textContent = `${times} · ${megabytes(entry.photo.size)}`;
  equip(entry, model, say);
  const told = answer.accepted ? `${answer.label}, ${percent(answer.confidence)}` : `unknown, likeliest ${answer.label}`;
  say(`${file.name}: ${told}`);
}

function newBar({ label, score }) {
  const bar = $("bar").content.firstElementChild.cloneNode(true);
  bar.querySelector(".name").textContent = label;
  bar.querySelector(".name").title = label;
  bar.querySelector(".score").textContent = percent(score);
  bar.querySelector(".fill").style.setProperty("--score", score);
  return bar;
}

function showProblem(card, file, { error, remedy }) {
  card.classList.replace("waiting", "failed");
  card.querySelector(".label").textContent = error || "The server could not answer";
  if (remedy) note(card, remedy);
  card.querySelector(".bars").remove();
  card.querySelector(".time").textContent = megabytes(file.size);
  say(`${file.name}: ${error}`);
}

function note(card, text) {
  card.querySelector(".note").textContent = text;
  card.querySelector(".note").hidden = false;
}

function summarise() {
  const count = (state) => $("cards").querySelectorAll(`.${state}`).length;
  const parts = [
    [count("answered"), "answered"],
    [count("failed"), "could not be read"],
    [count("waiting"), "waiting"],
  ];
  $("summary").textContent = parts.filter(([n]) => n).map(([n, what]) => `${n} ${what}`).join(" · ");
}

function say(text) {
  $("status").textContent = text;
}

// ---- the model's facts

async function introduce() {
  try {
    const response = await request("model");
    if (response.status === 401) $("no-model").textContent = "This server asks for a key. Reload this page to give one.";
    if (!response.ok) throw new Error(response.statusText);
    model = await response.json();
    limits = model.limits;
    const { value, low, high, n } = model.accuracy;
    $("bundle-id").textContent = model.bundle_id;
    $("bundle").hidden = false;
    $("question").textContent = question(model.classes);
    document.title = `${question(model.classes)} · fledged`;
    $("accuracy").textContent = percent(value);
    for (const [name, share] of Object.entries({ value, low, high })) {
      document.querySelector(".scale").style.setProperty(`--${name}`, share);
    }
    $("interval").textContent =
      `Measured on ${n.toLocaleString("en")} photos it had never seen. With 95% confidence it lies between ` +
      `${percent(low)} and ${percent(high)}.`;
    $("n-classes").textContent = model.classes.length === 1 ? "class" : `${model.classes.length} classes`;
    $("classes").replaceChildren(...model.classes.map(chip));
    $("inside").textContent = `${model.backbone.name}, which sees each photo at ${model.preprocess.size_px}\u00a0px`;
    if (model.unknown) {
      $("refusals").textContent =
        `A photo that is unlike all of its training photos is answered “unknown”; so are about ` +
        `${percent(1 - model.unknown.share_kept)} of the photos that do show one of its classes.`;
    }
    if (model.feedback) $("kept").textContent = "it keeps only those that you say it got wrong.";
    $("facts").hidden = false;
    const { scrollHeight, clientHeight } = $("classes");
    if (scrollHeight > clientHeight) $("classes").tabIndex = 0; // it scrolls, so the keyboard must reach it
  } catch {
    $("no-model").hidden = false;
  }
}

function chip(label) {
  const item = document.createElement("li");
  item.textContent = label;
  return item;
}

// ---- what people do

let telling = 0;
function tell(text) {
  $("notice").textContent = text;
  $("notice").hidden = false;
  clearTimeout(telling);
  telling = setTimeout(() => { $("notice").hidden = true; }, 6000);
  say(text);
}

function take(input) {
  ask(input.files);
  input.value = ""; // so that the same file can be chosen again
}

$("photos").addEventListener("change", (event) => take(event.target));
$("capture").addEventListener("change", (event) => take(event.target));
$("drop").addEventListener("click", (event) => {
  if (!event.target.closest("button, label, input")) $("photos").click();
});
$("camera").addEventListener("click", () => {
  // Phones have a better camera app than any web page, and plain http has no other way.
  if (matchMedia("(pointer: coarse)").matches || !navigator.mediaDevices) $("capture").click();
  else photograph().catch(() => tell("The camera cannot be used. Allow it for this page, or choose a photo instead."));
});
onPhotograph((photo) => ask([photo]));
$("clear").addEventListener("click", () => {
  waiting.length = 0;
  $("cards").replaceChildren();
  $("results").hidden = true;
  say("Cleared");
});
addEventListener("dragover", (event) => {
  event.preventDefault();
  $("drop").classList.add("over");
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) $("drop").classList.remove("over");
});
addEventListener("drop", (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  ask(event.dataTransfer.files);
});
addEventListener("paste", (event) => {
  if (event.clipboardData.files.length) ask(event.clipboardData.files);
  else tell("There is no photo on the clipboard.");
});

$("curl").textContent = curl("photo.jpg");
$("copy").addEventListener("click", () => copy($("curl"), $("copy")));
if (/Mac|iPhone|iPad/.test(navigator.platform)) $("paste-key").textContent = "⌘ V";
if (matchMedia("(hover: none), (max-width: 480px)").matches) $("drop-title").textContent = "Add photos";

const introduced = introduce();
