// Which view is shown: the part of the address behind `#`. Each view can be linked, and the browser's Back returns to it.

/** The parts and options of an address such as `#/unit/features.3/17?steps=64`. */
export function parseAddress(hash) {
  const [path, query = ""] = hash.replace(/^#?\/?/, "").split("?");
  return { parts: path.split("/").filter(Boolean).map(decoded), options: new URLSearchParams(query) };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // somebody typed a lonely percent sign
  }
}

/** A link to a view; options that are null, undefined or empty are left out. */
export function linkTo(parts, options = {}) {
  const path = parts.map((part) => encodeURIComponent(part).replace(/%(2C|3D|3A|40)/g, decodeURIComponent)).join("/");
  const query = new URLSearchParams(Object.entries(options).filter(([, value]) => value !== null && value !== undefined && value !== ""));
  return `#/${path}${query.size ? `?${query}` : ""}`;
}

let shown = null; // the address of the view that is shown, with its state

/** Keep the view's state in the address without a new entry in the history. */
export function replaceAddress(parts, options) {
  const link = linkTo(parts, options);
  if (link !== location.hash) history.replaceState(history.state, "", link);
  shown = link;
}

export class Router {
  #view = null;
  #scrolled = new Map();

  /**
   * @param {(parts: string[], options: URLSearchParams) => View} open makes a view: {node, title, up, close(), ready}.
   * @param {HTMLElement} main where views are shown.
   */
  constructor(open, main) {
    this.open = open;
    this.main = main;
    history.scrollRestoration = "manual";
    addEventListener("hashchange", () => { if (location.hash !== shown) this.show(true); });
  }

  get view() {
    return this.#view;
  }

  /** Show the view of the address; `moved` moves the keyboard focus to its heading. */
  async show(moved) {
    if (this.#view) this.#scrolled.set(shown, scrollY);
    this.#view?.close?.();
    shown = location.hash;
    const { parts, options } = parseAddress(location.hash);
    const view = this.open(parts, options);
    this.#view = view;
    this.main.replaceChildren(view.node);
    document.title = `${view.title} · inverter`;
    scrollTo(0, 0);
    if (moved) this.#focus(view);
    await view.ready;
    if (this.#view === view && this.#scrolled.has(shown)) scrollTo(0, this.#scrolled.get(shown));
  }

  #focus(view) {
    const heading = view.node.querySelector("h1");
    if (!heading) return;
    heading.tabIndex = -1;
    heading.focus({ preventScroll: true });
  }
}
