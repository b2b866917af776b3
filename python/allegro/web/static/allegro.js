// What plain HTML cannot do: the menu of small screens, what a time is in the zone of who reads, copy buttons, a question
// before something is deleted, upload of large files, the time of the browser. Everything else works without it, too.
"use strict";

document.documentElement.classList.add("js");

// What the page brings along to be said (template.sentences), with values in place of their names in braces.
function sentence(name, values = {}) {
  const all = [...document.querySelectorAll("template.sentences")];
  const found = all.map((each) => each.content.querySelector(`[data-name=${name}]`)).find(Boolean);
  return found.textContent.replace(/\{(\w+)\}/g, (_, key) => values[key]);
}

const menuButton = document.getElementById("menu-button");
const menu = document.getElementById("menu");
if (menuButton && menu) {
  menuButton.hidden = false;
  menuButton.addEventListener("click", () => {
    const open = menu.classList.toggle("open");
    menuButton.setAttribute("aria-expanded", String(open));
    if (open) menu.querySelector("a")?.focus();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && menu.classList.contains("open")) {
      menu.classList.remove("open");
      menuButton.setAttribute("aria-expanded", "false");
      menuButton.focus();
    }
  });
}

document.addEventListener("click", (event) => {
  const account = document.querySelector("details.account[open]");
  if (account && !account.contains(event.target)) account.open = false;
});

// What means something only with some choices is shown with these. Without this script all is.
const dependent = [...document.querySelectorAll("[data-when]")];
function isMeant(place) {
  return place.dataset.when.split(" ").every((condition) => {
    const [name, values] = condition.split("=");
    const choice = place.closest("form").elements[name];
    return !choice || values.split("|").includes(choice.value);
  });
}
function showWhatIsMeant() {
  for (const place of dependent) place.hidden = !isMeant(place) && !place.querySelector("[aria-invalid=true]");
}
showWhatIsMeant();
document.addEventListener("change", showWhatIsMeant);
window.addEventListener("pageshow", showWhatIsMeant);

// A question that is not meant after all.
function takeBack(box) {
  if (!box) return;
  box.open = false;
  box.querySelector("summary").focus();
}
document.addEventListener("click", (event) => takeBack(event.target.closest("button[data-cancel]")?.closest("details")));
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") takeBack(event.target.closest("details.confirm[open]"));
});
// It lies over what stands below it: one at a time, as a whole, and gone by a click beside it.
document.addEventListener("click", (event) => {
  for (const box of document.querySelectorAll("details.confirm[open]")) if (!box.contains(event.target)) box.open = false;
});
document.addEventListener("toggle", (event) => {
  if (event.target.matches("details.confirm[open]")) event.target.querySelector(".confirm-box").scrollIntoView({ block: "nearest" });
}, true);

// Seconds that run out while somebody looks at them: the number in the text; then what is known, and nothing to press any more.
for (const element of document.querySelectorAll("[data-seconds-left]")) {
  const end = performance.now() + element.dataset.secondsLeft * 1000;
  const show = () => {
    const left = Math.round((end - performance.now()) / 1000);
    if (left <= 0) {
      element.textContent = sentence("time-over");
      element.parentElement.querySelector(".buttons")?.remove();
      return;
    }
    element.textContent = element.textContent.replace(/\d+/, left);
    setTimeout(show, 1000);
  };
  show();
}

const clock = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" }); // long: with its zone

function showLocalTimes(root) {
  for (const element of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(element.dateTime);
    if (!Number.isNaN(moment.getTime())) element.title = clock.format(moment);
  }
}

function showCopyButtons(root) {
  if (!navigator.clipboard) return;
  for (const button of root.querySelectorAll("button[data-copy]")) button.hidden = false;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  await navigator.clipboard.writeText((source.value ?? source.textContent).trim());
  const label = button.textContent;
  button.textContent = sentence("copied");
  setTimeout(() => { button.textContent = label; }, 2000);
});

