
"use strict";
// Top patches: units by layer. Each tile is cropped from the full picture in the folder; its heat map is in the unit's
// own file, with the maps of all its patches side by side.

const kindOf = (unit) => (unit.objective === "logit" ? "class" : unitOf(unit.layer));
/** The rank of a patch in words: "highest", "third lowest". */
const rankOf = ({ kind, rank }) => [rank > 1 ? ordinal(rank - 1) : null, kind === "most" ? "highest" : "lowest"].filter(Boolean).join(" ");
/** The name of a quantile, from its percentage. */
const quantileOf = (at) => ({ 0: "Lowest", 50: "Median", 100: "Highest" })[at] ?? `${nth(Number(at))} percentile`;
const share = (part) => (Number.isFinite(part) ? `${part > 0 && part < 0.01 ? "<1" : Math.round(100 * part)} %` : "–");
const keyOf = ({ unit, slot }) => [unit.file, slot].join("#");
const named = data.units.some((unit) => unit.name);

// ---- Building the cards, once ----

/** The patches of a unit as items, each with its unit, its rank, and the slot of its heat map. */
function itemsOf(unit) {
  const { most, least } = unit.metrics;
  return [
    ...most.map((patch, index) => ({ unit, patch, kind: "most", rank: index + 1, slot: index, slots: most.length + least.length })),
    ...least.map((patch, index) => ({ unit, patch, kind: "least", rank: index + 1, slot: most.length + index, slots: most.length + least.length })),
  ];
}

function titleOf(unit) {
  return [`${kindOf(unit)} ${text(unit.channel)}`, unit.name, unit.layer].filter(Boolean).join(" · ");
}

function makePatch(item) {
  const label = `${titleOf(item.unit)}, ${rankOf(item)} activation ${text(item.patch.value)}, ${item.patch.name}`;
  return makeShot(item, { "aria-label": label, title: `${text(item.patch.value)} · ${item.patch.name}` }, patchTile(item.patch, data.size));
}

/** The full picture under its heat map, with a frame around the unit's receptive field. */
function makeFull({ unit, patch, slot, slots }) {
  const [height, width] = data.size;
  const full = element("span", { class: height > width ? "full tall" : "full" }, element("img", { alt: "", draggable: "false", src: patch.source ?? "" }));
  full.style.aspectRatio = `${width} / ${height}`;
  const { shape: [rows, columns], corner, cell, rim } = unit.metrics.map ?? { shape: [1, 1] };
  if (rows * columns > 1 && unit.maps) {
    const [tall, wide] = [rows + 2 * rim, columns + 2 * rim];  // of each map in the file, in cells
    const part = [slot * wide + rim - corner[1] / cell[1], rim - corner[0] / cell[0], width / cell[1], height / cell[0]];
    full.append(cut(unit.maps, part, [slots * wide, tall], "cut heat"));
  }
  const [top, left, bottom, right] = patch.window;
  if (bottom - top < height || right - left < width) {
    const field = element("span", { class: "field" });
    const share = { top: top / height, left: left / width, height: (bottom - top) / height, width: (right - left) / width };
    for (const [name, value] of Object.entries(share)) field.style[name] = `${100 * value}%`;
    full.append(field);
  }
  return full;
}

function makeCard(unit) {
  const items = itemsOf(unit);
  const shots = (kind) => items.filter((item) => item.kind === kind).map(makePatch);
  const { fires, active, quantiles } = unit.metrics;
  const heading = element("h3", { title: unit.name }, `${text(unit.channel)} `, element("span", {}, unit.name ?? ""));
  const many = (unit.metrics.map?.shape ?? [1, 1]).some((side) => side > 1);
  const facts = element("span", { class: "facts", title: "share of the pictures with an activation above 0, and of all positions above 0" },
    many ? `fires in ${share(fires)}, at ${share(active)}` : `fires in ${share(fires)}`);
  const header = element("header", {}, heading, facts, quantiles ? histogram(unit.metrics) : null);
  if (!items.length) {
    unit.card = element("li", { class: "unit" }, header, element("p", { class: "constant" }, "Constant over all pictures."));
    return;
  }
  unit.card = element("li", { class: "unit" }, header, element("div", { class: "most" }, ...shots("most")),
    element("div", { class: "least" }, element("span", { class: "label" }, "least"), ...shots("least")));
}

