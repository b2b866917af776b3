// The throughput of each port over the last minutes, redrawn every two seconds.
"use strict";

(() => {
  const place = document.getElementById("graph");
  const legend = document.getElementById("graph-legend");
  if (!place || typeof uPlot === "undefined") return;

  const INTERVAL_MS = 2000;
  const SHOWN_S = 300;
  const SERIES_COLORS = 6;
  const DASHES = [[], [8, 4], [2, 4]];
  const UNITS = ["bit/s", "kbit/s", "Mbit/s", "Gbit/s"];
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  let plot = null;
  let drawn = "";
  let now = 0; // of the device, as the data says: the browser's clock may be another one

  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const seriesColor = (index) => color(`--series-${(index % SERIES_COLORS) + 1}`);
  const dash = (index) => DASHES[Math.floor(index / SERIES_COLORS) % DASHES.length];

  function rate(value) {
    let unit = 0;
    while (value >= 1000 && unit < UNITS.length - 1) {
      value /= 1000;
      unit += 1;
    }
    return `${Number(value.toPrecision(3))} ${UNITS[unit]}`;
  }

  function showLegend(names) {
    legend.replaceChildren(...names.map((name, index) => {
      const item = document.createElement("li");
      const sample = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
      sample.setAttribute("viewBox", "0 0 22 10");
      line.setAttribute("d", "M0 5h22");
      line.setAttribute("class", `series-${(index % SERIES_COLORS) + 1}`);
      line.setAttribute("stroke-dasharray", dash(index).join(" "));
      sample.append(line);
      item.append(sample, name);
      return item;
    }));
  }

  function make(names, data) {
    plot?.destroy();
    const axis = {
      stroke: color("--quiet"), font: "12px system-ui, sans-serif",
      grid: { stroke: color("--line"), width: 1 }, ticks: { show: false },
    };
    plot = new uPlot({
      width: place.clientWidth,
      height: place.clientHeight,
      legend: { show: false },
      cursor: { show: false },
      scales: { x: { range: () => [now - SHOWN_S, now] }, y: { range: (_plot, _low, high) => [0, Math.max(high * 1.1, 1000)] } },
      axes: [
        { ...axis, space: 70, size: 32, values: [[60, "{HH}:{mm}", null, null, null, null, null, null, 1], [1, "{HH}:{mm}:{ss}", null, null, null, null, null, null, 1]] },
        { ...axis, size: 84, values: (_plot, values) => values.map(rate) },
      ],
      series: [{}, ...names.map((name, index) => ({
        label: name, stroke: seriesColor(index), width: 2, dash: dash(index), points: { show: false },
      }))],
    }, data, place);
    showLegend(names);
  }

  async function draw() {
    if (document.hidden) return;
    let answer;
    try {
      const response = await fetch(place.dataset.source, { headers: { "HX-Request": "true" } });
      if (response.status !== 200) return;
      answer = await response.json();
    } catch {
      return; // the device is busy or restarting: the next try comes soon
    }
    now = answer.times.at(-1) ?? Date.now() / 1000;
    const names = answer.ports.map((port) => port.name);
    const data = [answer.times, ...answer.ports.map((port) => port.bits_per_s)];
    const wanted = `${names.join()} ${dark.matches}`;
    if (wanted === drawn) {
      plot.setData(data);
    } else {
      make(names, data);
      drawn = wanted;
    }
  }

  new ResizeObserver(() => plot?.setSize({ width: place.clientWidth, height: place.clientHeight })).observe(place);
  dark.addEventListener("change", draw);
  draw();
  setInterval(draw, INTERVAL_MS);
})();
