
"use strict";
// The gallery: neurons by layer, with the attempts of each side by side.

const gallery = $("gallery");
const named = data.groups.some((group) => group.name);
const guessed = data.groups.some((group) => group.units.some((unit) => guessesOf(unit).length));
const compared = data.groups.some((group) => group.units.some((unit) => Number.isFinite(unit.metrics?.percentile)));
const evident = data.groups.some((group) => group.units.some(hasEvidence));
const perUnit = Math.max(1, ...data.groups.map((group) => group.units.length));
const usualSize = Math.round((guessed || compared || evident ? 224 : matchMedia("(max-width: 46rem)").matches ? 104 : 144) / Math.min(perUnit, 1.5) / 8) * 8;

const tried = data.groups.some((group) => group.units.some((unit) => unit.attempt > 0));

const kindOf = (unit) => (["logit", "softmax"].includes(unit.objective) ? "class" : unitOf(unit.layer));
const attempt = data.faceted ? "facet" : "attempt";
const attemptOf = (unit) => `${ordinal(unit.attempt ?? 0)} ${attempt}`;

// ---- Building the cards, once ----

function makeUnit(unit, group) {
  const alone = group.units.length === 1;
  const way = unit.direction === "min" ? "min" : "max";
  const alike = group.units.filter((other) => (other.direction === "min") === (way === "min"));
  const label = alone ? text(group.channel) : alike.length > 1 ? `${data.faceted ? attempt : way} · ${nth((unit.attempt ?? 0) + 1)}` : way;
  return makeShot(unit, { "aria-label": spoken(unit) }, pictureOf(unit),
    element("span", { class: "caption" },
      element("span", { class: "what" }, alone && way === "min" ? `${label} min` : label),
      element("span", { class: "score" }, text(unit.score)),
      perUnit === 1 && named ? element("span", { class: "name", title: group.name }, group.name ?? "–") : null),
    guessed ? makeGuesses(unit) : null,
    compared ? makeDataset(unit) : null,
    evident ? makeEvidence(unit) : null);
}

/** The predictions of each network for a picture, as [who, guesses]; guesses {index, name, probability}, best first. */
function guessesOf(unit) {
  return Object.entries(unit.metrics ?? {}).filter(([, value]) => Array.isArray(value) && value.length > 0 && value.every((guess) => Number.isFinite(guess?.probability)));
}

const percent = (guess) => `${Math.round(100 * guess.probability)} %`;

function makeGuesses(unit) {
  const lists = guessesOf(unit).map(([who, guesses]) => element("span", { class: "guesses" },
    element("span", { class: "label" }, who),
    ...guesses.map((guess) => element("span", { class: guess.index === unit.channel ? "guess hit" : "guess", title: guess.name },
      element("span", {}, text(guess.name)), element("span", {}, percent(guess))))));
  return element("span", { class: "answers" }, ...lists);
}

/** The unit's dataset examples, and the percentage of dataset pictures that the picture above exceeds. */
function makeDataset(unit) {
  const { patches = [], percentile } = unit.metrics ?? {};
  return element("span", { class: "dataset" },
    element("span", { class: "patches" }, ...patches.map((patch) => patchTile(patch, data.size))),
    Number.isFinite(percentile) ? element("span", { class: "label", title: comparison(unit) }, rankOf(unit)) : null);
}

function rankOf({ direction, score, metrics: { percentile, dataset_highest: best } }) {
  const share = direction === "min" ? 100 - percentile : percentile;
  const times = direction !== "min" && best > 0 && score > best ? `, ${(score / best).toFixed(score < 10 * best ? 1 : 0)}×` : "";
  const part = share === 100 ? "all" : `${Math.floor(share > 99 ? 10 * share : share) / (share > 99 ? 10 : 1)} %`;
  return `${direction === "min" ? "below" : "above"} ${part} of dataset${times}`;
}

function comparison({ score, metrics }) {
  return `${text(score)}; the strongest of ${plural(metrics.dataset_pictures, "dataset picture")} reaches ${text(metrics.dataset_highest)}`;
}

/** The most specific part comes first: a narrow window truncates the end. */
function titleOf(unit) {
  return [`${kindOf(unit)} ${text(unit.channel)}`, unit.name, unit.layer].filter(Boolean).join(" · ");
}

function spoken(unit) {
  const parts = [titleOf(unit), unit.direction === "min" ? "minimised" : null, tried ? attemptOf(unit) : null, `score ${text(unit.score)}`];
  if (isStopped(unit)) parts.push(text(unit.status));
  if (evident && verdictOf(unit.metrics).fooled) parts.push(verdictOf(unit.metrics).words);
  return parts.filter(Boolean).join(", ");
}

function makeCard(group) {
  const heading = perUnit === 1 ? null : element("h3", { title: group.name }, `${text(group.channel)} `, element("span", {}, group.name ?? ""));
  group.card = element("li", { class: "unit" }, heading, element("div", { class: "shots" }, ...group.units.map((unit) => makeUnit(unit, group))));
  const scores = (units) => units.map((unit) => unit.score).filter(Number.isFinite);
  const maximised = scores(group.units.filter((unit) => unit.direction !== "min"));
  group.score = Math.max(...(maximised.length ? maximised : scores(group.units)));
}

