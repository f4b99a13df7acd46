
"use strict";
// The atlas: icons on a map that pans and zooms. The map is the square from 0 to 1 both ways; `view` says where it lies
// on the canvas. A zoom level is a grid; sheets of 16 x 16 icons are drawn as one picture each.

const $ = (id) => document.getElementById(id);
const canvas = $("map"), context = canvas.getContext("2d");
const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
const WANTED = 52; // pixels of an icon's side below which a coarser grid is shown, where there is one
const FADE = 180, FLIGHT = 260; // milliseconds

const levels = data.grids.map(({ side, tile, cells }) => {
  const at = new Map(cells.map((cell) => [cell.row * side + cell.column, cell]));
  const sheets = new Map();
  for (const cell of cells) {
    cell.side = side;
    const across = Math.min(data.across, side), top = Math.floor(cell.row / data.across), left = Math.floor(cell.column / data.across);
    if (cell.sheet && !sheets.has(cell.sheet)) sheets.set(cell.sheet, { top: (top * data.across) / side, left: (left * data.across) / side, extent: across / side, image: null });
  }
  return { side, tile, cells, at, sheets };
});

const state = { level: levels[0] ?? null, before: null, since: 0, selected: null, hovered: null, query: "", lit: null };
const view = { x: 0, y: 0, scale: 1 }; // the map's corner and side, in CSS pixels
let box = { width: 1, height: 1, ratio: 1 }, colours = {}, due = 0, flight = null;

// ---- Names ----

const nameOf = (found) => found.name ?? `class ${found.index}`;
const titleOf = (cell) => `${cell.side}×${cell.side} · row ${cell.row + 1}, column ${cell.column + 1}`;
const keyOf = (cell) => `${cell.side}/${cell.row}-${cell.column}`;

// ---- Drawing ----

/** A sheet is fetched when it is first in view, and drawn once it is there. */
function picture(sheet, source) {
  if (!sheet.image) {
    sheet.image = new Image();
    sheet.image.decoding = "async";
    sheet.image.addEventListener("load", () => redraw());
    sheet.image.src = source;
  }
  return sheet.image.complete && sheet.image.naturalWidth ? sheet.image : null;
}

function redraw() {
  due ||= requestAnimationFrame(draw);
}

function draw(now) {
  due = 0;
  if (flight) fly(now);
  context.setTransform(box.ratio, 0, 0, box.ratio, 0, 0);
  context.fillStyle = colours.ground;
  context.fillRect(0, 0, box.width, box.height);
  const share = state.before ? Math.min(1, (now - state.since) / FADE) : 1;
  if (share < 1) drawLevel(state.before, 1);
  if (state.level) drawLevel(state.level, share);
  if (share === 1) state.before = null;
  if (state.lit) drawShade();
  for (const [cell, width] of [[state.hovered, 1.5], [state.selected, 3]]) if (cell) drawFrame(cell, width);
  if (flight || share < 1) redraw();
}

function drawLevel({ sheets, side, tile }, alpha) {
  context.globalAlpha = alpha;
  context.imageSmoothingEnabled = view.scale / side < 3 * tile; // enlarged further, honest pixels
  for (const [source, sheet] of sheets) {
    const left = view.x + sheet.left * view.scale, top = view.y + sheet.top * view.scale, extent = sheet.extent * view.scale;
    if (left > box.width || top > box.height || left + extent < 0 || top + extent < 0) continue;
    const image = picture(sheet, source);
    if (!image) continue;
    // Only what is in view: an enlarged sheet would else be scaled as a whole in every frame.
    const pixels = image.naturalWidth / extent;
    const [x, y] = [Math.max(0, -left), Math.max(0, -top)];
    const [wide, tall] = [Math.min(extent, box.width - left) - x, Math.min(extent, box.height - top) - y];
    context.drawImage(image, x * pixels, y * pixels, wide * pixels, tall * pixels, left + x, top + y, wide, tall);
  }
  context.globalAlpha = 1;
}

/** What does not support the class that is asked for steps back. */
function drawShade() {
  const step = view.scale / state.level.side;
  context.fillStyle = colours.ground;
  context.globalAlpha = 0.82;
  for (const cell of state.level.cells) if (!state.lit.has(cell)) context.fillRect(view.x + cell.column * step, view.y + cell.row * step, step + 0.5, step + 0.5);
  context.globalAlpha = 1;
}

function drawFrame(cell, width) {
  const step = view.scale / cell.side;
  context.strokeStyle = colours.accent;
  context.lineWidth = width;
  context.strokeRect(view.x + cell.column * step, view.y + cell.row * step, step, step);
}

