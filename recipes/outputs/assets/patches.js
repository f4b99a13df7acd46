
"use strict";
// Top patches: units by layer. Each tile is cut from the whole picture beside the page; its heat map lies in the unit's
// own file, where the maps of all its patches stand side by side.

const $ = (id) => document.getElementById(id);
const usualSize = matchMedia("(max-width: 46rem)").matches ? 80 : 96;
const state = { layers: new Set(), query: "", sort: "channel", size: usualSize, whole: false };
const shotOf = new Map();
const itemOf = new WeakMap();
let shown = [];

const kindOf = (unit) => (unit.objective === "logit" ? "class" : "channel");
const share = (part) => (Number.isFinite(part) ? `${part > 0 && part < 0.01 ? "<1" : Math.round(100 * part)} %` : "–");
const highest = (unit) => unit.figures.most[0]?.value ?? -Infinity;
const named = data.units.some((unit) => unit.name);

// ---- Building: once, from the data ----

/** The patches of a unit as items: each knows its unit, its place among them, and which of the heat maps is its own. */
function itemsOf(unit) {
  const { most, least } = unit.figures;
  return [
    ...most.map((patch, index) => ({ unit, patch, kind: "most", rank: index + 1, slot: index, slots: most.length + least.length })),
    ...least.map((patch, index) => ({ unit, patch, kind: "least", rank: index + 1, slot: most.length + index, slots: most.length + least.length })),
  ];
}

function titleOf(unit) {
  return [`${kindOf(unit)} ${text(unit.channel)}`, unit.name, unit.layer].filter(Boolean).join(" · ");
}

function makeShot(item) {
  const label = `${titleOf(item.unit)}, ${item.kind} ${item.rank}, ${text(item.patch.value)}, ${item.patch.name}`;
  const shot = element("button", { type: "button", class: "shot", tabindex: "-1", "aria-haspopup": "dialog", "aria-label": label, title: `${text(item.patch.value)} · ${item.patch.name}` },
    patchTile(item.patch, data.size));
  itemOf.set(shot, item);
  shotOf.set(item, shot);
  return shot;
}

/** The whole picture under its heat map, with a frame around what the unit saw. */
function makeWhole({ unit, patch, slot, slots }) {
  const [height, width] = data.size;
  const whole = element("span", { class: height > width ? "whole tall" : "whole" }, element("img", { alt: "", draggable: "false", src: patch.source ?? "" }));
  whole.style.aspectRatio = `${width} / ${height}`;
  const { shape: [rows, columns], corner, cell, rim } = unit.figures.map ?? { shape: [1, 1] };
  if (rows * columns > 1 && unit.maps) {
    const [tall, wide] = [rows + 2 * rim, columns + 2 * rim];  // of each map in the file, in cells
    const part = [slot * wide + rim - corner[1] / cell[1], rim - corner[0] / cell[0], width / cell[1], height / cell[0]];
    whole.append(cut(unit.maps, part, [slots * wide, tall], "cut heat"));
  }
  const [top, left, bottom, right] = patch.window;
  if (bottom - top < height || right - left < width) {
    const seen = element("span", { class: "seen" });
    const share = { top: top / height, left: left / width, height: (bottom - top) / height, width: (right - left) / width };
    for (const [name, value] of Object.entries(share)) seen.style[name] = `${100 * value}%`;
    whole.append(seen);
  }
  return whole;
}

const svg = (tag, attributes) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
};

/** How many pictures have which highest activation; the square root keeps rare ones visible. */
function histogram({ counts = [], quantiles = {} }) {
  const most = Math.max(1, ...counts);
  const chart = svg("svg", { class: "histogram", viewBox: `0 0 ${counts.length || 1} 1`, preserveAspectRatio: "none", role: "img", "aria-label": "Distribution of activations" });
  counts.forEach((count, index) => {
    const tall = Math.sqrt(count / most);
    chart.append(svg("rect", { x: index + 0.1, y: 1 - tall, width: 0.8, height: tall }));
  });
  const title = svg("title", {});
  title.textContent = `Pictures by activation, from ${text(quantiles["0"])} to ${text(quantiles["100"])}`;
  chart.append(title);
  return chart;
}

