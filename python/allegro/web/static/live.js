// What changes by itself: the device tells it (server-sent events). While it cannot, the page asks now and then.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const parts = new Map([...document.querySelectorAll("[data-live]")].map((place) => [place.dataset.live, place]));
  if (!parts.size) return;

  const ASK_EVERY_MS = 3000;
  const TRY_AGAIN_MS = 30000;
  const address = `/live?${new URLSearchParams([...parts.keys()].map((path) => ["part", path]))}`;
  const token = JSON.parse(document.body.getAttribute("hx-headers"))["X-CSRF-Token"];
  const asked = new Set();
  let source = null;
  let asking = 0;
  let again = 0;
  let ended = false;

  // Who draws a part himself says so; all others are text.
  function put(path, content) {
    const place = parts.get(path);
    if (!place.dispatchEvent(new CustomEvent("news", { detail: content, cancelable: true }))) return;
    htmx.swap(place, content, { swapStyle: "innerHTML" }, { eventInfo: { target: place } });
    for (const field of place.querySelectorAll("input[name=csrf]")) field.value = token;
  }

  // A part that takes long says so above what is known of it; all others go on.
  function tell(path, content) {
    const place = parts.get(path);
    place.previousElementSibling?.matches(".late") && place.previousElementSibling.remove();
    if (!content) return;
    const note = document.createElement("div");
    note.className = "late";
    note.setAttribute("role", "status");
    place.before(note);
    note.innerHTML = content;
  }

  function reload() {
    if (!uploading) location.reload();
  }

  function end() {
    ended = true;
    rest();
    showWords("ended-words", "alert");
  }

  async function look(path) {
    let answer;
    asked.add(path);
    try {
      answer = await fetch(path, { headers: { "HX-Request": "true" }, signal: AbortSignal.timeout(10000) });
    } catch {
      return; // the device is busy or restarting: the next try comes soon
    } finally {
      asked.delete(path);
    }
    if (ended || document.hidden) return;
    if (answer.headers.has("HX-Redirect")) end();
    else if (answer.headers.has("HX-Refresh")) reload();
    else if (answer.ok) put(path, await answer.text());
  }

  function ask() {
    // None waits for another one; a browser has few connections, so each part is asked for once at a time.
    for (const path of parts.keys()) if (!asked.has(path)) look(path);
  }

  function rest() {
    source?.close();
    clearInterval(asking);
    clearTimeout(again);
    source = null;
    asking = 0;
  }

  function follow() {
    rest();
    if (ended || document.hidden) return; // nobody looks, and a browser has few connections for all its windows
    source = new EventSource(address);
    source.addEventListener("open", () => {
      clearInterval(asking);
      asking = 0;
    });
    source.addEventListener("part", (event) => {
      const { part, content } = JSON.parse(event.data);
      put(part, content);
    });
    source.addEventListener("late", (event) => {
      const { part, content } = JSON.parse(event.data);
      tell(part, content);
    });
    source.addEventListener("reload", reload);
    source.addEventListener("ended", end);
    source.addEventListener("error", () => {
      if (!asking) asking = setInterval(ask, ASK_EVERY_MS);
      if (source.readyState === EventSource.CLOSED) again = setTimeout(follow, TRY_AGAIN_MS); // refused: too many at once
    });
  }

  document.addEventListener("visibilitychange", follow);
  follow();
});
