"use strict";
// Concepts: each with some of its pictures, and at each layer a picture that climbs its vector, with TCAV scores.

const percent = (share) => (Number.isFinite(share) ? `${Math.round(100 * share)} %` : "–");
const listOf = (value) => (Array.isArray(value) ? value : []);
const known = ({ p }) => (Number.isFinite(p) ? (p < 1e-4 ? "p < .0001" : `p = ${digits(p, 4)}`) : "");

/** A score from 0 to 1 with its standard deviation, and a mark at the mean score of random vectors. */
function scoreBar({ class: name, score, spread, random, random_spread: noise, significant }) {
  const x = (value) => Math.min(100, Math.max(0, 100 * value));
  const bar = drawn("svg", { class: significant ? "is" : "not", viewBox: "0 0 100 10", preserveAspectRatio: "none", role: "img",
    "aria-label": `TCAV score of ${text(name)}: ${digits(score, 2)}` },
    drawn("rect", { class: "bar", x: 0, y: 2, width: x(score), height: 6 }));
  if (Number.isFinite(spread)) bar.append(drawn("line", { class: "spread", x1: x(score - spread), x2: x(score + spread), y1: 5, y2: 5 }));
  if (Number.isFinite(random) && Number.isFinite(noise)) {
    const [low, high] = [x(random - noise), x(random + noise)];
    bar.prepend(drawn("rect", { class: "noise", x: low, y: 0, width: high - low, height: 10 }));
  }
  if (Number.isFinite(random)) bar.append(drawn("line", { class: "random", x1: x(random), x2: x(random), y1: 0, y2: 10 }));
  return bar;
}

function makeScores(unit) {
  const scores = listOf(metricsOf(unit).tcav);
  if (!scores.length) return element("p", { class: "none" }, "No classes were scored.");
  return element("div", { class: "scores" },
    ...scores.flatMap((each) => [
      element("span", { class: "class", title: each.class }, text(each.class)),
      scoreBar(each),
      element("span", { class: "value", title: `random vectors: ${digits(each.random, 2)} ± ${digits(each.random_spread, 2)}` },
        `${digits(each.score, 2)} ± ${digits(each.spread, 2)} · ${[known(each), each.significant ? "" : "not significant"].filter(Boolean).join(", ")}`),
    ]));
}

function titleOf(unit) {
  return [unit.name, unit.layer].map(text).join(" · ");
}

function makeLayer(unit) {
  const { accuracy, accuracy_spread: spread, random_accuracy: random } = metricsOf(unit);
  const words = Number.isFinite(accuracy)
    ? ` accuracy ${percent(accuracy)} ± ${percent(spread)} on held-out pictures; random sets ${percent(random)}` : "";
  return element("div", { class: "layer" },
    makeShot(unit, { "aria-label": titleOf(unit) }, pictureOf(unit)),
    element("div", {}, element("h3", {}, text(unit.layer), element("span", {}, words)), makeScores(unit)));
}

const concepts = [...Map.groupBy(data.units, ({ name }) => String(name))].map(([name, units]) => {
  const { shown, pictures, set } = metricsOf(units[0]);
  const rows = units.map((unit) => ({
    words: [unit.layer, ...listOf(metricsOf(unit).tcav).map((each) => each.class)].join("\n").toLowerCase(), row: makeLayer(unit),
  }));
  const count = Number.isFinite(pictures) ? `${plural(pictures, "picture")}, sets of ${text(set)}` : "";
  const section = element("section", { class: "concept", "aria-label": name },
    element("h2", {}, element("span", {}, name), element("span", {}, count)),
    element("div", { class: "examples" }, ...listOf(shown).map((source) => frame(source))), ...rows.map(({ row }) => row));
  return { words: name.toLowerCase(), rows, section };
});
$("key").hidden = !data.units.some((unit) => listOf(metricsOf(unit).tcav).length);
$("concepts").append(...concepts.map(({ section }) => section));
document.documentElement.style.setProperty("--aspect", data.aspect);

function rowsOf(unit) {
  const { accuracy, accuracy_spread: spread, random_accuracy: random, tcav } = metricsOf(unit);
  return [
    ["Concept", unit.name], ["Layer", unit.layer], ["Accuracy", Number.isFinite(accuracy) ? `${percent(accuracy)} ± ${percent(spread)}` : undefined],
    ["Random sets", percent(random)], ["Score", unit.score],
    ...listOf(tcav).map((each) => [each.class, `${digits(each.score, 2)} ± ${digits(each.spread, 2)}, ${known(each)}`, !each.significant]),
    ["Seed", unit.seed],
  ].filter(([, value]) => value !== undefined && value !== null);
}

const listing = new Listing({
  root: $("concepts"),
  noun: "concept",
  usualSize: matchMedia("(max-width: 46rem)").matches ? 160 : 200,
  arrange: ({ query }) => sift(concepts, query),
  describe: (unit) => ({ title: titleOf(unit), source: unit.source, rows: rowsOf(unit) }),
});
listing.start();
