
"use strict";
// A layer: its units in a grid, or one of them at #unit-CHANNEL. The grid is laid out by the browser as far as it is in
// sight, in blocks of rows: thousands of cells that each decide for themselves cost more than a frame. Sheets are loaded
// with their first tile.

const HERE = data.place;
const unitAt = new Map(data.units.map((unit, index) => [unit.channel, { ...unit, index }]));
const units = [...unitAt.values()];
const allOfThem = isClasses(HERE) ? "All classes" : "All units";
const percent = (part) => (Number.isFinite(part) ? `${part > 0 && part < 0.01 ? "<1" : Math.round(100 * part)} %` : "–");
const signed = (value) => `${value < 0 ? "−" : "+"}${text(Math.abs(value))}`;

// ---- The grid ----

function makeCell({ channel, name, index, status }) {
  const label = [`${nounOf(HERE)} ${channel}`, name, status].filter(Boolean).join(", ");
  const cell = element("a", { class: "cell", href: `#unit-${channel}`, tabindex: "-1", "aria-label": label, title: label },
    sprite(HERE, index), element("span", { class: "caption" }, element("b", {}, String(channel)), name ? element("span", { class: "word" }, ` ${name}`) : ""));
  return element("li", {}, cell);
}

for (const unit of units) unit.cell = makeCell(unit);
const strength = ({ evidence = {}, score }) => (evidence.percentile ?? -1) * 1e6 + (evidence.dataset_highest > 0 ? score / evidence.dataset_highest : 0);
const byChannel = (a, b) => a.channel - b.channel;
const orders = {
  channel: byChannel,
  strength: (a, b) => strength(b) - strength(a) || byChannel(a, b),
  often: (a, b) => (b.fires ?? -1) - (a.fires ?? -1) || byChannel(a, b),
  seldom: (a, b) => (a.fires ?? 2) - (b.fires ?? 2) || byChannel(a, b),
  name: (a, b) => (a.name ?? "\uffff").localeCompare(b.name ?? "\uffff") || byChannel(a, b),
};
const GAP = 8, CAPTION = 18, BLOCK_ROWS = 4;  // pixels, as in the style
const walk = new Walk($("cells"), ".cell");
let shown = units;

function arrange() {
  const query = $("query").value, filter = parse(query), sort = $("sort").value in orders ? $("sort").value : "channel";
  shown = units.filter((unit) => matches(unit, filter)).sort(orders[sort]);
  layOut();
  walk.update(shown.map(({ cell }) => cell.firstChild));
  $("count").textContent = shown.length === units.length ? plural(units.length, nounOf(HERE), isClasses(HERE) ? "classes" : "units") : `${grouped.format(shown.length)} of ${grouped.format(units.length)}`;
  $("empty").hidden = shown.length > 0;
}

/** Lay out the cells that are shown: blocks of a few rows, of known height. */
function layOut() {
  const wide = $("cells").clientWidth, columns = Math.max(1, Math.floor((wide + GAP) / (Number($("size").value) + GAP)));
  const [across, down] = layerAt(HERE).tile, each = columns * BLOCK_ROWS;
  const tall = (((wide + GAP) / columns - GAP) * down) / across + CAPTION + GAP;
  $("cells").style.setProperty("--columns", columns);
  $("cells").replaceChildren(...Array.from({ length: Math.ceil(shown.length / each) }, (_, number) => {
    const some = shown.slice(number * each, (number + 1) * each);
    const block = element("ul", { class: "block", role: "list" }, ...some.map(({ cell }) => cell));
    block.style.setProperty("--tall", `${tall * Math.ceil(some.length / columns)}px`);
    return block;
  }));
}

let width = 0;
/** Lay the cells out again if there is another width for them; laid out again, a cell loses the focus. */
function fit() {
  const wide = $("cells").clientWidth;
  if (!wide || wide === width) return;
  width = wide;
  layOut();
}
new ResizeObserver(fit).observe($("cells"));

