// Choose a class: by number, by typing, by arrow keys or with the mouse. A name that is new makes a new class.

const $ = (id) => document.getElementById(id);
const MOST = 60; // options shown at a time

let labels = [];
let options = [];
let at = 0;
let answer = null;

export function setLabels(all) {
  labels = all;
}

// Resolves to the class, or null. `first` is offered on top, `not` is left out.
export function pickLabel({ first, not, many }) {
  const order = [...new Set([...(first ? [first] : []), ...labels])].filter((label) => label !== not);
  $("picker-title").textContent = many > 1 ? `What are these ${many}?` : "What is it?";
  $("picker-text").value = "";
  $("picker").showModal();
  $("picker-text").focus();
  list(order, first);
  return new Promise((resolve) => {
    answer = (label) => {
      answer = null;
      $("picker").close();
      resolve(label);
    };
    $("picker-text").oninput = () => list(order, first);
  });
}

// Numbers pick a class, unless the classes themselves are called by numbers.
const byNumber = (order) => !order.some((label) => /^\d/.test(label));

function list(order, first) {
  const typed = $("picker-text").value.trim();
  const words = typed.toLowerCase();
  const starts = order.filter((label) => label.toLowerCase().startsWith(words));
  const holds = order.filter((label) => !starts.includes(label) && label.toLowerCase().includes(words));
  options = [...starts, ...holds].slice(0, MOST).map((label) => ({ label, note: label === first ? "suggested" : "" }));
  if (typed && !order.includes(typed)) options.push({ label: typed, note: "new class" });
  const numbers = !typed && byNumber(order);
  $("picker-text").placeholder = byNumber(order) ? "Type, or press a number" : "Type the class";
  $("picker-list").replaceChildren(...options.map((option, i) => row(option, numbers && i < 9 ? i + 1 : null, i)));
  $("picker-text").onkeydown = (event) => keys(event, numbers);
  move(0);
}

function row({ label, note }, number, i) {
  const item = document.createElement("li");
  item.id = `option-${i}`;
  item.setAttribute("role", "option");
  const name = document.createElement("span");
  name.textContent = label;
  if (number) {
    const key = document.createElement("kbd");
    key.textContent = number;
    item.append(key);
  }
  item.append(name);
  if (note) {
    const small = document.createElement("small");
    small.textContent = note;
    item.append(small);
  }
  item.addEventListener("click", () => answer?.(label));
  return item;
}

function move(to) {
  at = Math.max(0, Math.min(to, options.length - 1));
  [...$("picker-list").children].forEach((item, i) => item.setAttribute("aria-selected", i === at));
  $("picker-list").children[at]?.scrollIntoView({ block: "nearest" });
  $("picker-text").setAttribute("aria-activedescendant", options.length ? `option-${at}` : "");
}

function keys(event, numbers) {
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    move(at + (event.key === "ArrowDown" ? 1 : -1));
  } else if (event.key === "Enter") {
    event.preventDefault();
    if (options[at]) answer?.(options[at].label);
  } else if (numbers && /^[1-9]$/.test(event.key) && options[event.key - 1]) {
    event.preventDefault();
    answer?.(options[event.key - 1].label);
  }
}

// The event comes later than the closing, and by then the next choice may have begun.
$("picker").addEventListener("close", () => { if (!$("picker").open) answer?.(null); });
$("picker").addEventListener("click", (event) => { if (event.target === $("picker")) $("picker").close(); });
$("picker-form").addEventListener("submit", (event) => event.preventDefault());
