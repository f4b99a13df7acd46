
"use strict";
// The gallery: units grouped by layer; one state (layers, query, sort, size, stopped, open unit) decides what is seen.

const $ = (id) => document.getElementById(id);
const gallery = $("gallery");
const named = data.groups.some((group) => group.name);
const guessed = data.groups.some((group) => group.units.some((unit) => guessesOf(unit).length));
const natural = data.groups.some((group) => group.units.some((unit) => Number.isFinite(unit.figures?.percentile)));
const perUnit = Math.max(1, ...data.groups.map((group) => group.units.length));
const usualSize = Math.round((guessed || natural ? 224 : matchMedia("(max-width: 46rem)").matches ? 104 : 144) / Math.min(perUnit, 1.5) / 8) * 8;
const state = { layers: new Set(), query: "", sort: "channel", size: usualSize, stopped: false };
const unitOf = new WeakMap();
const shotOf = new Map();
let shown = [];

const isStopped = (unit) => (unit.status ?? "ok") !== "ok";
const kindOf = (unit) => (["logit", "softmax"].includes(unit.objective) ? "class" : "channel");

// ---- Building: once, from the data ----

function makeShot(unit, group) {
  const alone = group.units.length === 1;
  const way = unit.direction === "min" ? "min" : "max";
  const alike = group.units.filter((other) => (other.direction === "min") === (way === "min"));
  const label = alone ? text(group.channel) : alike.length > 1 ? `${way} ${text(unit.attempt)}` : way;
  const picture = frame(unit.source);
  if (isStopped(unit)) picture.append(element("span", { class: "status" }, text(unit.status)));
  const shot = element("button",
    { type: "button", class: isStopped(unit) ? "shot stopped" : "shot", tabindex: "-1", "aria-haspopup": "dialog", "aria-label": spoken(unit) },
    picture,
    element("span", { class: "caption" },
      element("span", { class: "what" }, alone && way === "min" ? `${label} min` : label),
      element("span", { class: "score" }, text(unit.score)),
      perUnit === 1 && named ? element("span", { class: "name", title: group.name }, group.name ?? "–") : null),
    guessed ? makeGuesses(unit) : null,
    natural ? makeNatural(unit) : null);
  unitOf.set(shot, unit);
  shotOf.set(unit, shot);
  return shot;
}

/** What each of the networks asked sees in a picture, likeliest first: [who, guesses] with guesses {index, name, probability}. */
function guessesOf(unit) {
  return Object.entries(unit.figures ?? {}).filter(([, told]) => Array.isArray(told) && told.every((guess) => Number.isFinite(guess?.probability)));
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
  const { patches = [], percentile } = unit.figures ?? {};
  return element("span", { class: "natural" },
    element("span", { class: "patches" }, ...patches.map((patch) => patchTile(patch, data.size))),
    Number.isFinite(percentile) ? element("span", { class: "label", title: comparison(unit) }, outdoes(unit)) : null);
}

function outdoes({ direction, score, figures: { percentile, natural_highest: best } }) {
  const share = direction === "min" ? 100 - percentile : percentile;
  const times = direction !== "min" && best > 0 && score > best ? `, ${(score / best).toFixed(score < 10 * best ? 1 : 0)}×` : "";
  return `${direction === "min" ? "below" : "above"} ${Math.floor(share > 99 ? 10 * share : share) / (share > 99 ? 10 : 1)} % of real${times}`;
}

function comparison({ score, figures }) {
  return `${text(score)}; the strongest of ${plural(figures.natural_pictures, "real picture")} reaches ${text(figures.natural_highest)}`;
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
  group.shots = group.units.map((unit) => makeShot(unit, group));
  const heading = perUnit === 1 ? null : element("h3", { title: group.name }, `${text(group.channel)} `, element("span", {}, group.name ?? ""));
  group.card = element("li", { class: "unit" }, heading, element("div", { class: "shots" }, ...group.shots));
  const scores = (units) => units.map((unit) => unit.score).filter(Number.isFinite);
  const sought = scores(group.units.filter((unit) => unit.direction !== "min"));
  group.score = Math.max(...(sought.length ? sought : scores(group.units)));
}

