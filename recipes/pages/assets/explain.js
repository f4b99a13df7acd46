"use strict";
// Attribution: a row per picture and target, with the methods side by side. The maps of a row can be compared in their
// shape, not in their brightness: each map is scaled separately.

const views = ["overlay", "plain", "photo", ...data.views];
for (const view of data.views) $("views").querySelector(`[data-view=${view}]`).hidden = false;
const photoOf = new Map();

const best = (guesses) => guesses?.[0]?.name ?? null;
const group = (units, key) => Map.groupBy(units, (unit) => String(metricsOf(unit)[key]));

/** The file of a unit that a view shows. */
function sourceOf(unit, view) {
  return (view === "photo" ? photoOf.get(unit) : unit.extra_files?.[view]) ?? unit.source;
}

// ---- The rows ----

function titleOf(unit) {
  if (isOriginal(unit)) return `${text(unit.image)} · original`;
  const { method, target } = metricsOf(unit);
  return [method, unit.name ?? target, unit.image].map(text).join(" · ");
}

function makeMap(unit) {
  const { method, at, box } = metricsOf(unit);
  const picture = pictureOf(unit);
  if (Array.isArray(box)) picture.append(boxOver(box, data.size)); // around the hottest region
  return makeShot(unit, { "aria-label": titleOf(unit) }, picture,
    element("span", { class: "caption" },
      element("span", { class: "method", title: method }, isOriginal(unit) ? "original" : text(method)),
      element("span", { class: "at", title: at ? "layer at which the map is computed" : null }, at || "\u00a0")));
}

function makeTarget([target, units], original) {
  const { value } = metricsOf(units[0]);
  const name = units[0].name;
  return element("div", { class: "target" },
    element("h3", {}, name ? `${name} ` : "", element("code", {}, target),
      element("span", { class: "value" }, Number.isFinite(value) ? ` score ${text(value)}` : "")),
    element("div", { class: "shots" }, ...(original ? [makeMap({ ...original })] : []), ...units.map(makeMap)));
}

const pictures = data.images.map(({ name, original, units }) => {
  for (const unit of units) photoOf.set(unit, original?.source);
  const guess = original && best(metricsOf(original).top5);
  const rows = [...group(units, "target")].map((entry) => ({
    words: [entry[0], ...entry[1].flatMap((unit) => [unit.name, metricsOf(unit).method])].filter(Boolean).join("\n").toLowerCase(),
    row: makeTarget(entry, original),
  }));
  if (!rows.length && original) rows.push({ words: "", row: element("div", { class: "shots" }, makeMap(original)) });
  const section = element("section", { class: "picture", "aria-label": name },
    element("h2", {}, element("span", { title: name }, name), guess && element("span", { class: "predicted" }, `predicted: ${guess}`)),
    ...rows.map(({ row }) => row));
  return { words: [name, guess].filter(Boolean).join("\n").toLowerCase(), rows, section };
});
$("pictures").append(...pictures.map(({ section }) => section));
document.documentElement.style.setProperty("--aspect", data.aspect);
showScales($("pictures"), data.scales, data.images.flatMap(({ units }) => units.map((unit) => metricsOf(unit).signed === true)));

// ---- Views and filter ----

function display(shot, view) {
  const unit = itemOf.get(shot);
  const image = shot.querySelector("img");
  const source = sourceOf(unit, view);
  if (image && source && image.getAttribute("src") !== source) image.src = source;
}

function arrange({ query, view }) {
  for (const shot of shotOf.values()) display(shot, view);
  for (const chip of $("views").children) chip.setAttribute("aria-pressed", chip.dataset.view === view);
  return sift(pictures, query);
}

function rowsOf(unit) {
  const { source, target, method, at, value, lowest, highest, box, cutout, channels, seconds, top5 } = metricsOf(unit);
  if (isOriginal(unit)) {
    const guesses = (top5 ?? []).map(({ name, probability }) => [name, `${(100 * probability).toFixed(1)} %`]);
    return [["Picture", unit.image], ["File", source], ...guesses].filter(([, value]) => value !== undefined);
  }
  return [
    ["Picture", unit.image], ["Target", target], ["Class", unit.name], ["Score", value], ["Method", method],
    ["Layer", at || undefined],
    ["Strongest channels", channels?.map(({ channel, value }) => `${channel} (${text(value)})`).join(", ")], ["Lowest", lowest], ["Highest", highest],
    ["Box", box], ["Cut-out", Number.isFinite(cutout) ? `${(100 * cutout).toFixed(1)} % of the picture` : undefined], ["Seconds", seconds],
    ["Seed", unit.seed],
  ].filter(([, value]) => value !== undefined && value !== null);
}

/** The enlarged map above its own colour scale, with numbers. */
function makeEnlarged(unit) {
  const { signed, lowest, highest } = metricsOf(unit);
  const picture = frame(sourceOf(unit, listing.state.view), true);
  if (isOriginal(unit) || !Number.isFinite(highest) || !["overlay", "plain"].includes(listing.state.view)) return picture;
  const most = Math.max(highest, signed ? -lowest : 0);
  const ends = signed ? [text(-most), "0", text(most)] : ["0", text(most)];
  return element("div", { class: "scaled" }, picture, colourScale(signed ? data.scales.signed : data.scales.unsigned, ends, "The highest 0.5 % share the last colour."));
}

const listing = new Listing({
  root: $("pictures"),
  usualSize: matchMedia("(max-width: 46rem)").matches ? 112 : 200,
  choices: { view: views },
  arrange,
  describe: (unit) => ({ title: titleOf(unit), source: sourceOf(unit, listing.state.view), picture: makeEnlarged(unit), rows: rowsOf(unit) }),
});

function setView(view) {
  listing.change({ view });
  if (listing.lightbox.item) listing.lightbox.show(listing.lightbox.item);
}

// Hovering over a map shows the picture below it.
for (const [event, view] of [["pointerover", () => (listing.state.view === "photo" ? "overlay" : "photo")], ["pointerout", () => listing.state.view]]) {
  $("pictures").addEventListener(event, ({ target, pointerType }) => {
    const shot = target.closest(".shot");
    if (shot && pointerType !== "touch") display(shot, view());
  });
}
$("views").addEventListener("click", (event) => {
  const chip = event.target.closest("[data-view]");
  if (chip) setView(chip.dataset.view);
});
const viewKeys = { o: ["overlay", "heat map over the picture"], m: ["plain", "heat map alone"], p: ["photo", "picture alone"] };
if (data.views.includes("cutout")) viewKeys.t = ["cutout", "object cut out of the picture"];
if (data.views.includes("perception")) viewKeys.s = ["perception", "reconstruction from the layer"];
document.querySelector("dialog.help dl").append(...Object.entries(viewKeys).map(([key, [, what]]) =>
  element("div", {}, element("dt", {}, element("kbd", {}, key)), element("dd", {}, what))));
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog.help")) return;
  if (Object.hasOwn(viewKeys, event.key)) setView(viewKeys[event.key][0]);
});
listing.start();