/** The receptive field of the layer's units, for its heading. */
function fieldOf(layer) {
  const field = data.fields[layer];
  return field && field !== "unknown" ? ` · receptive field ${field === "all" ? "covers the full picture" : field}` : "";
}

data.units.forEach(makeCard);
const layers = new Layers(data.units.map((unit) => ({ ...unit, units: [unit] })), fieldOf);
$("patches").append(...layers.sections);
document.documentElement.style.setProperty("--aspect", data.size[1] / data.size[0]);
$("full").hidden = !data.units.some((unit) => (unit.metrics.map?.shape ?? []).some((side) => side > 1));
if (named) $("query").placeholder = "3, 40-60, or a name";

// ---- Filter and order ----

const highest = (unit) => unit.metrics.most[0]?.value ?? -Infinity;
const orders = {
  channel: byChannel,
  highest: (a, b) => (highest(b) > highest(a) ? 1 : highest(b) < highest(a) ? -1 : byChannel(a, b)),
  often: (a, b) => (b.metrics.fires ?? -1) - (a.metrics.fires ?? -1) || byChannel(a, b),
  seldom: (a, b) => (a.metrics.fires ?? 2) - (b.metrics.fires ?? 2) || byChannel(a, b),
};

function arrange({ query, sort, layer, full }) {
  const filter = parse(query);
  if (full !== showing) showFull(full);
  return { seen: layers.show(layer, (unit) => matches(unit, filter), orders[sort]), total: layers.total };
}

let showing = "";

/** In heat map mode, tiles show the full pictures as soon as they come near the window. */
const near = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) if (isIntersecting) reveal(target);
}, { rootMargin: "300px" });

function reveal(shot) {
  const tile = shot.querySelector(".tile");
  if (!tile.querySelector(".full")) tile.append(makeFull(itemOf.get(shot)));
}

function conceal(shot) {
  shot.querySelector(".full")?.remove();
}

const scales = element("div", { class: "scales" }, colourScale(["#000", "#fff"], ["inactive", "as active as at the unit's strongest"],
  "Heat maps darken the picture where the unit is less active than at its strongest."));
$("patches").before(scales);
scales.hidden = true;

function showFull(full) {
  showing = full;
  scales.hidden = full === "";
  $("full").setAttribute("aria-pressed", full !== "");
  near.disconnect();
  for (const shot of shotOf.values()) {
    if (full) near.observe(shot);
    else conceal(shot);
  }
}

// ---- Lightbox and events ----

function rowsOf({ unit, patch, kind, rank }) {
  const { quantiles = {}, fires, active } = unit.metrics;
  return [
    [capital(kindOf(unit)), unit.channel], ["Name", unit.name],
    ["Words", unit.metrics.words?.map((word) => `${word.text} ${text(word.score)}`).join(", ")], ["Layer", unit.layer],
    ["Activation", patch.value], ["Rank", rankOf({ kind, rank })], ["Picture", patch.name],
    ["Position", patch.at && `row ${patch.at[0]}, column ${patch.at[1]}`], ["Window", `${patch.window[3] - patch.window[1]} by ${patch.window[2] - patch.window[0]} px`],
    ["Fires in", share(fires)], ["Active at", share(active)],
    ...Object.entries(quantiles).map(([at, value]) => [quantileOf(at), value]),
  ].filter(([, value]) => value !== null && value !== undefined);
}

const listing = new Listing({
  root: $("patches"),
  noun: "unit",
  usualSize: matchMedia("(max-width: 46rem)").matches ? 80 : 96,
  sets: { layer: data.layers },
  choices: { full: ["", "1"] },
  arrange,
  describe: (item) => ({ title: titleOf(item.unit), source: item.patch.source, picture: makeFull(item), rows: rowsOf(item) }),
  opened: "patch",
  keyOf,
});

/** On hover or focus, a patch shows the full picture that it is from. */
function enter(event) {
  const shot = event.target.closest(".shot");
  if (shot) reveal(shot);
}

function leave(event) {
  const shot = event.target.closest(".shot");
  if (!shot || showing || shot.contains(event.relatedTarget)) return;
  if (!shot.matches(event.type === "focusout" ? ":hover" : ":focus")) conceal(shot);
}

$("patches").addEventListener("pointerover", enter);
$("patches").addEventListener("focusin", enter);
$("patches").addEventListener("pointerout", leave);
$("patches").addEventListener("focusout", leave);
layers.choose(listing);
$("full").addEventListener("click", () => listing.change({ full: showing ? "" : "1" }));
listing.start();
