// Take a view along: as Python, command line or TOML, which give the same picture, and as files.

import { api } from "./api.js";
import { announce, element } from "./dom.js";

const FORMS = [["python", "Python"], ["command", "command line"], ["toml", "TOML"]];
const FILES = [
  ["png", "PNG", "The picture"],
  ["figure.png", "Figure PNG", "All pictures of this view on a sheet with labels"],
  ["figure.svg", "Figure SVG", "All pictures of this view on a sheet with labels that stay text"],
  ["gif", "GIF", "The film of the optimisation"],
];

/** Write to the clipboard; browsers allow that on this machine and over https. */
async function toClipboard(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

export class Copies {
  #code = element("pre", { tabindex: "0", "aria-label": "Code of this view", hidden: true });
  #files = element("div", { class: "buttons" });
  #buttons;

  constructor() {
    this.#buttons = FORMS.map(([form, title]) => element("button", { type: "button", class: "small", onclick: ({ currentTarget }) => this.#copy(form, title, currentTarget) }, title));
    this.node = element("section", { class: "copies", "aria-label": "Take it along", hidden: true },
      element("h2", {}, "Take it along"),
      element("p", { class: "hint" }, "Copy what makes this very picture:"),
      element("div", { class: "buttons" }, ...this.#buttons), this.#code, this.#files);
  }

  /**
   * @param {{python: string, command: string, toml: string}} copies
   * @param {string | null} run whose files can be downloaded.
   * @param {string | null} url of the picture, where there is no run.
   */
  show(copies, run = null, url = null) {
    this.copies = copies ?? {};
    this.node.hidden = false;
    for (const [index, [form]] of FORMS.entries()) this.#buttons[index].hidden = !this.copies[form];
    this.#code.hidden = true;
    this.#files.replaceChildren(...(run ? FILES.map(([form, title, help]) => download(api.downloadAddress(run, form), title, help)) : url ? [download(url, "PNG", "The picture")] : []));
  }

  async #copy(form, title, button) {
    const text = this.copies[form];
    const copied = await toClipboard(text);
    this.#code.textContent = text;
    this.#code.hidden = false;
    if (!copied) getSelection().selectAllChildren(this.#code);
    button.textContent = copied ? "Copied" : "Selected below";
    announce(copied ? `copied as ${title}` : "the code is selected: copy it with your browser");
    setTimeout(() => { button.textContent = title; }, 1500);
  }

  hide() {
    this.node.hidden = true;
  }
}

const download = (href, title, help) => element("a", { class: "button small", href, download: "", title: help }, title);
