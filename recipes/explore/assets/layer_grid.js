// A layer: the grid of its units, which fills and sharpens where somebody looks.

import { Demands } from "./demands.js";
import { debounced, element, number, plural } from "./dom.js";
import { walkable } from "./keyboard.js";
import { fieldDrawing, fieldText, shapeText } from "./receptive_field.js";
import { linkTo, replaceAddress } from "./router.js";
import { UnitTile } from "./unit_tile.js";

const ORDERS = {
  number: () => 0,
  activation: (a, b) => scoreOf(b) - scoreOf(a),
  percentile: (a, b) => (b.percentile ?? -1) - (a.percentile ?? -1),
  name: (a, b) => (a.name ?? "\uffff").localeCompare(b.name ?? "\uffff"),
};
const BLOCK_ROWS = 4; // of tiles that come into sight together
const MEANING_OF_PERCENTAGES = "Choose a unit to see more of it. Percentages: how many of the photographs activate the unit less than its picture does.";
const scoreOf = ({ score }) => (Number.isFinite(score) ? score : -Infinity);

export function layerGrid(app, layer, options) {
  return new LayerGrid(app, layer, options);
}

class LayerGrid {
  #demands = new Demands();
  #tiles = [];
  #shown = []; // those that fit the filter, in their order
  #columns = 0;
  #endings = [];
  #made = new Set();
  #count = element("p", { class: "count" });
  #empty = element("p", { class: "hint", hidden: true });
  #meaning = element("p", { class: "hint" }, "Choose a unit to see more of it. The number at the right says how strongly it responds to its picture.");
  #grid = element("div", { class: "grid" });
  #resized = new ResizeObserver(() => this.#layOut());

