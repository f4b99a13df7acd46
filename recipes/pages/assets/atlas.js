
"use strict";
// Interaction with the map (atlas_map.js): hovering, keyboard navigation, filtering, links and the lightbox.

// ---- Details of a cell ----

function show(cell) {
  $("cell-title").textContent = cell ? titleOf(cell) : "Hover over a cell";
  const sides = cell ? panes.map((pane) => twin(cell, pane)).filter(Boolean) : [];
  $("cell-body").replaceChildren(...(panes.length > 1
    ? [element("div", { class: "sides" }, ...sides.map((each) => element("div", {}, element("h3", {}, sideName(each.atlas)), ...particulars(each))))]
    : sides.flatMap(particulars)));
}

function particulars(cell) {
  const icon = element("button", { type: "button", class: "icon", "aria-label": `Enlarge the icon of ${titleOf(cell)}` }, frame(cell.source, true));
  icon.addEventListener("click", () => { select(cell); lightbox.show(cell); });
  const facts = element("dl", { class: "facts" }, ...[["activations", grouped.format(cell.count)], ["cosine", text(cell.cosine)]]
    .map(([label, value]) => element("div", {}, element("dt", {}, label), element("dd", {}, value))));
  const parts = [icon, facts];
  if (hasEvidence({ metrics: cell })) parts.push(makeEvidence({ metrics: cell }));
  if (cell.status && cell.status !== "ok") parts.push(element("p", { class: "bad" }, cell.status));
  if (cell.latents?.length) {
    parts.push(element("h3", {}, "strongest latents"), element("ul", { class: "classes" }, ...cell.latents.map((found) => {
      const button = element("button", { type: "button", title: "Highlight the cells with this latent" }, latentName(found), element("small", {}, text(found.value)));
      button.style.setProperty("--share", `${(100 * found.value) / cell.latents[0].value}%`);
      button.addEventListener("click", () => filterBy(latentName(found)));
      return element("li", {}, button);
    })));
  }
  if (cell.classes?.length) {
    const most = cell.classes[0].effect;
    parts.push(element("h3", {}, "supported classes"), element("ul", { class: "classes" }, ...cell.classes.map((found) => {
      const button = element("button", { type: "button", title: "Highlight the cells that support this class" }, nameOf(found), element("small", {}, text(found.effect)));
      button.style.setProperty("--share", `${(100 * found.effect) / most}%`);
      button.addEventListener("click", () => filterBy(nameOf(found)));
      return element("li", {}, button);
    })), ...judgedOf(cell));
  }
  if (cell.examples.length) {
    parts.push(element("h3", {}, "examples"), element("div", { class: "examples" }, ...cell.examples.map((example) =>
      element("a", { href: example.source, target: "_blank", rel: "noopener", title: example.name, "aria-label": `Example from ${example.name}` }, patchTile(example, cell.atlas.size)))));
  }
  return parts;
}

/** Whether each judge sees the strongest class in the icon, and in how many examples. */
const judgedOf = (cell) => Object.entries(cell).filter(([name]) => /^class_in_icon( |$)/.test(name)).map(([name, seen]) => {
  const judge = name.slice("class_in_icon".length).trim() || "a judge";
  const examples = cell[name.replace("class_in_icon", "class_in_photographs")];
  const others = Number.isFinite(examples) ? `; in ${Math.round(examples * cell.examples.length)} of ${cell.examples.length} examples` : "";
  return element("p", { class: "judged" }, `${judge} ${seen ? "sees" : "does not see"} the first class in the icon${others}`);
});

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

/** Move the map just far enough that a cell is in view. */
function reveal(cell) {
  const step = view.scale / cell.side, left = view.x + cell.column * step, top = view.y + cell.row * step;
  const shift = (start, extent) => Math.max(0, 12 - start) - Math.max(0, start + step + 12 - extent);
  const [x, y] = [shift(left, box.width), shift(top, box.height)];
  if (x || y) place({ x: view.x + x, y: view.y + y, scale: view.scale });
}

