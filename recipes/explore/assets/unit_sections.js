// What is known of a unit: photographs it responds to, classes it matters for, units like it, and what feeds it.

import { ApiError, api } from "./api.js";
import { element, number, percent } from "./dom.js";
import { linkTo } from "./router.js";
import { RunProgress } from "./run_progress.js";
import { RunSlot } from "./run.js";

const CONNECTIONS = 4; // of each sign, to either side

const section = (title, hint, ...content) => element("section", { "aria-label": title }, element("h2", {}, title), hint ? element("p", { class: "hint" }, hint) : null, ...content);

const pictureOf = (url) => element("img", { src: url, alt: "", loading: "lazy", decoding: "async" });

/** A small picture that links to a unit, with a bar for how strong it is. */
export function unitChip({ layer, channel, url, name, words, share = null, negative = false }) {
  const bar = element("span", { class: `chip-bar${negative ? " negative" : ""}`, hidden: share === null });
  bar.style.setProperty("--share", Math.abs(share ?? 0));
  return element("a", { class: "unit-chip", href: linkTo(["unit", layer, channel]) },
    element("span", { class: "frame" }, url ? pictureOf(url) : element("span", { class: "note" }, String(channel))),
    element("span", { class: "chip-words" }, element("b", {}, name ?? String(channel)), words ? element("small", {}, words) : null, bar));
}

/** The patches of photographs that activate the unit most, and the distribution of its activation. */
export function patchesOf(app, layer, channel, onFound = () => {}) {
  const { images } = app.network;
  const title = "In photographs";
  if (!images) {
    return { node: section(title, null, element("p", { class: "hint" }, "Start with ", element("code", {}, "--images FOLDER"), " to see which photographs activate it most.")) };
  }
  const list = element("ul", { class: "patches" });
  const chart = element("div", { class: "distribution" });
  const slot = new RunSlot(app.events, "patches", {
    onState: (event) => progress.show(event),
    onFinished: ({ units, files }) => {
      const metrics = units[0]?.metrics ?? {};
      list.replaceChildren(...(metrics.most ?? []).slice(0, 12).map((patch) => element("li", {}, patchTile(patch, files, app.network.input))));
      if (metrics.counts) chart.replaceChildren(distribution(metrics));
      onFound();
    },
  });
  const progress = new RunProgress(() => slot.stop());
  slot.start("patches", { layer: layer.address, channels: String(channel) });
  const node = section(title, `the parts of ${number(images.count)} photographs from ${images.name} that activate it most`, progress.node, list, chart);
  return { node, close: () => slot.close() };
}

/** The window of a photograph that the unit saw, cut out of it. */
function patchTile(patch, files, input) {
  const url = patch.url ?? files?.[patch.picture];
  const [top, left, bottom, right] = patch.window ?? [0, 0, input.height, input.width];
  const tile = element("span", { class: "tile cut", role: "img", "aria-label": `${patch.name ?? "photograph"}, activation ${number(patch.value)}`, title: `${patch.name ?? ""} · ${number(patch.value)}` });
  if (url) tile.style.backgroundImage = `url("${url}")`;
  const [tall, wide] = [bottom - top, right - left];
  tile.style.backgroundSize = `${(100 * input.width) / wide}% ${(100 * input.height) / tall}%`;
  const place = (start, part, full) => (full > part ? (100 * start) / (full - part) : 0);
  tile.style.backgroundPosition = `${place(left, wide, input.width)}% ${place(top, tall, input.height)}%`;
  return tile;
}

/** How often which activation occurs: bars of the counts, from the lowest to the highest. */
function distribution({ counts, quantiles = {}, fires }) {
  const most = Math.max(...counts, 1);
  const bars = counts.map((count) => {
    const bar = element("span");
    bar.style.setProperty("--share", count / most);
    return bar;
  });
  const ends = [quantiles[0], quantiles[100]].map(number);
  const words = `Activations from ${ends[0]} to ${ends[1]}${Number.isFinite(fires) ? `; active in ${percent(fires)} of the photographs` : ""}`;
  return element("figure", {}, element("div", { class: "bars", role: "img", "aria-label": words }, ...bars), element("figcaption", { class: "hint" }, words));
}

