
"use strict";
// The atlas: icons on a map that pans and zooms. The map is the unit square; `view` is its position and scale on the
// canvas. A zoom level is a grid; sheets of 16 x 16 icons are drawn as one picture each. Two atlases that were laid out
// together are two panes of one view: a cell has its twin in the same place of the other pane.

const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
const SMALLEST = 52; // side of an icon in pixels, below which a coarser grid is shown, if there is one
const FAINT = 0.3; // opacity of a coarser grid in the gaps of a finer one
const FADE = 180, FLIGHT = 260; // milliseconds

const panes = data.atlases.map((atlas, index) => {
  const several = data.atlases.length > 1, name = several ? `Atlas of ${atlas.layer}` : "Atlas";
  const canvas = element("canvas", { id: index ? `map-${index + 1}` : "map", tabindex: "0", role: "application", "aria-roledescription": "map", "aria-label": `${name}: arrow keys move from cell to cell`, "aria-describedby": "cell-title" });
  $("maps").append(element("figure", {}, canvas, ...(several ? [element("figcaption", {}, sideName(atlas))] : [])));
  return { atlas, canvas, context: canvas.getContext("2d"), levels: atlas.grids.map((grid) => levelOf(grid, atlas)) };
});
const [{ canvas, levels }] = panes; // all panes have the size and the levels of the first

/** The name of an atlas next to another one: its layer, and its network if they differ. */
function sideName({ layer, model }) {
  return new Set(data.atlases.map((atlas) => atlas.model)).size > 1 ? `${layer} · ${model}` : `${layer}`;
}

function levelOf({ side, tile, cells }, atlas) {
  const at = new Map(cells.map((cell) => [cell.row * side + cell.column, cell]));
  const sheets = new Map();
  for (const cell of cells) {
    Object.assign(cell, { side, atlas });
    const across = Math.min(data.across, side), top = Math.floor(cell.row / data.across), left = Math.floor(cell.column / data.across);
    if (cell.sheet && !sheets.has(cell.sheet)) sheets.set(cell.sheet, { top: (top * data.across) / side, left: (left * data.across) / side, extent: across / side, image: null });
  }
  return { side, tile, cells, at, sheets };
}

/** The cell of a pane in the same place as a cell of another pane. */
function twin(cell, pane) {
  return pane.levels.find(({ side }) => side === cell.side)?.at.get(cell.row * cell.side + cell.column) ?? null;
}

const state = { level: levels[0] ?? null, before: null, since: 0, selected: null, hovered: null, query: "", lit: null };
const view = { x: 0, y: 0, scale: 1 }; // the map's corner and side, in CSS pixels
let box = { width: 1, height: 1, ratio: 1 }, colours = {}, due = 0, flight = null;

// ---- Names ----

const latentName = (found) => [`latent ${found.latent}`, found.name].filter(Boolean).join(" · ");
/** What a cell can be found by: its latents and its classes. */
const labelsOf = (cell) => [...(cell.latents ?? []).map(latentName), ...(cell.classes ?? []).map(nameOf)];
const nameOf = (found) => found.name ?? `class ${found.index}`;
const titleOf = (cell) => `${cell.side}×${cell.side} · row ${cell.row + 1}, column ${cell.column + 1}`;
const keyOf = (cell) => `${cell.side}/${cell.row}-${cell.column}`;

// ---- Drawing ----

/** A sheet is fetched when it first comes into view, and drawn once it is loaded. */
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
  const share = state.before ? Math.min(1, (now - state.since) / FADE) : 1;
  for (const pane of panes) drawPane(pane, share);
  if (share === 1) state.before = null;
  if (flight || share < 1) redraw();
}

function drawPane({ context, levels }, share) {
  context.setTransform(box.ratio, 0, 0, box.ratio, 0, 0);
  context.fillStyle = colours.ground;
  context.fillRect(0, 0, box.width, box.height);
  const [before, level] = [state.before, state.level].map((shown) => levels.find(({ side }) => side === shown?.side));
  // Where a fine grid has no cell (too few members, or not finished), the coarser grids are visible.
  const coarser = levels.slice(0, Math.max(0, levels.indexOf(level)));
  for (const each of coarser) drawLevel(context, each, 1);
  if (coarser.length) veil(context);
  if (share < 1 && before) drawLevel(context, before, 1);
  if (level) drawLevel(context, level, share);
  if (level && state.lit) drawShade(context, level);
  for (const [cell, width] of [[state.hovered, 1.5], [state.selected, 3]]) if (cell) drawFrame(context, cell, width);
}

