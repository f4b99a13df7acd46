
"use strict";
// The network: its layers from top to bottom, each with its shape, its receptive field and some of its units.

const SHOWN = 12;
const SIDE = 44;

/** The receptive field as a square in the picture's. */
function fieldGlyph({ field }, all) {
  const share = all || field === "all" ? 1 : Math.min(1, Math.max(...String(field ?? 0).split("x").map(Number)) / Math.max(...data.size));
  const side = Math.max(2, share * (SIDE - 8));
  return drawn("svg", { class: "field", viewBox: `0 0 ${SIDE} ${SIDE}`, "aria-hidden": "true" },
    drawn("rect", { class: "all", x: 3.5, y: 3.5, width: SIDE - 7, height: SIDE - 7, rx: 2 }),
    drawn("rect", { class: "part", x: (SIDE - side) / 2, y: (SIDE - side) / 2, width: side, height: side, rx: 1 }));
}

function describe(place) {
  const { facts: { type, shape, field, weights }, count, made } = layerAt(place);
  const units = made < count ? `${grouped.format(made)} of ${plural(count, "picture")}` : plural(count, nounOf(place), isClasses(place) ? "classes" : "units");
  if (isClasses(place)) return [units];
  const sees = { all: "the full picture", undefined: "an unknown part" }[field ?? undefined] ?? `${field} px of the picture`;
  return [units, `${type}${weights ? "" : ", without weights of its own"} · ${shape.join(" × ")}`, `each sees ${sees}`];
}

function makeRow(layer, place) {
  const { count, channels } = layer, step = Math.max(1, Math.floor(count / SHOWN));
  const shown = Array.from({ length: Math.min(SHOWN, count) }, (_, index) => (channels ? channels[index * step] : index * step));
  return element("li", { class: "stage-row" }, fieldGlyph(layer.facts, isClasses(place)),
    element("div", { class: "what" }, element("a", { href: pageOf(place) }, nameOfLayer(place)),
      ...describe(place).map((line) => element("p", {}, line)), layer.atlas ? element("p", {}, "with an atlas") : null),
    element("ul", { class: "strip", role: "list" }, ...shown.map((channel) => element("li", {}, unitLink(place, channel, String(channel))))));
}

$("column").append(...data.layers.map(makeRow));
if (data.filters) {
  $("filters").hidden = false;
  $("filters").querySelector("small").textContent = `${data.filters.layer}: its weights as pictures, grey is 0`;
  $("filters").append(filterRow(data.layers.findIndex(({ name }) => name === data.filters.layer)));
}
const leftOut = Object.entries(data.leftOut);
$("left-out").hidden = !leftOut.length;
$("left-out").querySelector("ul").append(...leftOut.map(([what, why]) => element("li", {}, `${what}: ${why}`)));
listenForKeys($("find"));
