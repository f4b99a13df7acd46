// The server's events, over one connection that is made again, with growing pauses, whenever it is lost.

import { api, pageId } from "./api.js";

const KINDS = ["unit", "coarse", "layer", "run", "status"];
const PAUSES = [0.5, 1, 2, 3, 5]; // seconds between attempts to connect

export class Events {
  #handlers = new Map();
  #source = null;
  #attempt = 0;
  #timer = 0;
  #lost = false;
  #onOpen;
  #opened = new Promise((resolve) => { this.#onOpen = resolve; });

  /** Listen; kinds are those of the server and `lost` ({seconds}), `refused` and `back`. Returns a function that ends it. */
  on(kind, handler) {
    const handlers = this.#handlers.get(kind) ?? new Set();
    this.#handlers.set(kind, handlers.add(handler));
    return () => handlers.delete(handler);
  }

  #tell(kind, data) {
    for (const handler of [...(this.#handlers.get(kind) ?? [])]) handler(data);
  }

  /** Connect, and wait until a connection stands for the first time. */
  connect() {
    clearTimeout(this.#timer);
    this.#source?.close();
    const source = new EventSource(`/api/events?page=${pageId}`);
    this.#source = source;
    for (const kind of KINDS) source.addEventListener(kind, (event) => this.#tell(kind, JSON.parse(event.data)));
    source.onerror = () => this.#onLost();
    source.onopen = () => {
      this.#attempt = 0;
      const again = this.#lost;
      this.#lost = false;
      this.#onOpen();
      if (again) this.#tell("back");
    };
    return this.#opened;
  }

  /** Try again after a pause; also if the server refused, since its new link may be opened in another tab. */
  #onLost(refused = false) {
    this.#source?.close();
    this.#source = null;
    this.#lost = true;
    const seconds = PAUSES[Math.min(this.#attempt++, PAUSES.length - 1)];
    this.#timer = setTimeout(() => this.retry(), seconds * 1000);
    if (!refused) this.#tell("lost", { seconds });
  }

  /** Ask the server whether it is there and knows this browser; then connect again. */
  async retry() {
    clearTimeout(this.#timer);
    try {
      await api.network();
    } catch (error) {
      if (error.status === 401) this.#tell("refused");
      return this.#onLost(error.status === 401);
    }
    return this.connect();
  }
}
