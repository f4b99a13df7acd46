
"use strict";
// Units under a heading for each layer, and chips that filter by layer. A card {layer, units, card} groups the pictures
// of a unit; `card` is its element.

class Layers {
  /** note(layer): additional text of its heading. */
  constructor(cards, note = () => "") {
    this.layers = data.layers.map((name) => this.makeLayer(name, cards.filter(({ layer }) => layer === name)));
    this.note = note;
    this.total = this.layers.reduce((sum, { total }) => sum + total, 0);
    $("layers").append(...this.layers.map(({ chip }) => chip));
    $("layers").hidden = this.layers.length < 2;
  }

  makeLayer(name, cards) {
    const list = element("ul", { class: "units", role: "list" });
    const count = element("span", { class: "count" });
    const section = element("section", { class: "layer", "aria-label": name },
      element("h2", {}, element("span", { title: name }, name), count), list);
    const total = cards.reduce((sum, { units }) => sum + units.length, 0);
    const chip = element("button", { type: "button", class: "chip", "aria-pressed": "false" }, `${name} `, element("small", {}, grouped.format(total)));
    return { name, cards, list, count, section, chip, total };
  }

  get sections() {
    return this.layers.map(({ section }) => section);
  }

  /** Lay out the matching cards of the chosen layers (of all, if none is chosen), in order; returns the number of units. */
  show(chosen, fits, order) {
    let shown = 0;
    for (const layer of this.layers) {
      const seen = !chosen.size || chosen.has(layer.name) ? layer.cards.filter(fits).sort(order) : [];
      // Cards that do not match are removed: hiding thousands of siblings is far slower in browsers.
      if (seen.length !== layer.seen?.length || seen.some((card, index) => card !== layer.seen[index])) {
        layer.list.replaceChildren(...seen.map(({ card }) => card));
        layer.seen = seen;
      }
      const units = seen.reduce((sum, card) => sum + card.units.length, 0);
      layer.section.hidden = units === 0;
      layer.count.textContent = counted(units, layer.total, "unit") + this.note(layer.name);
      layer.chip.setAttribute("aria-pressed", chosen.has(layer.name));
      shown += units;
    }
    return shown;
  }

  /** Let the chips change the state's `layer`. */
  choose(listing) {
    $("layers").addEventListener("click", ({ target }) => {
      const { name } = this.layers.find(({ chip }) => chip === target.closest(".chip")) ?? {};
      if (name === undefined) return;
      const chosen = listing.state.layer;
      if (!chosen.delete(name)) chosen.add(name);
      listing.apply();
    });
  }
}

// A card without a channel comes last.
const byChannel = (a, b) => (a.channel ?? Infinity) - (b.channel ?? Infinity) || 0;

// The headings stick below the toolbar, if the toolbar is sticky itself.
new ResizeObserver(([{ target }]) => {
  const sticks = getComputedStyle(target).position === "sticky";
  document.documentElement.style.setProperty("--top", sticks ? `${target.getBoundingClientRect().height}px` : "0px");
}).observe(document.querySelector(".toolbar"));
