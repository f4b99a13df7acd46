// The settings of an optimisation, as sliders and menus. Only those that differ from the recipe's own are handed on.

import { element } from "./dom.js";
import { priorControl } from "./prior_control.js";
import { menu, slider, toggle } from "./sliders.js";

const STEPS = [4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512];
const SIZES = [64, 96, 128, 160, 192, 224, 256, 320, 384, 512];

const withDefault = (values, value) => [...new Set([...values, value])].filter(Number.isFinite).sort((a, b) => a - b);

export class Optimisation {
  #values;
  #network;
  #reset;

  /**
   * @param {Network} network its options say what there is.
   * @param {URLSearchParams} given settings of the view's address.
   * @param {(settings: object) => void} onChange
   * @param {object} extra further controls: {name: {control, value}} as {name: [make, default]}.
   */
  constructor(network, given, onChange, extra = {}) {
    const { defaults } = network.options;
    this.#network = network;
    this.defaults = { steps: defaults.steps, size: sideOf(defaults.size), prior: defaults.prior, augment: defaults.augment, seed: 0, natural: false,
      ...Object.fromEntries(Object.entries(extra).map(([name, { value }]) => [name, value])) };
    this.#values = { ...this.defaults };
    for (const [name, text] of given) if (name in this.defaults) this.#values[name] = parsed(text, this.defaults[name]);
    Object.assign(this, { onChange, extra });
    this.node = element("form", { class: "optimisation", onsubmit: (event) => event.preventDefault() });
    this.#reset = element("button", { type: "button", class: "small", onclick: () => this.#restore() }, "Back to the usual settings");
    this.#build();
  }

  #build() {
    const extra = Object.entries(this.extra).map(([name, { make }]) => make(this.#values[name], (value) => this.#set(name, value)).node);
    this.node.replaceChildren(...extra, ...this.#controls(), this.#reset);
    this.#reset.hidden = !Object.keys(this.settings).length;
  }

  #restore() {
    this.#values = { ...this.defaults };
    this.#build();
    this.node.querySelector("input, select").focus();
    this.onChange(this.settings);
  }

  #controls() {
    const { options, natural } = this.#network;
    const at = (name) => ({ value: this.#values[name], onInput: (value) => this.#set(name, value) });
    return [
      slider({ label: "Steps", hint: "more steps: clearer, and slower", values: withDefault(STEPS, this.defaults.steps), ...at("steps") }).node,
      slider({ label: "Size", values: withDefault(SIZES, this.defaults.size), format: (side) => `${side} px`, ...at("size") }).node,
      priorControl({ priors: options.priors, ...at("prior") }).node,
      menu({ label: "Random transforms", hint: "shifts, zooms and turns while it is made; without them pictures look like noise", choices: options.augment, ...at("augment") }).node,
      slider({ label: "Start", hint: "another noise leads to another picture of the same unit", min: 0, max: 15, format: (seed) => (seed === 0 ? "the usual noise" : `noise ${seed}`), ...at("seed") }).node,
      natural ? toggle({ label: "Statistics of natural images", hint: "draws the picture towards what photographs look like", ...at("natural") }).node : null,
    ].filter(Boolean);
  }

  #set(name, value) {
    this.#values[name] = value;
    this.#reset.hidden = !Object.keys(this.settings).length;
    this.onChange(this.settings);
  }

  /** Those that differ from the recipe's defaults. */
  get settings() {
    return Object.fromEntries(Object.entries(this.#values).filter(([name, value]) => value !== this.defaults[name]));
  }
}

/** The longer side of a size: 224, "160x224". */
const sideOf = (size) => Math.max(...String(size).split("x").map(Number));

function parsed(text, like) {
  if (typeof like === "number") return Number.isFinite(Number(text)) ? Number(text) : like;
  return typeof like === "boolean" ? text === "true" : text;
}
