// What a run is waiting for, how far it is, how long it takes, a button that stops it, and the error if it failed.

import { announce, duration, element, percent } from "./dom.js";

export class RunProgress {
  #bar = element("progress", { max: 1, value: 0, "aria-label": "Progress" });
  #text = element("span", { class: "progress-text" });
  #error = element("p", { class: "notice", role: "alert", hidden: true });
  #stop;
  #first = null; // {time, share} when its steps began
  #said = null;

  /** @param {() => void} onStop what the button does; null for a run without one. */
  constructor(onStop = null) {
    this.#stop = element("button", { type: "button", class: "small", onclick: () => onStop() }, "Stop");
    this.#stop.hidden = onStop === null;
    this.line = element("div", { class: "progress-line", hidden: true }, this.#bar, this.#text, this.#stop);
    this.node = element("div", { class: "run-progress" }, this.line, this.#error);
  }

  show(event) {
    const live = event.state === "waiting" || event.state === "running";
    this.line.hidden = !live;
    this.#error.hidden = event.state !== "failed";
    if (event.state === "failed") this.#error.textContent = event.message || "this view could not be made: the terminal says why";
    if (event.state !== "running") this.#first = null;
    if (live) this.#showLive(event);
    this.#announce(event);
  }

  #showLive(event) {
    const { state, share = 0, step, steps, message } = event;
    if (state === "waiting" || (!share && !step)) this.#bar.removeAttribute("value");
    else this.#bar.value = share;
    const made = steps > 1 && step ? `step ${step} of ${steps}` : share > 0 ? percent(share) : "starting";
    const parts = state === "waiting" ? [message || "waiting for other views"] : [message || made, this.#left(share)];
    this.#text.textContent = parts.filter(Boolean).join(" · ");
  }

  #left(share) {
    const now = performance.now() / 1000;
    if (!this.#first || share < this.#first.share) this.#first = { time: now, share };
    const [made, spent] = [share - this.#first.share, now - this.#first.time];
    if (made < 0.05 || spent < 1) return "";
    const left = ((1 - share) * spent) / made;
    return left < 1 ? "" : `${duration(left)} left`;
  }

  /** Screen readers hear beginnings and ends, not every step. */
  #announce({ state, message }) {
    if (state === this.#said) return;
    this.#said = state;
    const words = { waiting: message || "waiting", running: "being made", finished: "finished", stopped: "stopped" }[state];
    if (words) announce(words);
  }

  error(message) {
    this.show({ state: "failed", message });
  }
}
