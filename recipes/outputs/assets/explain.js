"use strict";
// Attribution: a row for each picture and target, the methods side by side. The maps of one row are comparable where
// they lie, not in how bright they are: each has its own scale.

const $ = (id) => document.getElementById(id);
const usualSize = matchMedia("(max-width: 46rem)").matches ? 112 : 200;
const views = ["overlay", "plain", "photo", ...data.views];
const state = { query: "", size: usualSize, view: "overlay" };
for (const view of data.views) $("views").querySelector(`[data-view=${view}]`).hidden = false;
const unitOf = new WeakMap();
const shotOf = new Map();
const photoOf = new Map();
let shown = [];

const isOriginal = (unit) => unit.objective === "original";
const figuresOf = (unit) => unit.figures ?? {};
const best = (guesses) => guesses?.[0]?.name ?? null;
const group = (units, key) => Map.groupBy(units, (unit) => String(figuresOf(unit)[key]));

/** The file that is seen of a unit in a view. */
function sourceOf(unit, view) {
  return (view === "photo" ? photoOf.get(unit) : unit.beside?.[view]) ?? unit.source;
}

// ---- The rows ----

/** The box that bounds what is hottest, [top, left, bottom, right] in pixels of the picture. */
function boxOf(unit) {
  const box = figuresOf(unit).box;
  if (!Array.isArray(box)) return null;
  const [top, left, bottom, right] = box, [height, width] = data.size;
  const mark = element("span", { class: "box" });
  mark.style.inset = `${(100 * top) / height}% ${100 - (100 * right) / width}% ${100 - (100 * bottom) / height}% ${(100 * left) / width}%`;
  return mark;
}

function titleOf(unit) {
  if (isOriginal(unit)) return `${text(unit.image)} · original`;
  const { method, target } = figuresOf(unit);
  return [method, unit.name ?? target, unit.image].map(text).join(" · ");
}

function makeShot(unit) {
  const { method, at } = figuresOf(unit);
  const box = frame(unit.source);
  const mark = boxOf(unit);
  if (mark) box.append(mark);
  const shot = element("button",
    { type: "button", class: "shot", tabindex: "-1", "aria-haspopup": "dialog", "aria-label": titleOf(unit) },
    box,
    element("span", { class: "caption" },
      element("span", { class: "method", title: method }, isOriginal(unit) ? "original" : text(method)),
      element("span", { class: "at", title: at ? "the layer that was looked at" : null }, at || "\u00a0")));
  unitOf.set(shot, unit);
  shotOf.set(unit, shot);
  return shot;
}

function makeTarget([target, units], original) {
  const { value } = figuresOf(units[0]);
  const name = units[0].name;
  return element("div", { class: "target" },
    element("h3", {}, name ? `${name} ` : "", element("code", {}, target),
      element("span", { class: "value" }, Number.isFinite(value) ? ` scores ${text(value)}` : "")),
    element("div", { class: "shots" }, ...(original ? [makeShot({ ...original })] : []), ...units.map(makeShot)));
}

const pictures = data.images.map(({ name, original, units }) => {
  for (const unit of units) photoOf.set(unit, original?.source);
  const guess = original && best(figuresOf(original).top5);
  const targets = [...group(units, "target")].map((entry) => ({
    words: [entry[0], ...entry[1].flatMap((unit) => [unit.name, figuresOf(unit).method])].filter(Boolean).join("\n").toLowerCase(),
    row: makeTarget(entry, original),
  }));
  if (!targets.length && original) targets.push({ words: "", row: element("div", { class: "shots" }, makeShot(original)) });
  const section = element("section", { class: "picture", "aria-label": name },
    element("h2", {}, element("span", { title: name }, name), guess && element("span", { class: "seen" }, `seen as ${guess}`)),
    ...targets.map(({ row }) => row));
  return { name, words: [name, guess].filter(Boolean).join("\n").toLowerCase(), targets, section };
});
$("pictures").append(...pictures.map(({ section }) => section));
document.documentElement.style.setProperty("--aspect", data.aspect);

// ---- What is seen ----

function look(shot, view) {
  const unit = unitOf.get(shot);
  const image = shot.querySelector("img");
  const source = sourceOf(unit, view);
  if (image && source && image.getAttribute("src") !== source) image.src = source;
}