function makeCard(unit) {
  unit.items = itemsOf(unit);
  const shots = (kind) => unit.items.filter((item) => item.kind === kind).map(makeShot);
  const { fires, active, quantiles } = unit.figures;
  const heading = element("h3", { title: unit.name }, `${text(unit.channel)} `, element("span", {}, unit.name ?? ""));
  const many = (unit.figures.map?.shape ?? [1, 1]).some((side) => side > 1);
  const facts = element("span", { class: "facts", title: "share of the pictures in which it is above 0 anywhere, and of all positions" },
    many ? `fires in ${share(fires)}, at ${share(active)}` : `fires in ${share(fires)}`);
  const header = element("header", {}, heading, facts, quantiles ? histogram(unit.figures) : null);
  if (!unit.items.length) {
    unit.card = element("li", { class: "unit" }, header, element("p", { class: "nothing" }, "The same in all pictures."));
    return;
  }
  unit.card = element("li", { class: "unit" }, header, element("div", { class: "most" }, ...shots("most")),
    element("div", { class: "least" }, element("span", { class: "label" }, "least"), ...shots("least")));
}

const layers = data.layers.map((name) => {
  const units = data.units.filter((unit) => unit.layer === name);
  units.forEach(makeCard);
  const list = element("ul", { class: "units", role: "list" });
  const count = element("span", { class: "count" });
  const section = element("section", { class: "layer", "aria-label": name }, element("h2", {}, element("span", {}, name), count), list);
  const chip = element("button", { type: "button", class: "chip", "aria-pressed": "false" }, `${name} `, element("small", {}, grouped.format(units.length)));
  return { name, units, list, count, section, chip };
});
$("patches").append(...layers.map((layer) => layer.section));
$("layers").append(...layers.map((layer) => layer.chip));
$("layers").hidden = layers.length < 2;
document.documentElement.style.setProperty("--aspect", data.size[1] / data.size[0]);
$("whole").hidden = !data.units.some((unit) => (unit.figures.map?.shape ?? []).some((side) => side > 1));
if (named) $("query").placeholder = "3, 40-60, or a name";

// ---- What is seen ----

const byChannel = (a, b) => (a.channel ?? Infinity) - (b.channel ?? Infinity) || 0;
const orders = {
  channel: byChannel,
  highest: (a, b) => (highest(b) > highest(a) ? 1 : highest(b) < highest(a) ? -1 : byChannel(a, b)),
  often: (a, b) => (b.figures.fires ?? -1) - (a.figures.fires ?? -1) || byChannel(a, b),
  seldom: (a, b) => (a.figures.fires ?? 2) - (b.figures.fires ?? 2) || byChannel(a, b),
};

function apply() {
  const query = parse(state.query);
  shown = [];
  let seenUnits = 0;
  for (const layer of layers) {
    const inLayer = !state.layers.size || state.layers.has(layer.name);
    const seen = layer.units.filter((unit) => inLayer && matches(unit, query)).sort(orders[state.sort]);
    layer.list.replaceChildren(...seen.map((unit) => unit.card));
    layer.section.hidden = seen.length === 0;
    const sees = data.sees[layer.name];
    const field = sees && sees !== "unknown" ? ` · a unit sees ${sees === "all" ? "the whole picture" : sees}` : "";
    layer.count.textContent = (seen.length === layer.units.length ? plural(seen.length, "unit") : `${grouped.format(seen.length)} of ${plural(layer.units.length, "unit")}`) + field;
    layer.chip.setAttribute("aria-pressed", state.layers.has(layer.name));
    seenUnits += seen.length;
    for (const unit of seen) shown.push(...unit.items);
  }
  $("patches").style.setProperty("--thumb", `${state.size}px`);
  $("whole").setAttribute("aria-pressed", state.whole);
  $("count").textContent = seenUnits === data.units.length ? plural(seenUnits, "unit") : `${grouped.format(seenUnits)} of ${plural(data.units.length, "unit")}`;
  $("empty").hidden = seenUnits > 0;
  $("reset").hidden = data.units.length === 0;
  $("empty").firstElementChild.textContent = data.units.length ? "No units match." : "There are no units yet.";
  walk.update(shown.map((item) => shotOf.get(item)));
  write();
}

/** Tiles near the window show whole pictures, where that is asked for; the others wait until they come near. */
const near = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) if (isIntersecting) reveal(target);
}, { rootMargin: "300px" });

function reveal(shot) {
  const tile = shot.querySelector(".tile");
  if (!tile.querySelector(".whole")) tile.append(makeWhole(itemOf.get(shot)));
}

function conceal(shot) {
  shot.querySelector(".whole")?.remove();
}

function showWhole() {
  near.disconnect();
  for (const shot of shotOf.values()) {
    if (state.whole) near.observe(shot);
    else conceal(shot);
  }
}

