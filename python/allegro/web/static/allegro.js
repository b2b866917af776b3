// What plain HTML cannot do: the menu of small screens, times in the time zone of who reads, copy buttons, a question
// before something is deleted. Every page works without it, too.
"use strict";

document.documentElement.classList.add("js");

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

const clock = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

function showLocalTimes(root) {
  for (const element of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(element.dateTime);
    if (element.dataset.shown || Number.isNaN(moment.getTime())) continue;
    element.title = element.textContent;
    element.textContent = clock.format(moment);
    element.dataset.shown = "yes";
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
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = label; }, 2000);
});

document.addEventListener("submit", (event) => {
  const question = event.submitter?.dataset.confirm;
  if (question && !window.confirm(question)) event.preventDefault();
});

showLocalTimes(document);
showCopyButtons(document);
document.addEventListener("htmx:afterSwap", (event) => {
  showLocalTimes(event.detail.target);
  showCopyButtons(event.detail.target);
});
