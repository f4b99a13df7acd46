
"use strict";
// Inpainting: rows of three pictures; one state (query, sort, size, open unit) decides what is seen.

const $ = (id) => document.getElementById(id);
const usualSize = matchMedia("(max-width: 46rem)").matches ? 112 : 224;
const state = { query: "", sort: "given", size: usualSize };
const unitOf = new WeakMap();
const shotOf = new Map();
let shown = [];

const isStopped = (unit) => (unit.status ?? "ok") !== "ok";
const figuresOf = (unit) => unit.figures ?? {};
const kinds = { masked: "known", restored: "restored", original: "original" };
const restoredOf = (picture) => picture.units.find((unit) => unit.objective === "restored");
const percent = (share) => `${(100 * share).toFixed(1)} %`;
const decibels = (value) => `${value.toFixed(1)} dB`;

// ---- The rows ----

/** What stands below a picture besides its kind. */
function figure(unit, picture) {
  const { psnr } = figuresOf(unit);
  const missing = unit.objective === "masked" ? figuresOf(restoredOf(picture) ?? {}).missing : null;
  if (Number.isFinite(psnr)) return decibels(psnr);
  return Number.isFinite(missing) ? `${percent(missing)} missing` : "";
}

function titleOf(unit) {
  return `${text(unit.image)} · ${kinds[unit.objective] ?? text(unit.objective)}`;
}

function makeShot(unit, picture) {
  const box = frame(unit.source);
  if (isStopped(unit)) box.append(element("span", { class: "status" }, text(unit.status)));
  const told = figure(unit, picture);
  const spoken = [titleOf(unit), told, isStopped(unit) ? text(unit.status) : ""].filter(Boolean).join(", ");
  const shot = element("button",
    { type: "button", class: isStopped(unit) ? "shot stopped" : "shot", tabindex: "-1", "aria-haspopup": "dialog", "aria-label": spoken },
    box,
    element("span", { class: "caption" },
      element("span", { class: "kind" }, kinds[unit.objective] ?? text(unit.objective)),
      element("span", { class: "figure", title: unit.objective === "restored" ? "PSNR on the missing pixels" : null }, told)));
  unitOf.set(shot, unit);
  shotOf.set(unit, shot);
  return shot;
}

const rows = data.map((picture) => {
  const row = element("section", { class: "row", "aria-label": picture.name },
    element("h2", { title: picture.name }, picture.name),
    element("div", { class: "shots" }, ...picture.units.map((unit) => makeShot(unit, picture))));
  const { width, height } = picture.units.map(figuresOf).find((figures) => figures.width > 0 && figures.height > 0) ?? {};
  if (width) row.style.setProperty("--aspect", width / height);
  const restored = restoredOf(picture);
  return { ...picture, row, psnr: restored ? figuresOf(restored).psnr : undefined };
});

// ---- What is seen ----

// Without a figure, a picture comes last either way.
const orders = {
  given: () => 0,
  worst: (a, b) => (a.psnr ?? Infinity) - (b.psnr ?? Infinity) || 0,
  best: (a, b) => (b.psnr ?? -Infinity) - (a.psnr ?? -Infinity) || 0,
};

function apply() {
  const query = state.query.trim().toLowerCase();
  const seen = rows.filter(({ name }) => name.toLowerCase().includes(query)).sort(orders[state.sort]);
  $("rows").replaceChildren(...seen.map(({ row }) => row));
  $("rows").style.setProperty("--thumb", `${state.size}px`);
  shown = seen.flatMap(({ units }) => units);
  $("count").textContent = seen.length === rows.length ? plural(rows.length, "picture") : `${seen.length} of ${plural(rows.length, "picture")}`;
  $("empty").hidden = seen.length > 0;
  $("reset").hidden = rows.length === 0;
  $("empty").firstElementChild.textContent = rows.length ? "No picture matches." : "There are no pictures yet.";
  walk.update(shown.map((unit) => shotOf.get(unit)));
  write();
}

function write() {
  const parameters = new URLSearchParams();
  if (state.query.trim()) parameters.set("show", state.query.trim());
  if (state.sort !== "given") parameters.set("sort", state.sort);
  if (state.size !== usualSize) parameters.set("size", state.size);
  if (lightbox.item?.file) parameters.set("unit", lightbox.item.file);
  fragment.write(parameters);
}

function restore() {
  const parameters = fragment.read();
  const size = Number(parameters.get("size"));
  state.query = parameters.get("show") ?? "";
  state.sort = Object.hasOwn(orders, parameters.get("sort")) ? parameters.get("sort") : "given";
  state.size = size >= 64 && size <= 512 ? size : usualSize;
  $("query").value = state.query;
  $("sort").value = state.sort;
  $("size").value = state.size;
  apply();
  const file = parameters.get("unit");
  const unit = file === null ? undefined : shown.find((candidate) => candidate.file === file);
  if (unit) lightbox.show(unit);
  else if (lightbox.item) lightbox.close();
}

function rowsOf(unit) {
  const { source, missing, psnr, psnr_of_mean: mean, width, height } = figuresOf(unit);
  const list = [["Picture", unit.image], ["File", source], ["Size", width && `${width} × ${height}`]];
  if (Number.isFinite(missing)) list.push(["Missing", percent(missing)]);
  if (Number.isFinite(psnr)) list.push(["PSNR of the missing", decibels(psnr)]);
  if (Number.isFinite(mean)) list.push(["Filled with the mean colour", decibels(mean)]);
  if (unit.objective === "restored") {
    list.push(["Score", unit.score], ["Steps", unit.steps], ["Seconds", unit.seconds], ["Seed", unit.seed]);
  }
  list.push(["Status", unit.status, isStopped(unit)]);
  return list.filter(([, value]) => value !== undefined);
}

const walk = new Walk($("rows"), ".shot");
const lightbox = new Lightbox({
  items: () => shown,
  describe: (unit) => ({ title: titleOf(unit), source: unit.source, rows: rowsOf(unit) }),
  onShow: write,
  onClose(unit) {
    walk.focus(shotOf.get(unit));
    write();
  },
});

$("rows").addEventListener("click", (event) => {
  const shot = event.target.closest(".shot");
  if (shot) lightbox.show(unitOf.get(shot));
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
