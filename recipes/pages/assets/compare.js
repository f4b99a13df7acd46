"use strict";
// Compared layers: CKA of all pairs as a heat map, tables, the errors of warps by depth, and matching units.

const nameOf = (layer) => layer || "output";

// ---- The tables ----

const pairHeadings = {
  layer: ["layer"], other: ["other layer"],
  cka_debiased: ["CKA, debiased", "linear CKA from unbiased estimates (Nguyen et al. 2021): 1 is the same up to rotation and scale, 0 independent"],
  cka: ["CKA", "linear CKA (Kornblith et al. 2019): too high where there are few rows for many units"],
  explained: ["explained", "variance of the other layer that a linear map from this one explains, on held-out pictures"],
  explained_back: ["explained back", "variance of this layer that a linear map from the other one explains, on held-out pictures"],
  match: ["best match", "mean correlation of this layer's units with their best matches in the other layer, chosen on one half of the pictures and measured on the other"],
  match_back: ["best match back", "the same from the other layer's units to this layer's"],
  mutual: ["mutual", "share of this layer's units whose best match has them as its own"],
};
const warpHeadings = {
  warp: ["warp"], layer: ["layer"],
  error: ["learnt map", "error of a linear map over channels, learnt on half of the pictures, on the other half: 1 is what a constant achieves"],
  identity: ["identity", "error of the same activations at the warped places, without a map"],
  error_of_identity: ["learnt / identity", "the learnt map's error relative to the identity's"],
  baseline: ["baseline", "error of the identity for the activations of another picture"],
};
const words = new Set(["layer", "other", "warp"]);

function fill(table, headings, rows) {
  const names = Object.keys(headings);
  const kind = (name) => (words.has(name) ? "words" : null);
  table.querySelector("thead").append(element("tr", {}, ...names.map((name) =>
    element("th", { scope: "col", class: kind(name), title: headings[name][1] }, headings[name][0]))));
  table.querySelector("tbody").append(...rows.map((row) => element("tr", {}, ...names.map((name) =>
    element("td", { class: kind(name) }, words.has(name) ? nameOf(row[name]) : digits(row[name], 3))))));
  table.parentElement.hidden = rows.length === 0;
}

// ---- The heat map ----

/** Dark blue for 0 to yellow for 1, readable in grey too. */
function colourOf(value) {
  const share = Math.min(1, Math.max(0, value));
  const stops = [[38, 42, 92], [52, 102, 148], [62, 158, 140], [150, 205, 110], [248, 232, 120]];
  const place = share * (stops.length - 1), index = Math.min(stops.length - 2, Math.floor(place));
  const mixed = stops[index].map((from, channel) => Math.round(from + (place - index) * (stops[index + 1][channel] - from)));
  return { fill: `rgb(${mixed.join(" ")})`, ink: share > 0.55 ? "dark" : "light" };
}

function heatMap(names) {
  const value = (a, b) => (a === b ? 1 : data.pairs.find(({ layer, other }) => (layer === a && other === b) || (layer === b && other === a))?.cka_debiased);
  const side = 34, longest = Math.max(...names.map((name) => nameOf(name).length));
  const left = 7 * longest + 10, full = left + side * names.length;
  const svg = drawn("svg", { viewBox: `0 0 ${full} ${full}`, width: full, role: "img", "aria-label": "Debiased linear CKA of all pairs of layers" });
  names.forEach((row, y) => {
    svg.append(drawn("text", { x: left - 6, y: (y + 0.5) * side + 4, "text-anchor": "end" }, nameOf(row)));
    svg.append(drawn("text", { x: 0, y: 0, "text-anchor": "end", transform: `translate(${left + (y + 0.5) * side + 4} ${names.length * side + 6}) rotate(-90)` }, nameOf(row)));
    names.forEach((column, x) => {
      const found = value(row, column);
      if (!Number.isFinite(found)) return;
      const { fill, ink } = colourOf(found);
      svg.append(drawn("rect", { class: "cell", x: left + x * side, y: y * side, width: side, height: side, fill },
        drawn("title", {}, `${nameOf(row)} and ${nameOf(column)}: ${digits(found, 3)}`)));
      svg.append(drawn("text", { class: `value ${ink}`, x: left + (x + 0.5) * side, y: (y + 0.5) * side + 4 }, digits(found, 2)));
    });
  });
  return svg;
}

// ---- Equivariance by depth ----

