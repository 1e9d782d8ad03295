// Everything here adds to pages that work without it.
"use strict";

// Server time: the client's clock may be wrong, and does not matter.
const serverNow = (() => {
  const start = Number(document.body.dataset.now), since = performance.now();
  return () => start + performance.now() - since;
})();

// A placeholder is shown for an image that can't be had.
function imageFailed(image) {
  const blank = document.createElement("span"), kind = document.createElement("span"), note = document.createElement("span");
  blank.className = "blank";
  blank.setAttribute("role", "img");
  blank.setAttribute("aria-label", image.alt + ", which can't be shown");
  kind.className = "kind";
  kind.textContent = "Can't be shown";
  note.className = "note";
  note.textContent = image.currentSrc && new URL(image.currentSrc).origin !== location.origin ? new URL(image.currentSrc).hostname : "";
  blank.append(kind, note);
  image.replaceWith(blank);
}

// The words are those of lifetime.go.
function timeLeft(ms) {
  const units = [["day", 86400000, 2], ["hour", 3600000, 2], ["minute", 60000, 2], ["second", 1000, 0]];
  for (const [name, length, least] of units) {
    const n = Math.floor(ms / length);
    if (n >= least) return `${n} ${name}${n === 1 ? "" : "s"} left`;
  }
}

function countDown() {
  const now = serverNow();
  for (const life of document.querySelectorAll(".life[data-expires]")) {
    const left = Number(life.dataset.expires) - now;
    const text = left > 0 ? timeLeft(left) : "Expired";
    const words = life.querySelector(".left");
    if (words.textContent !== text) words.textContent = text;
    life.querySelector(".ahead").setAttribute("width", Math.max(0, Math.min(100, 100 * left / Number(life.dataset.span))).toFixed(1));
    if (left < 86400000) life.className = "life last";
    else if (left < 7 * 86400000) life.className = "life soon";
    if (left <= 0) expired(life);
  }
}

function expired(life) {
  const card = life.closest(".card");
  if (card) card.classList.add("expired");
  const product = life.closest(".product");
  if (!product || product.classList.contains("expired")) return;
  product.classList.add("expired");
  const gone = product.querySelector(".gone"), focused = document.activeElement.closest(".actions");
  gone.hidden = false;
  const until = product.querySelector(".until");
  until.replaceChildren("It expired ", until.querySelector("time"), ".");
  for (const control of product.querySelectorAll(".actions button")) control.disabled = true;
  for (const link of product.querySelectorAll(".actions a")) link.remove();
  if (focused) gone.focus();
}

// Search as one types: the results alone are replaced, so the focus stays.
function searchAsOneTypes(form) {
  let timer, running;
  const input = form.querySelector("input[type=search]");
  const search = async () => {
    const query = new URLSearchParams(new FormData(form));
    if (!query.get("q")) query.delete("q");
    const address = "./" + (query.size ? "?" + query : "");
    if (running) running.abort();
    running = new AbortController();
    try {
      const answer = await fetch(address, { signal: running.signal });
      if (answer.redirected || !answer.ok) { location.assign(address); return; }
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of ["#results", ".chips", ".title"]) document.querySelector(part).replaceWith(page.querySelector(part));
      history.replaceState(null, "", address);
      watchChoice();
      countDown();
    } catch (e) {
      if (e.name !== "AbortError") throw e;
    }
  };
  input.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(search, 200); });
}

function watchChoice() {
  const shelf = document.querySelector(".shelf");
  if (!shelf) return;
  const boxes = [...shelf.querySelectorAll(".pick input")];
  const say = () => {
    const n = boxes.filter((box) => box.checked).length;
    shelf.querySelector(".chosen").textContent = `${n} chosen`;
    return n;
  };
  const choose = (checked) => (e) => {
    e.preventDefault();
    const first = boxes.find((box) => box.checked);
    for (const box of boxes) box.checked = checked;
    // With nothing chosen the bar goes, and the focus must not go with it: nor to a
    // box, where the same stroke of a key would send the form.
    if (!say() && first) first.closest(".card").querySelector(".face").focus();
  };
  shelf.addEventListener("change", say);
  shelf.querySelector(".all").addEventListener("click", choose(true));
  shelf.querySelector(".none").addEventListener("click", choose(false));
  say();
}

// Images are put in order by dragging and by keys; the positions are what counts.
function sortable(list) {
  const number = () => list.querySelectorAll("[name=position]").forEach((input, n) => { input.value = n + 1; });
  const move = (row, by, button) => {
    const rows = [...list.children], to = rows.indexOf(row) + by;
    if (to < 0 || to >= rows.length) return;
    if (by < 0) rows[to].before(row); else rows[to].after(row);
    number();
    button.focus();
  };
  let dragged;
  for (const row of list.children) {
    const controls = row.querySelector(".controls");
    const position = row.querySelector("[name=position]");
    for (const [sign, what, by] of [["↓", "Move down", 1], ["↑", "Move up", -1]]) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = sign;
      button.title = what;
      button.setAttribute("aria-label", `${what}: image ${position.value}`);
      button.addEventListener("click", () => move(row, by, button));
      controls.prepend(button);
    }
    position.addEventListener("change", () => {
      const rows = [...list.children];
      rows.splice(rows.indexOf(row), 1);
      rows.splice(Math.max(0, Math.min(rows.length, Number(position.value) - 1 || 0)), 0, row);
      list.append(...rows);
      number();
      position.focus();
    });
    row.draggable = true;
    row.addEventListener("dragstart", (e) => {
      if (e.target.closest("input, textarea")) return;
      dragged = row;
      row.classList.add("dragged");
      e.dataTransfer.effectAllowed = "move";
    });
    row.addEventListener("dragend", () => { row.classList.remove("dragged"); dragged = undefined; number(); });
    row.addEventListener("dragover", (e) => {
      if (!dragged || dragged === row) return;
      e.preventDefault();
      const box = row.getBoundingClientRect();
      if (e.clientY < box.top + box.height / 2) row.before(dragged); else row.after(dragged);
    });
    // Text is selected by dragging in a field, which must not move the row.
    for (const field of row.querySelectorAll("input, textarea")) {
      field.addEventListener("focus", () => { row.draggable = false; });
      field.addEventListener("blur", () => { row.draggable = true; });
    }
  }
}

