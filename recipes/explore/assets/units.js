// What is known of the network's units: records of layers, and the newest picture of each, followed as they are made.

import { api } from "./api.js";

const keyOf = (layer, channel) => `${layer}/${channel}`;

export class Units {
  #loading = new Map(); // address -> promise of the layer's record
  #records = new Map(); // address -> the record, once it is here
  #early = new Map(); // address -> units that were made while the record was on its way
  #watchers = new Map();
  #described = new Map(); // units that words describe

  constructor(events) {
    events.on("unit", (unit) => this.#onUnit(unit));
    events.on("back", () => this.#refresh([...this.#loading.keys()]));
    events.on("layer", ({ layer }) => this.#loading.has(layer) && this.#refresh([layer]));
    events.on("coarse", (coarse) => this.#each(coarse, (watcher) => watcher.onCoarse?.(coarse)));
  }

  #each({ layer, channel }, act) {
    for (const watcher of this.#watchers.get(keyOf(layer, channel)) ?? []) act(watcher);
  }

  #onUnit(unit) {
    this.#describe(unit);
    this.#early.get(unit.layer)?.push(unit);
    const record = this.#records.get(unit.layer);
    if (record) record.units[unit.channel] = unit;
    this.#each(unit, (watcher) => watcher.onUnit?.(unit));
  }

  /** The layer's record, {count, names, units}; fetched once. */
  layer(address) {
    if (!this.#loading.has(address)) this.#loading.set(address, this.#load(address));
    return this.#loading.get(address);
  }

  /** The answer may be older than events that came meanwhile. */
  async #load(address) {
    const early = [];
    const newest = () => this.#early.get(address) === early;
    this.#early.set(address, early);
    this.#records.delete(address);
    try {
      const record = await api.layer(address);
      for (const unit of early) record.units[unit.channel] = unit;
      for (const unit of record.units) this.#describe(unit);
      if (newest()) this.#records.set(address, record);
      return record;
    } catch (error) {
      if (newest()) this.#loading.delete(address);
      throw error;
    } finally {
      if (newest()) this.#early.delete(address);
    }
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
    for (const address of addresses) this.#loading.delete(address);
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
