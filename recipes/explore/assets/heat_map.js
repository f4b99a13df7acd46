// What the network relies on in a photograph: a heat map of a target by a method, above the photograph.

import { Copies } from "./copies.js";
import { element, number } from "./dom.js";
import { photoBoard } from "./photo_board.js";
import { Picture } from "./picture.js";
import { replaceAddress } from "./router.js";
import { RunProgress } from "./run_progress.js";
import { RunSlot } from "./run.js";
import { menu, slider } from "./sliders.js";

export function heatMap(app, photo, options) {
  return new HeatMap(app, photo, options);
}

const FIRST = "grad-cam";

class HeatMap {
  constructor(app, photo, options) {
    Object.assign(this, { app, photo });
    const { methods } = app.network.options;
    this.method = options.get("method") ?? methods.find(({ name }) => name === FIRST)?.name ?? methods[0]?.name;
    this.target = options.get("target") ?? "logit:top";
    this.map = new Picture("", { class: "picture overlay" });
    this.board = photoBoard(photo, app.network.input);
    this.board.append(this.map.node);
    this.caption = element("p", { class: "under-picture" });
    this.copies = new Copies();
    this.slot = new RunSlot(app.events, "explain", { onStart: () => this.copies.pause(), onState: (event) => this.progress.show(event), onFinished: (result) => this.#onFinished(result) });
    this.progress = new RunProgress(() => this.slot.stop());
    this.node = this.#layOut(methods);
    this.#start();
  }

  #layOut(methods) {
    const opacity = slider({ label: "Strength of the overlay", min: 0, max: 1, step: 0.05, value: 0.6, format: (value) => `${Math.round(100 * value)} %`, onInput: (value) => this.board.style.setProperty("--opacity", value) });
    return element("div", { class: "two-columns even" },
      element("div", { class: "exhibit" }, this.board, this.caption, opacity.node, this.progress.node),
      element("div", { class: "aside" }, element("section", { "aria-label": "Target and method" },
        element("h2", {}, "What the network relies on"),
        element("p", { class: "hint" }, "Warm colours mark what raises the target; each method measures it in its own way, so compare a few."),
        menu({ label: "Target", choices: this.#targets(), value: this.target, onInput: (value) => { this.target = value; this.#start(); } }).node,
        menu({ label: "Method", choices: methods, value: this.method, onInput: (value) => { this.method = value; this.#start(); } }).node), this.copies.node));
  }

  /** The likeliest classes first, then the others by name. */
  #targets() {
    const { classes = [] } = this.app.network;
    const likely = (this.photo.predictions ?? []).map(({ index, name }) => ({ name: `logit:${index}`, title: name ?? `class ${index}` }));
    const known = new Set(likely.map(({ name }) => name));
    const others = (classes ?? []).map((name, index) => ({ name: `logit:${index}`, title: name })).filter(({ name }) => !known.has(name)).sort((a, b) => a.title.localeCompare(b.title));
    return [{ name: "logit:top", title: "what it takes the photograph for" }, ...likely, ...others];
  }

  #start() {
    replaceAddress(["photo", this.photo.photo, "explain"], { target: this.target, method: this.method });
    this.slot.start("explain", { photo: this.photo.photo, method: this.method, target: this.target });
  }

  #onFinished({ units, copies, run }) {
    const unit = units.find(({ objective }) => objective !== "original") ?? units[0];
    const plain = fileOf(unit?.extra_files?.plain) ?? unit?.url;
    if (plain) this.map.show(plain, `heat map of ${unit.name ?? "the target"} by ${this.method}`);
    const { value, at } = unit?.metrics ?? {};
    this.caption.textContent = [unit?.name, Number.isFinite(value) ? `value ${number(value)}` : null, at ? `measured at ${at}` : null].filter(Boolean).join(" · ");
    this.copies.show(copies, { run, film: false });
  }

  close() {
    this.slot.close();
  }
}

/** The address of an extra file: a text, or {url}. */
const fileOf = (file) => (typeof file === "string" ? file : file?.url);
