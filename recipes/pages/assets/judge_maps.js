"use strict";
// Judged maps: a table and charts of the methods, then for each picture what every map became of random weights.

const listOf = (value) => (Array.isArray(value) ? value : []);
const kind = (method) => `series-${data.methods.indexOf(method) % 8}${data.methods.indexOf(method) >= 8 ? " dashed" : ""}`;
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

// ---- The table ----

const headings = {
  pointing: "points at it", energy: "energy in box", iou: "box overlap", insertion: "insertion", deletion: "deletion",
  infidelity: "infidelity", target_change: "change with target", shift: "change with shift",
  randomised_half: "half random", randomised_all: "all random", weights: "weights",
};
const hints = {
  pointing: "pointing game: share of pictures whose hottest pixel lies in a box (Zhang et al. 2016); more is better",
  energy: "share of the map that lies in a box (Wang et al. 2020); more is better",
  iou: "intersection over union of the box around what is above 20 % of the maximum, and the nearest box; more is better",
  insertion: "area under the score as the hottest pixels come into a blurred picture (Petsiuk et al. 2018); more is better",
  deletion: "area under the score as the hottest pixels go (Petsiuk et al. 2018); less is better",
  infidelity: "squared error in telling how much the score falls when squares go, as a share (Yeh et al. 2019); less is better",
  target_change: "1 - rank correlation with the map of another target; 0 says the same of both",
  shift: "relative change by a shift that the network takes back (Kindermans et al. 2017); 0 is invariance",
  randomised_half: "rank correlation of |map| with itself while the upper half of the layers is random (Adebayo et al. 2018); less is better",
  randomised_all: "rank correlation of |map| with itself once all layers are random; less is better",
  weights: "hardly: |map| keeps a rank correlation of .5 or more while the upper half of the layers is random",
};
const better = { pointing: 1, energy: 1, iou: 1, insertion: 1, deletion: -1, infidelity: -1 };

function cell(name, value) {
  if (name === "pointing") return Number.isFinite(value) ? `${Math.round(100 * value)} %` : "–";
  return name in headings && name !== "weights" ? digits(value, 3) : text(value);
}

function bestOf(name) {
  const rows = data.table.filter((row) => row.method !== "chance" && Number.isFinite(row[name]));
  return name in better && rows.length > 1 ? rows.reduce((best, row) => (better[name] * (row[name] - best[name]) > 0 ? row : best)) : null;
}

function fillTable() {
  const names = [...new Set(data.table.flatMap((row) => Object.keys(row)))];
  const words = (name) => (["method", "weights"].includes(name) ? "words" : null);
  $("summary").querySelector("thead").append(element("tr", {}, ...names.map((name) =>
    element("th", { scope: "col", class: words(name), title: hints[name] }, headings[name] ?? name.replaceAll("_", " ")))));
  $("summary").querySelector("tbody").append(...data.table.map((row) =>
    element("tr", { class: row.method === "chance" ? "chance" : null }, ...names.map((name) => {
      const marks = [words(name), bestOf(name) === row && "best", name === "weights" && row[name] === "hardly" && "bad"];
      return element("td", { class: marks.filter(Boolean).join(" ") || null }, cell(name, row[name]));
    }))));
}

// ---- The charts ----

const unitsOf = (method) => data.images.flatMap(({ units }) => units).filter((unit) => String(metricsOf(unit).method) === method);

/** The mean over pictures of lists of points [x, y], point by point; where y is no number it does not count. */
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
    { title: "How alike |map| stays as layers turn random: rank correlation", across: "layers randomised, from the top", lines: lines(cascadePoints("size")) },
    { title: "The same by SSIM of the drawn maps", across: "layers randomised, from the top", lines: lines(cascadePoints("ssim")) },
    { title: "Deletion: the score as the hottest pixels go", across: "pixels gone", lines: lines(curvePoints("deletion_curve")) },
    { title: "Insertion: the score as the hottest pixels come", across: "pixels shown", lines: lines(curvePoints("insertion_curve")) },
  ].filter((chart) => chart.lines.some(({ points }) => points.length > 1));
  $("charts").append(...charts.map((chart) => element("figure", {}, element("figcaption", {}, chart.title), lineChart(chart))));
  $("legend").append(...data.methods.map((method) => element("li", { class: kind(method) }, element("span", { class: "key" }), method)));
}

// ---- The pictures ----

function titleOf(unit) {
  if (isOriginal(unit)) return `${text(unit.image)} · original`;
  return [metricsOf(unit).method, unit.name ?? metricsOf(unit).target, unit.image].map(text).join(" · ");
}

/** A unit's picture with the boxes that were given, [top, left, bottom, right] in its pixels. */
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
  const counts = element("span", { class: "depths" }, element("span", { title: "the network as it is" }, "map"),
    ...listOf(cascade).map((depth) => element("span", { title: `random down to ${text(depth?.down_to)}` },
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
  const seen = units.find((unit) => unit.name)?.name;
  const section = element("section", { class: "picture", "aria-label": name },
    element("h2", {}, element("span", { title: name }, name), seen ? element("span", { class: "seen" }, `target ${seen}`) : null),
    first ?? null, ...rows.map(({ row }) => row));
  return { words: name.toLowerCase(), rows, section };
});
$("pictures").append(...pictures.map(({ section }) => section));
document.documentElement.style.setProperty("--aspect", data.aspect);
$("summary").hidden = data.table.length === 0;
if (data.table.length) fillTable();
drawCharts();

function rowsOf(unit) {
  const { target, method, value, at, upper, seconds, source, ...metrics } = metricsOf(unit);
  const measures = Object.keys(headings).filter((name) => name in metrics).map((name) => [headings[name], metrics[name]]);
  const named = measures.map(([label, value]) => [label[0].toUpperCase() + label.slice(1), value]);
  const what = isOriginal(unit) ? [["File", source], ["By chance", "what a map of noise reaches:"]] : [
    ["Target", target], ["Class", unit.name], ["Scores", value], ["Method", method], ["Looks at", at || undefined],
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
