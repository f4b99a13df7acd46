// Point at a position of a photograph: the picture of all that a layer sees there, and its strongest units.

import { Copies } from "./copies.js";
import { element, number } from "./dom.js";
import { photoBoard, Pointing } from "./photo_board.js";
import { Picture } from "./picture.js";
import { replaceAddress } from "./router.js";
import { RunProgress } from "./run_progress.js";
import { RunSlot } from "./run.js";
import { menu } from "./sliders.js";
import { unitChip } from "./unit_sections.js";

export function dictionary(app, photo, options) {
  return new Dictionary(app, photo, options);
}

class Dictionary {
  constructor(app, photo, options) {
    Object.assign(this, { app, photo });
    this.layers = app.network.stageLayers.filter((layer) => layer.kind !== "vector" && layer.height > 1);
    this.layer = this.layers.find(({ address }) => address === options.get("layer")) ?? this.layers[Math.max(0, this.layers.length - 2)];
    this.board = photoBoard(photo, app.network.input);
    this.pointing = new Pointing(this.board, { onMove: (row, column) => this.#sayPosition(row, column), onChoose: () => this.#start(true) });
    this.position = element("p", { class: "subtitle" });
    this.picture = new Picture("point at the photograph", { class: "frame picture large" });
    this.units = element("ul", { class: "chips", "aria-label": "Strongest units at this position" });
    this.copies = new Copies();
    this.slot = new RunSlot(app.events, "dictionary", { onStart: () => this.copies.pause(), onState: (event) => this.progress.show(event), onPictures: (pictures, share) => this.#onPictures(pictures, share), onFinished: (result) => this.#onFinished(result) });
    this.progress = new RunProgress(() => this.slot.stop());
    this.node = this.#layOut();
    this.#setLayer(this.layer, positionOf(options.get("at")));
    this.#start(false);
  }

  #layOut() {
    const choose = menu({ label: "Layer", choices: this.layers.map(({ address, height, width }) => ({ name: address, title: `${address} (${height} × ${width} positions)` })), value: this.layer?.address,
      onInput: (address) => { this.#setLayer(this.app.network.layer(address), null); this.#start(true); } });
    return element("div", { class: "two-columns even" },
      element("div", { class: "exhibit" }, this.board, element("p", { class: "hint" }, "Point at what interests you: click, drag, or use the arrow keys."), choose.node),
      element("div", { class: "aside" }, element("section", { "aria-label": "What the layer sees at this position" },
        element("h2", {}, "What the layer sees there"), this.position, this.progress.node,
        element("div", { class: "seen" }, this.picture.node, element("div", {}, element("h3", {}, "Strongest units there"), this.units))), this.copies.node));
  }

  /** Keep the place in the photograph when the grid changes. */
  #setLayer(layer, at) {
    const before = [(this.pointing.at[0] + 0.5) / this.pointing.rows, (this.pointing.at[1] + 0.5) / this.pointing.columns];
    this.layer = layer;
    this.pointing.set(layer.height, layer.width, at ?? [Math.floor(before[0] * layer.height), Math.floor(before[1] * layer.width)]);
  }

  #sayPosition(row, column) {
    if (this.position) this.position.textContent = `row ${row + 1}, column ${column + 1} of ${this.layer.address}`;
  }

  #start(soon) {
    const at = this.pointing.at.join(",");
    this.#sayPosition(...this.pointing.at);
    replaceAddress(["photo", this.photo.photo, "dictionary"], { layer: this.layer.address, at });
    this.slot.start("dictionary", { photo: this.photo.photo, layer: this.layer.address, positions: [at] }, soon);
  }

  #onPictures(pictures, share) {
    const large = pictures.find(({ key }) => String(key).includes("position")) ?? pictures[0];
    this.picture.show(large.src, "", share);
  }

  #onFinished({ units, copies, run }) {
    const large = units.find((unit) => unit.metrics?.position);
    if (!large) return this.picture.clear("no unit responds here");
    this.picture.show(large.url, `what ${this.layer.address} sees at row ${this.pointing.at[0] + 1}, column ${this.pointing.at[1] + 1}`);
    const urls = new Map(units.filter(({ channel }) => channel !== null).map(({ channel, url }) => [channel, url]));
    const { channels } = large.metrics;
    const most = Math.max(...channels.map(({ value }) => value), 1e-9);
    this.units.replaceChildren(...channels.map(({ channel, value, name }) => element("li", {}, unitChip({ layer: this.layer.address, channel, name, url: urls.get(channel), words: number(value), share: value / most }))));
    return this.copies.show(copies, { run });
  }

  close() {
    this.slot.close();
  }
}

function positionOf(text) {
  const [row, column] = (text ?? "").split(",").map(Number);
  return Number.isInteger(row) && Number.isInteger(column) && row >= 0 && column >= 0 ? [row, column] : null;
}