  constructor(app, layer, options) {
    Object.assign(this, { app, layer, title: layer.address, up: "#/" });
    this.filter = element("input", { type: "search", "aria-label": "Show units with these numbers or names", placeholder: "3, 40-60, or a name", value: options.get("show") ?? "" });
    this.order = element("select", { "aria-label": "Order" }, ...Object.keys(ORDERS).map((name) => element("option", { value: name, selected: name === options.get("order") }, `by ${name}`)));
    this.filter.addEventListener("input", debounced(120, () => this.#arrange()));
    this.order.addEventListener("change", () => this.#arrange());
    this.node = element("div", { class: "layer" }, this.#header(),
      element("div", { class: "bar" }, this.#count, this.filter, this.order), this.#meaning, this.#empty, this.#grid);
    walkable(this.#grid, "a.tile-link");
    this.#endings.push(app.events.on("unit", (unit) => this.#onUnit(unit)), app.events.on("layer", () => this.#learn()), app.events.on("back", () => this.#onBack()));
    this.ready = this.#fill();
  }

  #header() {
    const { network } = this.app;
    const [before, after] = network.around(this.layer);
    const step = (stage, words, rel) => (stage ? element("a", { class: "button small", rel, href: linkTo(["layer", stage.address]) }, words(stage.address)) : null);
    return element("header", { class: "view-header" },
      element("nav", { class: "crumbs", "aria-label": "Where you are" }, element("a", { href: "#/" }, "Network"), element("span", { "aria-hidden": "true" }, "›"), element("span", { "aria-current": "page" }, this.layer.address)),
      element("div", { class: "titled" }, fieldDrawing(this.layer, network.input),
        element("div", {}, element("h1", {}, this.layer.address),
          element("p", { class: "subtitle" }, [this.layer.type, shapeText(this.layer), fieldText(this.layer, network.input)].join(" · "))),
        element("nav", { class: "steps", "aria-label": "Stages before and after" }, step(before, (name) => `← ${name}`, "prev"), step(after, (name) => `${name} →`, "next"))));
  }

  async #fill() {
    try {
      const { units } = await this.app.units.layer(this.layer.address);
      this.#tiles = units.map((unit) => this.#tile(unit));
      if (this.#tiles[0]) this.#tiles[0].node.tabIndex = 0;
      this.#made = new Set(units.filter((unit) => unit.status).map(({ channel }) => channel));
      this.#learn();
      this.#arrange();
      this.#resized.observe(this.#grid);
    } catch (error) {
      this.#empty.hidden = false;
      this.#empty.className = "notice";
      this.#empty.textContent = error.message;
    }
  }

  #tile(unit) {
    const named = unit.name ? unit : { ...unit, name: this.app.network.nameOf(this.layer, unit.channel) };
    const tile = new UnitTile(this.app.units, this.layer.address, named, { tabindex: "-1" });
    tile.item = element("li", {}, tile.node);
    this.#demands.observe(tile.item, this.layer.address, unit.channel);
    return tile;
  }

  /** Show the units that fit the filter, in the chosen order. */
  #arrange() {
    const fits = filterOf(this.filter.value);
    const order = ORDERS[this.order.value];
    this.#shown = this.#tiles.filter((tile) => fits(tile.record)).sort((a, b) => order(a.record, b.record) || a.record.channel - b.record.channel);
    this.#columns = 0;
    this.#layOut();
    this.#empty.hidden = this.#shown.length > 0;
    this.#empty.textContent = "No unit of this layer has such a number or name. Try 3, 40-60, or a part of a name.";
    this.#sayCount();
    replaceAddress(["layer", this.layer.address], { show: this.filter.value.trim(), order: this.order.value === "number" ? null : this.order.value });
  }

  /** Say what the numbers of units mean: once the layer has seen photographs, they are percentages. */
  async #learn() {
    const { units } = await this.app.units.layer(this.layer.address).catch(() => ({ units: [] }));
    if (units.some(({ percentile }) => Number.isFinite(percentile))) this.#meaning.textContent = MEANING_OF_PERCENTAGES;
  }

  /**
   * Put the tiles into blocks of a few rows, of which those out of sight are neither laid out nor drawn: a thousand
   * tiles that each decide for themselves cost a frame.
   */
  #layOut() {
    const style = getComputedStyle(this.#grid);
    const [gap, least] = [style.columnGap, style.getPropertyValue("--least")].map(parseFloat);
    const columns = Math.max(1, Math.floor((this.#grid.clientWidth + gap) / (least + gap)));
    if (columns === this.#columns) return;
    const focused = this.#grid.contains(document.activeElement) ? document.activeElement : null;
    this.#columns = columns;
    this.#grid.style.setProperty("--columns", columns);
    const each = columns * BLOCK_ROWS;
    const blocks = Array.from({ length: Math.ceil(this.#shown.length / each) }, (_, index) => this.#block(this.#shown.slice(index * each, (index + 1) * each)));
    this.#grid.replaceChildren(...blocks);
    focused?.focus({ preventScroll: true });
  }

  #block(tiles) {
    const [first, last] = [tiles[0], tiles.at(-1)].map(({ record }) => record.channel);
    const block = element("ol", { class: "block", role: "list", "aria-label": `Units of ${this.layer.address}, ${first} to ${last}` }, ...tiles.map(({ item }) => item));
    block.style.setProperty("--rows", Math.ceil(tiles.length / this.#columns));
    return block;
  }

  #sayCount() {
    const shown = this.#shown.length;
    const noun = this.app.network.hasClasses(this.layer) ? ["class", "classes"] : ["unit"];
    const all = shown < this.#tiles.length ? `${number(shown)} of ${plural(this.#tiles.length, ...noun)}` : plural(this.#tiles.length, ...noun);
    const made = this.#made.size < this.#tiles.length ? ` · ${number(this.#made.size)} made` : " · all made";
    this.#count.textContent = all + made;
  }

  #onUnit(unit) {
    if (unit.layer !== this.layer.address) return;
    this.#made.add(unit.channel);
    this.#sayCount();
  }

  #onBack() {
    if (this.#tiles.length) this.#demands.repeat();
    else this.#fill();
  }

  close() {
    for (const tile of this.#tiles) tile.close();
    for (const end of this.#endings) end();
    this.#resized.disconnect();
    this.#demands.close();
  }
}

/** Does a unit fit "3, 40-60, stripes"? Any part will do; an empty filter fits all. */
function filterOf(text) {
  const parts = text.toLowerCase().split(/[,;]/).map((part) => part.trim()).filter(Boolean);
  const tests = parts.map((part) => {
    const [, from, to] = part.match(/^(\d+)(?:\s*-\s*(\d+))?$/) ?? [];
    if (from === undefined) return ({ name }) => (name ?? "").toLowerCase().includes(part);
    const [low, high] = [Number(from), Number(to ?? from)].sort((a, b) => a - b);
    return ({ channel }) => channel >= low && channel <= high;
  });
  return (unit) => !tests.length || tests.some((test) => test(unit));
}
