"use strict";
// Line charts and histograms as SVG, shared by several pages.

/** The spacing of the grid lines: at most five of them up to `most`. */
function ruleStep(most) {
  return [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100].find((each) => most / each <= 5) ?? most / 4;
}

/** A chart of lines {name, kind, points}: points are [x, y] with x in [0, 1], kind is the CSS class of the line; ticks are
 *  the texts below its start, middle and end. */
function lineChart({ title, across, lines, ticks = ["0 %", "50 %", "100 %"] }) {
  const [width, height, left, right, top, bottom] = [400, 230, 34, 10, 8, 34];
  const values = lines.flatMap(({ points }) => points.map(([, y]) => y));
  const [least, most] = [Math.min(0, ...values), Math.max(0.01, ...values)];
  const step = ruleStep(most - least);
  const [low, high] = [step * Math.floor(least / step + 1e-9), step * Math.ceil(most / step - 1e-9)];
  const x = (share) => left + (width - left - right) * share;
  const y = (value) => top + (height - top - bottom) * (1 - (value - low) / (high - low));
  const count = Math.round((high - low) / step);
  const rules = Array.from({ length: count + 1 }, (_, index) => low + index * step).flatMap((value) => [
    drawn("line", { class: "rule", x1: left, x2: width - right, y1: y(value), y2: y(value) }),
    drawn("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, String(Number(value.toFixed(4)))),
  ]);
  const shares = [0, 0.5, 1].map((share) =>
    drawn("text", { x: x(share), y: height - bottom + 15, "text-anchor": ["start", "middle", "end"][2 * share] }, ticks[2 * share]));
  const below = drawn("text", { x: x(0.5), y: height - 4, "text-anchor": "middle" }, across);
  const paths = lines.map(({ name, kind, points }) => drawn("polyline",
    { class: `line ${kind}`, points: points.map(([share, value]) => `${x(share).toFixed(1)},${y(value).toFixed(1)}`).join(" ") },
    drawn("title", {}, name)));
  return drawn("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title },
    ...rules, ...shares, below, ...paths);
}

/** The distribution of the pictures' highest activations, on a square-root scale so that rare ones are visible. */
function histogram({ counts = [], quantiles = {} }) {
  const most = Math.max(1, ...counts);
  const chart = drawn("svg", { class: "histogram", viewBox: `0 0 ${counts.length || 1} 1`, preserveAspectRatio: "none", role: "img", "aria-label": "Distribution of activations" });
  counts.forEach((count, index) => {
    const tall = Math.sqrt(count / most);
    chart.append(drawn("rect", { x: index + 0.1, y: 1 - tall, width: 0.8, height: tall }));
  });
  chart.append(drawn("title", {}, `Pictures by activation, from ${text(quantiles["0"])} to ${text(quantiles["100"])}`));
  return chart;
}
