
"use strict";
// Pre-images: a chart and a table of the run, then a strip for each picture, with the layers from shallow to deep.

const tried = data.images.some((image) => image.units.some((unit) => unit.attempt > 0));
const attemptOf = (unit) => `${ordinal(unit.attempt ?? 0)} attempt`;
const best = (guesses) => guesses?.[0]?.name ?? null;
/** The predictions of each judge for a picture, as [judge, guesses]. */
const judgesOf = (unit) => Object.entries(metricsOf(unit)).filter(([name, list]) => /^judge.*_top5$/.test(name) && Array.isArray(list))
  .map(([name, list]) => [name.slice(0, -"_top5".length).replaceAll("_", " "), list]);
const series = (prior) => `series-${Math.max(data.priors.indexOf(prior), 0) % 4}`;

// ---- The strips ----

function makeFilmShot(unit) {
  const metrics = metricsOf(unit);
  const name = best(metrics.top5);
  const first = isOriginal(unit)
    ? [element("span", { class: "error" }, "original")]
    : [element("span", { class: "error", title: "relative error" }, digits(metrics.relative_error, 3)),
      element("span", { class: "likeness" }, Number.isFinite(metrics.psnr) ? `${digits(metrics.psnr, 1)} dB` : "")];
  return makeShot(unit, { "aria-label": spoken(unit) }, pictureOf(unit),
    element("span", { class: "caption" }, ...first,
      name && element("span", { class: metrics.same_class === false ? "class" : "class same", title: name }, name)));
}

function titleOf(unit) {
  if (isOriginal(unit)) return `${text(unit.image)} · original`;
  return [unit.layer, unit.prior, unit.attempt ? attemptOf(unit) : null, unit.image].filter(Boolean).map(text).join(" · ");
}

function spoken(unit) {
  const metrics = metricsOf(unit);
  const parts = [titleOf(unit)];
  if (!isOriginal(unit)) parts.push(`relative error ${digits(metrics.relative_error, 3)}`);
  if (best(metrics.top5)) parts.push(`predicted ${best(metrics.top5)}`);
  if (isStopped(unit)) parts.push(text(unit.status));
  return parts.join(", ");
}

function makeFilm(image) {
  const column = (name, cells) => element("div", { class: "column" }, element("h3", { title: name }, name), ...cells);
  const columns = data.layers.map((layer) => {
    const inLayer = image.units.filter((unit) => unit.layer === layer);
    const priors = data.priors.filter((prior) => inLayer.some((unit) => String(unit.prior) === prior));
    const cells = priors.map((prior) => {
      const attempts = inLayer.filter((unit) => String(unit.prior) === prior).sort((a, b) => (a.attempt ?? 0) - (b.attempt ?? 0));
      return element("div", { class: "cell" }, element("h3", {}, prior), element("div", { class: "shots" }, ...attempts.map(makeFilmShot)));
    });
    return cells.length ? column(layer, cells) : null;
  }).filter(Boolean);
  if (image.original) {
    const cell = element("div", { class: "cell" }, element("h3", {}, "\u00a0"), element("div", { class: "shots" }, makeFilmShot(image.original)));
    columns.unshift(column("original", [cell]));
    columns[0].classList.add("first");
  }
  const judged = image.original ? judgesOf(image.original).filter(([, list]) => best(list)) : [];
  const section = element("section", { class: "film", "aria-label": image.name },
    element("h2", {}, element("span", { title: image.name }, image.name),
      ...judged.map(([judge, list]) => element("span", { class: "predicted" }, `${judge}: ${best(list)}`))),
    element("div", { class: "strip" }, ...columns));
  const units = [image.original, ...image.units].filter(Boolean);
  const words = units.flatMap((unit) => [best(metricsOf(unit).top5), ...judgesOf(unit).map(([, list]) => best(list))]).filter(Boolean);
  return { section, words: [image.name, ...words].join("\n").toLowerCase() };
}

const films = data.images.map(makeFilm);
$("films").append(...films.map(({ section }) => section));
document.documentElement.style.setProperty("--aspect", data.aspect);

// ---- The chart and the table ----

