// Mixing: units and layers with a weight each, and the picture that follows the sliders.

import { Copies } from "./copies.js";
import { Demands } from "./demands.js";
import { element } from "./dom.js";
import { MixTerm, parseTerms } from "./mix_term.js";
import { Optimisation } from "./optimisation.js";
import { Picture } from "./picture.js";
import { linkTo, replaceAddress } from "./router.js";
import { RunProgress } from "./run_progress.js";
import { RunSlot } from "./run.js";
import { find } from "./search.js";

export function mixing(app, text, options) {
  return new Mixing(app, text, options);
}

class Mixing {
  title = "mixing";
  #terms = [];
  #demands = new Demands();
  #end;

  constructor(app, text, options) {
    this.app = app;
    this.list = element("ol", { class: "terms", "aria-label": "What is mixed" });
    this.picture = new Picture("add a unit", { class: "frame picture large" });
    this.copies = new Copies();
    this.slot = new RunSlot(app.events, "picture", {
      onStart: () => this.copies.pause(),
      onState: (event) => this.progress.show(event),
      onPictures: (pictures, share) => this.picture.show(pictures[0].src, this.#spoken(), share),
      onFinished: (result) => this.#onFinished(result),
    });
    this.progress = new RunProgress(() => this.slot.stop());
    this.optimisation = new Optimisation(app.network, options, () => this.#onChange());
    this.node = this.#layOut();
    this.#end = app.events.on("back", () => this.#demands.repeat());
    for (const term of parseTerms(text, app.network)) this.#add(term);
    this.#remember();
    this.up = this.#terms[0] ? linkTo(["layer", this.#terms[0].layer.address]) : "#/";
    this.#sayHint();
    this.#run(false);
  }

  #layOut() {
    this.hint = element("p", { class: "hint" });
    return element("div", { class: "view mix-view" },
      element("header", { class: "view-header" },
        element("nav", { class: "crumbs", "aria-label": "Where you are" }, element("a", { href: "#/" }, "Network"), element("span", { "aria-hidden": "true" }, "›"), element("span", { "aria-current": "page" }, "Mix")),
        element("h1", {}, "Mix"),
        element("p", { class: "subtitle" }, "One picture for several units at once: each pulls it with its weight; a negative one pushes it away.")),
      element("div", { class: "two-columns" },
        element("div", { class: "exhibit" }, element("div", { class: "pictures" }, this.picture.node), this.progress.node, this.copies.node),
        element("div", { class: "aside" },
          element("section", { "aria-label": "What is mixed" }, element("h2", {}, "What is mixed"), this.list, this.hint, this.#adder()),
          element("section", { "aria-label": "How the picture is made" }, element("h2", {}, "Make it differently"), this.optimisation.node))));
  }

  /** A field that adds a unit by number, name or layer. */
  #adder() {
    const found = element("ul", { class: "add-found" });
    const input = element("input", { type: "search", id: "add-term", placeholder: "17, a class, or a layer", autocomplete: "off" });
    const add = (result) => {
      for (const term of parseTerms(result.term, this.app.network)) this.#add(term);
      input.value = "";
      found.replaceChildren();
      this.#onChange();
      this.list.lastChild?.querySelector("input")?.focus();
    };
    const results = () => find(input.value, this.app.network, this.#terms.at(-1)?.layer ?? null).slice(0, 6)
      .map((result) => ({ ...result, term: `${result.link.replace(/^#\/(unit|layer)\//, "")}=1` }));
    input.addEventListener("input", () => found.replaceChildren(...results().map((result) =>
      element("li", {}, element("button", { type: "button", class: "small", onclick: () => add(result) }, element("b", {}, result.title), ` ${result.note}`)))));
    const form = element("form", { class: "adder", onsubmit: (event) => { event.preventDefault(); const [first] = results(); if (first) add(first); } },
      element("label", { for: "add-term" }, "Add a unit or a layer"), input, found);
    return form;
  }

  #add(term) {
    const known = this.#terms.find(({ key }) => key === `${term.layer.address}/${term.channel ?? ""}`);
    if (known) return;
    const row = new MixTerm(this.app, term, { onInput: () => this.#onChange(), onRemove: () => this.#remove(row) });
    this.#terms.push(row);
    this.list.append(row.node);
    if (term.channel !== null) this.#demands.observe(row.node, term.layer.address, term.channel);
    this.#sayHint();
  }

  #remove(row) {
    const at = this.#terms.indexOf(row);
    this.#terms.splice(at, 1);
    row.close();
    row.node.remove();
    (this.list.children[Math.min(at, this.#terms.length - 1)]?.querySelector("button") ?? document.getElementById("add-term")).focus();
    this.#sayHint();
    this.#onChange();
  }

  #sayHint() {
    this.hint.textContent = this.#terms.length === 0 ? "Choose the first unit below." : this.#terms.length === 1 ? "Add a second unit, then move the sliders." : "Move the sliders: the picture follows.";
  }

  /** The mix that other units can be added to, as text. */
  #remember() {
    this.app.mixture = this.#terms.map((term) => term.text).join(",");
    return this.app.mixture;
  }

  #onChange() {
    replaceAddress(["mix", ...this.#remember().split("/")].filter(Boolean), this.optimisation.settings);
    this.#run(true);
  }

  #run(soon) {
    const terms = this.#terms.filter((term) => term.weight !== 0).map((term) => term.text);
    if (terms.length) return this.slot.start("mix", { terms, ...this.optimisation.settings }, soon);
    this.slot.stop();
    this.copies.hide();
    return this.picture.clear(this.#terms.length ? "every weight is 0" : "add a unit");
  }

  #spoken() {
    return `mix of ${this.#terms.map((term) => `${term.title} times ${term.weight}`).join(", ")}`;
  }

  #onFinished({ units, copies, run }) {
    if (units[0]?.url) this.picture.show(units[0].url, this.#spoken());
    this.copies.show(copies, { run });
  }

  close() {
    this.slot.close();
    this.#end();
    this.#demands.close();
    for (const term of this.#terms) term.close();
  }
}
