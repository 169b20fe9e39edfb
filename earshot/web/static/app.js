// Keys, live changes, counters and notices. Every page works without this file; with it, it is quicker.
"use strict";

const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const one = (selector, within = document) => within.querySelector(selector);
const NOTICE_SECONDS = 8;

// ---- notices: what happened, and the way back

function tell({ words, kind = "done", undo = "" }) {
  const notice = document.createElement("div");
  notice.className = `notice ${kind === "problem" ? "problem" : "done"}`;
  notice.append(Object.assign(document.createElement("span"), { textContent: words }));
  if (undo) {
    const button = Object.assign(document.createElement("button"), { className: "link", textContent: "Undo" });
    button.dataset.undo = undo;
    button.addEventListener("click", () => takeBack(button));
    notice.append(button);
  }
  one("#notices").replaceChildren(notice);
  window.setTimeout(() => notice.remove(), NOTICE_SECONDS * 1000);
}

function takeBack(button) {
  const address = button.dataset.undo || button.form?.getAttribute("action");
  button.closest(".notice").remove();
  isAsked.clear();
  post(address);
}

// The body asks, not the form: the list may be fetched anew, form and all, before the answer comes. One after the other, as htmx
// would drop what comes while it asks.
let line = Promise.resolve();
const post = (address, values = {}) => {
  const ask = () => window.htmx.ajax("POST", address, { swap: "none", values });
  line = line.then(ask, ask);
};

document.addEventListener("submit", (event) => {
  if (!event.target.matches("form[data-quick]")) return;
  event.preventDefault();
  if (event.target.dataset.ask) isAsked.add(askOf(event.target));
  else isAsked.clear();
  post(event.target.getAttribute("action"), Object.fromEntries(new FormData(event.target, event.submitter)));
  showAsked();
});

document.addEventListener("notice", (event) => tell(event.detail));
document.addEventListener("htmx:responseError", (event) => {
  isAsked.clear();
  tell({ words: event.detail.xhr.responseText.slice(0, 300) || "That did not work.", kind: "problem" });
  document.body.dispatchEvent(new Event("changed"));
});
document.addEventListener("htmx:sendError", () => tell({ words: "The server does not answer. Try again in a moment.", kind: "problem" }));

// ---- live: the stream only says that something moved

function listen(address) {
  const stream = new EventSource(address);
  stream.addEventListener("changed", () => {
    if (document.body.dataset.stamp) noticeIfStale(document.body.dataset.stamp);
    else if (!isBusy()) document.body.dispatchEvent(new Event("changed"));
  });
  window.addEventListener("pagehide", () => stream.close());
}

// Nobody's list moves under an open explanation or a half-made choice.
const isBusy = () => Boolean(one("details[open]", one("main")) || one("dialog[open]"));

let stamp = null;
async function noticeIfStale(address) {
  const answer = await fetch(address, { headers: { "HX-Request": "true" } });
  if (!answer.ok) return;
  const now = await answer.text();
  if (stamp !== null && now !== stamp) one("#stale").hidden = false;
  stamp = now;
}

// ---- the queue by keyboard

let here = null; // id of the chosen case; it stays chosen when the list is fetched again

const rows = () => all("#queue .row");
const chosen = () => rows().find((row) => row.dataset.case === here);

function choose(row) {
  if (!row) return;
  all(".row.here").forEach((other) => other.classList.remove("here"));
  row.classList.add("here");
  here = row.dataset.case;
  row.scrollIntoView({ block: "nearest" });
  one(".row-text a", row).focus({ preventScroll: true });
}

function moveBy(step) {
  const list = rows();
  const at = list.indexOf(chosen());
  choose(list[Math.min(Math.max(at + step, 0), list.length - 1)]);
}