function changed() {
  arrange();
  const state = { q: $("query").value.trim(), sort: $("sort").value };
  fragment.write(new URLSearchParams(Object.entries(state).filter(([key, value]) => value && !(key === "sort" && value === "channel"))));
}

$("query").addEventListener("input", changed);
$("sort").addEventListener("change", changed);
$("size").addEventListener("input", layOut);
$("help").addEventListener("click", showHelp);
$("reset").addEventListener("click", () => {
  $("query").value = "";
  changed();
  $("query").focus();
});
for (const option of [...$("sort").options]) {
  const possible = { strength: units.some(({ evidence }) => evidence?.percentile !== undefined), often: units.some(({ fires }) => fires !== undefined), name: units.some(({ name }) => name) };
  if (possible[option.value === "seldom" ? "often" : option.value] === false) option.remove();
}

// ---- One unit ----

function section(title, note, ...children) {
  return element("section", {}, element("h2", {}, `${title} `, element("small", {}, note)), ...children);
}

const row = (...links) => element("ul", { class: "row", role: "list" }, ...links.map((link) => element("li", {}, link)));

function shots({ index }, values, first) {
  return element("ul", { class: "shots", role: "list" }, ...values.map((value, rank) => {
    const box = tile(HERE, "p", index * (MOST + LEAST) + first + rank, units.length * (MOST + LEAST), MOST + LEAST, PATCH_ROWS, [1, 1]);
    box.setAttribute("role", "img");
    box.setAttribute("aria-label", `part of a photograph, activation ${text(value)}`);
    return element("li", {}, box, element("span", { class: "caption" }, text(value)));
  }));
}

function spread(unit) {
  return element("div", { class: "spread" }, histogram(unit), element("div", { class: "ends" },
    element("span", {}, text(unit.quantiles["0"])), element("span", {}, text(unit.quantiles["100"]))));
}

/** The rows of facts next to the large picture. */
function factsOf({ channel, score, status, evidence = {}, fires, active, words }) {
  const { percentile, dataset_highest: highest, dataset_pictures: count } = evidence;
  return [
    isClasses(HERE) ? ["Class", channel] : ["Unit", `${channel} of ${nameOfLayer(HERE)}`],
    [isClasses(HERE) ? "Logit" : "Activation", Number.isFinite(score) ? `${text(score)} by its picture` : null],
    ["Strength", percentile === undefined ? null : `more than ${percentile === 100 ? `all ${grouped.format(count)}` : `${text(percentile)} % of ${grouped.format(count)}`} photographs`
      + (highest > 0 && !isClasses(HERE) ? `: ${digits(score / highest, 1)} times the strongest` : "")],
    ["Fires", fires === undefined || isClasses(HERE) ? null : `in ${percent(fires)} of the photographs, at ${percent(active)} of their positions`],
    ["Names", words && words.map(([word, value]) => `${word} ${text(value)}`).join(", ")],
    ["Status", status],
  ].filter(([, value]) => value !== null && value !== undefined);
}

/** The picture from its sheet, over which the run's own file is laid where it is there. */
function large({ channel, index, source }) {
  const box = element("div", { class: "large" }, sprite(HERE, index));
  box.setAttribute("role", "img");
  box.setAttribute("aria-label", `picture that activates ${nounOf(HERE)} ${channel} most`);
  const [wide, tall] = layerAt(HERE).tile;
  if (source && layerAt(HERE).larger) box.append(element("img", { src: source, alt: "", width: wide, height: tall }));
  return box;
}

/** Rows of the units that raise it and of those that lower it; units that the site does not have are only named. */
function sides(list) {
  return [["raise it", list.filter(({ weight }) => weight > 0)], ["lower it", list.filter(({ weight }) => weight < 0)]].flatMap(([word, some]) => {
    const here = some.filter(({ place, channel }) => indexOf(place, channel) >= 0), away = some.filter((each) => !here.includes(each));
    if (!some.length) return [];
    return [element("h3", { class: "label" }, word), here.length ? row(...here.map(({ place, channel, weight }) => unitLink(place, channel, String(channel), signed(weight)))) : null,
      away.length ? element("p", { class: "about" }, `${here.length ? "and " : ""}${plural(away.length, "unit")} without a page here: ${away.map(({ channel }) => channel).join(", ")}`) : null].filter(Boolean);
  });
}

