// A photograph: what the network takes it for, and four things to do with it, each a tab with a link of its own.

import { api } from "./api.js";
import { element, percent } from "./dom.js";
import { develop } from "./develop.js";
import { dictionary } from "./dictionary.js";
import { heatMap } from "./heat_map.js";
import { linkTo } from "./router.js";

const TABS = {
  dictionary: ["What it sees here", dictionary],
  explain: ["What it relies on", heatMap],
  dream: ["Dream", (app, photo, options) => develop(app, photo, options, "dream")],
  invert: ["What a layer keeps", (app, photo, options) => develop(app, photo, options, "invert")],
};

export function photoView(app, id, tab = "dictionary", options) {
  return new PhotoView(app, id, tab in TABS ? tab : "dictionary", options);
}

class PhotoView {
  title = "photograph";
  up = "#/";
  #part = null;
  #closed = false;

  constructor(app, id, tab, options) {
    Object.assign(this, { app, id, tab, options });
    this.body = element("div", { class: "photo-body" }, element("p", { class: "hint" }, "Opening the photograph…"));
    this.guesses = element("ol", { class: "guesses", "aria-label": "What the network takes it for" });
    this.node = element("div", { class: "view photo-view" },
      element("header", { class: "view-header" },
        element("nav", { class: "crumbs", "aria-label": "Where you are" }, element("a", { href: "#/" }, "Network"), element("span", { "aria-hidden": "true" }, "›"), element("span", { "aria-current": "page" }, "Photograph")),
        element("div", { class: "titled" }, element("h1", {}, "Photograph"), element("div", { class: "taken-for" }, element("span", { class: "hint" }, "taken for"), this.guesses))),
      element("nav", { class: "tabs", "aria-label": "What to do with it" }, ...Object.entries(TABS).map(([name, [title]]) =>
        element("a", { href: linkTo(["photo", id, name]), "aria-current": name === tab ? "page" : null }, title))),
      this.body);
    this.ready = this.#open();
  }

  async #open() {
    try {
      const photo = await api.photo(this.id);
      if (this.#closed) return;
      this.#showGuesses(photo);
      this.#part = TABS[this.tab][1](this.app, photo, this.options);
      this.body.replaceChildren(this.#part.node);
    } catch (error) {
      this.body.replaceChildren(element("p", { class: "notice", role: "alert" }, error.message), element("p", {}, element("a", { href: "#/" }, "Drop the photograph again")));
    }
  }

  #showGuesses({ predictions = [] }) {
    const layer = this.app.network.classLayer;
    this.guesses.replaceChildren(...predictions.slice(0, 4).map(({ name, index, share }) => {
      const words = [element("b", {}, name ?? `class ${index}`), element("small", {}, ` ${percent(share)}`)];
      return element("li", {}, layer ? element("a", { href: linkTo(["unit", layer.address, index]) }, ...words) : element("span", {}, ...words));
    }));
  }

  close() {
    this.#closed = true;
    this.#part?.close();
  }
}
