// The first view: the network from its input to its classes, each stage with its shape, its receptive field and pictures.

import { Demands } from "./demands.js";
import { element, number, plural } from "./dom.js";
import { photoDrop } from "./photo_drop.js";
import { fieldDrawing, fieldText, shapeText } from "./receptive_field.js";
import { linkTo } from "./router.js";
import { UnitTile } from "./unit_tile.js";

const STRIP = 20; // units of a strip; what does not fit the window's width is neither shown nor made

export function networkMap(app) {
  return new NetworkMap(app);
}

class NetworkMap {
  title = "network";
  #demands = new Demands();
  #closed = false;
  #tiles = [];
  #endings = [];

  constructor(app) {
    this.app = app;
    const { network } = app;
    this.node = element("div", { class: "map" },
      element("header", { class: "intro" },
        element("h1", {}, network.title),
        element("p", { class: "lead" }, `What does each of this network’s ${number(this.#unitCount())} units look for? Each picture starts as noise and is changed until its unit responds as strongly as possible. Pictures are made while you look: open a layer to see all of its units.`),
        this.#facts(),
        photoDrop()),
      element("ol", { class: "stages", "aria-label": "Stages, from the input to the classes" }, this.#input(), ...network.path.map((layer) => this.#stage(layer))),
      this.#allLayers());
    this.#endings.push(app.events.on("back", () => this.#demands.repeat()));
  }

  #unitCount() {
    return this.app.network.path.reduce((sum, { channels }) => sum + channels, 0);
  }

  #facts() {
    const { path, input, classes, images, device, out } = this.app.network;
    const facts = [plural(path.length, "stage"), `input ${input.height} × ${input.width}`, classes?.length ? plural(classes.length, "class", "classes") : null,
      images ? `${plural(images.count, "photograph")} from ${images.name}` : null, `runs on ${device}`, `kept in ${out}`];
    return element("ul", { class: "facts" }, ...facts.filter(Boolean).map((fact) => element("li", {}, fact)));
  }

  #input() {
    const { height, width, channels } = this.app.network.input;
    return element("li", { class: "map-stage source" }, element("span", { class: "rail", "aria-hidden": "true" }),
      element("p", {}, element("b", {}, "Input"), ` ${height} × ${width} pixels, ${plural(channels, "channel")}`));
  }

  #stage(layer) {
    const { network } = this.app;
    const link = linkTo(["layer", layer.address]);
    const strip = element("ul", { class: "strip", "aria-label": `First units of ${layer.address}` });
    const what = network.hasClasses(layer) ? plural(layer.channels, "class", "classes") : plural(layer.channels, "unit");
    const node = element("li", { class: "map-stage" },
      element("span", { class: "rail", "aria-hidden": "true" }),
      element("div", { class: "about" },
        fieldDrawing(layer, network.input),
        element("div", {},
          element("h2", {}, element("a", { href: link }, layer.address)),
          element("p", {}, `${layer.type} · ${shapeText(layer)}`), element("p", {}, fieldText(layer, network.input)))),
      strip,
      element("a", { class: "more", href: link, "aria-label": `All ${what} of ${layer.address}` }, element("span", {}, `All ${what}`), element("span", { "aria-hidden": "true" }, "→")));
    this.#fill(layer, strip);
    return node;
  }

  async #fill(layer, strip) {
    const empty = Array.from({ length: Math.min(STRIP, layer.channels) }, () => element("li", { class: "vacant" }, element("span", { class: "frame" })));
    strip.append(...empty);
    try {
      const { units } = await this.app.units.layer(layer.address);
      if (this.#closed) return;
      for (const [index, unit] of units.slice(0, STRIP).entries()) this.#addTile(layer, unit, empty[index]);
    } catch (error) {
      strip.replaceChildren(element("li", { class: "notice" }, error.message));
    }
  }

  #addTile(layer, unit, place) {
    const tile = new UnitTile(this.app.units, layer.address, unit);
    this.#tiles.push(tile);
    place.classList.remove("vacant");
    place.replaceChildren(tile.node);
    this.#demands.observe(place, layer.address, unit.channel);
  }

  /** Layers that are no stages: those inside of the stages, for who knows the network. */
  #allLayers() {
    const { network } = this.app;
    const others = network.shown.filter((layer) => !network.path.includes(layer));
    if (!others.length) return element("span");
    return element("details", { class: "others" }, element("summary", {}, `${plural(others.length, "further layer")} inside and between the stages`),
      element("ul", {}, ...others.map((layer) => element("li", {}, element("a", { href: linkTo(["layer", layer.address]) }, layer.address),
        element("small", {}, ` ${layer.type} · ${plural(layer.channels, "unit")} · ${fieldText(layer, network.input)}`)))));
  }

  close() {
    this.#closed = true;
    for (const tile of this.#tiles) tile.close();
    for (const end of this.#endings) end();
    this.#demands.close();
  }
}