/** The nearest cell in a direction, from the selected one; without a selection, the first that matches the filter. */
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
  const supporting = panes.map(({ levels }) => (levels.find(({ side }) => side === state.level?.side)?.cells ?? [])
    .filter((cell) => labelsOf(cell).some((label) => label.toLowerCase().includes(word))));
  state.lit = word && state.level ? new Set(supporting.flat()) : null;
  const all = state.level?.cells.length ?? 0, lit = supporting.map(({ length }) => grouped.format(length)).join(" and ");
  $("count").textContent = state.lit ? `${lit} of ${plural(all, "cell")} match` : plural(all, "cell");
  redraw();
}

function filterBy(query) {
  $("query").value = state.query = query;
  light();
  remember();
}

// ---- The URL fragment ----

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

// ---- Pointer, wheel and keys ----

const pointers = new Map();
let moved = 0;

const here = (event) => {
  const { left, top } = event.currentTarget.getBoundingClientRect();
  return { x: event.clientX - left, y: event.clientY - top };
};

function press(event) {
  if (event.button) return;
  event.currentTarget.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, here(event));
  if (pointers.size === 1) moved = 0;
  flight = null;
  event.currentTarget.classList.add("held");
}

function drag(event) {
  const to = here(event), from = pointers.get(event.pointerId);
  if (!from) return void (event.pointerType === "mouse" && hover(cellAt(to.x, to.y)));
  const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
  moved += Math.hypot(to.x - from.x, to.y - from.y);
  pointers.set(event.pointerId, to);
  if (!other) return void place({ x: view.x + to.x - from.x, y: view.y + to.y - from.y, scale: view.scale });
  // Two fingers: the points of the map under them stay under them.
  const by = Math.hypot(to.x - other.x, to.y - other.y) / Math.max(1, Math.hypot(from.x - other.x, from.y - other.y));
  const [was, is] = [{ x: (from.x + other.x) / 2, y: (from.y + other.y) / 2 }, { x: (to.x + other.x) / 2, y: (to.y + other.y) / 2 }];
  place({ x: is.x - (was.x - view.x) * by, y: is.y - (was.y - view.y) * by, scale: view.scale * by });
}

function release(event) {
  const at = pointers.get(event.pointerId);
  pointers.delete(event.pointerId);
  if (!pointers.size) event.currentTarget.classList.remove("held");
  if (at && event.type === "pointerup" && !pointers.size && moved < 6) select(cellAt(at.x, at.y));
}

function double(event) {
  const { x, y } = here(event);
  zoom(2, x, y);
}

function wheel(event) {
  event.preventDefault();
  const { x, y } = here(event), pixels = event.deltaY * (event.deltaMode === 1 ? 16 : 1);
  zoom(Math.exp(-Math.max(-120, Math.min(120, pixels)) * 0.0022), x, y);
  hover(cellAt(x, y)); // in the level that is shown now
}