const layers = data.layers.map((name) => {
  const groups = data.groups.filter((group) => group.layer === name);
  groups.forEach(makeCard);
  const list = element("ul", { class: "units", role: "list" });
  const count = element("span", { class: "count" });
  const section = element("section", { class: "layer", "aria-label": name },
    element("h2", {}, element("span", { title: name }, name), count), list);
  const total = groups.reduce((sum, group) => sum + group.units.length, 0);
  const chip = element("button", { type: "button", class: "chip", "aria-pressed": "false" }, `${name} `, element("small", {}, grouped.format(total)));
  return { name, groups, list, count, section, chip, total };
});
gallery.append(...layers.map((layer) => layer.section));
gallery.style.setProperty("--per-unit", perUnit);
gallery.classList.toggle("grouped", perUnit > 1);
document.documentElement.style.setProperty("--aspect", data.aspect);
$("layers").append(...layers.map((layer) => layer.chip));
$("layers").hidden = layers.length < 2;
const stoppedTotal = data.groups.flatMap((group) => group.units).filter(isStopped).length;
$("stopped").textContent = `${grouped.format(stoppedTotal)} not ok`;
$("stopped").hidden = stoppedTotal === 0;
if (named) $("query").placeholder = "3, 40-60, or a name";

// ---- Filtering and sorting ----

// A group without a channel or without a finite score comes last either way.
const byChannel = (a, b) => (a.channel ?? Infinity) - (b.channel ?? Infinity) || 0;
const orders = {
  channel: byChannel,
  score: (a, b) => b.score - a.score || byChannel(a, b),
  lowest: (a, b) => Number.isFinite(b.score) - Number.isFinite(a.score) || a.score - b.score || byChannel(a, b),
};

function apply() {
  const query = parse(state.query);
  shown = [];
  for (const layer of layers) {
    const inLayer = !state.layers.size || state.layers.has(layer.name);
    const seen = layer.groups
      .filter((group) => inLayer && matches(group, query) && (!state.stopped || group.units.some(isStopped)))
      .sort(orders[state.sort]);
    // Cards that are not seen leave the list: hiding thousands of siblings costs browsers far more than removing them.
    if (seen.length !== layer.seen?.length || seen.some((group, index) => group !== layer.seen[index])) {
      layer.list.replaceChildren(...seen.map((group) => group.card));
      layer.seen = seen;
    }
    const units = seen.reduce((sum, group) => sum + group.units.length, 0);
    for (const group of seen) shown.push(...group.units);
    layer.section.hidden = units === 0;
    layer.count.textContent = units === layer.total ? plural(units, "unit") : `${grouped.format(units)} of ${plural(layer.total, "unit")}`;
    layer.chip.setAttribute("aria-pressed", state.layers.has(layer.name));
  }
  const total = layers.reduce((sum, layer) => sum + layer.total, 0);
  const unread = query.words.length > 0 && !named;
  $("count").textContent = shown.length === total ? plural(total, "unit") : `${grouped.format(shown.length)} of ${plural(total, "unit")}`;
  $("query").setAttribute("aria-invalid", unread);
  $("empty").hidden = shown.length > 0;
  $("reset").hidden = total === 0;
  $("empty").firstElementChild.textContent = total === 0 ? "There are no units yet."
    : unread ? `No units match: “${query.words[0]}” is no channel. Write channels like 3, 17, 40-60.` : "No units match.";
  $("stopped").setAttribute("aria-pressed", state.stopped);
  walk.update(shown.map((unit) => shotOf.get(unit)));
  measure();
  write();
}

/** Cards that the window does not reach are not laid out; tell them the height they will have, so that nothing jumps. */
function measure() {
  gallery.style.setProperty("--thumb", `${state.size}px`);
  const card = gallery.querySelector(".unit");
  if (!card) return;
  card.classList.add("measured");
  gallery.style.setProperty("--card", `${card.getBoundingClientRect().height}px`);
  card.classList.remove("measured");
}

// ---- The fragment ----

