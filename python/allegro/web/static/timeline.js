// The traffic in the ring over time: a part is chosen by dragging, by keys, by buttons, or by the two fields of the form.
// Two fingers zoom.
"use strict";

(() => {
  const place = document.getElementById("timeline");
  const legend = document.getElementById("timeline-legend");
  const words = document.getElementById("timeline-words");
  const partWords = document.getElementById("timeline-part");
  const buttons = document.getElementById("timeline-buttons");
  const fields = ["start", "end"].map((name) => document.getElementById(name));
  const which = (field) => document.getElementById(`${field.id}-which`);
  if (!place || typeof uPlot === "undefined") return;

  const SHORTEST_S = 1;
  const zone = place.dataset.zone;
  const clock = new Intl.DateTimeFormat("sv-SE", { timeZone: zone, dateStyle: "short", timeStyle: "medium" });
  let plot = null;
  let shown = null; // what the device has told, and from when to when
  let asked = 0;

  const seconds = (text) => Date.parse(text.slice(0, 23).replace("Z", "") + "Z") / 1000;
  const local = (time) => clock.format(new Date(time * 1000)).replace(" ", "T");

  // The moments of a local time of the device: two of an hour that comes twice, none of one that is left out.
  // What the zone is ahead by is known only of a moment: a day before and a day after are enough.
  function moments(text) {
    const wanted = Date.parse(`${text}Z`) / 1000;
    if (Number.isNaN(wanted)) return [];
    const found = [-86400, 86400].map((away) => wanted - (Date.parse(`${local(wanted + away)}Z`) / 1000 - wanted - away));
    return [...new Set(found)].sort((one, other) => one - other).filter((time) => Date.parse(`${local(time)}Z`) / 1000 === wanted);
  }

  function chosen() {
    const [start, end] = fields.map((field) => {
      const found = moments(field.value);
      return which(field).value === "1" ? found.at(-1) : found[0];
    });
    return start === undefined || end === undefined || end <= start ? null : [start, end];
  }

  function askWhich(field, time) {
    const found = moments(field.value);
    if (time !== undefined) which(field).value = found.length > 1 ? String(found.indexOf(time)) : "";
    document.getElementById(`${field.id}-twice`).hidden = found.length < 2;
  }

  function choose(start, end) {
    [Math.floor(start), Math.ceil(Math.max(end, start + SHORTEST_S))].forEach((time, number) => {
      fields[number].value = local(time);
      askWhich(fields[number], time);
    });
    mark();
  }

  const spanned = (part) => ({ start: local(part[0]).replace("T", " "), end: local(part[1]).replace("T", " ") });

  // The part that the fields say, over the picture; and for who does not see that, in words.
  function mark() {
    const part = chosen();
    const told = part ? sentence("chosen", spanned(part)) : "";
    if (partWords.textContent !== told) partWords.textContent = told;
    if (!plot || !part) return;
    const width = plot.bbox.width / devicePixelRatio;
    const [left, right] = part.map((time) => Math.min(Math.max(plot.valToPos(time, "x"), 0), width));
    plot.setSelect({ left, width: Math.max(right - left, 1), top: 0, height: plot.bbox.height / devicePixelRatio }, false);
  }

  function band(drawn, start, end, name, opacity) {
    const [left, right] = [start, end].map((time) => drawn.valToPos(time, "x", true));
    const { left: from, top, width, height } = drawn.bbox;
    const [begin, stop] = [Math.max(left, from), Math.min(right, from + width)];
    if (stop < from || begin > from + width) return;
    drawn.ctx.save();
    drawn.ctx.globalAlpha = opacity;
    drawn.ctx.fillStyle = plots.color(name);
    drawn.ctx.fillRect(begin, top, Math.max(stop - begin, 2), height);
    drawn.ctx.restore();
  }

  function underlay(drawn) {
    for (const press of shown.presses) band(drawn, seconds(press.start), seconds(press.end), "--accent", 0.12);
    for (const away of shown.ring.away) band(drawn, seconds(away.start_time), seconds(away.end_time), "--quiet", 0.25);
    const { ports, step_s: step } = shown.ring;
    const start = seconds(shown.ring.start_time);
    ports.forEach((port) => port.lost?.forEach((lost, number) => {
      if (lost > 0) band(drawn, start + number * step, start + (number + 1) * step, "--bad", 0.5);
    }));
  }

  function overlay(drawn) {
    for (const press of shown.presses) band(drawn, seconds(press.time), seconds(press.time), "--text", 0.9);
    for (const step of shown.ring.clock_steps) band(drawn, seconds(step.time), seconds(step.time), "--warning", 0.9);
  }

  function tell() {
    const { ring } = shown;
    if (!ring.oldest_time) return sentence("empty");
    const [start, end] = view();
    const told = [sentence("span", spanned([start, end]))];
    if (ring.ports.some((port) => port.lost?.some((lost) => lost > 0))) told.push(sentence("lost"));
    else if (ring.ports.some((port) => port.lost === null)) told.push(sentence("coarse"));
    if (ring.away.length) told.push(sentence("away"));
    if (shown.presses.some((press) => start <= seconds(press.time) && seconds(press.time) <= end)) told.push(sentence("presses"));
    for (const step of ring.clock_steps.slice(0, 3)) {
      told.push(sentence(step.size_s < 0 ? "set-back" : "set-forward", { size: Number(Math.abs(step.size_s).toFixed(3)) }));
    }
    return told.join(" ");
  }

  // Times along the picture, as exact as their distance asks for.
  function label(_drawn, times, _axis, _space, distance) {
    return times.map((time) => {
      const [date, hour] = local(time).split("T");
      if (distance >= 86400) return date;
      if (distance >= 60) return hour.slice(0, 5);
      return distance >= 1 ? hour : `${hour.slice(6)}.${String(Math.round((time % 1) * 1000)).padStart(3, "0")}`;
    });
  }

  function draw() {
    const { ring } = shown;
    const start = seconds(ring.start_time);
    const step = ring.step_s;
    const names = ring.ports.map((port) => port.name || sentence("all-ports"));
    const times = Array.from({ length: ring.ports[0]?.packets.length ?? 0 }, (_, number) => start + (number + 0.5) * step);
    const axis = plots.axis();
    plot?.destroy();
    plot = new uPlot({
      width: place.clientWidth,
      height: place.clientHeight,
      tzDate: (time) => uPlot.tzDate(new Date(time * 1000), zone),
      legend: { show: false },
      cursor: { points: { show: false }, y: false, drag: { x: true, y: false, setScale: false } },
      scales: { x: { range: () => [start, seconds(ring.end_time)] }, y: { range: (_plot, _low, high) => [0, Math.max((high ?? 0) * 1.1, 1)] } },
      axes: [{ ...axis, space: 80, size: 32, values: label }, { ...axis, size: 64 }],
      series: [{}, ...names.map((name, index) => ({ ...plots.series(name, index), width: 1.5 }))],
      hooks: {
        drawClear: [underlay],
        draw: [overlay],
        setSelect: [(drawn) => {
          const { left, width } = drawn.select;
          if (width > 1) choose(drawn.posToVal(left, "x"), drawn.posToVal(left + width, "x"));
        }],
      },
    }, [times, ...ring.ports.map((port) => port.packets.map((count) => count / step))], place);
    takeFingers(plot.over);
    plots.showLegend(legend, names);
    words.textContent = tell();
    mark();
  }

  // One finger chooses, two zoom, such that what they touch goes with them. Mice are uPlot's matter.
  function takeFingers(over) {
    const fingers = new Map();
    const x = (event) => event.clientX - over.getBoundingClientRect().left;
    over.addEventListener("pointerdown", (event) => {
      if (event.pointerType === "mouse") return;
      over.setPointerCapture(event.pointerId);
      fingers.set(event.pointerId, { from: x(event), to: x(event) });
    });
    over.addEventListener("pointermove", (event) => {
      const finger = fingers.get(event.pointerId);
      if (!finger) return;
      finger.to = x(event);
      const ends = [finger.from, finger.to].sort((one, other) => one - other);
      if (fingers.size === 1 && ends[1] - ends[0] > 8) choose(...ends.map((at) => plot.posToVal(at, "x")));
    });
    over.addEventListener("pointerup", () => {
      const [one, other] = [...fingers.values()];
      fingers.clear();
      if (!other || Math.abs(other.to - one.to) < 8) return;
      const times = [one, other].map((finger) => plot.posToVal(finger.from, "x"));
      const scale = (times[1] - times[0]) / (other.to - one.to);
      const start = times[0] - one.to * scale;
      if (scale > 0) show(start, start + over.clientWidth * scale);
    });
    over.addEventListener("pointercancel", () => fingers.clear());
  }

  async function show(start, end) {
    const question = ++asked;
    const query = new URLSearchParams(start === undefined ? {} : {
      start: new Date(start * 1000).toISOString(), end: new Date(end * 1000).toISOString(),
    });
    let answer = null;
    try {
      const response = await fetch(`${place.dataset.source}?${query}`, { headers: { "HX-Request": "true" } });
      if (response.headers.get("HX-Redirect")) {
        keepTyped(); // the log-in has ended
        window.location = response.headers.get("HX-Redirect");
      }
      if (response.status === 200 && response.headers.get("Content-Type")?.startsWith("application/json")) answer = await response.json();
    } catch { /* told below */ }
    if (question !== asked) return;
    if (answer === null) {
      words.textContent = sentence("silent");
      return;
    }
    shown = answer;
    draw();
  }

  function view() {
    return [seconds(shown.ring.start_time), seconds(shown.ring.end_time)];
  }

  const shows = {
    part: () => chosen() && show(...chosen()),
    out: () => { const [start, end] = view(); show(start - (end - start) / 2, end + (end - start) / 2); },
    earlier: () => { const [start, end] = view(); show(start - (end - start) / 2, end - (end - start) / 2); },
    later: () => { const [start, end] = view(); show(start + (end - start) / 2, end + (end - start) / 2); },
    all: () => show(),
  };

  // Arrows move what is chosen, with Shift only its end. With another key beside them they are the browser's.
  place.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const part = chosen();
    const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const wanted = { "+": "part", "-": "out", Home: "all" }[event.key];
    if (!shown || (!wanted && (!way || !part))) return;
    event.preventDefault();
    if (wanted) {
      shows[wanted]();
      return;
    }
    const [start, end] = view();
    const step = way * Math.max(SHORTEST_S, Math.round((end - start) / 50));
    choose(event.shiftKey ? part[0] : part[0] + step, part[1] + step);
  });

  buttons.hidden = false;
  buttons.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-show]");
    if (button && (shown || button.dataset.show === "all")) shows[button.dataset.show]();
  });
  for (const field of fields) {
    field.addEventListener("change", () => { askWhich(field); mark(); });
    which(field).addEventListener("change", mark);
  }
  new ResizeObserver(() => { plot?.setSize({ width: place.clientWidth, height: place.clientHeight }); mark(); }).observe(place);
  plots.dark.addEventListener("change", () => shown && draw());
  show();
})();
