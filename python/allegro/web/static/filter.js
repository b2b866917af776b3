// Filters: while somebody types, what can be written next (a combobox by the ARIA authoring practices, 1.2), and where a
// mistake is. Both are answers of the API; without them the input is an ordinary one.
"use strict";

const PAUSE_MS = 250;

// The API counts characters (code points); what JavaScript counts are the 16-bit units of which some have two.
const units = (text, characters) => Array.from(text).slice(0, characters).join("").length;

for (const input of document.querySelectorAll("input[data-filter]")) {
  const list = document.createElement("ul");
  list.id = `${input.id}-words`;
  list.className = "words";
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", sentence("completion"));
  list.hidden = true;
  const note = document.createElement("p");
  note.id = `${input.id}-note`;
  note.className = "help";
  note.setAttribute("role", "status");
  const anchor = document.createElement("div"); // the list lies over what follows: nothing moves under a finger
  anchor.className = "anchor";
  anchor.append(list);
  input.after(anchor, note);
  for (const [name, value] of Object.entries({
    role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": list.id,
    "aria-describedby": `${input.getAttribute("aria-describedby") ?? ""} ${note.id}`.trim(),
  })) input.setAttribute(name, value);

  let timer = 0;
  let asked = 0; // so that a late answer to an older question is not shown
  let start = 0;
  let chosen = -1;

  const close = () => {
    list.hidden = true;
    chosen = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };

  const choose = (number) => {
    list.children[chosen]?.setAttribute("aria-selected", "false");
    chosen = (number + list.children.length) % list.children.length;
    const option = list.children[chosen];
    option.setAttribute("aria-selected", "true");
    option.scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", option.id);
  };

  const take = (word) => {
    const end = Math.max(start, input.selectionStart);
    const written = word + (/["(]$/.test(word) ? "" : " ");
    input.setRangeText(written, start, end, "end");
    input.focus();
    close();
    ask();
  };

  const answer = async (what, text) => {
    const response = await fetch(`/api/filter/${what}?${new URLSearchParams({ text })}`);
    return response.ok ? response.json() : null;
  };

  const ask = async () => {
    const question = ++asked;
    const text = input.value;
    const begun = text.slice(0, input.selectionStart);
    let next = null;
    let verdict = null;
    try {
      [next, verdict] = await Promise.all([answer("completion", begun), answer("check", text)]);
    } catch { /* the device does not answer: it will judge when it is sent */ }
    if (question !== asked || !next || !verdict) return;
    const mistake = verdict.mistake;
    note.textContent = mistake ? `${mistake.message} ${mistake.remedy}`.trim() : "";
    // What is only not finished yet is no reason for alarm.
    note.classList.toggle("field-error", Boolean(mistake) && units(text, mistake.column - 1) < text.length && next.words.length === 0);
    start = units(begun, next.start);
    const piece = begun.slice(start);
    close();
    if (document.activeElement !== input || (next.words.length === 1 && next.words[0] === piece)) return;
    list.replaceChildren(...next.words.map((word, number) => {
      const option = document.createElement("li");
      option.id = `${list.id}-${number}`;
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", "false");
      option.textContent = word;
      return option;
    }));
    list.hidden = next.words.length === 0;
    input.setAttribute("aria-expanded", String(!list.hidden));
  };

  // What was sent is judged by the answer to that.
  const settle = () => {
    clearTimeout(timer);
    asked += 1;
    note.textContent = "";
    close();
  };

  input.addEventListener("input", () => {
    document.getElementById(`${input.id}-error`)?.replaceChildren();
    clearTimeout(timer);
    timer = setTimeout(ask, PAUSE_MS);
  });
  input.form?.addEventListener("submit", settle);
  input.addEventListener("blur", close);
  list.addEventListener("mousedown", (event) => {
    event.preventDefault(); // the input keeps the focus
    const option = event.target.closest("li");
    if (option) take(option.textContent);
  });
  input.addEventListener("keydown", (event) => {
    if (list.hidden) {
      if (event.key !== "ArrowDown") return;
      ask();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      choose(event.key === "ArrowDown" ? chosen + 1 : Math.max(chosen, 0) - 1);
    } else if (event.key === "Escape") {
      close();
    } else if (event.key === "Enter" && chosen >= 0) {
      take(list.children[chosen].textContent);
    } else return;
    event.preventDefault();
  });
}
