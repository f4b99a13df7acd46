
"use strict";
// Mixtures: the pictures of each, with the share that each term reaches of what it reaches alone.

const termsOf = (unit) => metricsOf(unit).terms ?? [];
const signed = (weight) => (weight < 0 ? `−${text(-weight)}` : text(weight));
const percent = (share) => `${Math.round(100 * share)} %`;
const nameOf = ({ term, name }) => (name ? `${text(term)} ${text(name)}` : text(term));

function makeTerms(unit) {
  return element("span", { class: "terms" }, ...termsOf(unit).flatMap((each) => {
    const bar = element("span", { class: each.weight < 0 ? "bar against" : "bar" });
    bar.style.setProperty("--share", `${Math.max(0, Math.min(100, 100 * each.share))}%`);
    return [
      element("span", { class: "term", title: nameOf(each) }, `${signed(each.weight)} × ${nameOf(each)}`),
      element("span", { class: "share" }, percent(each.share)),
      bar,
    ];
  }));
}

const titleOf = (unit) => [text(unit.name), unit.attempt ? `attempt ${unit.attempt + 1}` : ""].filter(Boolean).join(" · ");

function makeMixShot(unit) {
  const shares = termsOf(unit).map((each) => `${nameOf(each)} ${percent(each.share)}`);
  const spoken = [titleOf(unit), ...shares, isStopped(unit) ? text(unit.status) : ""].filter(Boolean).join(", ");
  return makeShot(unit, { "aria-label": spoken }, pictureOf(unit), makeTerms(unit));
}

const mixtures = data.mixtures.map(({ name, units }) => {
  const section = element("section", { class: "mixture", "aria-label": name },
    element("h2", {}, name),
    element("div", { class: "shots" }, ...units.map(makeMixShot)));
  $("rows").append(section);
  return { section, words: [name, ...units.flatMap(termsOf).map(nameOf)].join(" ").toLowerCase() };
});

function rowsOf(unit) {
  const terms = termsOf(unit).map((each) =>
    [nameOf(each), `weight ${signed(each.weight)}, score ${text(each.score)} of ${text(each.alone)} alone: ${percent(each.share)}`]);
  return [...terms, ["Score", unit.score], ["Steps", unit.steps], ["Seconds", unit.seconds], ["Seed", unit.seed],
    ["Status", unit.status, isStopped(unit)]];
}

new Listing({
  root: $("rows"),
  usualSize: matchMedia("(max-width: 46rem)").matches ? 160 : 256,
  arrange: ({ query }) => sift(mixtures, query),
  describe: (unit) => ({ title: titleOf(unit), source: unit.source, rows: rowsOf(unit) }),
}).start();
