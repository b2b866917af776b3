// What the pictures of traffic share: colours of the theme, dashes, the legend.
"use strict";

const plots = (() => {
  const COLORS = 6;
  const DASHES = [[], [8, 4], [2, 4]];
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const dash = (index) => DASHES[Math.floor(index / COLORS) % DASHES.length];

  return {
    dark: window.matchMedia("(prefers-color-scheme: dark)"),
    color,
    series: (name, index) => ({
      label: name, stroke: color(`--series-${(index % COLORS) + 1}`), dash: dash(index), points: { show: false },
    }),
    axis: () => ({
      stroke: color("--quiet"), font: "12px system-ui, sans-serif",
      grid: { stroke: color("--line"), width: 1 }, ticks: { show: false },
    }),
    showLegend: (legend, names) => legend.replaceChildren(...names.map((name, index) => {
      const item = document.createElement("li");
      const sample = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
      sample.setAttribute("viewBox", "0 0 22 10");
      line.setAttribute("d", "M0 5h22");
      line.setAttribute("class", `series-${(index % COLORS) + 1}`);
      line.setAttribute("stroke-dasharray", dash(index).join(" "));
      sample.append(line);
      item.append(sample, name);
      return item;
    })),
  };
})();
