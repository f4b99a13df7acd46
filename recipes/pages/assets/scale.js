"use strict";
// The colours of heat maps, with what their ends mean.

/** A colour scale: `colours` from the lowest value to the highest, `ends` the words or numbers below them. */
function colourScale(colours, ends, what) {
  const bar = element("span", { class: "bar" });
  bar.style.background = `linear-gradient(to right, ${colours.join(", ")})`;
  return element("span", { class: "scale", role: "img", "aria-label": `Colours from ${ends.join(" to ")}`, title: what }, bar,
    element("span", { class: "ends" }, ...ends.map((end) => element("span", {}, end))));
}

/** The scales of all maps on a page, before its pictures: each map is scaled to its own largest value. */
function showScales(before, scales, signs) {
  const what = "Each map has a scale of its own: the full colour is the 99.5th percentile of its absolute values.";
  const shown = [
    signs.includes(false) ? colourScale(scales.unsigned, ["0", "highest of the map"], what) : null,
    signs.includes(true) ? colourScale(scales.signed, ["against the target", "0", "for the target"], what) : null,
  ].filter(Boolean);
  if (shown.length) before.before(element("div", { class: "scales" }, ...shown));
}