/** Rows whose target or method fits stay alone; where the picture's own name fits, all of its rows do. */
function apply() {
  const query = state.query.trim().toLowerCase();
  let seen = 0;
  for (const { words, targets, section } of pictures) {
    const whole = words.includes(query);
    for (const each of targets) each.row.hidden = !whole && !each.words.includes(query);
    section.hidden = targets.every(({ row }) => row.hidden);
    seen += !section.hidden;
  }
  const shots = [...$("pictures").querySelectorAll(".shot")].filter((shot) => !shot.closest("[hidden]"));
  for (const shot of shotOf.values()) look(shot, state.view);
  shown = shots.map((shot) => unitOf.get(shot));
  for (const chip of $("views").children) chip.setAttribute("aria-pressed", chip.dataset.view === state.view);
  $("pictures").style.setProperty("--thumb", `${state.size}px`);
  $("count").textContent = seen === pictures.length ? plural(seen, "picture") : `${seen} of ${plural(pictures.length, "picture")}`;
  $("empty").hidden = seen > 0;
  $("reset").hidden = pictures.length === 0;
  $("empty").firstElementChild.textContent = pictures.length ? "No picture matches." : "There are no pictures yet.";
  walk.update(shots);
  write();
}

function write() {
  const parameters = new URLSearchParams();
  if (state.query.trim()) parameters.set("show", state.query.trim());
  if (state.view !== "overlay") parameters.set("view", state.view);
  if (state.size !== usualSize) parameters.set("size", state.size);
  if (lightbox.item?.file) parameters.set("unit", lightbox.item.file);
  fragment.write(parameters);
}

function restore() {
  const parameters = fragment.read();
  const size = Number(parameters.get("size"));
  state.query = parameters.get("show") ?? "";
  state.view = views.includes(parameters.get("view")) ? parameters.get("view") : "overlay";
  state.size = size >= 64 && size <= 448 ? size : usualSize;
  $("query").value = state.query;
  $("size").value = state.size;
  apply();
  const file = parameters.get("unit");
  const unit = file === null ? undefined : shown.find((candidate) => candidate.file === file);
  if (unit) lightbox.show(unit);
  else if (lightbox.item) lightbox.close();
}

function setView(view) {
  state.view = view;
  apply();
  if (lightbox.item) lightbox.show(lightbox.item);
}

function rowsOf(unit) {
  const { source, target, method, at, value, lowest, highest, box, thing, channels, seconds, top5 } = figuresOf(unit);
  if (isOriginal(unit)) {
    const guesses = (top5 ?? []).map(({ name, probability }) => [name, `${(100 * probability).toFixed(1)} %`]);
    return [["Picture", unit.image], ["File", source], ...guesses].filter(([, value]) => value !== undefined);
  }
  return [
    ["Picture", unit.image], ["Target", target], ["Class", unit.name], ["Scores", value], ["Method", method],
    ["Looks at", at || undefined],
    ["Strongest channels", channels?.map(({ channel, value }) => `${channel} (${text(value)})`).join(", ")], ["Lowest", lowest], ["Highest", highest],
    ["Box", box], ["Thing", Number.isFinite(thing) ? `${(100 * thing).toFixed(1)} % of the picture` : undefined], ["Seconds", seconds],
    ["Seed", unit.seed],
  ].filter(([, value]) => value !== undefined && value !== null);
}

const walk = new Walk($("pictures"), ".shot");
const lightbox = new Lightbox({
  items: () => shown,
  describe: (unit) => ({ title: titleOf(unit), source: sourceOf(unit, state.view), rows: rowsOf(unit) }),
  onShow: write,
  onClose(unit) {
    walk.focus(shotOf.get(unit));
    write();
  },
});

// Pointing at a map shows what it lies over.
for (const [event, view] of [["pointerover", () => (state.view === "photo" ? "overlay" : "photo")], ["pointerout", () => state.view]]) {
  $("pictures").addEventListener(event, ({ target, pointerType }) => {
    const shot = target.closest(".shot");
    if (shot && pointerType !== "touch") look(shot, view());
  });
}
$("pictures").addEventListener("click", (event) => {
  const shot = event.target.closest(".shot");
  if (shot) lightbox.show(unitOf.get(shot));
});
$("views").addEventListener("click", (event) => {
  const chip = event.target.closest("[data-view]");
  if (chip) setView(chip.dataset.view);
});
const viewKeys = { o: ["overlay", "map over the picture"], m: ["plain", "map alone"], p: ["photo", "picture alone"] };
if (data.views.includes("thing")) viewKeys.t = ["thing", "thing that was cut out"];
if (data.views.includes("perceived")) viewKeys.s = ["perceived", "what the layer keeps, where it looked"];
document.querySelector("dialog.help dl").append(...Object.entries(viewKeys).map(([key, [, what]]) =>
  element("div", {}, element("dt", {}, element("kbd", {}, key)), element("dd", {}, what))));
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog.help")) return;
  if (Object.hasOwn(viewKeys, event.key)) setView(viewKeys[event.key][0]);
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
$("size").addEventListener("input", (event) => {
  state.size = Number(event.target.value);
  apply();
});
$("reset").addEventListener("click", () => {
  state.query = $("query").value = "";
  apply();
  $("query").focus();
});
$("help").addEventListener("click", showHelp);
listenForKeys($("query"));
addEventListener("hashchange", restore);
restore();