function write() {
  const parameters = new URLSearchParams();
  for (const name of state.layers) parameters.append("layer", name);
  if (state.query.trim()) parameters.set("show", state.query.trim());
  if (state.sort !== "channel") parameters.set("sort", state.sort);
  if (state.size !== usualSize) parameters.set("size", state.size);
  if (state.stopped) parameters.set("stopped", "1");
  if (lightbox.item?.file) parameters.set("unit", lightbox.item.file);
  fragment.write(parameters);
}

function restore() {
  const parameters = fragment.read();
  const size = Number(parameters.get("size"));
  state.layers = new Set(parameters.getAll("layer").filter((name) => data.layers.includes(name)));
  state.query = parameters.get("show") ?? "";
  state.sort = Object.hasOwn(orders, parameters.get("sort")) ? parameters.get("sort") : "channel";
  state.size = size >= 48 && size <= 384 ? size : usualSize;
  state.stopped = parameters.has("stopped");
  $("query").value = state.query;
  $("sort").value = state.sort;
  $("size").value = state.size;
  const file = parameters.get("unit");
  apply();
  const unit = file === null ? undefined : shown.find((candidate) => candidate.file === file);
  if (unit) lightbox.show(unit);
  else if (lightbox.item) lightbox.close();
}

// ---- Listening ----

const walk = new Walk(gallery, ".shot");
const lightbox = new Lightbox({
  items: () => shown,
  describe: (unit) => ({ title: titleOf(unit), source: unit.source, rows: rowsOf(unit) }),
  onShow: write,
  onClose(unit) {
    walk.focus(shotOf.get(unit));
    write();
  },
});

const known = ["layer", "channel", "name", "objective", "direction", "attempt", "score", "steps", "seconds", "seed", "status", "file"];

/** Every figure of a unit: the known ones in their order, then whatever else its manifest's line holds. */
function rowsOf(unit) {
  const said = guessesOf(unit).map(([who, guesses]) => [who, guesses.map((guess) => `${text(guess.name)} ${percent(guess)}`).join(", ")]);
  const all = { ...unit, ...unit.figures, ...Object.fromEntries(said) };
  const others = Object.keys(all).filter((key) => ![...known, "source", "figures", "patches"].includes(key));
  return [...known, ...others].filter((key) => key in all).map((key) => [
    key === "channel" && kindOf(unit) === "class" ? "Class" : key[0].toUpperCase() + key.slice(1).replaceAll("_", " "),
    all[key],
    key === "status" && isStopped(unit),
  ]);
}

gallery.addEventListener("click", (event) => {
  const shot = event.target.closest(".shot");
  if (shot) lightbox.show(unitOf.get(shot));
});
$("layers").addEventListener("click", (event) => {
  const layer = layers.find((candidate) => candidate.chip === event.target.closest(".chip"));
  if (!layer) return;
  if (!state.layers.delete(layer.name)) state.layers.add(layer.name);
  apply();
});
$("query").addEventListener("input", (event) => {
  state.query = event.target.value;
  apply();
});
$("query").addEventListener("keydown", (event) => {
  if (event.key === "Enter" || event.key === "ArrowDown") {
    event.preventDefault();
    walk.focus();
  }
});
$("sort").addEventListener("change", (event) => {
  state.sort = event.target.value;
  apply();
});
$("size").addEventListener("input", (event) => {
  state.size = Number(event.target.value);
  measure();
  write();
});
$("stopped").addEventListener("click", () => {
  state.stopped = !state.stopped;
  apply();
});
$("reset").addEventListener("click", () => {
  Object.assign(state, { layers: new Set(), query: "", stopped: false });
  $("query").value = "";
  apply();
  $("query").focus();
});
$("help").addEventListener("click", showHelp);
listenForKeys($("query"));
addEventListener("hashchange", restore);
restore();

// The headings stick below the toolbar, where the toolbar sticks itself.
new ResizeObserver(([entry]) => {
  const toolbar = entry.target;
  const sticks = getComputedStyle(toolbar).position === "sticky";
  document.documentElement.style.setProperty("--top", sticks ? `${toolbar.getBoundingClientRect().height}px` : "0px");
  measure();
}).observe(document.querySelector(".toolbar"));