const KEYS = {
  j: () => moveBy(1),
  k: () => moveBy(-1),
  Enter: () => one(".row-text a", chosen() ?? document.createElement("i"))?.click(),
  a: () => one('[data-key="a"]', chosen() ?? document.createElement("i"))?.click(),
  e: () => one('[data-key="e"]', chosen() ?? document.createElement("i"))?.click(),
  w: () => { const why = chosen() && one(".why", chosen()); if (why) why.open = !why.open; },
  u: () => { const button = one("#notices .link"); if (button) takeBack(button); },
  "?": () => one("#keys").showModal(),
  Escape: () => all(".why[open]").forEach((why) => { why.open = false; }),
};

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  const elsewhere = event.key === "Enter" && event.target.closest("a, button, summary");
  if (!one("#queue") || typing || elsewhere || event.ctrlKey || event.metaKey || event.altKey || one("dialog[open]")) return;
  if (KEYS[event.key]) { event.preventDefault(); KEYS[event.key](); }
});

document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target.id !== "queue" || here === null) return;
  const row = chosen();
  if (row) choose(row);
});
// When the chosen case leaves the list, the next one takes its place.
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target.id !== "queue" || here === null) return;
  const list = rows();
  const next = list[list.indexOf(chosen()) + 1];
  const stays = event.detail.serverResponse.includes(`data-case="${here}"`);
  if (!stays) here = next ? next.dataset.case : null;
});

// ---- lessons by keyboard: the answers may come quicker than the page

const isAsked = new Set(); // answers on their way, as "mention question"
const askOf = (form) => `${form.getAttribute("action")} ${form.dataset.ask}`;

function showAsked() {
  const asks = all("#teach .ask");
  asks.filter((form) => isAsked.has(askOf(form))).forEach((form) => form.classList.add("answered"));
  asks.forEach((form) => form.classList.remove("here"));
  asks.find((form) => !form.classList.contains("answered"))?.classList.add("here");
}

document.addEventListener("keydown", (event) => {
  if (!one("#teach") || event.ctrlKey || event.metaKey || event.altKey || one("dialog[open]")) return;
  if (event.key === "?" || event.key === "u") KEYS[event.key]();
  else if (event.key === "s") one('#teach [data-key="s"]')?.click();
  else if (/^[1-9]$/.test(event.key)) all(".ask.here .choices button")[Number(event.key) - 1]?.click();
  else return;
  event.preventDefault();
});
document.addEventListener("htmx:afterSwap", (event) => { if (event.detail.target.id === "teach") showAsked(); });

// ---- answers: the length as the network counts it, and texts to start from

function counted(text, network) {
  if (network !== "x") return [...text].length;
  const shortened = text.replace(/https?:\/\/\S+/g, "x".repeat(23));
  return [...shortened].reduce((sum, c) => sum + (c <= "\u10ff" || (c >= "\u2000" && c <= "\u201f") || (c >= "\u2032" && c <= "\u2037") ? 1 : 2), 0);
}

function count(box) {
  const output = one(`output[for="${box.id}"]`);
  const length = counted(box.value.trim(), box.dataset.network);
  output.textContent = `${length} of ${box.dataset.limit}`;
  output.classList.toggle("over", length > Number(box.dataset.limit));
}

document.addEventListener("input", (event) => { if (event.target.matches("textarea[data-limit]")) count(event.target); });
document.addEventListener("click", (event) => {
  const insert = event.target.closest("[data-insert]");
  const open = event.target.closest("[data-open]");
  if (open) document.getElementById(open.dataset.open).showModal();
  if (insert) {
    const box = one("#answer-text") ?? one("#draft-text");
    if (!box) return;
    box.value = box.value.trim() ? `${box.value.trim()}\n\n${insert.dataset.insert}` : insert.dataset.insert;
    count(box);
    box.focus();
  }
  // One menu at a time, and none left open behind the back.
  all(".menu[open], .row .why[open]").filter((menu) => !menu.contains(event.target)).forEach((menu) => { menu.open = false; });
});

all("textarea[data-limit]").forEach(count);
all("#notices .notice.done").forEach((notice) => window.setTimeout(() => notice.remove(), NOTICE_SECONDS * 1000));
if (document.body.dataset.live) listen(document.body.dataset.live);
if (document.body.dataset.stamp) noticeIfStale(document.body.dataset.stamp);
