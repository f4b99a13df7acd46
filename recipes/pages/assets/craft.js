"use strict";
// Components of a class: the most important first, each with its crops and maps; then the photographs in their colours.

const listOf = (value) => (Array.isArray(value) ? value : []);
const isPhotograph = (unit) => unit.channel === null || unit.channel === undefined;
const importanceOf = (unit) => metricsOf(unit).importance ?? -1;
const colourOf = (channel) => data.colours[channel] ?? "transparent";
const most = Math.max(0.01, ...data.components.map((unit) => importanceOf(unit) + (metricsOf(unit).importance_error ?? 0)));

function swatch(channel) {
  const mark = element("span", { class: "swatch" });
  mark.style.setProperty("--colour", colourOf(channel));
  return mark;
}

/** The importance as a bar, relative to the largest, with its standard error. */
function bar(unit) {
  const { importance, importance_error: error } = metricsOf(unit);
  const x = (value) => (100 * Math.max(0, value)) / most;
  const chart = drawn("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", role: "img", "aria-label": `importance ${digits(importance, 3)}` });
  if (Number.isFinite(importance)) chart.append(drawn("rect", { class: "bar", x: 0, y: 2, width: x(importance), height: 6 }));
  if (Number.isFinite(importance) && Number.isFinite(error)) {
    chart.append(drawn("line", { class: "spread", x1: x(importance - error), x2: x(importance + error), y1: 5, y2: 5 }));
  }
  return chart;
}

/** The tiles of a strip file, each with the photograph that it shows. */
function tiles(unit, kind) {
  const source = unit.extra_files?.[kind], entries = listOf(metricsOf(unit)[kind]);
  return element("div", { class: "tiles" }, ...(source ? entries : []).map(({ photograph, value }, index) => {
    const tile = cut(source, [index, 0, 1, 1], [entries.length, 1]);
    tile.title = `${text(photograph)} · ${text(value)}`;
    return tile;
  }));
}

function titleOf(unit) {
  return isPhotograph(unit) ? [unit.image, metricsOf(unit).class].map(text).join(" · ") : `component ${unit.channel}`;
}

function makeComponent(unit) {
  const { importance, importance_error: error } = metricsOf(unit);
  const row = element("section", { class: "component", "aria-label": titleOf(unit) },
    element("header", {}, element("h2", {}, swatch(unit.channel), titleOf(unit)), bar(unit),
      element("span", { class: "value" }, Number.isFinite(importance) ? `importance ${digits(importance, 3)} ± ${digits(error, 3)}` : "importance not known yet")),
    makeShot(unit, { "aria-label": titleOf(unit) }, pictureOf(unit)),
    element("div", {}, tiles(unit, "crops"), tiles(unit, "maps")));
  return { words: titleOf(unit), section: row };
}

function makePhotograph(unit) {
  const { predicted } = metricsOf(unit);
  return makeShot(unit, { "aria-label": titleOf(unit) }, pictureOf(unit),
    element("span", { class: "caption" }, element("span", { title: unit.image }, text(unit.image)),
      element("span", { class: "class" }, predicted ? `predicted: ${predicted}` : "\u00a0")));
}

const components = [...data.components].sort((a, b) => importanceOf(b) - importanceOf(a)).map(makeComponent);
const photographs = data.photographs.map((unit) => ({
  words: [unit.image, metricsOf(unit).class, metricsOf(unit).predicted].filter(Boolean).join("\n").toLowerCase(), section: makePhotograph(unit),
}));
const below = element("section", { class: "photographs", "aria-label": "Photographs" }, element("h2", {}, "Photographs, with the components in their colours"),
  element("div", { class: "shots" }, ...photographs.map(({ section }) => section)));
$("craft").append(...components.map(({ section }) => section), below);
document.documentElement.style.setProperty("--aspect", data.aspect);

function rowsOf(unit) {
  const { class: name, value, reconstructed, predicted, same_class: same, importance, importance_error: error, rank } = metricsOf(unit);
  if (!isPhotograph(unit)) {
    return [["Component", unit.channel], ["Rank", rank], ["Importance", importance], ["Standard error", error], ["Score", unit.score],
      ["Crops of", listOf(metricsOf(unit).crops).map(({ photograph }) => photograph).join(", ")], ["Seed", unit.seed]]
      .filter(([, each]) => each !== undefined && each !== null);
  }
  const ranked = listOf(importance).map((each, channel) => [`component ${channel}`, each]).sort(([, a], [, b]) => b - a).slice(0, 8);
  return [["Photograph", unit.image], ["Class", name], ["Predicted", predicted], ["Logit", value], ["From components", reconstructed],
    ["Class kept", same === undefined ? undefined : same ? "yes" : "no", same === false], ...ranked.map(([label, each]) => [label, digits(each, 3)])]
    .filter(([, each]) => each !== undefined && each !== null);
}

const listing = new Listing({
  root: $("craft"),
  usualSize: matchMedia("(max-width: 46rem)").matches ? 128 : 184,
  arrange: ({ query }) => {
    const found = sift([...components, ...photographs], query);
    below.hidden = photographs.every(({ section }) => section.hidden);
    return found;
  },
  describe: (unit) => ({ title: titleOf(unit), source: unit.source, rows: rowsOf(unit) }),
});
listing.start();