/** Units alike and classes, which need no run of their own: `load` asks again once the photographs have been seen. */
export function factsOf(app, demands, layer, channel) {
  const node = element("div", { class: "facts-sections" });
  const endings = [];
  const close = () => { for (const end of endings.splice(0)) end(); };
  load();
  return { node, load, close };

  /** A unit alike; a picture that is not there yet is made once somebody sees its place. */
  function neighbour(unit) {
    const words = `${unit.layer === layer.address ? "" : `${unit.layer} · `}alike ${number(unit.similarity)}`;
    const chip = unitChip({ ...unit, words, share: unit.similarity });
    if (!unit.url) {
      demands.observe(chip, unit.layer, unit.channel);
      const onUnit = ({ url }) => { if (url) chip.querySelector(".frame").replaceChildren(pictureOf(url)); };
      endings.push(app.units.watch(unit.layer, unit.channel, { onUnit }));
    }
    return element("li", {}, chip);
  }

  async function load() {
    let facts;
    try {
      facts = await api.unitFacts(layer.address, channel);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return; // without photographs there are none; the section above says how to get them
    }
    const { neighbours = [], nearby = [], classes = [] } = facts;
    close();
    node.replaceChildren();
    const rows = [["Units like it", "respond to the same photographs", neighbours], ["Like it, a stage away", "units of the stages before and after that respond to the same photographs", nearby]];
    for (const [title, hint, units] of rows) {
      if (units.length) node.append(section(title, hint, element("ul", { class: "chips" }, ...units.map(neighbour))));
    }
    if (classes.length) node.append(section("Classes it matters for", "the class’s value rises or falls with the unit", classList(classes)));
  }

  function classList(classes) {
    const most = Math.max(...classes.map(({ effect }) => Math.abs(effect)), 1e-9);
    return element("ul", { class: "class-bars" }, ...classes.map(({ name, index, effect }) => {
      const target = app.network.classLayer;
      const bar = element("span", { class: `chip-bar${effect < 0 ? " negative" : ""}` });
      bar.style.setProperty("--share", Math.abs(effect) / most);
      const words = element("span", {}, name ?? `class ${index}`);
      return element("li", {}, target ? element("a", { href: linkTo(["unit", target.address, index]) }, words) : words, bar, element("small", {}, (effect > 0 ? "+" : "") + number(effect)));
    }));
  }
}

/** The units of the layer before that drive it, and those it drives; made when somebody wants it. */
export function circuitOf(app, layer, channel) {
  const [before] = app.network.around(layer);
  if (!before) return { node: element("span", { hidden: true }) };
  const list = element("div", { class: "feeds" });
  const slot = new RunSlot(app.events, "circuit", {
    onState: (event) => { progress.show(event); button.hidden = event.state !== "stopped" && event.state !== "failed"; },
    onFinished: ({ units }) => list.replaceChildren(...connections(units)),
  });
  const progress = new RunProgress(() => slot.stop());
  const button = element("button", { type: "button", onclick: () => slot.start("circuit", { layer: layer.address, channels: String(channel), count: CONNECTIONS }) }, "Show its connections");
  const node = section("What feeds it", "units of the stage before that raise or lower it, and units of the next one that it drives; their pictures take a while", button, progress.node, list);
  return { node, close: () => slot.close() };

  function connections(units) {
    const own = units.find((unit) => unit.metrics?.circuit);
    const urls = new Map(units.map((unit) => [`${unit.layer}/${unit.channel}`, unit.url]));
    const { inputs, outputs } = own?.metrics.circuit ?? {};
    const groups = [["Raised by", inputs, "positive"], ["Lowered by", inputs, "negative"], ["Raises", outputs, "positive"], ["Lowers", outputs, "negative"]];
    return groups.flatMap(([title, side, sign]) => (side?.[sign]?.length ? [element("h3", {}, title, element("small", {}, ` ${side.layer}`)), chipsOf(side, sign, urls)] : []));
  }

  function chipsOf(side, sign, urls) {
    const most = Math.max(...side[sign].map(({ weight }) => Math.abs(weight)), 1e-9);
    return element("ul", { class: "chips" }, ...side[sign].map((unit) => element("li", {}, unitChip({
      layer: side.layer, channel: unit.channel, url: urls.get(`${side.layer}/${unit.channel}`), name: unit.name,
      words: number(unit.weight), share: Math.abs(unit.weight) / most, negative: sign === "negative" }))));
  }
}
