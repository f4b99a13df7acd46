// One unit: its picture large, as somebody wants it made, and what is known of the unit.

import { ApiError, api } from "./api.js";
import { Copies } from "./copies.js";
import { Demands } from "./demands.js";
import { element } from "./dom.js";
import { Optimisation } from "./optimisation.js";
import { Picture } from "./picture.js";
import { linkTo, replaceAddress } from "./router.js";
import { RunProgress } from "./run_progress.js";
import { RunSlot } from "./run.js";
import { menu, slider, toggle } from "./sliders.js";
import { circuitOf, factsOf, patchesOf } from "./unit_sections.js";
import { standing } from "./unit_tile.js";

export function unitView(app, layer, channel, options) {
  return new UnitView(app, layer, channel, options);
}

/** What a unit's picture has next to the settings of every optimisation. */
function unitControls(network, layer) {
  const known = Object.keys(OBJECTIVES).filter((name) => network.options.objectives.includes(name));
  const kinds = known.filter((name) => (name === "neuron" ? layer.kind !== "vector" : name === "channel" || network.hasClasses(layer)));
  return {
    attempts: { value: 1, make: (value, onInput) => slider({ label: "Attempts", min: 1, max: 6, value, hint: "different pictures of the same unit, which repel each other", onInput }) },
    negative: { value: false, make: (value, onInput) => toggle({ label: "Its negative too", hint: "a picture that the unit responds to least", value, onInput }) },
    ...(kinds.length > 1 ? { objective: { value: "channel", make: (value, onInput) => menu({ label: "Maximise", choices: kinds.map((name) => ({ name, title: OBJECTIVES[name] ?? name })), value, onInput }) } } : {}),
  };
}

const OBJECTIVES = { channel: "the channel: everywhere in the picture", neuron: "one neuron: in the centre", logit: "the class’s logit", softmax: "the class’s probability" };

class UnitView {
  #endings = [];
  #demands = new Demands();
  #sections;

