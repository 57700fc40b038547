// What can be done with an answer: see where the network looked, see the call that asked for it, say that it is wrong.

import { drawHeatmap } from "./heatmap.js";
import { needsKey, post } from "./server.js";

const UNKNOWN = "unknown"; // as the server calls none of the classes

/** Gives an answered card its tools. `entry` has card, file, photo (as sent) and answer; `say` tells screen readers. */
export function equip(entry, model, say) {
  const { card } = entry;
  const tool = (name) => card.querySelector(`.${name}`);
  const image = card.querySelector("img");
  card.querySelector(".tools").hidden = false;
  tool("look").hidden = !model?.heatmap_cells || image.hidden;
  image.addEventListener("error", () => { tool("look").hidden = true; }); // the browser cannot show this one
  tool("look").addEventListener("click", () => look(entry, model, say));
  tool("strength").addEventListener("input", (event) => { tool("heat").style.opacity = event.target.value; });
  tool("call").addEventListener("click", () => {
    tool("command").textContent = curl(entry.file.name, entry.explained);
    unfold(tool("call"), tool("call-panel"));
  });
  tool("copy").addEventListener("click", () => copy(tool("command"), tool("copy")));
  tool("wrong").hidden = !model?.feedback;
  tool("wrong").addEventListener("click", () => {
    if (!tool("truth").options.length) offer(tool("truth"), model.classes, entry.answer);
    unfold(tool("wrong"), tool("wrong-panel"));
  });
  tool("wrong-panel").addEventListener("submit", (event) => {
    event.preventDefault();
    complain(entry, say);
  });
}

/** The call that asks for this photo's answer, for a shell; a file's name is quoted for it and for curl. */
export function curl(name, explained = false) {
  const url = new URL("classify", document.baseURI);
  if (explained) url.search = "explain=1";
  const key = needsKey() ? `-H "Authorization: Bearer $KEY" ` : "";
  return `curl ${key}-F ${fileArgument(name)} ${quoted(url.href)}`;
}

/** Copies, or where a page may not (plain http on another machine), selects the text for the person to copy. */
export async function copy(source, button) {
  getSelection().selectAllChildren(source);
  const copied = await navigator.clipboard?.writeText(source.textContent).then(() => true, () => false);
  button.textContent = copied ? "Copied" : "Press Ctrl C";
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
}

function fileArgument(name) {
  const plain = name.replace(/[\u0000-\u001f\u007f]/g, "?");
  return /^[\w.-]+$/.test(plain) ? `file=@${plain}` : quoted(`file=@"${plain.replace(/[\\"]/g, "\\$&")}"`);
}

function quoted(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

function unfold(button, panel) {
  panel.hidden = !panel.hidden;
  button.setAttribute("aria-expanded", !panel.hidden);
}

// ---- heatmaps

async function look(entry, model, say) {
  const { card } = entry;
  const [button, strength] = [card.querySelector(".look"), card.querySelector(".look-panel")];
  if (entry.heatmap === undefined) {
    button.setAttribute("aria-disabled", "true");
    entry.heatmap = await heatmapOf(entry.photo);
    button.removeAttribute("aria-disabled");
    entry.explained = Boolean(entry.heatmap);
  }
  if (!entry.heatmap) {
    entry.heatmap = undefined; // the next click asks again
    say("There is no heatmap of this answer");
    tellIn(card.querySelector(".look-problem"), "The server sent no heatmap. Try again in a moment.");
    return;
  }
  card.querySelector(".look-problem").hidden = true;
  const isOn = button.getAttribute("aria-pressed") !== "true";
  if (isOn) drawHeatmap(card.querySelector(".heat"), card.querySelector("img"), entry.heatmap, model.preprocess);
  button.setAttribute("aria-pressed", isOn);
  card.classList.toggle("looking", isOn);
  card.querySelector(".heat").hidden = strength.hidden = !isOn;
  say(isOn ? `${entry.file.name}: red is where it found what speaks for ${entry.answer.label}` : "Heatmap off");
}

async function heatmapOf(photo) {
  try {
    const response = await post("classify?explain=1", photo);
    const rows = response.ok ? (await response.json()).heatmap : null;
    return Array.isArray(rows) && rows.length && Array.isArray(rows[0]) && rows[0].length ? rows : null;
  } catch {
    return null;
  }
}

// ---- feedback

function offer(select, classes, answer) {
  const others = classes.filter((label) => !answer.accepted || label !== answer.label);
  const options = others.map((label) => new Option(label, label));
  const none = answer.accepted && !classes.includes(UNKNOWN) ? [new Option("None of these", UNKNOWN)] : [];
  const first = new Option("Choose…", "", true, true);
  first.disabled = true;
  select.replaceChildren(first, ...options, ...none);
}

async function complain(entry, say) {
  const { card } = entry;
  const [select, send, problem] = [".truth", ".send", ".wrong-problem"].map((name) => card.querySelector(name));
  if (!select.value) {
    tellIn(problem, "Choose what it is first.");
    select.focus();
    return;
  }
  problem.hidden = true;
  send.disabled = true;
  let refusal = "";
  try {
    const response = await post(`feedback?label=${encodeURIComponent(select.value)}`, entry.photo);
    if (!response.ok) {
      const { error, remedy } = await response.json();
      refusal = [error, remedy].filter(Boolean).join(". ");
    }
  } catch {
    refusal = "The server did not answer. Try again in a moment.";
  }
  send.disabled = false;
  if (refusal) {
    tellIn(problem, refusal);
    return;
  }
  const said = select.selectedOptions[0].textContent;
  card.querySelector(".thanks").textContent = `You said: ${said}. Thank you, a person will look at it.`;
  card.querySelector(".thanks").hidden = false;
  card.querySelector(".wrong").hidden = card.querySelector(".wrong-panel").hidden = true;
  card.querySelector(".thanks").focus();
  say(`Thank you. ${entry.file.name} was sent as ${said}`);
}

function tellIn(place, text) {
  place.textContent = text;
  place.hidden = false;
}