/** The relative error of each pre-image by layer, and a line through the means of each prior. */
function chart() {
  const [width, height, left, right, top, bottom] = [480, 250, 40, 12, 22, 46];
  const dots = data.images.flatMap((image) => image.units).filter((unit) => Number.isFinite(metricsOf(unit).relative_error));
  const most = Math.max(0.01, ...dots.map((unit) => metricsOf(unit).relative_error));
  const step = ruleStep(most);
  const highest = step * Math.ceil(most / step - 1e-9);
  const x = (layer, prior) => left + (width - left - right) * (data.layers.indexOf(layer) + 0.5) / data.layers.length
    + (data.auto ? 0 : (data.priors.indexOf(prior) - (data.priors.length - 1) / 2) * 7);
  const y = (error) => top + (height - top - bottom) * (1 - error / highest);
  const rules = Array.from({ length: Math.round(highest / step) + 1 }, (_, index) => index * step).flatMap((error) => [
    drawn("line", { class: "rule", x1: left, x2: width - right, y1: y(error), y2: y(error) }),
    drawn("text", { x: left - 6, y: y(error) + 4, "text-anchor": "end" }, String(Number(error.toFixed(4)))),
  ]);
  const many = data.layers.length > 5;
  const names = data.layers.map((layer) => {
    const [at, low] = [left + (width - left - right) * (data.layers.indexOf(layer) + 0.5) / data.layers.length, height - bottom + 16];
    const short = layer.length > 16 ? `…${layer.slice(-15)}` : layer;
    const how = many ? { "text-anchor": "end", transform: `rotate(-35 ${at} ${low})` } : { "text-anchor": "middle" };
    return drawn("text", { class: "layer-name", x: at, y: low, ...how }, short);
  });
  const points = dots.map((unit) => drawn("circle",
    { class: `dot ${series(unit.prior)}`, cx: x(unit.layer, unit.prior), cy: y(metricsOf(unit).relative_error), r: 3 },
    drawn("title", {}, spoken(unit))));
  const known = data.table.filter((row) => Number.isFinite(row.relative_error));
  const path = (rows) => rows.map((row) => `${x(row.layer, row.prior)},${y(row.relative_error)}`).join(" ");
  // With prior auto each layer has the prior for its depth: one line goes through all of them.
  const through = data.auto ? [drawn("polyline", { class: "mean all", points: path(known.toSorted((a, b) => data.layers.indexOf(a.layer) - data.layers.indexOf(b.layer))) })] : [];
  const lines = data.priors.flatMap((prior, index) => {
    return [
      data.auto ? null : drawn("polyline", { class: `mean ${series(prior)}`, points: path(known.filter((row) => row.prior === prior)) }),
      drawn("circle", { class: `key ${series(prior)}`, cx: left + 8 + index * 100, cy: 8, r: 4 }),
      drawn("text", { x: left + 16 + index * 100, y: 12 }, prior),
    ].filter(Boolean);
  });
  return drawn("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "Relative error by depth" },
    ...rules, ...names, ...through, ...points, ...lines);
}

const headings = {
  relative_error: "relative error", normalized_error: "normalised error", psnr: "PSNR (dB)", ssim: "SSIM",
  same_class: "same class", seconds: "seconds each",
};
const hints = {
  relative_error: "|Phi(x) - Phi0| / |Phi0|",
  normalized_error: "the distance, divided by the mean distance between codes of different pictures",
  same_class: "share of pre-images for which the network predicts the same class as for the original",
};
/** The metric that says whether a judge recognises the picture: "judge_recognises", of several "judge_NAME_recognises". */
const verdict = /^judge(_.+)?_recognises$/;
const headingOf = (name) => headings[name] ?? name.replace(verdict, "judge$1 agrees").replaceAll("_", " ");
const hintOf = (name) => hints[name] ?? (verdict.test(name) ? "share of pre-images for which the judge's top 5 include its top class of the original" : undefined);
const places = { relative_error: 3, normalized_error: 3, psnr: 1, ssim: 3, seconds: 1 };

function cell(name, value) {
  if (name === "same_class" || verdict.test(name)) return Number.isFinite(value) ? `${Math.round(100 * value)} %` : "–";
  return name in places ? digits(value, places[name]) : text(value);
}

function fillTable() {
  const names = [...new Set(data.table.flatMap((row) => Object.keys(row)))];
  const kind = (name) => (["layer", "prior"].includes(name) ? "words" : null);
  $("summary").querySelector("thead").append(element("tr", {}, ...names.map((name) =>
    element("th", { scope: "col", class: kind(name), title: hintOf(name) }, headingOf(name)))));
  $("summary").querySelector("tbody").append(...data.table.map((row) =>
    element("tr", {}, ...names.map((name) => element("td", { class: kind(name) }, cell(name, row[name]))))));
}

$("summary").hidden = data.table.length === 0;
if (data.table.length) {
  $("summary").querySelector("figure").append(chart());
  fillTable();
}

// ---- Lightbox and filter ----

/** Predicted classes as text, with their probabilities. */
function guesses(list) {
  return list.map(({ name, probability }) => `${name} ${digits(100 * probability, 0)}\u00a0%`).join(" · ");
}

function rowsOf(unit) {
  const { top5, ...others } = metricsOf(unit);
  const metrics = Object.fromEntries(Object.entries(others).filter(([name]) => !name.endsWith("_top5")));
  const rows = isOriginal(unit) ? [["Picture", unit.image]] : [
    ["Layer", unit.layer], ["Prior", unit.prior], ...(tried ? [["Attempt", attemptOf(unit)]] : []), ["Picture", unit.image],
  ];
  for (const [name, value] of Object.entries(metrics)) {
    const label = headingOf(name);
    rows.push([label[0].toUpperCase() + label.slice(1), typeof value === "boolean" ? (value ? "yes" : "no") : value]);
  }
  if (Array.isArray(top5)) rows.push(["Top 5", guesses(top5)]);
  for (const [judge, list] of judgesOf(unit)) rows.push([`${judge[0].toUpperCase()}${judge.slice(1)}'s top 5`, guesses(list)]);
  if (!isOriginal(unit)) rows.push(["Steps", unit.steps], ["Seconds", unit.seconds], ["Seed", unit.seed]);
  rows.push(["Status", unit.status, isStopped(unit)], ["File", unit.file]);
  return rows;
}

new Listing({
  root: $("films"),
  usualSize: matchMedia("(max-width: 46rem)").matches ? 112 : 152,
  arrange: ({ query }) => sift(films, query),
  describe: (unit) => ({ title: titleOf(unit), source: unit.source, rows: rowsOf(unit) }),
}).start();