document.addEventListener("submit", (event) => {
  const question = event.submitter?.dataset.confirm;
  if (question && !window.confirm(question)) event.preventDefault();
});

// What is on its way is not sent once more by a second click: the device would do it twice, and only its second answer
// would be seen. A page that stays, as for a download, takes it again after a while.
const ON_ITS_WAY_MS = 15000;
let onItsWay = "";

function whatIsSent(form, button) {
  const typed = [...new FormData(form)].filter(([name]) => name !== "csrf"); // another text on each page
  if (button?.name) typed.push([button.name, button.value]);
  return `${button?.getAttribute("formaction") ?? form.getAttribute("action")}?${new URLSearchParams(typed)}`;
}

function showOnItsWay(form, busy) {
  onItsWay = busy;
  form?.setAttribute("aria-busy", String(Boolean(busy)));
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post" || event.submitter?.formTarget) return;
  if (form.matches("[data-stays]") || form.querySelector("option[data-stays]:checked")) return;
  const sent = whatIsSent(form, event.submitter);
  if (sent === onItsWay) {
    event.preventDefault();
    return;
  }
  showOnItsWay(form, sent);
  setTimeout(() => sent === onItsWay && showOnItsWay(form, ""), ON_ITS_WAY_MS);
});
window.addEventListener("pageshow", () => showOnItsWay(document.querySelector("form[aria-busy=true]"), ""));

for (const form of document.querySelectorAll("form[data-browser-time]")) {
  form.hidden = false;
  form.addEventListener("submit", () => {
    form.elements.utc.value = new Date().toISOString();
    if (form.elements.zone) form.elements.zone.value = Intl.DateTimeFormat().resolvedOptions().timeZone;
  });
}

// A small file becomes the content of a field.
for (const field of document.querySelectorAll("[data-needs-script]")) field.hidden = false;
for (const input of document.querySelectorAll("input[type=file][data-read-into]")) {
  input.addEventListener("change", async () => {
    document.getElementById(input.dataset.readInto).value = input.files[0] ? await input.files[0].text() : "";
  });
}

// A file goes to the API as it is, with its progress: too large for a form. Meanwhile nothing else may change the
// page: loading it anew would break the upload off.
let uploading = false;
for (const form of document.querySelectorAll("form[data-upload]")) {
  form.hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    upload(form, form.querySelector("input[type=file]").files[0]);
  });
}

function upload(form, file) {
  const button = form.querySelector("button");
  const bar = form.querySelector("progress");
  const note = form.querySelector("[role=status]");
  const tell = (kind, text) => {
    note.hidden = false;
    note.className = `message ${kind}`;
    note.textContent = text;
    uploading = kind === "info";
    button.disabled = uploading;
    bar.hidden = !uploading;
  };
  const request = new XMLHttpRequest();
  request.upload.addEventListener("progress", (event) => {
    bar.value = event.loaded / event.total;
    const percent = Math.round(bar.value * 100);
    tell("info", bar.value < 1 ? sentence("uploading", { file: file.name, percent }) : sentence("checking"));
  });
  request.addEventListener("load", () => {
    if (request.status < 300) {
      location.reload();
      return;
    }
    let error = null;
    try { error = JSON.parse(request.responseText).error; } catch { /* no answer of ours */ }
    tell("error", error ? `${error.message} ${error.remedy}` : sentence("refused", { status: request.status }));
  });
  request.addEventListener("error", () => tell("error", sentence("broken")));
  request.open("PUT", form.dataset.upload + encodeURIComponent(file.name));
  request.setRequestHeader("X-CSRF-Token", JSON.parse(document.body.getAttribute("hx-headers"))["X-CSRF-Token"]);
  request.setRequestHeader("Content-Type", "application/octet-stream");
  tell("info", sentence("begun", { file: file.name }));
  request.send(file);
}

