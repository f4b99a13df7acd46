// One term of a mix: a unit, or all of a layer, with its weight on a slider.

import { element } from "./dom.js";
import { Picture } from "./picture.js";
import { linkTo } from "./router.js";

const LARGEST = 2; // weights go from -2 to 2

/** The terms of a text like `features.9/17=1,features.5=-0.5`, as far as the network has them. */
export function parseTerms(text, network) {
  return text.split(",").filter(Boolean).flatMap((part) => {
    const [, address, channel, weight] = part.match(/^(.+?)(?:\/(\d+))?(?:=(-?[\d.]+))?$/) ?? [];
    const layer = network.layer(address);
    if (!layer?.channels || (channel !== undefined && Number(channel) >= layer.channels)) return [];
    const value = Number(weight ?? 1);
    return [{ layer, channel: channel === undefined ? null : Number(channel), weight: Number.isFinite(value) ? Math.max(-LARGEST, Math.min(LARGEST, value)) : 1 }];
  });
}

export class MixTerm {
  #end = null;

  constructor(app, { layer, channel, weight }, { onInput, onRemove }) {
    Object.assign(this, { app, layer, channel, weight, key: `${layer.address}/${channel ?? ""}` });
    this.title = channel === null ? `all of ${layer.address}` : (app.network.nameOf(layer, channel) ?? `unit ${channel}`);
    this.picture = new Picture(channel === null ? "all" : String(channel));
    const output = element("span", { class: "weight", "aria-hidden": "true" });
    const slider = element("input", { type: "range", min: -LARGEST, max: LARGEST, step: 0.1, value: weight, "aria-label": `Weight of ${this.title}` });
    const say = () => { output.textContent = this.#weightText(); slider.setAttribute("aria-valuetext", this.#weightText()); };
    slider.addEventListener("input", () => { this.weight = Math.round(Number(slider.value) * 10) / 10; say(); onInput(); });
    say();
    const link = channel === null ? linkTo(["layer", layer.address]) : linkTo(["unit", layer.address, channel]);
    this.node = element("li", { class: "term" }, this.picture.node,
      element("div", { class: "term-words" }, element("a", { href: link }, this.title), channel === null ? null : element("small", {}, layer.address)),
      output, element("button", { type: "button", class: "round", "aria-label": `Remove ${this.title}`, onclick: onRemove }, "✕"), slider);
    if (channel !== null) this.#followPicture();
  }

  #weightText() {
    return `${this.weight < 0 ? "−" : this.weight > 0 ? "+" : ""}${Math.abs(this.weight).toFixed(1)}`;
  }

  async #followPicture() {
    const show = (unit) => { if (unit?.url) this.picture.show(unit.url); };
    this.#end = this.app.units.watch(this.layer.address, this.channel, { onCoarse: ({ src, step, steps }) => this.picture.show(src, "", step / steps), onUnit: show });
    const { units } = await this.app.units.layer(this.layer.address).catch(() => ({ units: [] }));
    show(units[this.channel]);
  }

  /** As in the address and in the recipe's setting. */
  get text() {
    return `${this.layer.address}${this.channel === null ? "" : `/${this.channel}`}=${this.weight}`;
  }

  close() {
    this.#end?.();
  }
}
