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
const MEANING_OF_PERCENTAGES = "Choose a unit to see more of it. Percentages: how many of the photographs activate the unit less than its picture does.";
const scoreOf = ({ score }) => (Number.isFinite(score) ? score : -Infinity);

export function layerGrid(app, layer, options) {
  return new LayerGrid(app, layer, options);
}

class LayerGrid {
  #demands = new Demands();
  #tiles = [];
  #endings = [];
  #made = new Set();
  #count = element("p", { class: "count" });
  #empty = element("p", { class: "hint", hidden: true });
  #meaning = element("p", { class: "hint" }, "Choose a unit to see more of it. The number at the right says how strongly it responds to its picture.");
  #grid = element("ol", { class: "grid" });

  constructor(app, layer, options) {
    Object.assign(this, { app, layer, title: layer.address, up: "#/" });
    this.filter = element("input", { type: "search", "aria-label": "Show units with these numbers or names", placeholder: "3, 40-60, or a name", value: options.get("show") ?? "" });
    this.order = element("select", { "aria-label": "Order" }, ...Object.keys(ORDERS).map((name) => element("option", { value: name, selected: name === options.get("order") }, `by ${name}`)));
    this.filter.addEventListener("input", debounced(120, () => this.#arrange()));
    this.order.addEventListener("change", () => this.#arrange());
    this.#grid.setAttribute("aria-label", `Units of ${layer.address}`);
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
      this.#grid.replaceChildren(...this.#tiles.map(({ item }) => item));
      if (this.#tiles[0]) this.#tiles[0].node.tabIndex = 0;
      this.#made = new Set(units.filter((unit) => unit.status).map(({ channel }) => channel));
      this.#learn();
      this.#arrange();
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
    const shown = new Set(this.#tiles.filter((tile) => fits(tile.record)));
    for (const tile of this.#tiles) tile.item.hidden = !shown.has(tile);
    const order = ORDERS[this.order.value];
    const sorted = this.order.value === "number" ? this.#tiles : [...this.#tiles].sort((a, b) => order(a.record, b.record) || a.record.channel - b.record.channel);
    if (sorted.some((tile, index) => this.#grid.children[index] !== tile.item)) this.#grid.append(...sorted.map(({ item }) => item));
    this.#empty.hidden = shown.size > 0;
    this.#empty.textContent = "No unit of this layer has such a number or name. Try 3, 40-60, or a part of a name.";
    this.#sayCount(shown.size);
    replaceAddress(["layer", this.layer.address], { show: this.filter.value.trim(), order: this.order.value === "number" ? null : this.order.value });
  }

  /** Say what the numbers of units mean: once the layer has seen photographs, they are percentages. */
  async #learn() {
    const { units } = await this.app.units.layer(this.layer.address).catch(() => ({ units: [] }));
    if (units.some(({ percentile }) => Number.isFinite(percentile))) this.#meaning.textContent = MEANING_OF_PERCENTAGES;
  }

  #sayCount(shown = this.#tiles.length) {
    const noun = this.app.network.hasClasses(this.layer) ? ["class", "classes"] : ["unit"];
    const all = shown < this.#tiles.length ? `${number(shown)} of ${plural(this.#tiles.length, ...noun)}` : plural(this.#tiles.length, ...noun);
    const made = this.#made.size < this.#tiles.length ? ` · ${number(this.#made.size)} made` : " · all made";
    this.#count.textContent = all + made;
  }

  #onUnit(unit) {
    if (unit.layer !== this.layer.address) return;
    this.#made.add(unit.channel);
    this.#sayCount(this.#tiles.filter(({ item }) => !item.hidden).length);
  }

  #onBack() {
    if (this.#tiles.length) this.#demands.repeat();
    else this.#fill();
  }

  close() {
    for (const tile of this.#tiles) tile.close();
    for (const end of this.#endings) end();
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
