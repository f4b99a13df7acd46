"use strict";
// Evaluated maps: a table and charts of the methods, then for each picture every map under weight randomisation.

const listOf = (value) => (Array.isArray(value) ? value : []);
const kind = (method) => `series-${data.methods.indexOf(method) % 8}${data.methods.indexOf(method) >= 8 ? " dashed" : ""}`;
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

// ---- The table ----

const headings = {
  pointing: "pointing game", energy: "energy in box", iou: "box IoU", insertion: "insertion", deletion: "deletion",
  infidelity: "infidelity", target_change: "target change", shift: "shift change",
  randomised_half: "half random", randomised_all: "all random", weights: "weights",
};
const hints = {
  pointing: "share of pictures whose hottest pixel lies in a box (Zhang et al. 2016); higher is better",
  energy: "share of the map's energy that lies in a box (Wang et al. 2020); higher is better",
  iou: "intersection over union of the nearest box and the box around all pixels above 20 % of the maximum; higher is better",
  insertion: "area under the score curve as the hottest pixels are inserted into a blurred picture (Petsiuk et al. 2018); higher is better",
  deletion: "area under the score curve as the hottest pixels are deleted (Petsiuk et al. 2018); lower is better",
  infidelity: "relative squared error in predicting the drop of the score when squares are removed (Yeh et al. 2019); lower is better",
  target_change: "1 - rank correlation with the map of another target; 0 means that both maps are the same",
  shift: "relative change under an input shift that the network's bias compensates (Kindermans et al. 2017); 0 is invariance",
  randomised_half: "rank correlation of |map| with the original while the upper half of the layers is random (Adebayo et al. 2018); lower is better",
  randomised_all: "rank correlation of |map| with the original once all layers are random; lower is better",
  weights: "hardly: the rank correlation of |map| is .5 or more while the upper half of the layers is random",
};
const better = { pointing: 1, energy: 1, iou: 1, insertion: 1, deletion: -1, infidelity: -1 };

/** The row of the table for maps of noise. */
const BASELINE = "random";

function cell(name, value) {
  if (name === "pointing") return Number.isFinite(value) ? `${Math.round(100 * value)} %` : "–";
  return name in headings && name !== "weights" ? digits(value, 3) : text(value);
}

function bestOf(name) {
  const rows = data.table.filter((row) => row.method !== BASELINE && Number.isFinite(row[name]));
  return name in better && rows.length > 1 ? rows.reduce((best, row) => (better[name] * (row[name] - best[name]) > 0 ? row : best)) : null;
}

function fillTable() {
  const names = [...new Set(data.table.flatMap((row) => Object.keys(row)))];
  const words = (name) => (["method", "weights"].includes(name) ? "words" : null);
  $("summary").querySelector("thead").append(element("tr", {}, ...names.map((name) =>
    element("th", { scope: "col", class: words(name), title: hints[name] }, headings[name] ?? name.replaceAll("_", " ")))));
  $("summary").querySelector("tbody").append(...data.table.map((row) =>
    element("tr", { class: row.method === BASELINE ? "baseline" : null }, ...names.map((name) => {
      const marks = [words(name), bestOf(name) === row && "best", name === "weights" && row[name] === "hardly" && "bad"];
      return element("td", { class: marks.filter(Boolean).join(" ") || null }, cell(name, row[name]));
    }))));
}

// ---- The charts ----

const unitsOf = (method) => data.images.flatMap(({ units }) => units).filter((unit) => String(metricsOf(unit).method) === method);

/** The pointwise mean of lines of points [x, y]; points that are not finite are ignored. */
function meanLine(lists) {
  const length = Math.max(0, ...lists.map((points) => points.length));
  return Array.from({ length }, (_, index) => {
    const points = lists.map((list) => list[index]).filter((point) => point && point.every(Number.isFinite));
    return points.length ? [points[0][0], mean(points.map(([, y]) => y))] : null;
  }).filter(Boolean);
}

function lines(pointsOf) {
  return data.methods.map((method) => ({ name: method, kind: kind(method), points: meanLine(unitsOf(method).map(pointsOf)) }));
}

function curvePoints(name) {
  return (unit) => listOf(metricsOf(unit)[name]).map((value, index, all) => [index / Math.max(all.length - 1, 1), value]);
}

function cascadePoints(name) {
  return (unit) => {
    const depths = listOf(metricsOf(unit).cascade);
    return [[0, 1], ...depths.map((depth) => [depth?.layers / depths.at(-1)?.layers, depth?.[name]])];
  };
}

