// A photograph as the network takes it, cut to the input's proportions, with a grid of positions or a picture above it.

import { element } from "./dom.js";
import { walkStep } from "./keyboard.js";

/** The photograph in a frame; what stands above it is appended to `node`. */
export function photoBoard(photo, input) {
  const node = element("div", { class: "board" }, element("img", { class: "board-photo", src: photo.url, alt: "Your photograph", draggable: "false" }));
  node.style.setProperty("--aspect", `${input.width} / ${input.height}`);
  return node;
}

/**
 * Let somebody point at one of `rows` times `columns` positions, by pointer or by the arrow keys.
 * `onMove(row, column)` follows the pointer; `onChoose(row, column)` comes when it rests or is lifted.
 */
export class Pointing {
  #cell = element("span", { class: "cell", "aria-hidden": "true" });
  #pressed = false;

  constructor(board, { onMove, onChoose }) {
    Object.assign(this, { board, onMove, onChoose, rows: 1, columns: 1, at: [0, 0] });
    this.surface = element("div", { class: "surface", tabindex: "0", role: "application", "aria-roledescription": "grid of positions" }, this.#cell);
    board.append(this.surface);
    this.surface.addEventListener("pointerdown", (event) => { this.#pressed = true; this.surface.setPointerCapture(event.pointerId); this.#move(event); });
    this.surface.addEventListener("pointermove", (event) => { if (this.#pressed) this.#move(event); });
    this.surface.addEventListener("pointerup", (event) => { if (this.#pressed) { this.#pressed = false; this.#move(event); this.#choose(); } });
    this.surface.addEventListener("pointercancel", () => { this.#pressed = false; });
    this.surface.addEventListener("keydown", (event) => this.#onKey(event));
  }

  /** Set the grid and the position. */
  set(rows, columns, [row, column]) {
    Object.assign(this, { rows, columns });
    this.#cell.style.width = `${100 / columns}%`;
    this.#cell.style.height = `${100 / rows}%`;
    this.#place(Math.min(row, rows - 1), Math.min(column, columns - 1));
  }

  #place(row, column) {
    this.at = [row, column];
    this.#cell.style.left = `${(100 * column) / this.columns}%`;
    this.#cell.style.top = `${(100 * row) / this.rows}%`;
    this.surface.setAttribute("aria-label", `Position: row ${row + 1} of ${this.rows}, column ${column + 1} of ${this.columns}. The arrow keys move it.`);
    this.onMove?.(row, column);
  }

  #move({ clientX, clientY }) {
    const { left, top, width, height } = this.surface.getBoundingClientRect();
    const inside = (share, count) => Math.max(0, Math.min(count - 1, Math.floor(share * count)));
    this.#place(inside((clientY - top) / height, this.rows), inside((clientX - left) / width, this.columns));
  }

  #choose() {
    this.onChoose(...this.at);
  }

  #onKey(event) {
    const step = walkStep(event);
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    const [row, column] = [this.at[0] + step[0], this.at[1] + step[1]];
    if (row < 0 || column < 0 || row >= this.rows || column >= this.columns) return;
    this.#place(row, column);
    this.#choose();
  }
}
