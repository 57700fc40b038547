// Decisions: shown at once, saved one after the other, undone step by step, and followed when others make them.

const POLL_MS = 1500;
const RECONNECT_MS = 4000;

const decisions = new Map(); // photo -> {action, label, reviewer, name}; what is not in it is undecided
const unsaved = new Map(); // photo -> how many of its decisions are on their way
const steps = []; // what this tab can undo: {changes: [{photo, before}], place}
const undone = []; // what it can do again, the same way
let version = 0;
let line = Promise.resolve();
let nUnsaved = 0;
let nSent = 0;
let tell = {};

export function begin(state, listeners) {
  version = state.version;
  tell = listeners;
  for (const [photo, decision] of Object.entries(state.decisions)) put(Number(photo), decision);
  setTimeout(follow, POLL_MS);
}

export const decisionOf = (photo) => decisions.get(photo) ?? null;
export const canUndo = () => steps.length > 0;

// changes: [{photo, action, label}]. `place` is handed back by undo, so that the view can return to it.
export function decide(changes, place) {
  undone.length = 0; // another way was taken
  make(changes, place, steps);
}

export const undo = () => takeBack(steps, undone);
export const redo = () => takeBack(undone, steps);

// Make what stood before the last step stand again; the step that does so goes to the other list.
function takeBack(from, to) {
  const step = from.pop();
  if (!step) return null;
  const back = step.changes.map(({ photo, before }) =>
    before ? { photo, action: before.action, label: before.label } : { photo, action: "undecide" });
  make(back, step.place, to);
  return step;
}

function make(changes, place, list) {
  const step = { changes: changes.map(({ photo }) => ({ photo, before: decisionOf(photo) })), place, list };
  list.push(step);
  save(changes, step);
}

function save(changes, step) {
  const seen = changes.map(({ photo }) => decisionOf(photo));
  const entries = changes.map(({ photo, action, label }) => {
    const entry = action === "undecide" ? null : { action, label: label ?? null, reviewer: null, name: null };
    put(photo, entry);
    unsaved.set(photo, (unsaved.get(photo) ?? 0) + 1);
    return entry;
  });
  nUnsaved += 1;
  nSent += 1;
  tell.saving(nUnsaved);
  tell.changed(changes.map(({ photo }) => photo));
  line = line.then(() => send(changes, entries, seen, step)).finally(() => {
    for (const { photo } of changes) unsaved.set(photo, unsaved.get(photo) - 1);
    nUnsaved -= 1;
    tell.saving(nUnsaved);
  });
}

async function send(changes, entries, seen, step) {
  const wishes = changes.map(({ photo, action, label }, i) => ({
    photo, action, seen: seen[i]?.name ?? null, ...(action === "relabel" && { label }),
  }));
  let response, answer;
  try {
    response = await fetch("decisions", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Fledged-Review": "1" },
      body: JSON.stringify({ decisions: wishes }),
    });
    answer = await response.json();
  } catch {
    response = null;
  }
  if (response?.ok) {
    // The very objects that later steps saw learn their names.
    changes.forEach(({ photo }, i) => entries[i] && Object.assign(entries[i], answer.decisions[photo]));
    return;
  }
  if (step.list.includes(step)) step.list.splice(step.list.indexOf(step), 1);
  const now = response?.status === 409 ? answer.decisions : null;
  changes.forEach(({ photo }, i) => {
    if (now) put(photo, now[photo]);
    else if (decisionOf(photo) === entries[i]) put(photo, seen[i]);
  });
  tell.changed(changes.map(({ photo }) => photo));
  tell.refused({ isConflict: Boolean(now), photos: changes.map(({ photo }) => photo), ...describe(response, answer), place: step.place });
}

function describe(response, answer) {
  if (answer?.error) return answer;
  return response
    ? { error: "This tab belongs to a review that has ended", remedy: "Open the address that fledged review printed last." }
    : { error: "The server does not answer, so this was not saved", remedy: "Start fledged review again; what was saved is kept." };
}

async function follow() {
  let wait = POLL_MS;
  try {
    if (!document.hidden) {
      const sent = nSent;
      const response = await fetch(`changes?since=${version}`);
      const answer = await response.json().catch(() => null);
      // An answer that was made before a decision of ours arrived knows less than we do.
      if (response.ok && sent === nSent && !nUnsaved) take(answer);
      tell.trouble(response.ok ? null : describe(response, answer));
    }
  } catch {
    wait = RECONNECT_MS;
    tell.trouble({ error: "The server has stopped", remedy: "What was saved is kept. Start fledged review again to go on." });
  }
  setTimeout(follow, wait);
}

function take(state) {
  const others = [];
  for (const [key, decision] of Object.entries(state.decisions)) {
    const photo = Number(key);
    if (unsaved.get(photo) || (decision?.name ?? null) === (decisionOf(photo)?.name ?? null)) continue;
    put(photo, decision);
    others.push(photo);
  }
  version = state.version;
  if (others.length) tell.others(others);
}

function put(photo, decision) {
  if (decision) decisions.set(photo, decision);
  else decisions.delete(photo);
}
