// How much of the input a unit sees: a square on a small outline of the input.

import { drawn, number } from "./dom.js";

const SIDE = 36; // of the drawing, in its own units

/** The drawing; it says the same as `fieldText`, so readers of the text miss none of it. */
export function fieldDrawing(layer, input) {
  const largest = Math.max(input.height, input.width);
  const [height, width] = [input.height, input.width].map((side) => (SIDE * side) / largest);
  const field = layer.receptive_field ?? [input.height, input.width];
  const [tall, wide] = [field[0] / largest, field[1] / largest].map((share) => Math.max(1.5, share * SIDE));
  const shown = { height: Math.min(tall, height), width: Math.min(wide, width) };
  return drawn("svg", { class: "field", viewBox: `0 0 ${SIDE + 2} ${SIDE + 2}`, "aria-hidden": "true" },
    drawn("rect", { class: "input", x: 1 + (SIDE - width) / 2, y: 1 + (SIDE - height) / 2, width, height, rx: 2 }),
    drawn("rect", { class: "sees", x: 1 + (SIDE - shown.width) / 2, y: 1 + (SIDE - shown.height) / 2, ...shown, rx: 1 }));
}

/** "sees 23 of 128 pixels", or all of the picture. */
export function fieldText(layer, input) {
  const field = layer.receptive_field;
  if (!field || (field[0] >= input.height && field[1] >= input.width)) return "sees the full picture";
  return `sees ${number(field[0])} of ${number(input.height)} pixels`;
}

/** "8 × 8 map", or what else the layer outputs. */
export function shapeText(layer) {
  if (layer.kind === "vector") return "one value a unit";
  return layer.height ? `${layer.height} × ${layer.width} ${layer.kind === "tokens" ? "tokens" : "positions"}` : layer.kind;
}