// ---- Where the map lies ----

const span = () => Math.min(box.width, box.height) * 0.96;
const finest = () => Math.max(1, ...levels.map((level) => level.side));

function fitted() {
  const scale = span();
  return { x: (box.width - scale) / 2, y: (box.height - scale) / 2, scale };
}

/** Move the map, within reason: it keeps a hold on the middle of the window. */
function place({ x, y, scale }) {
  const low = span() * 0.8, high = Math.max(low, 360 * finest());
  if (scale < low || scale > high) {
    const kept = Math.min(high, Math.max(low, scale));
    x = box.width / 2 - ((box.width / 2 - x) / scale) * kept;
    y = box.height / 2 - ((box.height / 2 - y) / scale) * kept;
    scale = kept;
  }
  view.scale = scale;
  view.x = Math.min(box.width / 2, Math.max(box.width / 2 - scale, x));
  view.y = Math.min(box.height / 2, Math.max(box.height / 2 - scale, y));
  pickLevel();
  redraw();
}

function pickLevel() {
  const fine = levels.filter((level) => view.scale / level.side >= WANTED).at(-1) ?? levels[0];
  if (fine && fine !== state.level) {
    Object.assign(state, { before: calm ? null : state.level, since: performance.now(), level: fine, hovered: null });
    light();
    for (const [index, chip] of [...$("levels").children].entries()) chip.setAttribute("aria-pressed", levels[index] === fine);
  }
}

function zoom(by, x = box.width / 2, y = box.height / 2) {
  flight = null;
  place({ x: x - (x - view.x) * by, y: y - (y - view.y) * by, scale: view.scale * by });
}

function flyTo(target) {
  if (calm) return void place(target);
  flight = { from: { ...view }, to: target, start: performance.now() };
  redraw();
}

function fly(now) {
  const { from, to, start } = flight, time = Math.min(1, Math.max(0, (now - start) / FLIGHT)), ease = time * (2 - time);
  const between = (key) => from[key] + (to[key] - from[key]) * ease;
  if (time === 1) flight = null;
  place({ x: between("x"), y: between("y"), scale: between("scale") });
}

/** The view in which a level is shown, around the middle of what is in view, or around a cell. */
function showing(level, cell = null) {
  const scale = Math.max(span(), level.side * WANTED * 1.25);
  const middle = cell
    ? [(cell.column + 0.5) / cell.side, (cell.row + 0.5) / cell.side]
    : [(box.width / 2 - view.x) / view.scale, (box.height / 2 - view.y) / view.scale];
  return { x: box.width / 2 - middle[0] * scale, y: box.height / 2 - middle[1] * scale, scale };
}

function cellAt(x, y) {
  const { side, at } = state.level ?? { side: 1, at: new Map() };
  const [column, row] = [(x - view.x) / view.scale, (y - view.y) / view.scale].map((part) => Math.floor(part * side));
  return column < 0 || row < 0 || column >= side || row >= side ? null : at.get(row * side + column) ?? null;
}

// ---- What is known of a cell ----

function show(cell) {
  $("cell-title").textContent = cell ? titleOf(cell) : "Point at the map";
  $("cell-body").replaceChildren(...(cell ? particulars(cell) : []));
}

function particulars(cell) {
  const icon = element("button", { type: "button", class: "icon", "aria-label": `Enlarge the icon of ${titleOf(cell)}` }, frame(cell.source, true));
  icon.addEventListener("click", () => { select(cell); lightbox.show(cell); });
  const facts = element("dl", { class: "facts" }, ...[["activations", grouped.format(cell.count)], ["cosine", text(cell.cosine)]]
    .map(([label, value]) => element("div", {}, element("dt", {}, label), element("dd", {}, value))));
  const parts = [icon, facts];
  if (cell.status && cell.status !== "ok") parts.push(element("p", { class: "bad" }, cell.status));
  if (cell.classes?.length) {
    const most = cell.classes[0].effect;
    parts.push(element("h3", {}, "supports"), element("ul", { class: "classes" }, ...cell.classes.map((found) => {
      const button = element("button", { type: "button", title: "Show where the map supports this class" }, nameOf(found), element("small", {}, text(found.effect)));
      button.style.setProperty("--share", `${(100 * found.effect) / most}%`);
      button.addEventListener("click", () => ask(nameOf(found)));
      return element("li", {}, button);
    })));
  }
  if (cell.examples.length) {
    parts.push(element("h3", {}, "seen in"), element("div", { class: "examples" }, ...cell.examples.map((example) =>
      element("a", { href: example.source, target: "_blank", rel: "noopener", title: example.name, "aria-label": `Example from ${example.name}` }, patchTile(example, data.size)))));
  }
  return parts;
}

