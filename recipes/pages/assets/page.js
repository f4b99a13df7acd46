
"use strict";
// Shared by all pages: data, elements, the URL fragment, pictures, keyboard navigation of a grid, the lightbox, keys.
// Content of a manifest only ever becomes a text node or an attribute value, never markup.

const $ = (id) => document.getElementById(id);
const data = JSON.parse($("data").textContent);
/** What the units of a layer are: its channels, or the latents of a set of directions. */
const unitOf = (layer) => ((data.latents ?? []).includes(layer) ? "latent" : "channel");

/** Create an element; attributes that are null or false are left out. */
function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

/** Create an SVG element. */
function drawn(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

const rounded = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });
const grouped = new Intl.NumberFormat("en");

/** Any value of a manifest as text: integers in full, other numbers to four significant digits. */
function text(value) {
  if (value === null || value === undefined || value === "") return "–";
  if (typeof value === "number") {
    if (Number.isInteger(value)) return String(value);
    return Math.abs(value) < 1e-3 ? value.toExponential(2) : rounded.format(value);
  }
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** A number to a number of decimal places, or a dash. */
function digits(value, places) {
  return Number.isFinite(value) ? value.toFixed(places) : "–";
}

function plural(count, noun, nouns = `${noun}s`) {
  return `${grouped.format(count)} ${count === 1 ? noun : nouns}`;
}

const ORDINALS = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"];
const suffixes = { one: "st", two: "nd", few: "rd", other: "th" };
const suffixOf = new Intl.PluralRules("en", { type: "ordinal" });

/** An ordinal number in digits: 1st, 2nd, 33rd. */
function nth(number) {
  return `${number}${suffixes[suffixOf.select(number)]}`;
}

/** The ordinal of an index that counts from 0, in words up to the tenth. */
function ordinal(index) {
  return ORDINALS[index] ?? nth(index + 1);
}

/** The state of the view, kept in the URL fragment so that it can be linked. */
const fragment = {
  timer: 0,
  read: () => new URLSearchParams(location.hash.slice(1)),
  // Browsers reject hundreds of changes in a row, as from a slider or a held key: write after the last one.
  write(parameters) {
    clearTimeout(this.timer);
    if (`#${parameters}` === (location.hash || "#")) return;
    this.timer = setTimeout(() => history.replaceState(null, "", `#${parameters}`), 120);
  },
};

/** A picture in a box of fixed aspect ratio, loaded lazily or (`atOnce`) immediately. */
function frame(source, atOnce = false) {
  const box = element("span", { class: "frame" });
  const how = atOnce ? { decoding: "sync" } : { loading: "lazy", decoding: "async" };
  if (source) box.append(element("img", { ...how, alt: "", draggable: "false", src: source }));
  else showMissing(box);
  return box;
}

function showMissing(box) {
  box.querySelector("img")?.remove();
  box.classList.add("missing");
  box.prepend(element("span", {}, "picture missing"));
}

// `load` and `error` do not bubble; in the capture phase, two listeners serve all pictures.
document.addEventListener("error", (event) => {
  if (event.target instanceof HTMLImageElement && !event.target.matches(".film")) showMissing(event.target.parentElement);
}, true);
document.addEventListener("load", (event) => {
  const image = event.target;
  if (image instanceof HTMLImageElement) image.classList.toggle("tiny", Math.max(image.naturalWidth, image.naturalHeight) <= 64);
}, true);

/** A box that shows only a part [left, top, width, height] of a picture of size [fullWidth, fullHeight]. */
function cut(source, [left, top, width, height], [fullWidth, fullHeight], name = "cut") {
  const box = element("span", { class: name });
  const share = (start, part, full) => (full > part ? (100 * start) / (full - part) : 0);
  box.style.backgroundImage = `url("${source}")`;
  box.style.backgroundSize = `${(100 * fullWidth) / width}% ${(100 * fullHeight) / height}%`;
  box.style.backgroundPosition = `${share(left, width, fullWidth)}% ${share(top, height, fullHeight)}%`;
  return box;
}

/** A frame over a picture around [top, left, bottom, right] in pixels, for a picture of size [height, width]. */
function boxOver([top, left, bottom, right], [height, width]) {
  const box = element("span", { class: "box" });
  box.style.inset = `${(100 * top) / height}% ${100 - (100 * right) / width}% ${100 - (100 * bottom) / height}% ${(100 * left) / width}%`;
  return box;
}

/** The part of a picture in a unit's receptive field, scaled to a square tile, for a picture of size [height, width]. */
function patchTile({ source, window: [top, left, bottom, right] }, [height, width]) {
  const [tall, wide] = [bottom - top, right - left], longer = Math.max(tall, wide);
  const patch = source && longer > 0 ? cut(source, [left, top, wide, tall], [width, height], "cut patch") : element("span", { class: "patch" });
  patch.style.width = `${(100 * wide) / longer}%`;
  patch.style.height = `${(100 * tall) / longer}%`;
  return element("span", { class: "tile" }, patch);
}

/** Parse a filter such as `3, 17, 40-60, 100-`; any other piece is a part of a name. */
function parse(query) {
  const ranges = [], words = [];
  for (const piece of query.split(/[,;]/)) {
    const term = piece.trim().replace(/(\d)\s*[-–]\s*(\d)/g, "$1-$2");
    const parts = term.split(/\s+/).map((part) => /^(\d*)([-–]?)(\d*)$/.exec(part));
    if (!term) continue;
    if (!parts.every((part) => part && (part[1] || part[3]))) words.push(term.toLowerCase());
    else {
      for (const [, first, dash, last] of parts) {
        const ends = dash ? [first || 0, last || Infinity].map(Number) : [Number(first), Number(first)];
        ranges.push([Math.min(...ends), Math.max(...ends)]);
      }
    }
  }
  return { ranges, words, all: !ranges.length && !words.length };
}

function matches(group, { ranges, words, all }) {
  if (all) return true;
  if (ranges.some(([first, last]) => group.channel !== null && first <= group.channel && group.channel <= last)) return true;
  const name = group.name?.toLowerCase();
  return name !== undefined && words.some((word) => name.includes(word));
}

/** Arrow keys move through items laid out in rows; only the current one is a tab stop. */
class Walk {
  items = [];
  current = null;

  constructor(root, selector) {
    root.addEventListener("keydown", (event) => this.onKey(event));
    root.addEventListener("focusin", (event) => {
      const item = event.target.closest(selector);
      if (item) this.mark(item);
    });
  }

  /** Replace the items. */
  update(items) {
    this.items = items;
    this.mark(items.includes(this.current) ? this.current : items[0] ?? null);
  }

  mark(item) {
    if (this.current) this.current.tabIndex = -1;
    if (item) item.tabIndex = 0;
    this.current = item;
  }

  focus(item = this.current) {
    item?.focus();
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey || !this.items.includes(event.target)) return;
    const index = this.items.indexOf(event.target);
    const next = {
      ArrowLeft: () => this.items[index - 1],
      ArrowRight: () => this.items[index + 1],
      ArrowUp: () => this.nextRow(index, -1),
      ArrowDown: () => this.nextRow(index, 1),
      Home: () => this.items[0],
      End: () => this.items.at(-1),
    }[event.key];
    if (!next) return;
    event.preventDefault();
    this.focus(next() ?? event.target);
  }

  /** The horizontally nearest item in the next row up or down. */
  nextRow(index, way) {
    const from = this.items[index].getBoundingClientRect();
    let row = null, best = null, least = Infinity;
    for (let i = index + way; i >= 0 && i < this.items.length; i += way) {
      const box = this.items[i].getBoundingClientRect();
      if (Math.abs(box.top - from.top) < from.height / 2) continue;
      row ??= box.top;
      if (Math.abs(box.top - row) > from.height / 2) break;
      const distance = Math.abs(box.left - from.left);
      if (distance < least) [best, least] = [this.items[i], distance];
    }
    return best;
  }
}

