// Reports to the server which units are on the screen, so that their pictures are made first.

import { api } from "./api.js";
import { debounced } from "./dom.js";

const PAUSE = 100; // milliseconds without a change before a report
const MOST = 300; // units of a report; more than a screen holds

let posted = Promise.resolve(); // reports go one after the other: a late one of a closed view must not undo that of the next

export class Demands {
  #observer = new IntersectionObserver((entries) => this.#onSeen(entries), { rootMargin: "120px 0px" });
  #units = new Map(); // element -> {layer, channel}
  #visible = new Map(); // layer -> Set of elements
  #changed = new Set();
  #report = debounced(PAUSE, () => this.#send());
  #closed = false;

  /** Report this element's unit while it is on the screen; in a view that has closed, nobody sees it. */
  observe(node, layer, channel) {
    if (this.#closed) return;
    this.#units.set(node, { layer, channel });
    this.#observer.observe(node);
  }

  #onSeen(entries) {
    for (const { target, isIntersecting } of entries) {
      const { layer } = this.#units.get(target);
      if (!this.#visible.has(layer)) this.#visible.set(layer, new Set());
      if (isIntersecting) this.#visible.get(layer).add(target);
      else this.#visible.get(layer).delete(target);
      this.#changed.add(layer);
    }
    this.#report();
  }

  /** Report everything again, to a server that does not know it. */
  repeat() {
    for (const layer of this.#visible.keys()) this.#changed.add(layer);
    this.#report();
  }

  /** The layer that stands first on the page is reported last: the newest report is served first. */
  #send() {
    const layers = [...this.#changed].map((layer) => [layer, inOrder(this.#visible.get(layer) ?? new Set())]);
    this.#changed.clear();
    layers.sort(([, a], [, b]) => (a[0] && b[0] ? -orderOf(a[0], b[0]) : a.length - b.length));
    for (const [layer, nodes] of layers) this.#post(layer, nodes.slice(0, MOST).map((node) => this.#units.get(node).channel));
  }

  #post(layer, channels) {
    posted = posted.then(() => api.visible(layer, channels)).catch(() => {}); // a lost connection has its banner, and repeats the report
  }

  close() {
    if (this.#closed) return;
    this.#closed = true;
    this.#observer.disconnect();
    this.#report.cancel();
    for (const layer of this.#visible.keys()) this.#post(layer, []);
  }
}

const orderOf = (a, b) => (a.compareDocumentPosition(b) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1);
const inOrder = (nodes) => [...nodes].sort(orderOf);
