// A picture that develops: each newer one fades in over the one before, in a frame of fixed proportions.

import { element } from "./dom.js";

const calm = matchMedia("(prefers-reduced-motion: reduce)");

export class Picture {
  #shown = null;
  #bar = element("span", { class: "developed", hidden: true });
  #latest = 0;

  /** @param {string} note what stands in the frame while there is no picture. */
  constructor(note = "", attributes = {}) {
    this.note = element("span", { class: "note" }, note);
    this.node = element("span", { class: "frame picture", ...attributes }, this.note, this.#bar);
  }

  /** Show a picture; `share` from 0 to 1 is how far it is made, 1 for a finished one. */
  async show(src, alt = "", share = 1) {
    if (share === 1 && this.#shown?.getAttribute("src") === src) return;
    const turn = ++this.#latest;
    const image = element("img", { src, alt, decoding: "async", draggable: "false" });
    this.progress(share);
    try {
      await image.decode();
    } catch {
      if (turn === this.#latest) this.say("cannot be shown");
      return;
    }
    if (turn !== this.#latest) return;
    this.note.textContent = "";
    this.#replace(image);
  }

  #replace(image) {
    const old = this.#shown;
    this.#shown = image;
    this.node.insertBefore(image, this.#bar);
    if (!old || calm.matches) return void old?.remove();
    image.animate([{ opacity: 0 }, { opacity: 1 }], { duration: 240, easing: "ease-out" }).finished.then(() => old.remove(), () => old.remove());
    for (const stale of this.node.querySelectorAll("img")) if (stale !== old && stale !== image) stale.remove();
  }

  /** Show how far the picture is made; null and 1 hide the bar. */
  progress(share) {
    this.#bar.hidden = share === null || share >= 1;
    this.#bar.style.setProperty("--share", share ?? 1);
    this.node.classList.toggle("coarse", !this.#bar.hidden);
  }

  get empty() {
    return this.#shown === null;
  }

  say(note) {
    this.note.textContent = note;
  }

  clear(note = "") {
    this.#latest++;
    for (const image of this.node.querySelectorAll("img")) image.remove();
    this.#shown = null;
    this.progress(null);
    this.say(note);
  }
}
