
"use strict";
// A photo whose positions are buttons; the one that is hovered, focused or touched shows its dictionary.
// The URL fragment holds the layer and the position, so that they can be linked.

const board = $("board"), grid = $("grid"), entry = $("entry");
const walk = new Walk(board, "button");
const cellOf = new WeakMap();
const placeOf = new Map(); // a position's button -> its place in the grid, and the inverse
let layer = null, chosen = null;

/** A position of the map, for readers. */
const place = ({ position: [y, x] }) => `row ${y}, column ${x}`;

function strongestOf(cell) {
  const most = Math.max(...cell.channels.map(({ value }) => value), 0);
  return cell.channels.map(({ channel, value, name }) => {
    const bar = element("span", { class: "bar" });
    bar.style.width = `${most > 0 ? (100 * value) / most : 0}%`;
    return element("li", {},
      channel in layer.icons ? frame(layer.icons[channel]) : null,
      bar,
      element("span", { class: "caption" }, element("span", { title: name }, [`${unitOf(layer.name)} ${channel}`, name].filter(Boolean).join(" · ")), element("span", { class: "value" }, text(value))));
  });
}

function show(button) {
  if (!button) return;
  const cell = cellOf.get(button);
  chosen?.removeAttribute("aria-current");
  placeOf.get(chosen)?.removeAttribute("data-chosen");
  chosen = button;
  placeOf.get(button)?.setAttribute("data-chosen", "");
  button.setAttribute("aria-current", "true");
  const icon = frame(cell.source, true);
  icon.classList.add("large");
  entry.replaceChildren(
    element("h2", {}, `${layer.name} · ${place(cell)}`),
    element("p", { class: "summary" }, `magnitude ${text(cell.magnitude)} · cosine of the icon ${text(cell.cosine)}`),
    icon,
    ...(hasEvidence({ metrics: cell }) ? [makeEvidence({ metrics: cell })] : []),
    element("ul", { class: "channels" }, ...strongestOf(cell)));
  fragment.write(new URLSearchParams({ layer: layer.name, at: cell.position.join(",") }));
}

/** The icons in the places of the map, each with an area proportional to its magnitude, as in the composed picture. */
function layOut(buttons) {
  const largest = Math.max(...layer.cells.map(({ magnitude }) => magnitude));
  grid.style.gridTemplate = board.style.gridTemplate;
  placeOf.clear();
  grid.replaceChildren(...buttons.map((button) => {
    const { magnitude, source } = cellOf.get(button);
    const place = element("div", { class: "place" }, frame(source));
    place.style.gridArea = button.style.gridArea;
    place.style.setProperty("--share", Math.sqrt(magnitude / largest));
    placeOf.set(button, place);
    placeOf.set(place, button);
    return place;
  }));
}

/** Overlay the map of a group on the photo, in the group's colour, while the group is hovered, focused or pressed. */
function tint(group) {
  for (const old of board.querySelectorAll(".tint")) old.remove();
  if (!group) return;
  const most = Math.max(...group.map.flat());
  group.map.forEach((row, y) => row.forEach((value, x) => {
    const cell = element("span", { class: "tint" });
    cell.style.gridArea = `${y + 1} / ${x + 1}`;
    cell.style.opacity = most > 0 ? (0.8 * value) / most : 0;
    cell.style.setProperty("--colour", group.colour);
    board.append(cell);
  }));
}

function listGroups() {
  const section = $("groups");
  section.hidden = !layer.groups.length;
  if (section.hidden) return;
  let pressed = null;
  const buttons = layer.groups.map((group) => {
    const channels = group.channels.map(({ channel, name }) => name ?? channel).join(", ");
    const button = element("button", { type: "button", "aria-pressed": "false", title: `strongest ${unitOf(layer.name)}s: ${channels}` },
      frame(group.source), `group ${group.group + 1}`);
    button.style.setProperty("--colour", group.colour);
    for (const kind of ["pointerenter", "focus"]) button.addEventListener(kind, () => tint(group));
    for (const kind of ["pointerleave", "blur"]) button.addEventListener(kind, () => tint(pressed));
    button.addEventListener("click", () => {
      pressed = pressed === group ? null : group;
      for (const each of buttons) each.setAttribute("aria-pressed", each === button && pressed !== null);
      tint(pressed);
    });
    return button;
  });
  section.replaceChildren(element("h2", {}, `${plural(buttons.length, "group")} of ${layer.name} · relative error ${text(layer.groups[0].error)}`), ...buttons);
}

function open(next, at) {
  layer = next;
  for (const chip of $("layers").children) chip.setAttribute("aria-pressed", chip.value === layer.name);
  const [rows, columns] = layer.size;
  board.style.gridTemplate = `repeat(${rows}, minmax(0, 1fr)) / repeat(${columns}, minmax(0, 1fr))`;
  const buttons = layer.cells.map((cell) => {
    const [y, x] = cell.position;
    const button = element("button", { type: "button", tabindex: "-1", "aria-label": `${place(cell)}, magnitude ${text(cell.magnitude)}` });
    button.style.gridArea = `${y + 1} / ${x + 1}`;
    cellOf.set(button, cell);
    return button;
  });
  board.replaceChildren(...buttons);
  if (data.grid) layOut(buttons);
  listGroups();
  chosen = null;
  entry.replaceChildren();
  const strongest = layer.cells.reduce((best, cell, i) => (cell.magnitude > (layer.cells[best]?.magnitude ?? -1) ? i : best), 0);
  const index = layer.cells.findIndex(({ position }) => position.join(",") === at);
  const first = buttons[index < 0 ? strongest : index];
  walk.update(buttons);
  if (first) walk.mark(first);
  show(first);
}

function start() {
  if (data.photo) board.style.backgroundImage = `url("${data.photo}")`;
  grid.hidden = !data.grid;
  document.querySelector("main").classList.toggle("both", data.grid);
  grid.style.aspectRatio = board.style.aspectRatio = `${data.size[1]} / ${data.size[0]}`;
  $("layers").append(...data.layers.map(({ name }) => element("button", { type: "button", class: "chip", value: name }, name)));
  $("layers").addEventListener("click", ({ target }) => {
    const next = data.layers.find(({ name }) => name === target.closest("button")?.value);
    if (next) open(next, chosen && cellOf.get(chosen).position.join(","));
  });
  const onCell = ({ target }) => { if (cellOf.has(target)) show(target); };
  for (const kind of ["pointerover", "focusin", "click"]) board.addEventListener(kind, onCell);
  grid.addEventListener("pointerover", ({ target }) => show(placeOf.get(target.closest(".place"))));
  grid.addEventListener("click", ({ target }) => placeOf.get(target.closest(".place"))?.focus());
  $("help").addEventListener("click", showHelp);
  listenForKeys({ select() {} });
  const parameters = fragment.read();
  const found = data.layers.find(({ name }) => name === parameters.get("layer")) ?? data.layers[0];
  document.querySelector("main").hidden = !found;
  $("empty").hidden = Boolean(found);
  if (found) open(found, parameters.get("at"));
}

start();
