
"use strict";
// The gallery: neurons by layer, the attempts of each side by side.

const gallery = $("gallery");
const named = data.groups.some((group) => group.name);
const guessed = data.groups.some((group) => group.units.some((unit) => guessesOf(unit).length));
const natural = data.groups.some((group) => group.units.some((unit) => Number.isFinite(unit.metrics?.percentile)));
const perUnit = Math.max(1, ...data.groups.map((group) => group.units.length));
const usualSize = Math.round((guessed || natural ? 224 : matchMedia("(max-width: 46rem)").matches ? 104 : 144) / Math.min(perUnit, 1.5) / 8) * 8;

const kindOf = (unit) => (["logit", "softmax"].includes(unit.objective) ? "class" : "channel");

// ---- Building: once, from the data ----

function makeUnit(unit, group) {
  const alone = group.units.length === 1;
  const way = unit.direction === "min" ? "min" : "max";
  const alike = group.units.filter((other) => (other.direction === "min") === (way === "min"));
  const label = alone ? text(group.channel) : alike.length > 1 ? `${way} ${text(unit.attempt)}` : way;
  return makeShot(unit, { "aria-label": spoken(unit) }, pictureOf(unit),
    element("span", { class: "caption" },
      element("span", { class: "what" }, alone && way === "min" ? `${label} min` : label),
      element("span", { class: "score" }, text(unit.score)),
      perUnit === 1 && named ? element("span", { class: "name", title: group.name }, group.name ?? "–") : null),
    guessed ? makeGuesses(unit) : null,
    natural ? makeNatural(unit) : null);
}

/** What each of the networks asked sees in a picture, likeliest first: [who, guesses] with guesses {index, name, probability}. */
function guessesOf(unit) {
  return Object.entries(unit.metrics ?? {}).filter(([, told]) => Array.isArray(told) && told.every((guess) => Number.isFinite(guess?.probability)));
}

const percent = (guess) => `${Math.round(100 * guess.probability)} %`;

function makeGuesses(unit) {
  const lists = guessesOf(unit).map(([who, guesses]) => element("span", { class: "guesses" },
    element("span", { class: "label" }, who),
    ...guesses.map((guess) => element("span", { class: guess.index === unit.channel ? "guess hit" : "guess", title: guess.name },
      element("span", {}, text(guess.name)), element("span", {}, percent(guess))))));
  return element("span", { class: "answers" }, ...lists);
}

/** Where real pictures excite the unit, and how many of them the picture above outdoes. */
function makeNatural(unit) {
  const { patches = [], percentile } = unit.metrics ?? {};
  return element("span", { class: "natural" },
    element("span", { class: "patches" }, ...patches.map((patch) => patchTile(patch, data.size))),
    Number.isFinite(percentile) ? element("span", { class: "label", title: comparison(unit) }, outdoes(unit)) : null);
}

function outdoes({ direction, score, metrics: { percentile, natural_highest: best } }) {
  const share = direction === "min" ? 100 - percentile : percentile;
  const times = direction !== "min" && best > 0 && score > best ? `, ${(score / best).toFixed(score < 10 * best ? 1 : 0)}×` : "";
  return `${direction === "min" ? "below" : "above"} ${Math.floor(share > 99 ? 10 * share : share) / (share > 99 ? 10 : 1)} % of real${times}`;
}

function comparison({ score, metrics }) {
  return `${text(score)}; the strongest of ${plural(metrics.natural_pictures, "real picture")} reaches ${text(metrics.natural_highest)}`;
}

/** What tells units apart comes first: a narrow window cuts the end off. */
function titleOf(unit) {
  return [`${kindOf(unit)} ${text(unit.channel)}`, unit.name, unit.layer].filter(Boolean).join(" · ");
}

function spoken(unit) {
  const parts = [titleOf(unit), unit.direction === "min" ? "negative" : `attempt ${text(unit.attempt)}`, `score ${text(unit.score)}`];
  if (isStopped(unit)) parts.push(text(unit.status));
  return parts.join(", ");
}

function makeCard(group) {
  const heading = perUnit === 1 ? null : element("h3", { title: group.name }, `${text(group.channel)} `, element("span", {}, group.name ?? ""));
  group.card = element("li", { class: "unit" }, heading, element("div", { class: "shots" }, ...group.units.map((unit) => makeUnit(unit, group))));
  const scores = (units) => units.map((unit) => unit.score).filter(Number.isFinite);
  const sought = scores(group.units.filter((unit) => unit.direction !== "min"));
  group.score = Math.max(...(sought.length ? sought : scores(group.units)));
}

data.groups.forEach(makeCard);
const layers = new Layers(data.groups);
gallery.append(...layers.sections);
gallery.style.setProperty("--per-unit", perUnit);
gallery.classList.toggle("grouped", perUnit > 1);
document.documentElement.style.setProperty("--aspect", data.aspect);
const stoppedTotal = data.groups.flatMap((group) => group.units).filter(isStopped).length;
$("stopped").textContent = `${grouped.format(stoppedTotal)} not ok`;
$("stopped").hidden = stoppedTotal === 0;
if (named) $("query").placeholder = "3, 40-60, or a name";

// ---- Filtering and sorting ----

// Without a finite score, a group comes last either way.
const orders = {
  channel: byChannel,
  score: (a, b) => b.score - a.score || byChannel(a, b),
  lowest: (a, b) => Number.isFinite(b.score) - Number.isFinite(a.score) || a.score - b.score || byChannel(a, b),
};

function arrange({ query, sort, layer, stopped }) {
  const asked = parse(query);
  const fits = (group) => matches(group, asked) && (!stopped || group.units.some(isStopped));
  const seen = layers.show(layer, fits, orders[sort]);
  const unread = asked.words.length > 0 && !named;
  $("query").setAttribute("aria-invalid", unread);
  $("stopped").setAttribute("aria-pressed", stopped !== "");
  const why = unread ? `No unit matches: “${asked.words[0]}” is no channel. Write channels like 3, 17, 40-60.` : undefined;
  return { seen, total: layers.total, why };
}

/** Cards that the window does not reach are not laid out; tell them the height they will have, so that nothing jumps. */
function measure() {
  const card = gallery.querySelector(".unit");
  if (!card) return;
  card.classList.add("measured");
  gallery.style.setProperty("--card", `${card.getBoundingClientRect().height}px`);
  card.classList.remove("measured");
}

// ---- Enlarged, and listening ----

const known = ["layer", "channel", "name", "objective", "direction", "attempt", "score", "steps", "seconds", "seed", "status", "file"];

/** Every figure of a unit: the known ones in their order, then whatever else its manifest's line holds. */
function rowsOf(unit) {
  const said = guessesOf(unit).map(([who, guesses]) => [who, guesses.map((guess) => `${text(guess.name)} ${percent(guess)}`).join(", ")]);
  const all = { ...unit, ...unit.metrics, ...Object.fromEntries(said) };
  const others = Object.keys(all).filter((key) => ![...known, "source", "metrics", "patches"].includes(key));
  return [...known, ...others].filter((key) => key in all).map((key) => [
    key === "channel" && kindOf(unit) === "class" ? "Class" : key[0].toUpperCase() + key.slice(1).replaceAll("_", " "),
    all[key],
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
  describe: (unit) => ({ title: titleOf(unit), source: unit.source, rows: rowsOf(unit) }),
});
layers.choose(listing);
$("stopped").addEventListener("click", () => listing.change({ stopped: listing.state.stopped ? "" : "1" }));
listing.start();
new ResizeObserver(measure).observe(document.querySelector(".toolbar"));
