
"use strict";
// Polysemantic units, the most mixed first: what each of them responds to, in groups.

const share = (part) => `${Math.round(100 * part)} %`;

function makePatches({ metrics }) {
  return element("div", { class: "patches" }, ...metrics.patches.map((patch) => {
    const tile = patchTile(patch, data.size);
    tile.title = `${text(patch.value)} · ${patch.name}`;
    return tile;
  }));
}

function makeGroup(group, index) {
  const members = Number.isFinite(group.metrics.members) ? ` · ${plural(group.metrics.members, "patch", "patches")}` : "";
  return element("section", { class: "group", "aria-label": `${ordinal(index)} group` },
    element("div", {}, frame(group.source), element("span", { class: "label" }, `group ${index}${members}`)),
    makePatches(group));
}

/** How mixed a unit is, in words. */
function about(metrics) {
  if (!Number.isFinite(metrics.mixed)) return "";
  const split = metrics.groups > 1
    ? `${plural(metrics.groups, "group")}: silhouette ${digits(metrics.silhouette, 2)}, ${digits(metrics.shuffled, 2)} with shuffled attributions; ${share(metrics.between)} of the variance is between the groups`
    : "one group: every split leaves a group of a few exceptions";
  return Number.isFinite(metrics.less_mixed) ? `${split}; more mixed than ${share(metrics.less_mixed)} of other units` : split;
}

function makeUnit({ layer, channel, own, groups }) {
  return element("section", { class: "unit" },
    element("h2", {}, `${layer} · ${text(channel)}`),
    element("p", { class: "about" }, own ? about(own.metrics) : ""),
    element("div", { class: "own" }, own ? frame(own.source) : null, own ? element("span", { class: "label" }, "the unit") : null, own ? makePatches(own) : null),
    element("div", { class: "groups" }, ...groups.map(makeGroup)));
}

const mixed = ({ own }) => own?.metrics.mixed ?? -Infinity;
document.documentElement.style.setProperty("--aspect", data.size[1] / data.size[0]);
$("units").append(...[...data.units].sort((a, b) => mixed(b) - mixed(a) || a.channel - b.channel).map(makeUnit));
$("empty").hidden = data.units.length > 0;