function key(event, pane) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const walk = (across, down) => { const next = state.level && neighbour(across, down); if (next) select(next, true); };
  const act = {
    ArrowLeft: () => walk(-1, 0),
    ArrowRight: () => walk(1, 0),
    ArrowUp: () => walk(0, -1),
    ArrowDown: () => walk(0, 1),
    Enter: () => { const cell = state.selected && twin(state.selected, pane); if (cell) lightbox.show(cell); },
    Escape: () => select(null),
    "+": () => zoom(1.25, ...focus()),
    "=": () => zoom(1.25, ...focus()),
    "-": () => zoom(0.8, ...focus()),
    0: () => flyTo(fitted()),
  }[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

for (const pane of panes) {
  const handlers = { pointerdown: press, pointermove: drag, pointerup: release, pointercancel: release, pointerleave: () => hover(null), dblclick: double, keydown: (event) => key(event, pane) };
  for (const [type, act] of Object.entries(handlers)) pane.canvas.addEventListener(type, act);
  pane.canvas.addEventListener("wheel", wheel, { passive: false });
}

/** The point about which keys zoom: the centre of the selected cell. */
function focus() {
  if (!state.selected) return [];
  const step = view.scale / state.selected.side;
  return [view.x + (state.selected.column + 0.5) * step, view.y + (state.selected.row + 0.5) * step];
}

/** The pane whose icons the lightbox shows. */
let enlarged = panes[0];

const lightbox = new Lightbox({
  items: () => (enlarged.levels.find(({ side }) => side === state.level?.side)?.cells ?? []).filter((cell) => !state.lit || state.lit.has(cell)),
  describe: (cell) => (enlarged = panes.find(({ atlas }) => atlas === cell.atlas), {
    title: titleOf(cell),
    source: cell.source,
    rows: [["Layer", cell.atlas.layer], ["Members", cell.count], ["Cosine", cell.cosine],
      ["Status", cell.status, cell.status && cell.status !== "ok"],
      ...(cell.latents ?? []).map((found) => [latentName(found), found.value]), ...(cell.classes ?? []).map((found) => [nameOf(found), found.effect])],
  }),
  onShow: (cell) => select(cell, true),
  onClose: () => enlarged.canvas.focus(),
});

// ---- Start ----

function resize() {
  const { width, height } = canvas.getBoundingClientRect(), first = box.width === 1;
  const middle = [(box.width / 2 - view.x) / view.scale, (box.height / 2 - view.y) / view.scale];
  box = { width, height, ratio: Math.min(2, devicePixelRatio || 1) };
  for (const pane of panes) Object.assign(pane.canvas, { width: Math.round(width * box.ratio), height: Math.round(height * box.ratio) });
  place(first ? fitted() : { x: width / 2 - middle[0] * view.scale, y: height / 2 - middle[1] * view.scale, scale: view.scale });
}

function repaint() {
  const style = getComputedStyle(document.documentElement);
  colours = { ground: style.getPropertyValue("--sunken").trim(), accent: style.getPropertyValue("--accent").trim() };
  redraw();
}

document.querySelector(".atlas").classList.toggle("several", panes.length > 1);
$("levels").append(...levels.map((level) => {
  const chip = element("button", { type: "button", class: "chip", "aria-pressed": String(level === state.level) }, `${level.side}×${level.side} `, element("small", {}, grouped.format(level.cells.length)));
  chip.addEventListener("click", () => flyTo(level === levels[0] ? fitted() : showing(level)));
  return chip;
}));
$("levels").hidden = levels.length < 2;
const names = new Set(panes.flatMap((pane) => pane.levels).flatMap((level) => level.cells.flatMap(labelsOf)));
$("known").append(...[...names].sort().map((name) => element("option", { value: name })));
$("query").addEventListener("input", () => { state.query = $("query").value; light(); remember(); });
$("in").addEventListener("click", () => zoom(1.5));
$("out").addEventListener("click", () => zoom(1 / 1.5));
$("fit").addEventListener("click", () => flyTo(fitted()));
$("help").addEventListener("click", showHelp);
document.querySelector("dialog.help dl").replaceChildren(...[
  [["←", "→", "↑", "↓"], "move from cell to cell, also when enlarged"], [["+", "-"], "zoom"], [["0"], "fit the map"],
  [["Enter"], "enlarge the icon"], [["Esc"], "close; on the map: clear the selection"], [["/"], "filter by class"], [["?"], "show this help"],
].map(([keys, what]) => element("div", {}, element("dt", {}, ...keys.map((key) => element("kbd", {}, key))), element("dd", {}, what))));
listenForKeys($("query"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
window.addEventListener("hashchange", recall);
new ResizeObserver(resize).observe(canvas);
repaint();
resize();
recall();