function connections(unit) {
  const found = [], inputs = (unit.feeds ?? []).map(([channel, weight]) => ({ place: data.inputs, channel, weight }));
  const how = data.method === "weights" ? "expanded weights, the strongest kernels first; the number is the sum of the kernel" : "activation × gradient, over its top patches";
  if (inputs.length && data.inputs >= 0) found.push(section(`What it gets from ${nameOfLayer(data.inputs)}`, how, ...sides(inputs)));
  const drives = (unit.drives ?? []).map(([place, channel, weight]) => unitLink(place, channel, String(channel), signed(weight)));
  if (drives.length) found.push(section(`What it drives in ${nameOfLayer(unit.drives[0][0])}`, "the units for which it is among the strongest inputs", row(...drives)));
  return found;
}

function alike({ within = [], across = [] }) {
  const links = (list, far) => list.map(([place, channel, r]) => unitLink(place, channel, String(channel), ...(far ? [nameOfLayer(place).split(".").pop()] : []), `r ${r.toFixed(2)}`));
  const how = `their mean activations correlate over ${grouped.format(data.pictures)} photographs`;
  return [within.length ? section("Units alike in this layer", how, row(...links(within, false))) : null,
    across.length ? section("Units alike in the layers next to it", how, row(...links(across, true))) : null].filter(Boolean);
}

/** What speaks for and against the picture, with what its parts mean. */
function evidenceOf(metrics) {
  if (!hasEvidence({ metrics })) return [];
  const meaning = [isPath(metrics.path) ? MEANING.path : null, answersOf(metrics).length ? MEANING.two_patches : null].filter(Boolean);
  return [element("h2", {}, "Evidence"), makeEvidence({ metrics }), element("p", { class: "about" }, meaning.join(" "))];
}

function makeUnit(unit) {
  const { channel, name, most, least, evidence, source } = unit;
  const around = (by) => shown[shown.indexOf(unit) + by];
  const step = (by, word, mark) => (shown.includes(unit) && around(by)
    ? element("a", { href: `#unit-${around(by).channel}`, rel: by < 0 ? "prev" : "next", "aria-label": `${word} unit`, title: `${word} (${by < 0 ? "left" : "right"} arrow)` }, mark) : null);
  const heading = element("h1", { tabindex: "-1" }, name ? `${name} ` : `${isClasses(HERE) ? "Class" : "Unit"} ${channel} `,
    element("small", {}, isClasses(HERE) ? `class ${channel}` : name ? `unit ${channel} of ${nameOfLayer(HERE)}` : `of ${nameOfLayer(HERE)}`));
  const facts = element("dl", {}, ...factsOf(unit).map(([label, value]) => element("div", {}, element("dt", {}, label), element("dd", {}, value))));
  const side = element("div", { class: "side" }, large(unit), source ? element("a", { class: "open", href: source, target: "_blank", rel: "noopener", title: "In the folder runs, if the site was put up with it" }, "Open the picture file") : null,
    facts, ...evidenceOf(evidence));
  const parts = [
    most ? section("Photographs that activate it most", `their parts in its receptive field, with its activation`, shots(unit, most, 0)) : null,
    least ? section("and least", "", shots(unit, least, MOST)) : null,
    unit.quantiles ? section("Activations", "the highest in each photograph: how many have how much", spread(unit)) : null,
    ...connections(unit), ...alike(unit),
    data.filters && data.filters.layer === layerAt(HERE).name && channel < data.filters.count
      ? section("Its filter", "", element("div", { class: "row" }, filterRow(HERE).children[channel].firstChild)) : null,
  ].filter(Boolean);
  if (!parts.length) parts.push(element("p", { class: "about" }, "There is no more than its picture: give --images for top patches, and units alike."));
  return [element("header", { class: "unit-head" }, heading, element("nav", { class: "steps", "aria-label": "Units" },
    step(-1, "Previous", "←"), element("a", { href: "#", class: "back", title: `${allOfThem} (Esc)` }, allOfThem), step(1, "Next", "→"))),
  element("div", { class: "unit-body" }, side, element("div", {}, ...parts))];
}