function drawCharts() {
  const charts = [
    { title: "Weight randomisation: rank correlation of |map| with the original", across: "layers randomised, from the top", lines: lines(cascadePoints("size")) },
    { title: "Weight randomisation: SSIM of the drawn maps", across: "layers randomised, from the top", lines: lines(cascadePoints("ssim")) },
    { title: "Deletion: score as the hottest pixels are deleted", across: "pixels deleted", lines: lines(curvePoints("deletion_curve")) },
    { title: "Insertion: score as the hottest pixels are inserted", across: "pixels inserted", lines: lines(curvePoints("insertion_curve")) },
  ].filter((chart) => chart.lines.some(({ points }) => points.length > 1));
  $("charts").append(...charts.map((chart) => element("figure", {}, element("figcaption", {}, chart.title), lineChart(chart))));
  $("legend").append(...data.methods.map((method) => element("li", { class: kind(method) }, element("span", { class: "key" }), method)));
}

// ---- The pictures ----

function titleOf(unit) {
  if (isOriginal(unit)) return `${text(unit.image)} · original`;
  return [metricsOf(unit).method, unit.name ?? metricsOf(unit).target, unit.image].map(text).join(" · ");
}

/** A unit's picture with its ground-truth boxes, [top, left, bottom, right] in pixels. */
function makeBoxedShot(unit) {
  const boxes = listOf(metricsOf(unit).boxes).filter((box) => listOf(box).length === 4 && box.every(Number.isFinite));
  const picture = pictureOf(unit);
  picture.append(...boxes.map((box) => boxOver(box, data.size)));
  return makeShot(unit, { "aria-label": titleOf(unit) }, picture);
}

function makeRow(unit) {
  const { method, cascade, insertion, deletion, upper } = metricsOf(unit);
  const strip = unit.extra_files?.strip;
  const columns = listOf(cascade).length + 1;
  const counts = element("span", { class: "depths" }, element("span", { title: "trained weights" }, "map"),
    ...listOf(cascade).map((depth) => element("span", { title: `randomised down to ${text(depth?.down_to)}` },
      `${text(depth?.layers)} · ${Number.isFinite(depth?.size) ? depth.size.toFixed(2) : "silent"}`)));
  const film = element("span", { class: "strip" }, strip ? element("img", { loading: "lazy", decoding: "async", alt: "", src: strip }) : null, counts);
  film.style.setProperty("--columns", columns);
  return element("div", { class: "row" },
    element("h3", {}, element("span", { class: "method", title: method }, text(method)),
      element("small", {}, `insertion ${digits(insertion, 2)}`), element("small", {}, `deletion ${digits(deletion, 2)}`),
      element("small", {}, `half random ${digits(upper, 2)}`)),
    makeBoxedShot(unit), film);
}

const pictures = data.images.map(({ name, original, units }) => {
  const rows = units.map((unit) => ({ words: [metricsOf(unit).method, unit.name].filter(Boolean).join("\n").toLowerCase(), row: makeRow(unit) }));
  const first = original && element("div", { class: "row" }, element("h3", {}, "original"), makeBoxedShot(original));
  const target = units.find((unit) => unit.name)?.name;
  const section = element("section", { class: "picture", "aria-label": name },
    element("h2", {}, element("span", { title: name }, name), target ? element("span", { class: "target" }, `target: ${target}`) : null),
    first ?? null, ...rows.map(({ row }) => row));
  return { words: name.toLowerCase(), rows, section };
});
$("pictures").append(...pictures.map(({ section }) => section));
document.documentElement.style.setProperty("--aspect", data.aspect);
showScales($("pictures"), data.scales, data.images.flatMap(({ units }) => units.map((unit) => metricsOf(unit).signed === true)));
$("summary").hidden = data.table.length === 0;
if (data.table.length) fillTable();
drawCharts();

function rowsOf(unit) {
  const { target, method, value, at, upper, seconds, source, ...metrics } = metricsOf(unit);
  const measures = Object.keys(headings).filter((name) => name in metrics).map((name) => [headings[name], metrics[name]]);
  const named = measures.map(([label, value]) => [label[0].toUpperCase() + label.slice(1), value]);
  const what = isOriginal(unit) ? [["File", source], ["Baseline", "metrics of a noise map:"]] : [
    ["Target", target], ["Class", unit.name], ["Score", value], ["Method", method], ["Layer", at || undefined],
  ];
  return [["Picture", unit.image], ...what, ...named, ["Half random", upper], ["Seconds", seconds]]
    .filter(([, value]) => value !== undefined && value !== null);
}

new Listing({
  root: $("pictures"),
  usualSize: matchMedia("(max-width: 46rem)").matches ? 64 : 104,
  arrange: ({ query }) => sift(pictures, query),
  describe: (unit) => ({ title: titleOf(unit), source: unit.source, rows: rowsOf(unit) }),
}).start();