function drawLevel(context, { sheets, side, tile }, alpha) {
  context.globalAlpha = alpha;
  context.imageSmoothingEnabled = view.scale / side < 3 * tile; // beyond that, show the pixels
  for (const [source, sheet] of sheets) {
    const left = view.x + sheet.left * view.scale, top = view.y + sheet.top * view.scale, extent = sheet.extent * view.scale;
    if (left > box.width || top > box.height || left + extent < 0 || top + extent < 0) continue;
    const image = picture(sheet, source);
    if (!image) continue;
    // Draw only the part in view: otherwise the entire sheet would be scaled in every frame.
    const pixels = image.naturalWidth / extent;
    const [x, y] = [Math.max(0, -left), Math.max(0, -top)];
    const [wide, tall] = [Math.min(extent, box.width - left) - x, Math.min(extent, box.height - top) - y];
    context.drawImage(image, x * pixels, y * pixels, wide * pixels, tall * pixels, left + x, top + y, wide, tall);
  }
  context.globalAlpha = 1;
}

function veil(context) {
  context.fillStyle = colours.ground;
  context.globalAlpha = 1 - FAINT;
  context.fillRect(0, 0, box.width, box.height);
  context.globalAlpha = 1;
}

/** Dim the cells that do not match the filter. */
function drawShade(context, level) {
  const step = view.scale / level.side;
  context.fillStyle = colours.ground;
  context.globalAlpha = 0.82;
  for (const cell of level.cells) if (!state.lit.has(cell)) context.fillRect(view.x + cell.column * step, view.y + cell.row * step, step + 0.5, step + 0.5);
  context.globalAlpha = 1;
}

function drawFrame(context, cell, width) {
  const step = view.scale / cell.side;
  for (const [colour, wide] of [["white", width + 2.5], [colours.accent, width]]) { // a white rim makes it stand out from icons of any colour
    context.strokeStyle = colour;
    context.lineWidth = wide;
    context.strokeRect(view.x + cell.column * step, view.y + cell.row * step, step, step);
  }
}

// ---- Position and scale of the map ----

const span = () => Math.min(box.width, box.height) * 0.96;
const finest = () => Math.max(1, ...levels.map((level) => level.side));

function fitted() {
  const scale = span();
  return { x: (box.width - scale) / 2, y: (box.height - scale) / 2, scale };
}

/** Move the map; it always covers the centre of the window. */
function place({ x, y, scale }) {
  const low = span() * 0.8, high = Math.max(low, 360 * finest());
  if (scale < low || scale > high) {
    const limited = Math.min(high, Math.max(low, scale));
    x = box.width / 2 - ((box.width / 2 - x) / scale) * limited;
    y = box.height / 2 - ((box.height / 2 - y) / scale) * limited;
    scale = limited;
  }
  view.scale = scale;
  view.x = Math.min(box.width / 2, Math.max(box.width / 2 - scale, x));
  view.y = Math.min(box.height / 2, Math.max(box.height / 2 - scale, y));
  pickLevel();
  redraw();
}

function pickLevel() {
  const fine = levels.filter((level) => view.scale / level.side >= SMALLEST).at(-1) ?? levels[0];
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

/** The view that shows a level, around the centre of the current view or around a cell. */
function showing(level, cell = null) {
  const scale = Math.max(span(), level.side * SMALLEST * 1.25);
  const middle = cell
    ? [(cell.column + 0.5) / cell.side, (cell.row + 0.5) / cell.side]
    : [(box.width / 2 - view.x) / view.scale, (box.height / 2 - view.y) / view.scale];
  return { x: box.width / 2 - middle[0] * scale, y: box.height / 2 - middle[1] * scale, scale };
}

/** The visible cell at a point: of the current level, or of a coarser one in its gaps. */
function cellAt(x, y) {
  for (const { side, at } of levels.slice(0, levels.indexOf(state.level) + 1).reverse()) {
    const [column, row] = [(x - view.x) / view.scale, (y - view.y) / view.scale].map((part) => Math.floor(part * side));
    const cell = column < 0 || row < 0 || column >= side || row >= side ? null : at.get(row * side + column);
    if (cell) return cell;
  }
  return null;
}
