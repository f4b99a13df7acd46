// The search field of every page: unit numbers, layers, and names of classes and units.

import { element } from "./dom.js";
import { linkTo } from "./router.js";

const MOST = 12; // results shown

/** Links for what somebody typed, best first: [{title, note, link}]. `here` is the layer in view, or null. */
export function find(text, network, here, units = null) {
  const query = text.trim().toLowerCase();
  if (!query) return [];
  const [, layerPart, channelPart] = query.match(/^(?:(.+?)[\s/:]+)?(\d+)$/) ?? [null, query, null];
  const found = channelPart === null ? [] : unitsNumbered(Number(channelPart), layerPart ?? "", network, here);
  const named = units?.described(query) ?? [];
  return [...found, ...classesNamed(query, network), ...named.map(unitLink), ...layersNamed(query, network)].slice(0, MOST);
}

/** Units with this number: of the layer in view, then of the stages, the layers whose name ends so before those that contain it. */
function unitsNumbered(channel, part, network, here) {
  const rank = (layer) => (layer === here ? 0 : layer.address.toLowerCase().endsWith(part) ? 1 : 2) + (network.path.includes(layer) ? 0 : 2);
  const layers = part ? network.shown.filter(({ address }) => address.toLowerCase().includes(part)) : [...network.path].reverse();
  if (here && !layers.includes(here) && !part) layers.unshift(here);
  return layers.filter(({ channels }) => channel < channels).sort((a, b) => rank(a) - rank(b)).map((layer) => ({
    title: `unit ${channel}`, note: [network.nameOf(layer, channel), layer.address].filter(Boolean).join(" · "), link: linkTo(["unit", layer.address, channel]),
  }));
}

const unitLink = ({ layer, channel, words }) => ({ title: words[0], note: `unit ${channel} · ${layer}`, link: linkTo(["unit", layer, channel]) });

function classesNamed(query, network) {
  const layer = network.classLayer;
  if (!layer) return [];
  const ranked = network.classes.map((name, index) => ({ name, index, at: name.toLowerCase().indexOf(query) })).filter(({ at }) => at >= 0);
  ranked.sort((a, b) => a.at - b.at || a.name.length - b.name.length);
  return ranked.map(({ name, index }) => ({ title: name, note: `class ${index}`, link: linkTo(["unit", layer.address, index]) }));
}

function layersNamed(query, network) {
  return network.shown.filter(({ address, type }) => `${address} ${type}`.toLowerCase().includes(query))
    .sort((a, b) => network.path.includes(b) - network.path.includes(a))
    .map((layer) => ({ title: layer.address, note: `layer, ${layer.channels} units`, link: linkTo(["layer", layer.address]) }));
}

export class Search {
  #results = [];
  #at = -1;

  /**
   * @param {() => object | null} here the layer in view.
   * @param {Units} units those whose words are known are found by them.
   */
  constructor(input, list, network, here, units) {
    Object.assign(this, { input, list, network, here, units });
    input.form.addEventListener("submit", (event) => { event.preventDefault(); this.#open(Math.max(0, this.#at)); });
    input.addEventListener("input", () => this.#show());
    input.addEventListener("focus", () => this.#show());
    input.addEventListener("keydown", (event) => this.#onKey(event));
    input.addEventListener("blur", () => setTimeout(() => this.#hide(), 150));
    list.addEventListener("pointerdown", (event) => event.preventDefault()); // the field keeps the focus
    list.addEventListener("click", ({ target }) => this.#open([...list.children].indexOf(target.closest("li"))));
  }

  focus() {
    this.input.focus();
    this.input.select();
  }

  #show() {
    this.#results = find(this.input.value, this.network, this.here(), this.units);
    this.#at = this.#results.length ? 0 : -1;
    const none = this.input.value.trim() && !this.#results.length;
    this.list.replaceChildren(...this.#results.map(({ title, note }, index) =>
      element("li", { role: "option", id: `found-${index}`, "aria-selected": String(index === this.#at) }, element("b", {}, title), element("small", {}, note))));
    if (none) this.list.append(element("li", { role: "option", "aria-disabled": "true", class: "none" }, "No unit, layer or class like this. Try a number such as 17."));
    this.#reveal(this.#results.length > 0 || none);
  }

  #reveal(open) {
    this.list.hidden = !open;
    this.input.setAttribute("aria-expanded", String(Boolean(open)));
    if (open && this.#at >= 0) this.input.setAttribute("aria-activedescendant", `found-${this.#at}`);
    else this.input.removeAttribute("aria-activedescendant");
  }

  #hide() {
    this.#reveal(false);
  }

  #onKey(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") { this.input.value = ""; this.#hide(); this.input.blur(); }
    if (!step || !this.#results.length) return;
    event.preventDefault();
    this.#at = (this.#at + step + this.#results.length) % this.#results.length;
    for (const [index, option] of [...this.list.children].entries()) option.setAttribute("aria-selected", String(index === this.#at));
    this.list.children[this.#at].scrollIntoView({ block: "nearest" });
    this.#reveal(true);
  }

  #open(index) {
    const result = this.#results[index];
    if (!result) return;
    this.input.value = "";
    this.#hide();
    this.input.blur();
    location.hash = result.link;
  }
}