// ---- Which of the two is shown ----

const grid = { scroll: 0, last: null };
const chosen = () => unitAt.get(Number(/^#unit-(\d+)$/.exec(location.hash)?.[1] ?? NaN));
const titleHere = document.title;

function route() {
  clearTimeout(fragment.timer);
  const unit = chosen(), before = document.body.classList.contains("one");
  if (!before) grid.scroll = window.scrollY;
  document.body.classList.toggle("one", Boolean(unit));
  $("grid").hidden = Boolean(unit);
  $("unit").hidden = !unit;
  $("unit").replaceChildren(...(unit ? makeUnit(unit) : []));
  document.title = unit ? `${unit.name ?? `${nounOf(HERE)} ${unit.channel}`} · ${titleHere}` : titleHere;
  if (unit) {
    grid.last = unit;
    window.scrollTo(0, 0);
    $("unit").querySelector("h1").focus({ preventScroll: true });
  } else if (before) {
    fit();
    window.scrollTo(0, grid.scroll);
    grid.last?.cell.firstChild.focus({ preventScroll: shown.includes(grid.last) && grid.scroll > 0 });
  }
}

window.addEventListener("hashchange", route);
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, dialog")) return;
  if (!document.body.classList.contains("one")) return;
  const to = { ArrowLeft: "[rel=prev]", ArrowRight: "[rel=next]", Escape: ".back" }[event.key];
  const link = to && $("unit").querySelector(to);
  if (!link) return;
  event.preventDefault();
  link.click();
});
let touched = null;
$("unit").addEventListener("touchstart", ({ touches }) => { touched = touches.length === 1 ? [touches[0].clientX, touches[0].clientY] : null; }, { passive: true });
$("unit").addEventListener("touchend", ({ changedTouches: [end] }) => {
  if (!touched) return;
  const [x, y] = [end.clientX - touched[0], end.clientY - touched[1]];
  if (Math.abs(x) > 80 && Math.abs(y) < 40) $("unit").querySelector(x > 0 ? "[rel=prev]" : "[rel=next]")?.click();
});

const around = [HERE - 1, HERE + 1].map((place) => (layerAt(place) ? element("a", { href: pageOf(place) }, place < HERE ? `↑ ${nameOfLayer(place)}` : `↓ ${nameOfLayer(place)}`) : ""));
$("trail").replaceWith(around[0], element("a", { class: "here", href: "#", "aria-current": "page" }, nameOfLayer(HERE)), around[1]);
if (layerAt(HERE).atlas) {
  $("atlas").hidden = $("to-atlas").hidden = false;
  $("to-atlas").addEventListener("click", () => $("atlas").scrollIntoView());
  $("atlas").append(element("img", { src: sheetOf(HERE, "atlas"), alt: `Activation atlas of ${nameOfLayer(HERE)}`, loading: "lazy", decoding: "async" }),
    element("p", {}, element("a", { href: `../runs/atlas/${encodeURIComponent(layerAt(HERE).stem)}/index.html`, title: "In the folder runs, if the site was put up with it" }, "Open the map, to pan and zoom")));
}
if (data.filters && data.filters.layer === layerAt(HERE).name) {
  $("filters").hidden = false;
  $("filters").append(filterRow(HERE));
}
const state = chosen() ? new URLSearchParams() : fragment.read();
$("query").value = state.get("q") ?? "";
if (state.get("sort") in orders) $("sort").value = state.get("sort");
arrange();
route();
listenForKeys({ select: () => (document.body.classList.contains("one") ? $("find") : $("query")).select() });
