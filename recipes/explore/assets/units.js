// What is known of the network's units: records of layers, and the newest picture of each, followed as they are made.

import { api } from "./api.js";

const keyOf = (layer, channel) => `${layer}/${channel}`;

export class Units {
  #layers = new Map();
  #watchers = new Map();
  #described = new Map(); // units that words describe

  constructor(events) {
    events.on("unit", (unit) => this.#onUnit(unit));
    events.on("back", () => this.#refresh([...this.#layers.keys()]));
    events.on("layer", ({ layer }) => this.#layers.has(layer) && this.#refresh([layer]));
    events.on("coarse", (coarse) => this.#each(coarse, (watcher) => watcher.onCoarse?.(coarse)));
  }

  #each({ layer, channel }, act) {
    for (const watcher of this.#watchers.get(keyOf(layer, channel)) ?? []) act(watcher);
  }

  async #onUnit(unit) {
    this.#describe(unit);
    this.#each(unit, (watcher) => watcher.onUnit?.(unit));
    const known = await this.#layers.get(unit.layer)?.catch(() => null);
    if (known) known.units[unit.channel] = unit;
  }

  /** The layer's record, {count, names, units}; fetched once. */
  layer(address) {
    if (!this.#layers.has(address)) {
      const loading = api.layer(address);
      loading.then(({ units }) => units.forEach((unit) => this.#describe(unit)), () => this.#layers.delete(address));
      this.#layers.set(address, loading);
    }
    return this.#layers.get(address);
  }

  #describe(unit) {
    if (unit.words?.length) this.#described.set(keyOf(unit.layer, unit.channel), unit);
  }

  /** The units whose first word contains this text; those that start with it come first. */
  described(query) {
    const found = [...this.#described.values()].map((unit) => ({ ...unit, at: unit.words[0].toLowerCase().indexOf(query) }));
    return found.filter(({ at }) => at >= 0).sort((a, b) => a.at - b.at);
  }

  /** Ask for layers again, for what was made while the connection was lost, or what photographs say of their units. */
  async #refresh(addresses) {
    for (const address of addresses) this.#layers.delete(address);
    for (const address of addresses) {
      const layer = await this.layer(address).catch(() => null);
      for (const unit of layer?.units ?? []) if (unit.status) this.#each({ ...unit, layer: address }, (watcher) => watcher.onUnit?.(unit));
    }
  }

  /** Follow a unit: `{onCoarse({src, step, steps}), onUnit(record)}`. Returns a function that ends it. */
  watch(layer, channel, watcher) {
    const key = keyOf(layer, channel);
    const watchers = this.#watchers.get(key) ?? new Set();
    this.#watchers.set(key, watchers.add(watcher));
    return () => {
      watchers.delete(watcher);
      if (!watchers.size) this.#watchers.delete(key);
    };
  }
}
