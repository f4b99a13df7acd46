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
  #code = element("pre", { tabindex: "0", role: "group", "aria-label": "Code of this view", hidden: true });
  #files = element("div", { class: "buttons" });
  #error = element("p", { class: "notice", role: "alert", hidden: true });
  #buttons;

  constructor() {
    this.#buttons = FORMS.map(([form, title]) => element("button", { type: "button", class: "small", onclick: ({ currentTarget }) => this.#copy(form, title, currentTarget) }, title));
    this.node = element("section", { class: "copies", "aria-label": "Take it along", hidden: true },
      element("h2", {}, "Take it along"),
      element("p", { class: "hint" }, "Copy what makes this very picture:"),
      element("div", { class: "buttons" }, ...this.#buttons), this.#code, this.#files, this.#error);
  }

  /**
   * @param {{python: string, command: string, toml: string}} copies
   * @param {string | null} run whose files can be downloaded.
   * @param {{layer: string, channel: number} | null} unit whose files can be downloaded, where there is no run.
   * @param {boolean} film was the picture optimised, step by step?
   */
  show(copies, { run = null, unit = null, film = true } = {}) {
    this.copies = copies ?? {};
    this.node.hidden = this.node.inert = false;
    for (const [index, [form]] of FORMS.entries()) this.#buttons[index].hidden = !this.copies[form];
    this.#code.hidden = true;
    this.#error.hidden = true;
    const address = (form) => (run ? api.downloadAddress(run, form) : api.unitDownloadAddress(unit.layer, unit.channel, form));
    const files = run || unit ? FILES.filter(([form]) => film || form !== "gif").map(([form, ...words]) => [address(form), ...words]) : [];
    this.#files.replaceChildren(...files.map(([href, title, help]) => element("a", { class: "button small", href, download: "", title: help, onclick: (event) => this.#save(event, href) }, title)));
  }

  /** Fetch a file, so that a failure is said here, and hand it to the browser. */
  async #save(event, href) {
    event.preventDefault();
    this.#error.hidden = true;
    const link = event.currentTarget;
    const title = link.textContent;
    link.setAttribute("aria-busy", "true");
    link.textContent = `${title} …`; // a film may have to be made first
    try {
      const { blob, name } = await api.file(href);
      const address = URL.createObjectURL(blob);
      element("a", { href: address, download: name }).click();
      setTimeout(() => URL.revokeObjectURL(address), 60_000);
    } catch (error) {
      this.#error.textContent = error.message;
      this.#error.hidden = false;
    } finally {
      link.removeAttribute("aria-busy");
      link.textContent = title;
    }
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

  /** Until the next `show`: another picture is being made. */
  pause() {
    this.node.inert = true;
  }

  hide() {
    this.node.hidden = true;
  }
}