function hover(cell) {
  if (cell === state.hovered) return;
  state.hovered = cell;
  show(cell ?? state.selected);
  redraw();
}

function select(cell, follow = false) {
  Object.assign(state, { selected: cell, hovered: null });
  show(cell);
  if (cell && follow) reveal(cell);
  remember();
  redraw();
}

/** Move the map just as far as a cell needs to be seen. */
function reveal(cell) {
  const step = view.scale / cell.side, left = view.x + cell.column * step, top = view.y + cell.row * step;
  const shift = (start, extent) => Math.max(0, 12 - start) - Math.max(0, start + step + 12 - extent);
  const [x, y] = [shift(left, box.width), shift(top, box.height)];
  if (x || y) place({ x: view.x + x, y: view.y + y, scale: view.scale });
}

/** The nearest cell that way, from the one that is selected, else the first in view. */
function neighbour(across, down) {
  const { cells, side } = state.level;
  const from = state.selected ? { column: ((state.selected.column + 0.5) * side) / state.selected.side - 0.5, row: ((state.selected.row + 0.5) * side) / state.selected.side - 0.5 } : null;
  if (!from) return cells.find((cell) => !state.lit || state.lit.has(cell)) ?? cells[0] ?? null;
  let best = null, least = Infinity;
  for (const cell of cells) {
    const along = (cell.column - from.column) * across + (cell.row - from.row) * down;
    const aside = Math.abs((cell.column - from.column) * down) + Math.abs((cell.row - from.row) * across);
    if (along > 0.5 && along + 2 * aside < least) [best, least] = [cell, along + 2 * aside];
  }
  return best;
}

// ---- The filter ----

function light() {
  const word = state.query.trim().toLowerCase();
  state.lit = word && state.level ? new Set(state.level.cells.filter((cell) => cell.classes?.some((found) => nameOf(found).toLowerCase().includes(word)))) : null;
  const all = state.level?.cells.length ?? 0;
  $("count").textContent = state.lit ? `${grouped.format(state.lit.size)} of ${plural(all, "cell")} support it` : plural(all, "cell");
  redraw();
}

function ask(query) {
  $("query").value = state.query = query;
  light();
  remember();
}

// ---- The address ----

function remember() {
  const parameters = new URLSearchParams();
  if (state.selected) parameters.set("cell", keyOf(state.selected));
  if (state.query.trim()) parameters.set("class", state.query.trim());
  fragment.write(parameters);
}

function recall() {
  const parameters = fragment.read();
  $("query").value = state.query = parameters.get("class") ?? "";
  light();
  const [, side, row, column] = /^(\d+)\/(\d+)-(\d+)$/.exec(parameters.get("cell") ?? "") ?? [];
  const level = levels.find((each) => each.side === Number(side));
  const cell = level?.at.get(Number(row) * level.side + Number(column)) ?? null;
  if (cell) place(showing(level, cell));
  select(cell);
}

// ---- Hands ----

const pointers = new Map();
let moved = 0;

const here = (event) => {
  const { left, top } = canvas.getBoundingClientRect();
  return { x: event.clientX - left, y: event.clientY - top };
};

canvas.addEventListener("pointerdown", (event) => {
  if (event.button) return;
  canvas.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, here(event));
  if (pointers.size === 1) moved = 0;
  flight = null;
  canvas.classList.add("held");
});

canvas.addEventListener("pointermove", (event) => {
  const to = here(event), from = pointers.get(event.pointerId);
  if (!from) return void (event.pointerType === "mouse" && hover(cellAt(to.x, to.y)));
  const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
  moved += Math.hypot(to.x - from.x, to.y - from.y);
  pointers.set(event.pointerId, to);
  if (!other) return void place({ x: view.x + to.x - from.x, y: view.y + to.y - from.y, scale: view.scale });
  // Two fingers: what lies under each stays there.
  const by = Math.hypot(to.x - other.x, to.y - other.y) / Math.max(1, Math.hypot(from.x - other.x, from.y - other.y));
  const [was, is] = [{ x: (from.x + other.x) / 2, y: (from.y + other.y) / 2 }, { x: (to.x + other.x) / 2, y: (to.y + other.y) / 2 }];
  place({ x: is.x - (was.x - view.x) * by, y: is.y - (was.y - view.y) * by, scale: view.scale * by });
});

