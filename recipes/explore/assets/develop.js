// A picture that develops from a photograph: a dream, or the pre-image of what a layer keeps of it.

import { Copies } from "./copies.js";
import { element, number } from "./dom.js";
import { photoBoard } from "./photo_board.js";
import { Picture } from "./picture.js";
import { replaceAddress } from "./router.js";
import { RunProgress } from "./run_progress.js";
import { RunSlot } from "./run.js";
import { menu, slider } from "./sliders.js";

const KINDS = {
  dream: { title: "Dream", hint: "Whatever the layer finds in the photograph is strengthened, again and again.", start: "Dream", steps: [5, 10, 20, 40], usual: 10, perOctave: true },
  invert: { title: "What a layer keeps", hint: "A picture is made from noise that gives the layer the same activation as the photograph: what differs is what the layer has lost.", start: "Make the pre-image", steps: [8, 16, 32, 64, 128, 256, 512], usual: 64 },
};

export function develop(app, photo, options, kind) {
  return new Develop(app, photo, options, kind);
}

class Develop {
  constructor(app, photo, options, recipe) {
    const kind = KINDS[recipe];
    Object.assign(this, { app, photo, recipe, kind });
    this.layers = app.network.stageLayers.filter((layer) => layer.kind !== "vector");
    const middle = this.layers[Math.min(this.layers.length - 1, Math.ceil(this.layers.length / 2))];
    this.layer = app.network.layer(options.get("layer")) ?? middle;
    this.steps = Number(options.get("steps")) || kind.usual;
    this.picture = new Picture("", { class: "picture overlay opaque" });
    this.board = photoBoard(photo, recipe === "dream" ? photo : app.network.input);
    this.board.append(this.picture.node);
    this.caption = element("p", { class: "under-picture" });
    this.copies = new Copies();
    this.button = element("button", { type: "button", class: "primary", onclick: () => this.#start() }, kind.start);
    this.slot = new RunSlot(app.events, recipe, { onStart: () => this.copies.pause(), onState: (event) => this.#onState(event), onPictures: (pictures, share) => this.picture.show(pictures.at(-1).src, "", share), onFinished: (result) => this.#onFinished(result) });
    this.progress = new RunProgress(() => this.slot.stop());
    this.node = this.#layOut();
    if (options.has("layer")) this.#start();
  }

  #layOut() {
    const { kind } = this;
    const compare = element("button", { type: "button", class: "small", "aria-pressed": "false", onclick: () => compare.setAttribute("aria-pressed", String(this.board.classList.toggle("original"))) }, "Show the photograph");
    return element("div", { class: "two-columns even" },
      element("div", { class: "exhibit" }, this.board, this.caption, this.progress.node, element("div", { class: "buttons" }, compare)),
      element("div", { class: "aside" }, element("section", { "aria-label": kind.title },
        element("h2", {}, kind.title), element("p", { class: "hint" }, kind.hint),
        menu({ label: "Layer", choices: this.layers.map(({ address }) => address), value: this.layer.address, onInput: (address) => { this.layer = this.app.network.layer(address); } }).node,
        slider({ label: kind.perOctave ? "Steps at each size" : "Steps", values: kind.steps, value: this.steps, onInput: (steps) => { this.steps = steps; } }).node,
        this.button), this.copies.node));
  }

  #start() {
    replaceAddress(["photo", this.photo.photo, this.recipe], { layer: this.layer.address, steps: this.steps });
    this.board.classList.remove("original");
    this.slot.start(this.recipe, { photo: this.photo.photo, layer: this.layer.address, steps: this.steps });
  }

  #onState(event) {
    this.progress.show(event);
    this.button.disabled = event.state === "waiting" || event.state === "running";
  }

  #onFinished({ units, copies, run }) {
    const unit = units.findLast(({ objective }) => objective !== "original") ?? units.at(-1);
    if (unit?.url) this.picture.show(unit.url, `${this.kind.title} of ${this.layer.address}`);
    const { relative_error: error, psnr, same_class: same } = unit?.metrics ?? {};
    this.caption.textContent = [this.layer.address, Number.isFinite(error) ? `activation differs by ${number(100 * error)} %` : null, Number.isFinite(psnr) ? `PSNR ${number(psnr)} dB` : null, same === true ? "still the same class" : same === false ? "another class" : null].filter(Boolean).join(" · ");
    this.copies.show(copies, { run });
  }

  close() {
    this.slot.close();
  }
}
