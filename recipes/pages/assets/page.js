
"use strict";
// Shared by every page: data, elements, the fragment, pictures, the walk through a grid, the lightbox, keys.
// What a manifest says only ever becomes a text node or an attribute's value, never markup.

const $ = (id) => document.getElementById(id);
const data = JSON.parse($("data").textContent);

/** Make an element; attributes that are null or false are left out. */
function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

/** Make an element of SVG. */
function drawn(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

const rounded = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });
const grouped = new Intl.NumberFormat("en");

/** Any value of a manifest as text: whole numbers in full, others to four digits. */
function text(value) {
  if (value === null || value === undefined || value === "") return "–";
  if (typeof value === "number") {
    if (Number.isInteger(value)) return String(value);
    return Math.abs(value) < 1e-3 ? value.toExponential(2) : rounded.format(value);
  }
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** A number to so many places, or a dash. */
function digits(value, places) {
  return Number.isFinite(value) ? value.toFixed(places) : "–";
}

function plural(count, noun, nouns = `${noun}s`) {
  return `${grouped.format(count)} ${count === 1 ? noun : nouns}`;
}

/** The state of the view, kept in the address so that it can be linked. */
const fragment = {
  timer: 0,
  read: () => new URLSearchParams(location.hash.slice(1)),
  // Browsers refuse hundreds of changes in a row, as a slider or a held key would make: write once it is quiet.
  write(parameters) {
    clearTimeout(this.timer);
    if (`#${parameters}` === (location.hash || "#")) return;
    this.timer = setTimeout(() => history.replaceState(null, "", `#${parameters}`), 120);
  },
};

/** A picture in a box of fixed proportions. It is fetched when it comes near the window, or at once where asked. */
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

// `load` and `error` do not bubble; caught on the way down, two listeners serve every picture.
document.addEventListener("error", (event) => {
  if (event.target instanceof HTMLImageElement) showMissing(event.target.parentElement);
}, true);
document.addEventListener("load", (event) => {
  const image = event.target;
  if (image instanceof HTMLImageElement) image.classList.toggle("tiny", Math.max(image.naturalWidth, image.naturalHeight) <= 64);
}, true);

/** A box that shows a part of a picture, [left, top, width, height] of its whole [width, height], and no more of it. */
function cut(source, [left, top, width, height], [wholeWidth, wholeHeight], name = "cut") {
  const box = element("span", { class: name });
  const share = (start, part, whole) => (whole > part ? (100 * start) / (whole - part) : 0);
  box.style.backgroundImage = `url("${source}")`;
  box.style.backgroundSize = `${(100 * wholeWidth) / width}% ${(100 * wholeHeight) / height}%`;
  box.style.backgroundPosition = `${share(left, width, wholeWidth)}% ${share(top, height, wholeHeight)}%`;
  return box;
}

/** A frame over a picture around [top, left, bottom, right] of its pixels. `size` is the picture's [height, width]. */
function boxOver([top, left, bottom, right], [height, width]) {
  const box = element("span", { class: "box" });
  box.style.inset = `${(100 * top) / height}% ${100 - (100 * right) / width}% ${100 - (100 * bottom) / height}% ${(100 * left) / width}%`;
  return box;
}

/** What a unit saw of a picture, as large as a square tile allows. `size` is the picture's [height, width]. */
function patchTile({ source, window: [top, left, bottom, right] }, [height, width]) {
  const [tall, wide] = [bottom - top, right - left], longer = Math.max(tall, wide);
  const patch = source && longer > 0 ? cut(source, [left, top, wide, tall], [width, height], "cut patch") : element("span", { class: "patch" });
  patch.style.width = `${(100 * wide) / longer}%`;
  patch.style.height = `${(100 * tall) / longer}%`;
  return element("span", { class: "tile" }, patch);
}

/** Read `3, 17, 40-60, 100-` and, where there are names, any other piece as a part of a name. */
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

/** Arrow keys walk through items laid out in rows; only the current one is a tab stop. */
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

  /** Walk through these items from now on. */
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

  /** The item nearest across in the next row that way. */
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

/** One picture, large, with all its metrics. `describe(item)` gives {title, source, rows: [[label, value, bad?]]}
 *  and, where it is not simply the file at `source`, the picture's element as `picture`. */
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
    // A button that went dead under the focus would drop it: at an end it stays alive, and says so.
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

// Every dialog closes by its button and by a click beside it.
document.addEventListener("click", (event) => {
  const dialog = event.target.closest("dialog");
  if (dialog && (event.target === dialog || event.target.closest("[data-close]"))) dialog.close();
});

function showHelp() {
  document.querySelector("dialog.help").showModal();
}

/** Keys that work anywhere on the page: `/` goes to the filter, `?` shows the keys. */
function listenForKeys(filter) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog")) return;
    const act = { "/": () => filter.select(), "?": showHelp }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}
