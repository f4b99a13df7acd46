
"use strict";
// Shared by the pages of a site: tiles of sprite sheets, links to units, the search field. All data is in the page, for a
// page from disk cannot fetch any.

const ACROSS = 8, DOWN = 8, MOST = 8, LEAST = 4, PATCH_ROWS = 16, FILTERS_ACROSS = 16;
const layerAt = (place) => data.layers[place];
const isClasses = (place) => layerAt(place).name === "output";
const nameOfLayer = (place) => (isClasses(place) ? "Classes" : layerAt(place).name);
const nounOf = (place) => (isClasses(place) ? "class" : "unit");

/** The place of a unit in its layer's sheets; -1 if the site does not have it. */
function indexOf(place, channel) {
  const { channels, count } = layerAt(place);
  return channels ? channels.indexOf(channel) : channel < count ? channel : -1;
}

const pageOf = (place) => `${data.root}layers/${encodeURIComponent(layerAt(place).stem)}.html`;
const linkTo = (place, channel) => `${place === data.place ? "" : pageOf(place)}#unit-${channel}`;
const sheetOf = (place, name) => `${data.root}sprites/${encodeURIComponent(layerAt(place).stem)}/${name}.webp`;

/** A tile of the sheets `name0.webp`, `name1.webp`: the one at `index` of `count`, in sheets of some columns and rows. */
function tile(place, name, index, count, across, down, [wide, tall]) {
  const sheet = Math.floor(index / (across * down)), rest = index - sheet * across * down;
  const rows = Math.min(down, Math.ceil((count - sheet * across * down) / across));
  const box = cut(sheetOf(place, `${name}${sheet}`), [rest % across, Math.floor(rest / across), 1, 1], [across, rows], "sprite");
  box.style.aspectRatio = `${wide} / ${tall}`;
  return box;
}

/** The picture of a unit. */
function sprite(place, index) {
  const { count, made, tile: size } = layerAt(place);
  return made ? tile(place, "u", index, count, ACROSS, DOWN, size) : element("span", { class: "gone" }, "not made yet");
}

/** A link to a unit with its picture: lines are the captions below it, the first of them its number or name; that of a
 *  class is its name. */
function unitLink(place, channel, ...lines) {
  const index = indexOf(place, channel), [given, ...others] = lines, first = layerAt(place).names?.[index] ?? given;
  lines[0] = first;
  const label = `${nameOfLayer(place)}, ${nounOf(place)} ${[channel, ...lines.filter((line) => line !== String(channel))].join(", ")}`;
  return element(index < 0 ? "span" : "a", { class: "mini", href: index < 0 ? null : linkTo(place, channel), title: label, "aria-label": index < 0 ? null : label },
    index < 0 ? element("span", { class: "gone" }, "not in this site") : sprite(place, index),
    element("span", { class: "caption" }, first), ...others.map((line) => element("span", { class: "caption quiet" }, line)));
}

/** The first layer's filters as a row, each a link to its unit where `place` is given. */
function filterRow(place) {
  const { count } = data.filters;
  return element("ul", { class: "row", role: "list" }, ...Array.from({ length: count }, (_, channel) => {
    const box = cut(`${data.root}sprites/filters0.webp`, [channel % FILTERS_ACROSS, Math.floor(channel / FILTERS_ACROSS), 1, 1],
      [FILTERS_ACROSS, Math.ceil(count / FILTERS_ACROSS)], "sprite");
    box.style.aspectRatio = "1";
    const linked = place >= 0 && indexOf(place, channel) >= 0;
    return element("li", {}, element(linked ? "a" : "span", { class: "mini", href: linked ? linkTo(place, channel) : null,
      "aria-label": linked ? `filter ${channel}` : null }, box, element("span", { class: "caption" }, String(channel))));
  }));
}

$("find")?.addEventListener("keydown", ({ key, target }) => {
  if (key === "Enter") location.href = `${data.root}search.html#${new URLSearchParams({ q: target.value })}`;
});
