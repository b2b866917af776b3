// The throughput of each port over the last minutes, drawn anew with each of its news (live.js).
"use strict";

(() => {
  const place = document.getElementById("graph");
  const legend = document.getElementById("graph-legend");
  if (!place || typeof uPlot === "undefined") return;

  const SHOWN_S = 300;
  const UNITS = ["bit/s", "kbit/s", "Mbit/s", "Gbit/s"];
  let plot = null;
  let answer = null;
  let drawn = "";
  let now = 0; // of the device, as the data says: the browser's clock may be another one

  function rate(value) {
    let unit = 0;
    while (value >= 1000 && unit < UNITS.length - 1) {
      value /= 1000;
      unit += 1;
    }
    return `${Number(value.toPrecision(3))} ${UNITS[unit]}`;
  }

  function make(names, data) {
    plot?.destroy();
    const axis = plots.axis();
    plot = new uPlot({
      width: place.clientWidth,
      height: place.clientHeight,
      tzDate: (time) => uPlot.tzDate(new Date(time * 1000), place.dataset.zone),
      legend: { show: false },
      cursor: { show: false },
      scales: { x: { range: () => [now - SHOWN_S, now] }, y: { range: (_plot, _low, high) => [0, Math.max(high * 1.1, 1000)] } },
      axes: [
        { ...axis, space: 70, size: 32, values: [[60, "{HH}:{mm}", null, null, null, null, null, null, 1], [1, "{HH}:{mm}:{ss}", null, null, null, null, null, null, 1]] },
        { ...axis, size: 84, values: (_plot, values) => values.map(rate) },
      ],
      series: [{}, ...names.map((name, index) => ({ ...plots.series(name, index), width: 2 }))],
    }, data, place);
    plots.showLegend(legend, names);
  }

  function draw() {
    if (!answer) return;
    now = answer.times.at(-1) ?? Date.now() / 1000;
    const names = answer.ports.map((port) => port.name);
    const data = [answer.times, ...answer.ports.map((port) => port.bits_per_s)];
    const wanted = `${names.join()} ${plots.dark.matches}`;
    if (wanted === drawn) {
      plot.setData(data);
    } else {
      make(names, data);
      drawn = wanted;
    }
  }

  new ResizeObserver(() => plot?.setSize({ width: place.clientWidth, height: place.clientHeight })).observe(place);
  plots.dark.addEventListener("change", draw);
  place.addEventListener("news", (event) => {
    event.preventDefault();
    answer = JSON.parse(event.detail);
    draw();
  });
})();
