// A run of a recipe at the server: started with settings, followed by events, stopped when its view closes.

import { ApiError, api } from "./api.js";

const PAUSE = 60; // milliseconds between two settings of a slider that moves
const PATIENCE = 700; // milliseconds that a run has to show a first picture before newer settings take its place
const LIVE = new Set(["waiting", "running"]);

/** The place of the page that shows a slot: a view that opens may take it, with its run, from one that closes. */
const owners = new Map();

/**
 * One place of a page that shows runs: a newer one takes the place of the older one.
 * `watcher`: {onStart(), when settings are given and when they are sent, onState(state), onPictures(pictures, share), onFinished(result), onError(message)}.
 */
export class RunSlot {
  #turn = 0;
  #posting = false;
  #next = null;
  #run = null;
  #state = null;
  #early = new Map(); // run -> its newest event, which may come before the answer that names the run
  #endings;
  #timer = 0;
  #sent = -Infinity;
  #blank = false; // has the newest run shown no picture yet?

  constructor(events, slot, watcher) {
    this.slot = slot;
    this.watcher = watcher;
    this.#endings = [events.on("run", (event) => this.#onEvent(event)), events.on("back", () => this.#again())];
  }

  get live() {
    return LIVE.has(this.#state) || this.#next !== null || this.#posting;
  }

  /** Run a recipe; `series` says that others may follow quickly, as from a slider that moves. */
  start(recipe, settings, series = false) {
    owners.set(this.slot, this);
    this.#next = { recipe, settings };
    this.last = this.#next;
    this.watcher.onStart?.();
    if (series) this.#schedule();
    else this.#post();
  }

  /** Send the newest settings, but let each run show a picture first: else a moving slider would show none. */
  #schedule() {
    clearTimeout(this.#timer);
    const wait = this.#blank && LIVE.has(this.#state) ? PATIENCE : PAUSE;
    this.#timer = setTimeout(() => this.#post(), Math.max(0, this.#sent + wait - performance.now()));
  }

  async #post() {
    if (this.#posting || !this.#next) return;
    const { recipe, settings } = this.#next;
    const turn = ++this.#turn;
    this.#next = null;
    this.#posting = true;
    this.#blank = true;
    this.#sent = performance.now();
    this.#run = null;
    this.watcher.onStart?.();
    try {
      const answer = await api.start(recipe, settings, this.slot);
      if (turn === this.#turn) this.#onStarted(answer);
      else if (!this.#next) this.#release(answer.run); // it was stopped before it had a name
    } catch (error) {
      if (turn === this.#turn) this.#fail(error);
    } finally {
      this.#posting = false;
      if (this.#next) this.#schedule();
    }
  }

  #onStarted(answer) {
    this.#run = answer.run;
    const early = this.#early.get(answer.run);
    this.#early.clear();
    if (answer.units) this.#finish(answer);
    else if (answer.state === "finished") this.#fetch();
    else this.#onEvent(early ?? { run: answer.run, slot: this.slot, state: answer.state, share: 0 });
  }

  #onEvent(event) {
    if (event.slot !== this.slot) return;
    if (event.run !== this.#run) {
      if (this.#posting) this.#early.set(event.run, event);
      return;
    }
    if (event.pictures?.length) this.#showPictures(event);
    if (event.state === "finished") return void this.#fetch();
    if (event.state === "failed") return this.#fail(new ApiError(event.message, 400));
    this.#setState(event);
  }

  #showPictures({ pictures, step, steps, share }) {
    this.watcher.onPictures?.(pictures, steps ? step / steps : share);
    if (!this.#blank) return;
    this.#blank = false;
    if (this.#next) this.#schedule();
  }

  #setState(event) {
    this.#state = event.state;
    this.watcher.onState?.(event);
  }

  async #fetch() {
    const turn = this.#turn;
    try {
      const result = await api.run(this.#run);
      if (turn === this.#turn) this.#finish(result);
    } catch (error) {
      if (turn === this.#turn) this.#fail(error);
    }
  }

  #finish(result) {
    this.#setState({ state: "finished", share: 1 });
    this.watcher.onFinished?.(result);
  }

  #fail(error) {
    this.#setState({ state: "failed", share: 0, message: error.message });
    this.watcher.onError?.(error.message);
  }

  /** The connection was lost: what was being made may be unknown to the server, and is started again. */
  #again() {
    if (this.last && this.#state !== "finished" && this.#state !== "stopped") this.start(this.last.recipe, this.last.settings);
  }

  /** Stop the run, and keep what is shown. */
  stop() {
    this.#turn++;
    clearTimeout(this.#timer);
    this.#next = null;
    if (this.#run && LIVE.has(this.#state)) this.#release(this.#run);
    this.#setState({ state: "stopped", share: 0 });
  }

  /** Stop it at the server, unless another view takes the slot at once: a newer run of a slot ends the older one by itself. */
  #release(run) {
    setTimeout(() => { if (owners.get(this.slot) === this && !this.live) api.stop(run).catch(() => {}); }, 50);
  }

  close() {
    for (const end of this.#endings) end();
    this.watcher = {};
    if (this.live) this.stop();
  }
}