data.groups.forEach(makeCard);
const layers = new Layers(data.groups);
gallery.append(...layers.sections);
if (evident) showMeaning(gallery.firstChild, data.groups.flatMap((group) => group.units));
gallery.style.setProperty("--per-unit", perUnit);
gallery.classList.toggle("grouped", perUnit > 1);
document.documentElement.style.setProperty("--aspect", data.aspect);
const stoppedUnits = data.groups.flatMap((group) => group.units).filter(isStopped);
const silentTotal = stoppedUnits.filter(isSilent).length, failedTotal = stoppedUnits.length - silentTotal;
$("stopped").textContent = [[failedTotal, "not ok"], [silentTotal, "silent"]]
  .filter(([count]) => count).map(([count, what]) => `${grouped.format(count)} ${what}`).join(", ");
$("stopped").hidden = stoppedUnits.length === 0;
if (named) $("query").placeholder = "3, 40-60, or a name";

// ---- Filtering and sorting ----

// A group without a finite score comes last in either order, and silent ones after all others.
const silentLast = (order) => (a, b) => a.units.some(isSilent) - b.units.some(isSilent) || order(a, b);
const orders = {
  channel: silentLast(byChannel),
  score: silentLast((a, b) => b.score - a.score || byChannel(a, b)),
  lowest: silentLast((a, b) => Number.isFinite(b.score) - Number.isFinite(a.score) || a.score - b.score || byChannel(a, b)),
};

function arrange({ query, sort, layer, stopped }) {
  const filter = parse(query);
  const fits = (group) => matches(group, filter) && (!stopped || group.units.some(isStopped));
  const seen = layers.show(layer, fits, orders[sort]);
  const invalid = filter.words.length > 0 && !named;
  $("query").setAttribute("aria-invalid", invalid);
  $("stopped").setAttribute("aria-pressed", stopped !== "");
  const why = invalid ? `No unit matches: “${filter.words[0]}” is not a channel. Use channel numbers such as 3, 17, 40-60.` : undefined;
  return { seen, total: layers.total, why };
}

/** Cards far from the window are not laid out: reserve their final height, so that the page does not jump. */
function measure() {
  const card = gallery.querySelector(".unit");
  if (!card) return;
  card.classList.add("measured");
  gallery.style.setProperty("--card", `${card.getBoundingClientRect().height}px`);
  card.classList.remove("measured");
}

// ---- Lightbox and events ----

const known = ["layer", "channel", "name", "objective", "direction", "attempt", "score", "steps", "seconds", "seed", "status", "file"];
// Not listed: what only `inverter repeat` needs, and what is shown next to the picture.
const unlisted = new Set(["batch", "place", "source", "metrics", "patches", "path", "path_departs", "film", ...(tried ? [] : ["attempt"])]);

const words = {
  attempt: capital(attempt), facet_pictures: "Pictures of the facet", percentile: "Rank", dataset_highest: "Strongest in dataset", dataset_pictures: "Dataset pictures", burnt: "Saturated",
  fails: "Evidence", saturation: "Colourfulness", slope: "Spectrum slope", slope_distance: "Slope from photographs",
  extra_files: "Other files", seconds: "Time", made_from: "Made from",
};

/** A value as a reader writes it, with its unit. */
function worded(key, value, unit) {
  if (key === "percentile") return rankOf(unit);
  if (key === "direction") return value === "min" ? "minimised" : "maximised";
  if (key === "attempt") return attemptOf(unit);
  if (key === "fails") return verdictOf(unit.metrics).words;
  if (/^two_patches( |$)/.test(key) && Number.isFinite(value)) return `${share(value)} right`;
  if (key === "burnt" && Number.isFinite(value)) return `${(100 * value).toFixed(1)} % of the values`;
  if (key === "seconds" && Number.isFinite(value)) return `${text(value)} s`;
  if (key === "extra_files" && value) return Object.values(value).join(", ");
  return value;
}

/** The enlarged picture, with the unit's dataset patches below it. */
function makeEnlarged(unit) {
  const { patches = [] } = unit.metrics ?? {};
  const picture = unit.film ? makeScreen(unit) : frame(unit.source, true);
  if (!patches.length) return picture;
  return element("div", { class: "enlarged" }, picture,
    element("div", { class: "patches", "aria-label": "Dataset patches" }, ...patches.map((patch) =>
      element("figure", { title: patch.name }, patchTile(patch, data.size), element("figcaption", {}, `${text(patch.value)} · ${patch.name}`)))));
}

/** All values of a unit: the known ones in order, then all others that its manifest record has. */
function rowsOf(unit) {
  const predictions = guessesOf(unit).map(([who, guesses]) => [who, guesses.map((guess) => `${text(guess.name)} ${percent(guess)}`).join(", ")]);
  const all = { ...unit, ...unit.metrics, ...Object.fromEntries(predictions) };
  return [...new Set([...known, ...Object.keys(all)])].filter((key) => key in all && !unlisted.has(key)).map((key) => [
    key === "channel" ? capital(kindOf(unit)) : words[key] ?? capital(key).replaceAll("_", " "),
    worded(key, all[key], unit),
    key === "status" && isStopped(unit),
  ]);
}

const listing = new Listing({
  root: gallery,
  noun: "unit",
  usualSize,
  sets: { layer: data.layers },
  choices: { stopped: ["", "1"] },
  cleared: { stopped: "" },
  arrange,
  resized: measure,
  describe: (unit) => ({ title: titleOf(unit), source: unit.source, picture: makeEnlarged(unit), rows: rowsOf(unit) }),
});
layers.choose(listing);
$("stopped").addEventListener("click", () => listing.change({ stopped: listing.state.stopped ? "" : "1" }));
playOnHover(gallery, (shot) => itemOf.get(shot));
listing.start();
new ResizeObserver(measure).observe(document.querySelector(".toolbar"));