function charts() {
  const warps = [...new Set(data.warped.map(({ warp }) => warp))];
  return warps.map((warp) => {
    const rows = data.warped.filter((row) => row.warp === warp);
    const line = (name, key, kind) => ({ name, kind, points: rows.map((row, index) => [index / Math.max(rows.length - 1, 1), row[key]]).filter(([, y]) => Number.isFinite(y)) });
    const lines = [line("learnt map", "error", "series-0"), line("identity", "identity", "series-1"), line("baseline", "baseline", "series-7 dashed")];
    return { warp, lines, title: `${warp}: relative error by depth` };
  }).filter(({ lines }) => lines[0].points.length > 1);
}

fill($("pairs"), pairHeadings, data.pairs);
fill($("warped"), warpHeadings, data.warped);
$("summary").hidden = !data.pairs.length && !data.warped.length;
if (data.layers.length > 1 && data.pairs.length) {
  $("heat").append(element("figcaption", {}, "Debiased linear CKA"), heatMap(data.layers));
  $("heat").hidden = false;
}
$("charts").append(...charts().map(({ warp, lines, title }) => element("figure", {}, element("figcaption", {}, title),
  lineChart({ title, across: "layers, from the first to the last", lines }),
  element("ul", { class: "legend" }, ...lines.map(({ name, kind }) => element("li", { class: kind }, element("span", { class: "key" }), name))))));

// ---- Matching units ----

const listOf = (value) => (Array.isArray(value) ? value : []);

function titleOf({ unit, own, patch }) {
  const [layer, channel] = own ? [unit.layer, unit.channel] : [metricsOf(unit).other, metricsOf(unit).other_channel];
  return [`${nameOf(layer)} ${text(channel)}`, text(patch.value), text(patch.name)].join(" · ");
}

function makeTops(unit, own) {
  const layer = own ? unit.layer : metricsOf(unit).other, channel = own ? unit.channel : metricsOf(unit).other_channel;
  const patches = listOf(own ? metricsOf(unit).most : metricsOf(unit).other_most);
  const items = patches.map((patch) => ({ unit, own, patch }));
  const row = element("div", { class: "tops" }, element("span", { class: "label", title: nameOf(layer) }, text(channel)),
    ...items.map((item) => makeShot(item, { "aria-label": titleOf(item), title: titleOf(item) }, patchTile(item.patch, data.size))));
  row.style.setProperty("--columns", Math.max(1, patches.length));
  return row;
}

const pairsOf = new Map();
for (const unit of data.units) {
  const key = `${nameOf(unit.layer)} and ${nameOf(metricsOf(unit).other)}`;
  pairsOf.set(key, [...(pairsOf.get(key) ?? []), unit]);
}
const sections = [...pairsOf].map(([name, units]) => {
  const rows = units.map((unit) => ({
    words: `${text(unit.channel)}\n${text(metricsOf(unit).other_channel)}`,
    row: element("li", {}, element("h3", {}, `${text(unit.channel)} and ${text(metricsOf(unit).other_channel)}`,
      element("small", { title: "correlation on the held-out half of the pictures" }, `correlation ${digits(unit.score, 2)}`)),
      makeTops(unit, true), makeTops(unit, false)),
  }));
  return { words: name.toLowerCase(), rows, section: element("section", { class: "pair", "aria-label": name }, element("h2", {}, name),
    element("ul", { class: "matches" }, ...rows.map(({ row }) => row))) };
});
$("pictures").append(...sections.map(({ section }) => section));

/** The full picture with a frame around the patch. */
function makeFull(patch) {
  const full = frame(patch.source, true);
  full.style.aspectRatio = `${data.size[1]} / ${data.size[0]}`;
  full.append(boxOver(patch.window, data.size));
  return full;
}

new Listing({
  root: $("pictures"),
  noun: "comparison",
  usualSize: 64,
  arrange: ({ query }) => sift(sections, query),
  describe: (item) => ({
    title: titleOf(item), source: item.patch.source, picture: makeFull(item.patch),
    rows: [["Layer", nameOf(item.own ? item.unit.layer : metricsOf(item.unit).other)], ["Activation", item.patch.value],
      ["Picture", item.patch.name], ["Correlation", item.unit.score]],
  }),
  opened: "patch",
  keyOf: ({ unit, own, patch }) => [unit.file, own ? 0 : 1, patch.name].join("#"),
}).start();
