// A run of a recipe at the server: started with settings, followed by events, stopped when its view closes.

import { ApiError, api } from "./api.js";
import { debounced } from "./dom.js";

const PAUSE = 90; // milliseconds between two settings of a slider that moves
const LIVE = new Set(["waiting", "running"]);

/**
 * One place of a page that shows runs: a newer one takes the place of the older one.
 * `watcher`: {onState(state), onPictures(pictures, share), onFinished(result), onError(message)}.
 */
export class RunSlot {
  #turn = 0;
  #posting = false;
  #next = null;
  #run = null;
  #state = null;
  #early = new Map(); // run -> its newest event, which may come before the answer that names the run
  #endings;
  #send = debounced(PAUSE, () => this.#post());

  constructor(events, slot, watcher) {
    this.slot = slot;
    this.watcher = watcher;
    this.#endings = [events.on("run", (event) => this.#onEvent(event)), events.on("back", () => this.#again())];
  }

  get live() {
    return LIVE.has(this.#state) || this.#next !== null || this.#posting;
  }

  /** Run a recipe; `soon` waits for the end of a quick series of changes. */
  start(recipe, settings, soon = false) {
    this.#turn++;
    this.#next = { recipe, settings };
    this.last = this.#next;
    if (soon) this.#send();
    else this.#post();
  }

  async #post() {
    if (this.#posting || !this.#next) return;
    const { recipe, settings } = this.#next;
    const turn = this.#turn;
    this.#next = null;
    this.#posting = true;
    this.#run = null;
    try {
      const answer = await api.start(recipe, settings, this.slot);
      if (turn === this.#turn) this.#onStarted(answer);
    } catch (error) {
      if (turn === this.#turn) this.#fail(error);
    } finally {
      this.#posting = false;
      if (this.#next) this.#send();
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
    if (event.pictures?.length) this.watcher.onPictures?.(event.pictures, event.steps ? event.step / event.steps : event.share);
    if (event.state === "finished") return void this.#fetch();
    if (event.state === "failed") return this.#fail(new ApiError(event.message, 400));
    this.#setState(event);
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
    this.#send.cancel();
    this.#next = null;
    if (this.#run && LIVE.has(this.#state)) api.stop(this.#run).catch(() => {});
    this.#setState({ state: "stopped", share: 0 });
  }

  close() {
    for (const end of this.#endings) end();
    this.watcher = {};
    if (this.live) this.stop();
  }
}