// Images that are dropped on the page or pasted become files of the form.
function takeFiles(input) {
  const state = document.createElement("p");
  state.className = "state";
  state.setAttribute("role", "status");
  input.after(state);
  const say = () => { state.textContent = [...input.files].map((f) => f.name).join(", "); };
  const add = (files) => {
    const all = new DataTransfer();
    for (const f of [...input.files, ...files]) all.items.add(f);
    input.files = all.files;
    say();
  };
  input.addEventListener("change", say);
  input.parentElement.querySelector(".help").append(" Drop them anywhere on this page, or paste them.");
  const hasFiles = (e) => e.dataTransfer && [...e.dataTransfer.types].includes("Files");
  document.addEventListener("dragover", (e) => { if (hasFiles(e)) { e.preventDefault(); input.classList.add("dropping"); } });
  document.addEventListener("dragleave", (e) => { if (!e.relatedTarget) input.classList.remove("dropping"); });
  document.addEventListener("drop", (e) => {
    if (!hasFiles(e)) return;
    e.preventDefault();
    input.classList.remove("dropping");
    add(e.dataTransfer.files);
  });
  document.addEventListener("paste", (e) => {
    if (e.clipboardData && e.clipboardData.files.length) { e.preventDefault(); add(e.clipboardData.files); }
  });
}

// Typing a number of days chooses it.
function chooseDays(days) {
  days.addEventListener("input", () => { if (days.value) days.form.querySelector("[name=keep][value=days]").checked = true; });
}

// JSON is looked at while it is typed; what counts is what the server says.
function checkJSON(area) {
  const state = document.createElement("p");
  state.className = "state";
  state.setAttribute("role", "status");
  area.after(state);
  const look = () => {
    const text = area.value.trim();
    let fault = "";
    if (text) {
      try {
        const value = JSON.parse(text);
        if (area.dataset.json === "object" && (value === null || typeof value !== "object" || Array.isArray(value))) fault = "Must be a JSON object, like {\"view\": \"front\"}.";
      } catch (e) {
        fault = "Not JSON yet: " + e.message;
      }
    }
    state.textContent = fault;
    state.classList.toggle("bad", fault !== "");
  };
  area.addEventListener("input", look);
}

// What takes time is fetched apart, and its link stays where that fails.
async function loadPart(place) {
  const answer = await fetch(place.dataset.load);
  if (!answer.ok || answer.redirected) return;
  const part = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("part");
  if (part) place.replaceChildren(...part.childNodes);
}

// A running import is looked at until it has ended. The part is replaced as a
// whole; what had the focus has it again.
async function follow(place) {
  let wait = 300;
  while (place.hasAttribute("data-running")) {
    await new Promise((done) => setTimeout(done, wait));
    try {
      const answer = await fetch(location.href);
      if (!answer.ok || answer.redirected) { location.reload(); return; }
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const next = page.getElementById("job"), focused = place.contains(document.activeElement) && document.activeElement;
      if (next.outerHTML !== place.outerHTML) {
        place.replaceWith(next);
        place = next;
        if (focused) (document.getElementById(focused.id) || place.querySelector("button, a"))?.focus();
      }
      const said = page.getElementById("job-said"), shown = document.getElementById("job-said");
      shown.className = said.className;
      if (shown.textContent !== said.textContent) shown.textContent = said.textContent;
      wait = 300;
    } catch {
      wait = Math.min(2 * wait, 10000); // the server may be back
    }
  }
}

// Errors of images don't bubble; some came before this script.
document.addEventListener("error", (e) => { if (e.target instanceof HTMLImageElement) imageFailed(e.target); }, true);
for (const image of document.images) if (image.complete && !image.naturalWidth && image.getAttribute("src")) imageFailed(image);
countDown();
setInterval(countDown, 1000);
document.querySelectorAll("form[data-live]").forEach(searchAsOneTypes);
document.querySelectorAll("[data-sortable]").forEach(sortable);
document.querySelectorAll("[data-drop]").forEach(takeFiles);
document.querySelectorAll("#days").forEach(chooseDays);
document.querySelectorAll("[data-json]").forEach(checkJSON);
document.querySelectorAll("[data-load]").forEach((place) => { loadPart(place).catch(() => {}); });
document.querySelectorAll("#job").forEach(follow);
watchChoice();
{
  // What was done is said once, not again on a reload.
  const address = new URL(location.href);
  if (address.searchParams.has("done")) {
    address.searchParams.delete("done");
    history.replaceState(null, "", address);
  }
}
