// What a careful designer would not let pass, found in a page as it is laid out. Put into each page of a window by
// Playwright (add_init_script); each function gives sentences about what is wrong, or none.
"use strict";

(() => {
  const ARROW = 20; // px that a select needs for it
  const LEAST = 40; // px of a target for a thumb
  const CLOSE = 4; // px; what is nearer touches

  const isSeen = (each) => each.checkVisibility({ visibilityProperty: true }) && each.getBoundingClientRect().width > 1
    && !each.closest(".visually-hidden, [aria-hidden=true], .skip, svg, .u-wrap");
  const words = (each) => (each.labels?.[0] ?? each).textContent.trim().replace(/\s+/g, " ").slice(0, 40);
  const called = (each) => `${each.tagName.toLowerCase()}${each.id ? `#${each.id}` : ""} "${words(each)}"`;
  const seenOf = (selector) => [...document.querySelectorAll(selector)].filter(isSeen);
  const isPartOf = (there, each) => there && (each.contains(there) || [...each.labels ?? []].some((label) => label.contains(there)));

  function withoutRoom(each) {
    const style = getComputedStyle(each);
    if (each.tagName === "SELECT") {
      const pen = document.createElement("canvas").getContext("2d");
      pen.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
      const room = each.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight) - ARROW;
      return [...each.options].filter((option) => pen.measureText(option.label).width > room).map((option) => `"${option.label}"`);
    }
    // What somebody has typed may be longer than its input; a question lies over the page on purpose.
    const scrolls = /auto|scroll/.test(style.overflowX) || each.matches("input, details.confirm");
    return each.clientWidth && each.scrollWidth > each.clientWidth + 1 && !scrolls ? ["its text"] : [];
  }

  function* unfit() {
    const wide = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth > wide) yield `the page is ${document.documentElement.scrollWidth} px wide`;
    for (const each of seenOf("body *")) {
      const box = each.getBoundingClientRect();
      if ((box.right > wide + 1 || box.left < -1) && !each.closest(".scroll, pre")) yield `${called(each)} leaves the page`;
      for (const what of withoutRoom(each)) yield `${called(each)} has no room for ${what}`;
    }
  }

  // Inputs that stand beside each other, but not at one height.
  function* outOfLine() {
    for (const row of document.querySelectorAll(".row")) {
      const boxes = seenOf(".row :is(input:not([type=checkbox]), select)").filter((each) => each.closest(".row") === row)
        .map((each) => [each, each.getBoundingClientRect()]);
      for (const [, one] of boxes) for (const [other, two] of boxes) {
        if (one.top < two.top && two.top < one.bottom - CLOSE) yield `${called(other)} is out of line`;
      }
    }
  }

  function* touching() {
    for (const each of seenOf(":is(.card, form, .stack, fieldset, #live) > *")) {
      const next = each.nextElementSibling;
      if (!next || !isSeen(next) || each.matches("summary, .quiet, .pill, label") || each.closest(".check")) continue;
      const above = each.getBoundingClientRect(), below = next.getBoundingClientRect();
      const beside = below.left >= above.right || below.right <= above.left || below.top <= above.top + CLOSE;
      if (!beside && below.height >= CLOSE && below.top - above.bottom < CLOSE) yield `${called(next)} touches ${called(each)}`;
    }
  }

  // Links within a sentence are as high as it is.
  function isInSentence(each) {
    const sentence = each.closest("p, li, dd, td, .message");
    return each.tagName === "A" && getComputedStyle(each).display === "inline"
      && sentence?.textContent.trim() !== each.textContent.trim();
  }

  function* small() {
    for (const each of seenOf("a, button, summary, input, select, textarea")) {
      if (isInSentence(each)) continue;
      each.scrollIntoView({ block: "center" });
      const box = each.getBoundingClientRect(), x = box.left + box.width / 2, y = box.top + box.height / 2;
      const takes = (right, down) => isPartOf(document.elementFromPoint(x + right, y + down), each);
      const edge = LEAST / 2 - 1;
      if (takes(0, -edge) && takes(0, edge) && (box.width >= LEAST || takes(edge, 0))) continue;
      yield `${called(each)} is ${Math.round(box.width)} x ${Math.round(box.height)} px`;
    }
  }

  window.judge = {
    fits: () => [...new Set([...unfit(), ...outOfLine(), ...touching()])],
    targets: () => [...small()],

    // Where everything stands, but questions, and what changes by itself.
    places: () => [...document.querySelectorAll("main *")]
      .filter((each) => !each.closest("details.confirm, .u-wrap, [data-live], svg"))
      .map((each) => [each.tagName, each.getBoundingClientRect()])
      .filter(([, box]) => box.width)
      .map(([name, box]) => [name, ...[box.left + scrollX, box.top + scrollY, box.width, box.height].map(Math.round)].join(" ")),

    // What has the focus, and what is wrong with it; null if nothing has it.
    focus: () => {
      const each = document.activeElement;
      if (each === document.body) return null;
      const style = getComputedStyle(each), box = each.getBoundingClientRect();
      const found = [];
      const parted = each.matches("[type=date], [type=time], [type=datetime-local]"); // the browser marks the part of it
      if (!parted && (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2)) found.push(`the focus on ${called(each)} is not seen`);
      const uncovered = (y) => {
        const there = document.elementFromPoint(box.left + box.width / 2, y);
        return isPartOf(there, each) || there?.contains(each);
      };
      if (![box.top + 8, box.top + box.height / 2, box.bottom - 8].some(uncovered)) found.push(`${called(each)} has the focus and is covered`);
      return found;
    },
  };
})();
