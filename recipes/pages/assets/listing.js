
"use strict";
// A listing: pictures that can be filtered, resized, navigated, enlarged and linked to. A single state, kept in the URL
// fragment, decides what is shown. Each page defines the layout of its pictures and their details.

const metricsOf = (unit) => unit.metrics ?? {};
const capital = (word) => word[0].toUpperCase() + word.slice(1);
const isOriginal = (unit) => unit.objective === "original";
const isSilent = (unit) => unit.status === "silent";
const isStopped = (unit) => (unit.status ?? "ok") !== "ok";

const shotOf = new Map(); // an item of the listing (usually a unit) -> the button that shows it; itemOf is the inverse
const itemOf = new WeakMap();

/** The button that shows an item and enlarges it. */
function makeShot(item, attributes, ...children) {
  const shot = element("button",
    { type: "button", class: isStopped(item) ? "shot stopped" : "shot", tabindex: "-1", "aria-haspopup": "dialog", ...attributes }, ...children);
  shotOf.set(item, shot);
  itemOf.set(shot, item);
  return shot;
}

/** A unit's picture, with its status if that is not ok. */
function pictureOf(unit) {
  const picture = frame(unit.source);
  if (isStopped(unit)) picture.append(element("span", { class: "status" }, text(unit.status)));
  return picture;
}

function counted(part, total, noun) {
  return part === total ? plural(total, noun) : `${grouped.format(part)} of ${plural(total, noun)}`;
}

/** Show the matching rows only; if the words of a section itself match, show all of its rows. */
function sift(sections, query) {
  const term = query.trim().toLowerCase();
  for (const { section, words, rows = [] } of sections) {
    const all = words.includes(term);
    for (const { row, words } of rows) row.hidden = !all && !words.includes(term);
    section.hidden = !all && rows.every(({ row }) => row.hidden);
  }
  return { seen: sections.filter(({ section }) => !section.hidden).length, total: sections.length };
}

/**
 * The state: `query`, `size`, one value of each of `choices`, a subset of each of `sets`, and the enlarged item.
 *
 * root: the element that contains the shots.
 * noun: what is counted.
 * usualSize: default size of a picture, in pixels.
 * choices: name -> all values, the default first; those of `sort` come from its control.
 * sets: name -> all values; by default none is chosen.
 * cleared: further state that `reset` sets.
 * arrange(state): lays out the items that match; returns {seen, total} and optionally `why` no item matches.
 * resized(): called after the size of the pictures has changed.
 * describe(item): the content of the lightbox.
 * opened, keyOf(item): name and value of the enlarged item in the fragment.
 */
class Listing {
  state = { query: "" };
  items = [];

  constructor({ root, noun = "picture", usualSize, choices = {}, sets = {}, cleared = {}, arrange, resized = () => {}, describe,
    opened = "unit", keyOf = (unit) => unit.file }) {
    const sort = $("sort") ? { sort: [...$("sort").options].map(({ value }) => value) } : {};
    Object.assign(this, { root, noun, usualSize, choices: { ...sort, ...choices }, sets, cleared, arrange, resized, opened, keyOf });
    this.walk = new Walk(root, ".shot");
    this.lightbox = new Lightbox({
      items: () => this.items,
      describe,
      onShow: () => this.write(),
      onClose: (item) => {
        this.walk.focus(shotOf.get(item));
        this.write();
      },
    });
  }

  /** Restore the state from the fragment, and listen to events. */
  start() {
    const on = (target, type, act) => target.addEventListener(type, act);
    on(this.root, "click", ({ target }) => {
      const shot = target.closest(".shot");
      if (shot) this.lightbox.show(itemOf.get(shot));
    });
    on($("query"), "input", ({ target }) => this.change({ query: target.value }));
    on($("query"), "keydown", (event) => {
      if (event.key !== "Enter" && event.key !== "ArrowDown") return;
      event.preventDefault();
      this.walk.focus();
    });
    if ($("sort")) on($("sort"), "change", ({ target }) => this.change({ sort: target.value }));
    on($("size"), "input", ({ target }) => {
      this.state.size = Number(target.value);
      this.resize();
      this.write();
    });
    on($("reset"), "click", () => {
      const none = Object.keys(this.sets).map((name) => [name, new Set()]);
      this.change({ query: "", ...Object.fromEntries(none), ...this.cleared });
      $("query").value = "";
      $("query").focus();
    });
    on($("help"), "click", showHelp);
    listenForKeys($("query"));
    on(window, "hashchange", () => this.restore());
    this.restore();
  }

  change(changes) {
    Object.assign(this.state, changes);
    this.apply();
  }

  apply() {
    const { seen, total, why = `No ${this.noun} matches.` } = this.arrange(this.state);
    const shots = [...this.root.querySelectorAll(".shot")].filter((shot) => !shot.closest("[hidden]"));
    this.items = shots.map((shot) => itemOf.get(shot));
    $("count").textContent = counted(seen, total, this.noun);
    $("empty").hidden = seen > 0;
    $("reset").hidden = total === 0;
    $("empty").firstElementChild.textContent = total ? why : `There are no ${this.noun}s yet.`;
    this.walk.update(shots);
    this.resize();
    this.write();
  }

  resize() {
    this.root.style.setProperty("--thumb", `${this.state.size}px`);
    this.resized();
  }

  write() {
    const parameters = new URLSearchParams(), { state } = this;
    for (const name of Object.keys(this.sets)) for (const value of state[name]) parameters.append(name, value);
    if (state.query.trim()) parameters.set("show", state.query.trim());
    for (const [name, [usual]] of Object.entries(this.choices)) if (state[name] !== usual) parameters.set(name, state[name]);
    if (state.size !== this.usualSize) parameters.set("size", state.size);
    const key = this.lightbox.item && this.keyOf(this.lightbox.item);
    if (key) parameters.set(this.opened, key);
    fragment.write(parameters);
  }

  restore() {
    const parameters = fragment.read(), { state } = this;
    const size = Number(parameters.get("size")), { min, max } = $("size");
    for (const [name, known] of Object.entries(this.sets)) state[name] = new Set(parameters.getAll(name).filter((value) => known.includes(value)));
    for (const [name, known] of Object.entries(this.choices)) state[name] = known.includes(parameters.get(name)) ? parameters.get(name) : known[0];
    state.query = parameters.get("show") ?? "";
    state.size = size >= min && size <= max ? size : this.usualSize;
    for (const name of ["query", "sort", "size"]) if ($(name)) $(name).value = state[name];
    this.apply();
    const key = parameters.get(this.opened);
    const item = key === null ? undefined : this.items.find((each) => this.keyOf(each) === key);
    if (item) this.lightbox.show(item);
    else if (this.lightbox.item) this.lightbox.close();
  }
}