function release(event) {
  const at = pointers.get(event.pointerId);
  pointers.delete(event.pointerId);
  if (!pointers.size) canvas.classList.remove("held");
  if (at && event.type === "pointerup" && !pointers.size && moved < 6) select(cellAt(at.x, at.y));
}
canvas.addEventListener("pointerup", release);
canvas.addEventListener("pointercancel", release);
canvas.addEventListener("pointerleave", () => hover(null));
canvas.addEventListener("dblclick", (event) => {
  const { x, y } = here(event);
  zoom(2, x, y);
});
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  const { x, y } = here(event), pixels = event.deltaY * (event.deltaMode === 1 ? 16 : 1);
  zoom(Math.exp(-Math.max(-120, Math.min(120, pixels)) * 0.0022), x, y);
}, { passive: false });

canvas.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const walk = (across, down) => { const next = state.level && neighbour(across, down); if (next) select(next, true); };
  const act = {
    ArrowLeft: () => walk(-1, 0),
    ArrowRight: () => walk(1, 0),
    ArrowUp: () => walk(0, -1),
    ArrowDown: () => walk(0, 1),
    Enter: () => state.selected && lightbox.show(state.selected),
    Escape: () => select(null),
    "+": () => zoom(1.25, ...focus()),
    "=": () => zoom(1.25, ...focus()),
    "-": () => zoom(0.8, ...focus()),
    0: () => flyTo(fitted()),
  }[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

/** Keys zoom about the cell that is selected. */
function focus() {
  if (!state.selected) return [];
  const step = view.scale / state.selected.side;
  return [view.x + (state.selected.column + 0.5) * step, view.y + (state.selected.row + 0.5) * step];
}

const lightbox = new Lightbox({
  items: () => (state.level?.cells ?? []).filter((cell) => !state.lit || state.lit.has(cell)),
  describe: (cell) => ({
    title: titleOf(cell),
    source: cell.source,
    rows: [["Layer", data.layer], ["Members", cell.count], ["Cosine", cell.cosine],
      ["Status", cell.status, cell.status && cell.status !== "ok"],
      ...(cell.classes ?? []).map((found) => [nameOf(found), found.effect])],
  }),
  onShow: (cell) => select(cell, true),
  onClose: () => canvas.focus(),
});

// ---- Beginning ----

function resize() {
  const { width, height } = canvas.getBoundingClientRect(), first = box.width === 1;
  const middle = [(box.width / 2 - view.x) / view.scale, (box.height / 2 - view.y) / view.scale];
  box = { width, height, ratio: Math.min(2, devicePixelRatio || 1) };
  canvas.width = Math.round(width * box.ratio);
  canvas.height = Math.round(height * box.ratio);
  place(first ? fitted() : { x: width / 2 - middle[0] * view.scale, y: height / 2 - middle[1] * view.scale, scale: view.scale });
}

function repaint() {
  const style = getComputedStyle(document.documentElement);
  colours = { ground: style.getPropertyValue("--sunken").trim(), accent: style.getPropertyValue("--accent").trim() };
  redraw();
}

$("levels").append(...levels.map((level) => {
  const chip = element("button", { type: "button", class: "chip", "aria-pressed": level === state.level }, `${level.side}×${level.side} `, element("small", {}, grouped.format(level.cells.length)));
  chip.addEventListener("click", () => flyTo(level === levels[0] ? fitted() : showing(level)));
  return chip;
}));
$("levels").hidden = levels.length < 2;
const names = new Set(levels.flatMap((level) => level.cells.flatMap((cell) => (cell.classes ?? []).map(nameOf))));
$("known").append(...[...names].sort().map((name) => element("option", { value: name })));
$("query").addEventListener("input", () => { state.query = $("query").value; light(); remember(); });
$("in").addEventListener("click", () => zoom(1.5));
$("out").addEventListener("click", () => zoom(1 / 1.5));
$("fit").addEventListener("click", () => flyTo(fitted()));
$("help").addEventListener("click", showHelp);
document.querySelector("dialog.help dl").replaceChildren(...[
  [["←", "→", "↑", "↓"], "walk from cell to cell, also when enlarged"], [["+", "-"], "zoom"], [["0"], "the whole map"],
  [["Enter"], "enlarge the icon"], [["Esc"], "close; on the map: no cell"], [["/"], "filter by class"], [["?"], "these keys"],
].map(([keys, what]) => element("div", {}, element("dt", {}, ...keys.map((key) => element("kbd", {}, key))), element("dd", {}, what))));
listenForKeys($("query"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
window.addEventListener("hashchange", recall);
new ResizeObserver(resize).observe(canvas);
repaint();
resize();
recall();