function write() {
  const parameters = new URLSearchParams();
  for (const name of state.layers) parameters.append("layer", name);
  if (state.query.trim()) parameters.set("show", state.query.trim());
  if (state.sort !== "channel") parameters.set("sort", state.sort);
  if (state.size !== usualSize) parameters.set("size", state.size);
  if (state.whole) parameters.set("whole", "1");
  if (lightbox.item) parameters.set("patch", [lightbox.item.unit.file, lightbox.item.slot].join("#"));
  fragment.write(parameters);
}

function restore() {
  const parameters = fragment.read();
  const size = Number(parameters.get("size"));
  state.layers = new Set(parameters.getAll("layer").filter((name) => data.layers.includes(name)));
  state.query = parameters.get("show") ?? "";
  state.sort = Object.hasOwn(orders, parameters.get("sort")) ? parameters.get("sort") : "channel";
  state.size = size >= 48 && size <= 224 ? size : usualSize;
  state.whole = parameters.has("whole");
  $("query").value = state.query;
  $("sort").value = state.sort;
  $("size").value = state.size;
  apply();
  showWhole();
  const wanted = parameters.get("patch");
  const item = wanted === null ? undefined : shown.find(({ unit, slot }) => [unit.file, slot].join("#") === wanted);
  if (item) lightbox.show(item);
  else if (lightbox.item) lightbox.close();
}

// ---- Listening ----

function rowsOf({ unit, patch, kind, rank }) {
  const { quantiles = {}, fires, active } = unit.figures;
  return [
    [kindOf(unit) === "class" ? "Class" : "Channel", unit.channel], ["Name", unit.name], ["Layer", unit.layer],
    [kind === "most" ? "Most" : "Least", rank], ["Activation", patch.value], ["Picture", patch.name],
    ["Position", patch.at?.join(", ")], ["Window", `${patch.window[3] - patch.window[1]} by ${patch.window[2] - patch.window[0]} px`],
    ["Fires in", share(fires)], ["Active at", share(active)],
    ...Object.entries(quantiles).map(([at, value]) => [at === "0" ? "Lowest" : at === "100" ? "Highest" : at === "50" ? "Median" : `${at} %`, value]),
  ].filter(([, value]) => value !== null && value !== undefined);
}

const walk = new Walk($("patches"), ".shot");
const lightbox = new Lightbox({
  items: () => shown,
  describe: (item) => ({ title: titleOf(item.unit), source: item.patch.source, rows: rowsOf(item) }),
  onShow(item) {
    lightbox.dialog.querySelector(".stage").replaceChildren(makeWhole(item));
    write();
  },
  onClose(item) {
    walk.focus(shotOf.get(item));
    write();
  },
});

$("patches").addEventListener("click", (event) => {
  const shot = event.target.closest(".shot");
  if (shot) lightbox.show(itemOf.get(shot));
});

/** Under the pointer or the focus, a patch shows the whole picture that it is from. */
function look(event) {
  const shot = event.target.closest(".shot");
  if (shot) reveal(shot);
}

function lookAway(event) {
  const shot = event.target.closest(".shot");
  if (!shot || state.whole || shot.contains(event.relatedTarget)) return;
  if (!shot.matches(event.type === "focusout" ? ":hover" : ":focus")) conceal(shot);
}

$("patches").addEventListener("pointerover", look);
$("patches").addEventListener("focusin", look);
$("patches").addEventListener("pointerout", lookAway);
$("patches").addEventListener("focusout", lookAway);
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
  if (event.key !== "Enter" && event.key !== "ArrowDown") return;
  event.preventDefault();
  walk.focus();
});
$("sort").addEventListener("change", (event) => {
  state.sort = event.target.value;
  apply();
});
$("size").addEventListener("input", (event) => {
  state.size = Number(event.target.value);
  $("patches").style.setProperty("--thumb", `${state.size}px`);
  write();
});
$("whole").addEventListener("click", () => {
  state.whole = !state.whole;
  $("whole").setAttribute("aria-pressed", state.whole);
  showWhole();
  write();
});
$("reset").addEventListener("click", () => {
  Object.assign(state, { layers: new Set(), query: "" });
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
  const sticks = getComputedStyle(entry.target).position === "sticky";
  document.documentElement.style.setProperty("--top", sticks ? `${entry.target.getBoundingClientRect().height}px` : "0px");
}).observe(document.querySelector(".toolbar"));
