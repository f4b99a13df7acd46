
"use strict";
// Circuits: each unit with rows of its inputs and outputs; every kernel of a row pair has the same scale of colours.

const LOW = [33, 102, 172], MIDDLE = [247, 247, 247], HIGH = [178, 24, 43];
const colour = (value) => {
  const end = value < 0 ? LOW : HIGH, share = Math.min(1, Math.abs(value));
  return `rgb(${MIDDLE.map((from, i) => Math.round(from + share * (end[i] - from))).join(",")})`;
};
const keyOf = (layer, channel) => `${layer}/${channel}`;
const idOf = (key) => `unit-${encodeURIComponent(key)}`;
const hasCircuit = (key) => Boolean(data.units[key]?.circuit);
const isFilter = new Set(data.filters.map(({ layer, channel }) => keyOf(layer, channel)));
const signed = (value) => (Number.isFinite(value) ? `${value < 0 ? "−" : "+"}${text(Math.abs(value))}` : "–");

/** A kernel as an image of one pixel for each position, blue below 0 and red above. */
function drawKernel(kernel, largest) {
  const canvas = element("canvas", { class: "kernel", width: kernel[0].length, height: kernel.length, role: "img", "aria-label": `kernel of ${kernel.length} by ${kernel[0].length}` });
  const context = canvas.getContext("2d");
  kernel.forEach((row, y) => row.forEach((value, x) => {
    context.fillStyle = colour(largest > 0 ? value / largest : 0);
    context.fillRect(x, y, 1, 1);
  }));
  return canvas;
}

function makeConnection(side, { channel, weight, norm, kernel }, largest) {
  const key = keyOf(side.layer, channel), unit = data.units[key];
  const target = hasCircuit(key) ? `#${idOf(key)}` : isFilter.has(key) ? `#filter-${idOf(key)}` : unit?.source;
  const title = `${side.layer} ${channel}${unit?.name ? ` · ${unit.name}` : ""}: weight ${signed(weight)}, norm ${text(norm)}`;
  return element("li", {}, element("a", { href: target ?? null, title }, frame(unit?.source),
    kernel && (kernel.length > 1 || kernel[0].length > 1) ? drawKernel(kernel, largest) : null,
    element("span", { class: "caption" }, element("span", { class: "what" }, unit?.name ?? String(channel)), element("span", { class: "value" }, signed(weight)))));
}

const largestOf = (side) => Math.max(0, ...[...side.positive, ...side.negative].flatMap(({ kernel }) => (kernel ?? []).flat().map(Math.abs)));

function about(side) {
  if (side.method === "attribution") return `attribution: activation × gradient, mean over ${side.patches ? plural(side.patches, "top patch", "top patches") : "the top patches"}`;
  const r = Number.isFinite(side.linearity) ? `, r ${side.linearity.toFixed(2)} with the real activation` : "";
  return `expanded weights through ${plural(side.depth, "activation function")}, ranked by the L2 norm of the kernel; the number is its sum${r}`;
}

function makeSide(side, words) {
  const largest = largestOf(side);
  const scale = largest > 0 ? element("div", { class: "scales" }, colourScale([colour(-1), colour(0), colour(1)], [signed(-largest), "0", signed(largest)], "Common scale of these kernels")) : null;
  const half = (sign, word) => element("div", {}, element("h3", {}, `${word} · ${side.layer}`),
    side[sign].length ? element("ul", { class: "row" }, ...side[sign].map((each) => makeConnection(side, each, largest))) : element("p", { class: "about" }, "none"));
  return element("div", { class: "side" }, element("p", { class: "about" }, about(side)), scale, half("positive", words[0]), half("negative", words[1]));
}

function makeCircuit([key, unit]) {
  const { inputs, outputs } = unit.circuit;
  return element("section", { class: "circuit", id: idOf(key) },
    element("div", { class: "unit" },
      element("h2", {}, `${unit.layer} · ${unit.channel}${unit.name ? ` · ${unit.name}` : ""}`),
      frame(unit.source),
      element("div", { class: "patches" }, ...unit.patches.map((patch) => patchTile(patch, data.size)))),
    inputs ? makeSide(inputs, inputs.method === "weights" ? ["Excited by", "Inhibited by"] : ["Raised by", "Lowered by"]) : null,
    outputs ? makeSide(outputs, outputs.method === "weights" ? ["Excites", "Inhibits"] : ["Raises", "Lowers"]) : null);
}

const circuits = Object.entries(data.units).filter(([, unit]) => unit.circuit);
document.documentElement.style.setProperty("--aspect", data.size[1] / data.size[0]);
$("circuits").append(...circuits.map(makeCircuit));
$("contents").append(...circuits.map(([key, unit]) => element("a", { class: "chip", href: `#${idOf(key)}` }, `${unit.layer} · ${unit.channel}`)));
$("empty").hidden = circuits.length > 0;
$("filters").hidden = data.filters.length === 0;
if (data.filters.length) {
  $("filters").querySelector(".about").textContent = `${data.filters[0].layer}: its kernels as pictures; grey is 0.`;
  $("filters").querySelector("ul").append(...data.filters.map((unit) => element("li", { id: `filter-${idOf(keyOf(unit.layer, unit.channel))}` },
    frame(unit.source), element("span", { class: "caption" }, element("span", { class: "what" }, String(unit.channel))))));
}