  constructor(app, layer, channel, options) {
    Object.assign(this, { app, layer, channel });
    this.name = app.network.nameOf(layer, channel);
    this.title = [this.name ?? `unit ${channel}`, layer.address].join(" · ");
    this.up = linkTo(["layer", layer.address]);
    this.picture = new Picture("waits for its turn", { class: "frame picture large" });
    this.pictures = element("div", { class: "pictures" });
    this.caption = element("p", { class: "under-picture" });
    this.words = element("p", { class: "subtitle", hidden: true });
    this.#show([{}]);
    this.copies = new Copies();
    this.slot = new RunSlot(app.events, "picture", this.#watcher());
    this.progress = new RunProgress(() => this.slot.stop());
    this.optimisation = new Optimisation(app.network, options, () => this.#onSettings(true), unitControls(app.network, layer));
    const facts = factsOf(app, this.#demands, layer, channel);
    this.#sections = [patchesOf(app, layer, channel, facts.load), facts, circuitOf(app, layer, channel)];
    this.node = this.#layOut();
    this.#endings.push(app.units.watch(layer.address, channel, { onCoarse: (coarse) => this.#onCoarse(coarse), onUnit: (unit) => this.#onUnit(unit) }));
    this.#endings.push(app.events.on("back", () => this.#demands.repeat()));
    this.ready = this.#start();
  }

  #layOut() {
    return element("div", { class: "view unit-view" }, this.#header(),
      element("div", { class: "two-columns" },
        element("div", { class: "exhibit" }, this.pictures, this.caption, this.progress.node, this.copies.node),
        element("div", { class: "aside" },
          element("section", { "aria-label": "How the picture is made" }, element("h2", {}, "Make it differently"), this.optimisation.node),
          ...this.#sections.map(({ node }) => node))));
  }

  #header() {
    const { layer, channel } = this;
    const step = (to, words, rel) => (to >= 0 && to < layer.channels ? element("a", { class: "button small", rel, href: linkTo(["unit", layer.address, to]) }, words) : null);
    return element("header", { class: "view-header" },
      element("nav", { class: "crumbs", "aria-label": "Where you are" }, element("a", { href: "#/" }, "Network"), element("span", { "aria-hidden": "true" }, "›"),
        element("a", { href: this.up }, layer.address), element("span", { "aria-hidden": "true" }, "›"), element("span", { "aria-current": "page" }, String(channel))),
      element("div", { class: "titled" },
        element("h1", {}, this.name ?? `Unit ${channel}`, element("small", {}, ` ${this.name ? `class ${channel} · ` : "of "}${layer.address}`)),
        element("nav", { class: "steps", "aria-label": "Units before and after" },
          step(channel - 1, `← ${channel - 1}`, "prev"), step(channel + 1, `${channel + 1} →`, "next"),
          element("a", { class: "button small primary", href: this.#mixLink() }, this.app.mixture ? "Add to the mix" : "Mix with others"))),
      this.words);
  }

  /** The mix that was made before, with this unit added; else a new one. */
  #mixLink() {
    const term = `${this.layer.address}/${this.channel}`;
    const others = (this.app.mixture ?? "").split(",").filter((part) => part && !part.startsWith(`${term}=`));
    return linkTo(["mix", ...[...others, `${term}=1`].join(",").split("/")]);
  }

  async #start() {
    if (this.#changed()) return this.#onSettings(false);
    return this.#showOwn();
  }

  #changed() {
    return Object.keys(this.optimisation.settings).length > 0;
  }

  /** The picture of the grid, made with the settings that every unit's picture has. */
  async #showOwn() {
    try {
      const { units } = await this.app.units.layer(this.layer.address);
      const unit = units[this.channel];
      this.#sayWords(unit);
      if (unit?.status) this.#onUnit(unit);
      this.#demands.observe(this.picture.node, this.layer.address, this.channel);
      this.copies.show(await api.unitCopies(this.layer.address, this.channel), this.#files(unit));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.progress.error(error.message);
    }
  }

  #onCoarse({ src, step, steps }) {
    if (this.#changed()) return;
    this.picture.show(src, this.#spoken(), step / steps);
    this.caption.textContent = `step ${step} of ${steps}`;
  }

  /** The words of the vocabulary that describe the photographs which activate the unit. */
  #sayWords({ words = [] } = {}) {
    this.words.hidden = !words.length;
    this.words.textContent = `Named by its photographs: ${words.join(" · ")}`;
  }

  #onUnit(unit) {
    this.#sayWords(unit);
    if (this.#changed()) return;
    if (unit.url) this.#show([{ url: unit.url }]);
    else this.picture.clear(standing(unit));
    this.caption.textContent = standing(unit);
    if (this.copies.copies) this.copies.show(this.copies.copies, this.#files(unit));
  }

  /** What can be downloaded of the grid's own picture, once it is there. */
  #files(unit) {
    return { unit: unit?.url ? { layer: this.layer.address, channel: this.channel } : null };
  }

  #onSettings(soon) {
    const settings = this.optimisation.settings;
    replaceAddress(["unit", this.layer.address, this.channel], settings);
    if (!this.#changed()) {
      this.slot.stop();
      this.#show([{}]);
      return this.#showOwn();
    }
    this.slot.start("gallery", { layer: this.layer.address, channels: String(this.channel), ...settings }, soon);
    return null;
  }

  #spoken(unit = {}) {
    return [`${this.title}`, unit.direction === "min" ? "its negative" : "", unit.attempt ? `attempt ${unit.attempt + 1}` : ""].filter(Boolean).join(", ");
  }

  /** One picture, or several side by side, each with its own caption. */
  #show(units) {
    while (this.pictures.children.length > units.length) this.pictures.lastChild.remove();
    const several = units.length > 1;
    this.pictures.classList.toggle("several", several);
    this.caption.hidden = several;
    for (const [index, unit] of units.entries()) {
      const { picture, caption } = this.#frame(index);
      if (unit.url ?? unit.src) picture.show(unit.url ?? unit.src, this.#spoken(unit), unit.share ?? 1);
      else if (unit.status && unit.status !== "ok") picture.clear(standing(unit));
      caption.hidden = !several;
      caption.textContent = [unit.direction === "min" ? "negative" : unit.url ? `attempt ${(unit.attempt ?? 0) + 1}` : "", standing(unit)].filter(Boolean).join(" · ");
    }
  }

  #frame(index) {
    if (index < this.pictures.children.length) return this.pictures.children[index].parts;
    const parts = { picture: index === 0 ? this.picture : new Picture("", { class: "frame picture large" }), caption: element("figcaption", { class: "hint" }) };
    const node = element("figure", {}, parts.picture.node, parts.caption);
    node.parts = parts;
    this.pictures.append(node);
    return parts;
  }

  #watcher() {
    return {
      onStart: () => this.copies.pause(),
      onState: (event) => this.progress.show(event),
      onPictures: (pictures, share) => this.#show(pictures.map(({ src }) => ({ src, share }))),
      onFinished: (result) => {
        this.#show(result.units);
        this.caption.textContent = standing(result.units[0] ?? {});
        this.copies.show(result.copies, { run: result.run });
      },
    };
  }

  onKey({ key }) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[key];
    if (key === "m") location.hash = this.#mixLink();
    else if (step && this.channel + step >= 0 && this.channel + step < this.layer.channels) location.hash = linkTo(["unit", this.layer.address, this.channel + step]);
    else return false;
    return true;
  }

  close() {
    this.slot.close();
    this.#demands.close();
    for (const section of this.#sections) section.close?.();
    for (const end of this.#endings) end();
  }
}
