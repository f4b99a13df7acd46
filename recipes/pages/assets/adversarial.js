"use strict";
// Smallest changes: a table and charts of their sizes, then each photo with its changed copies.

const listOf = (value) => (Array.isArray(value) ? value : []);
const percent = (share) => (Number.isFinite(share) ? `${(100 * share).toFixed(share > 0.1 && share < 0.999 ? 0 : 1)} %` : "–");
const made = data.images.flatMap(({ units }) => units);
const sizeOf = (metrics) => metrics[metrics.norm];

// ---- The table ----

const headings = {
  target: ["target"], norm: ["norm", "size that was made least: l2, or linf, the largest change of any value"], pictures: ["photos"],
  reached: ["reached", "share of the photos in which the goal was reached, in 8-bit files"],
  continuous: ["median, continuous", "median norm of the changes before rounding, for values in [0, 1]"],
  median: ["median, 8 bits", "median norm of the changes in the files, for values in [0, 1]"],
  median_255: ["in 1/255", "the same in steps of an 8-bit value"],
};

function cell(name, value) {
  if (name === "reached" || name.endsWith("_fooled")) return percent(value);
  return ["continuous", "median", "median_255"].includes(name) ? text(value) : String(value ?? "–");
}

function fillTable() {
  const names = [...new Set(data.table.flatMap((row) => Object.keys(row)))];
  const kind = (name) => (["target", "norm"].includes(name) ? "words" : null);
  const heading = (name) => headings[name] ?? [name.replace(/_fooled$/, " fooled"), "share of the photos whose change fools this network as well"];
  $("summary").querySelector("thead").append(element("tr", {}, ...names.map((name) =>
    element("th", { scope: "col", class: kind(name), title: heading(name)[1] }, heading(name)[0]))));
  $("summary").querySelector("tbody").append(...data.table.map((row) =>
    element("tr", {}, ...names.map((name) => element("td", { class: kind(name) }, cell(name, row[name]))))));
}

// ---- The share of photos by size of change ----

function sizeChart(norm, rows) {
  const scale = norm === "linf" ? 255 : 1;
  const members = (target) => made.map(metricsOf).filter((metrics) => metrics.norm === norm && metrics.target === target);
  const largest = Math.max(...rows.flatMap(({ target }) => members(target)).filter(({ reached }) => reached).map((metrics) => scale * sizeOf(metrics)), 0);
  if (!(largest > 0)) return null;
  const lines = rows.map(({ target }, index) => {
    const all = members(target), sizes = all.filter(({ reached }) => reached).map((metrics) => scale * sizeOf(metrics)).sort((a, b) => a - b);
    const points = sizes.flatMap((size, place) => [[size / largest, place / all.length], [size / largest, (place + 1) / all.length]]);
    return { name: target, kind: `series-${index % 8}`, points: [[0, 0], ...points, [1, sizes.length / all.length]] };
  });
  const across = norm === "linf" ? "largest change of any value, in 1/255" : "L2 norm of the change, values in [0, 1]";
  const title = `Share of the photos that a change of this size is enough for (${norm})`;
  return element("figure", {}, element("figcaption", {}, title),
    lineChart({ title, across, lines, ticks: [0, largest / 2, largest].map(text) }),
    element("ul", { class: "legend" }, ...lines.map(({ name, kind }) => element("li", { class: kind }, element("span", { class: "key" }), name))));
}

$("summary").hidden = data.table.length === 0;
if (data.table.length) fillTable();
$("charts").append(...[...new Set(data.table.map(({ norm }) => norm))].map((norm) => sizeChart(norm, data.table.filter((row) => row.norm === norm))).filter(Boolean));

// ---- The photos ----

const named = (guess) => (guess ? `${text(guess.name)} ${percent(guess.probability)}` : "–");

function titleOf(unit) {
  const { target, norm } = metricsOf(unit);
  return [text(unit.image), ...(isOriginal(unit) ? ["original"] : [target, norm])].join(" · ");
}

