// Bytes that a detail of a packet is about are marked among all of them, when it is opened, clicked or reached by keys.
"use strict";

const PER_LINE = 16;
const HEX_AT = 6; // behind the offset, in a line of the dump

function mark(detail) {
  const dump = document.querySelector("pre.dump");
  if (!dump) return;
  const text = dump.textContent;
  const line = text.indexOf("\n") + 1 || text.length + 1;
  const begin = Number(detail.dataset.at);
  const end = begin + Number(detail.dataset.length);
  const parts = [];
  let done = 0;
  for (let at = begin; at < end;) {
    const next = Math.min(end, (Math.floor(at / PER_LINE) + 1) * PER_LINE);
    const from = Math.floor(at / PER_LINE) * line + HEX_AT + (at % PER_LINE) * 3;
    const to = from + (next - at) * 3 - 1;
    if (to > text.length) break;
    const marked = document.createElement("mark");
    marked.textContent = text.slice(from, to);
    parts.push(text.slice(done, from), marked);
    done = to;
    at = next;
  }
  dump.replaceChildren(...parts, text.slice(done));
}

for (const kind of ["click", "focusin"]) {
  document.addEventListener(kind, (event) => {
    const detail = event.target.closest("li[data-at]");
    if (detail) mark(detail);
  });
}