// What was typed outlives a log-in that has ended meanwhile: kept for this tab and user when a form is sent or the log-in is
// asked for, put back if the next page was the log-in. Never what is secret, and nothing that was only shown: others may have
// changed it meanwhile, and to save it would take that back.
const KEEPS_NOTHING = ":is([type=hidden], [type=password], [type=file], [data-secret])";

function typedFields() {
  return [...document.querySelectorAll(`#content :is(input, select, textarea)[name]:not(${KEEPS_NOTHING})`)];
}

function isCheck(field) {
  return field.type === "checkbox" || field.type === "radio";
}

// What a field held when the page came.
function shownIn(field) {
  if (isCheck(field)) return field.defaultChecked;
  if (!field.options) return field.defaultValue;
  return ([...field.options].find((each) => each.defaultSelected) ?? field.options[0])?.value;
}

function holds(field) {
  return isCheck(field) ? field.checked : field.value;
}

function keepTyped() {
  const fields = typedFields().filter((field) => holds(field) !== shownIn(field));
  const typed = fields.map((field) => [field.name, isCheck(field) ? field.value : shownIn(field), holds(field)]);
  sessionStorage.setItem("typed", JSON.stringify({ path: location.pathname, user: userName(), fields: typed }));
}

function userName() {
  return document.querySelector(".account-name")?.textContent;
}

// Of several fields of one name, such as those of the rows of a list, into the one that it was typed into, or none.
function putBackTyped(kept) {
  let some = false;
  for (const [name, before, typed] of kept.fields) {
    const named = typedFields().filter((field) => field.name === name);
    const same = named.find((field) => (isCheck(field) ? field.value : shownIn(field)) === before);
    const field = same ?? (named.length === 1 && !isCheck(named[0]) ? named[0] : null);
    if (!field) continue;
    if (isCheck(field)) field.checked = typed;
    else field.value = typed;
    some = true;
  }
  showWhatIsMeant();
  if (some) showWords("typed-words", "status");
}

// A sentence that the page brings along, below its title.
function showWords(id, role) {
  const words = document.getElementById(id).content.firstElementChild.cloneNode(true);
  words.role = role; // a screen reader says what is put in with it
  document.querySelector("#content .title").after(words);
}

// A part of the page was asked for, and no answer came, or one that tells of an error.
for (const failure of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
  document.addEventListener(failure, (event) => {
    const words = document.getElementById(failure === "htmx:responseError" ? "failed-words" : "silent-words").content.firstElementChild.cloneNode(true);
    words.role = "alert";
    event.detail.target.replaceChildren(words);
  });
}

const kept = JSON.parse(sessionStorage.getItem("typed") ?? "null");
if (document.body.classList.contains("door")) {
  if (kept) sessionStorage.setItem("typed", JSON.stringify({ ...kept, again: true }));
} else {
  sessionStorage.removeItem("typed");
  if (kept?.again && kept.path === location.pathname && kept.user === userName()) putBackTyped(kept);
  document.addEventListener("click", (event) => {
    if (event.target.closest("#ended a")) keepTyped();
  });
  document.addEventListener("submit", (event) => {
    if (event.target.closest("#content") && event.target.method === "post") keepTyped();
    else sessionStorage.removeItem("typed"); // as of who logs out: his form was sent, or given up
  });
}

// After a restart: back to the page once the device has gone and come back.
const waiting = document.querySelector("[data-wait-for-device]");
if (waiting) {
  let gone = false;
  const look = async () => {
    try {
      await fetch("/static/icon.svg", { cache: "no-store", signal: AbortSignal.timeout(3000) });
      if (gone) {
        location.assign(waiting.dataset.waitForDevice);
        return;
      }
    } catch {
      gone = true;
    }
    setTimeout(look, 2000);
  };
  setTimeout(look, 2000);
}

showLocalTimes(document);
showCopyButtons(document);
document.addEventListener("htmx:afterSwap", (event) => {
  showLocalTimes(event.detail.target);
  showCopyButtons(event.detail.target);
});