/** The distances of both paths by stage, next to the mean distance of other pictures. */
function pathChart({ path, parts }) {
  const steps = listOf(path), across = parts ? `stages; they part in ${parts}` : "stages; they do not part";
  if (steps.length < 2) return null;
  const line = (name, kind, value) => ({ name, kind, points: steps.map((step, index) => [index / (steps.length - 1), value(step)]).filter(([, y]) => Number.isFinite(y)) });
  const lines = [line("changed copy", "series-0", (step) => step.distance), line("another photo", "series-7 dashed", (step) => step.others)];
  const chart = lineChart({ title: "Distance of the activations, by stage", across, lines, ticks: ["first", "", "last"] });
  return element("figure", {}, chart);
}

function change({ norm, l2, linf_255, changed, continuous }) {
  const before = Number.isFinite(continuous) ? `, ${norm} ${text(norm === "linf" ? 255 * continuous : continuous)} before rounding` : "";
  return `l2 ${text(l2)}, linf ${text(linf_255)}/255, ${percent(changed)} of the values${before}`;
}

function makeCopy(unit) {
  const metrics = metricsOf(unit), { target, norm, reached, before, after, judges, amplified } = metrics;
  const value = metrics.threshold !== undefined && metrics.threshold !== null;
  const facts = element("ul", { class: "classes" },
    element("li", {}, named(listOf(before)[0])), element("li", {}, "to ", element("strong", {}, named(listOf(after)[0]))),
    value ? element("li", {}, `value ${text(metrics.value_before)} to ${text(metrics.value_after)}, above ${text(metrics.threshold)}`) : null,
    ...listOf(judges).map((judge) => element("li", { title: judge.label }, `${text(judge.label)}: `,
      element("span", { class: judge.fooled ? "bad" : null }, `${named(listOf(judge.after)[0])}${judge.fooled ? ", fooled" : ""}`))));
  const difference = element("figure", {}, frame(unit.extra_files?.difference), element("figcaption", {}, `difference × ${text(amplified)}`));
  return element("div", { class: "copy" },
    element("h3", {}, `${text(target)}, ${text(norm)}`, element("small", {}, reached ? change(metrics) : "goal not reached")),
    makeShot(unit, { "aria-label": titleOf(unit) }, pictureOf(unit)), difference,
    element("div", { class: "facts" }, facts, pathChart(metrics)));
}

const pictures = data.images.map(({ name, original, units }) => {
  const rows = units.map((unit) => ({
    words: [metricsOf(unit).target, listOf(metricsOf(unit).after)[0]?.name, listOf(metricsOf(unit).before)[0]?.name].map(text).join("\n").toLowerCase(),
    row: makeCopy(unit),
  }));
  const first = original && element("div", { class: "original" }, element("h3", {}, "original"), makeShot(original, { "aria-label": titleOf(original) }, pictureOf(original)));
  const section = element("section", { class: "picture", "aria-label": name }, element("h2", {}, name),
    element("div", { class: "rows" }, first ?? null, ...rows.map(({ row }) => row)));
  return { words: name.toLowerCase(), rows, section };
});
$("pictures").append(...pictures.map(({ section }) => section));
document.documentElement.style.setProperty("--aspect", data.aspect);

function rowsOf(unit) {
  const metrics = metricsOf(unit);
  if (isOriginal(unit)) return [["Picture", unit.image], ["File", metrics.source], ...listOf(metrics.top5).map((guess, index) => [index ? "" : "Classes", named(guess)])];
  return [["Picture", unit.image], ["Target", metrics.target], ["Norm", metrics.norm], ["Reached", metrics.reached ? "yes" : "no", !metrics.reached],
    ["L2", metrics.l2], ["L2, 1/255", metrics.l2_255], ["Linf, 1/255", metrics.linf_255], ["RMS, 1/255", metrics.rms_255],
    ["Changed", percent(metrics.changed)], ["Before", named(listOf(metrics.before)[0])], ["After", named(listOf(metrics.after)[0])],
    ["Parts in", metrics.parts], ["Seconds", metrics.seconds]].filter(([, value]) => value !== undefined && value !== null);
}

new Listing({
  root: $("pictures"),
  usualSize: matchMedia("(max-width: 46rem)").matches ? 96 : 144,
  arrange: ({ query }) => sift(pictures, query),
  describe: (unit) => ({ title: titleOf(unit), source: unit.source, rows: rowsOf(unit) }),
}).start();
