// The network as the server describes it, and what pages ask of it.

export class Network {
  #layers;

  constructor(data) {
    Object.assign(this, data);
    this.#layers = new Map(data.layers.map((layer) => [layer.address, layer]));
    this.stageLayers = data.stages.map((address) => this.layer(address)).filter(Boolean);
  }

  /** The layer with this address, or undefined. */
  layer(address) {
    return this.#layers.get(address);
  }

  /** Layers whose units can be shown. */
  get shown() {
    return this.layers.filter((layer) => layer.channels);
  }

  /** The layer that outputs the classes, or undefined: the last one with a unit for each. */
  get classLayer() {
    const count = this.classes?.length;
    return count ? this.layers.findLast((layer) => layer.kind === "vector" && layer.channels === count) : undefined;
  }

  /** Does each unit of this layer stand for a class? */
  hasClasses(layer) {
    return layer !== undefined && layer === this.classLayer;
  }

  /** The stages, with the classes at the end: what the map shows. */
  get path() {
    const last = this.classLayer;
    return last && !this.stageLayers.includes(last) ? [...this.stageLayers, last] : this.stageLayers;
  }

  /** The stage before and the one after a layer, each or null. */
  around(layer) {
    const at = this.layers.indexOf(layer);
    const index = (stage) => this.layers.indexOf(stage);
    return [this.path.findLast((stage) => index(stage) < at) ?? null, this.path.find((stage) => index(stage) > at) ?? null];
  }

  nameOf(layer, channel) {
    return this.hasClasses(layer) ? this.classes[channel] : null;
  }
}