/** One picture, enlarged, with all its metrics. `describe(item)` returns {title, source, rows: [[label, value, bad?]]}
 *  and, if it is not just the file at `source`, the picture's element as `picture`. */
class Lightbox {
  dialog = document.querySelector("dialog.lightbox");
  item = null;

  constructor({ items, describe, onShow, onClose }) {
    Object.assign(this, { items, describe, onShow });
    this.dialog.addEventListener("click", (event) => {
      const step = event.target.closest("[data-step]");
      if (step) this.step(Number(step.dataset.step));
    });
    this.dialog.addEventListener("keydown", (event) => this.onKey(event));
    this.dialog.addEventListener("close", () => {
      const last = this.item;
      this.item = null;
      this.dialog.querySelector(".stage").replaceChildren();
      onClose(last);
    });
  }

  show(item) {
    const { title, source, rows, picture = frame(source, true) } = this.describe(item);
    const items = this.items();
    const index = items.indexOf(item);
    const find = (selector) => this.dialog.querySelector(selector);
    this.item = item;
    find("h2").textContent = title;
    find("h2").title = title;
    find(".position").textContent = index < 0 ? "" : `${grouped.format(index + 1)} of ${grouped.format(items.length)}`;
    // Disabling a focused button would lose the focus, so the end of the list is only marked.
    find("[data-step='-1']").setAttribute("aria-disabled", index <= 0);
    find("[data-step='1']").setAttribute("aria-disabled", index === items.length - 1);
    find(".stage").replaceChildren(picture);
    find("dl").replaceChildren(...rows.map(([label, value, bad]) => element("div", {},
      element("dt", {}, label), element("dd", { class: bad && "bad" }, text(value)))));
    find("a.file").hidden = !source;
    if (source) find("a.file").href = source;
    if (!this.dialog.open) this.dialog.showModal();
    this.onShow(item);
  }

  close() {
    this.dialog.close();
  }

  step(by) {
    const items = this.items();
    const item = items[items.indexOf(this.item) + by];
    if (item) this.show(item);
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    const move = {
      ArrowLeft: () => this.step(-1),
      ArrowUp: () => this.step(-1),
      ArrowRight: () => this.step(1),
      ArrowDown: () => this.step(1),
      Home: () => this.show(this.items()[0]),
      End: () => this.show(this.items().at(-1)),
    }[event.key];
    if (!move) return;
    event.preventDefault();
    move();
  }
}

// Every dialog closes by its button and by a click outside it.
document.addEventListener("click", (event) => {
  const dialog = event.target.closest("dialog");
  if (dialog && (event.target === dialog || event.target.closest("[data-close]"))) dialog.close();
});

function showHelp() {
  document.querySelector("dialog.help").showModal();
}

/** Keys that work anywhere on the page: `/` selects the filter, `?` shows the help. */
function listenForKeys(filter) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog")) return;
    const act = { "/": () => filter.select(), "?": showHelp }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}
