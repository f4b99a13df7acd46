// A unit in a grid or a strip: its picture as it develops, its number, its name, and how well it does.

import { element, number } from "./dom.js";
import { Picture } from "./picture.js";
import { linkTo } from "./router.js";

const STATUS = { silent: "silent: no picture activates it", failed: "could not be made" };

/** "above 99 % of pictures" for a percentile, else the score. */
export function standing({ percentile, score, status }) {
  if (status && status !== "ok") return STATUS[status] ?? status;
  if (percentile >= 100) return "above all photographs";
  if (Number.isFinite(percentile)) return `above ${number(Math.floor(percentile * 10) / 10)} % of photographs`;
  return Number.isFinite(score) ? `activation ${number(score)}` : "";
}

function shortStanding({ percentile, score, status }) {
  if (status && status !== "ok") return status;
  return Number.isFinite(percentile) ? `${number(Math.floor(percentile * 10) / 10)} %` : Number.isFinite(score) ? number(score) : "";
}

export class UnitTile {
  #stop;

  /**
   * @param {Units} units which are followed.
   * @param {string} layer address.
   * @param {object} record of the unit: {channel, url, name, ...}.
   */
  constructor(units, layer, record, attributes = {}) {
    this.layer = layer;
    this.record = record;
    this.picture = new Picture(String(record.channel));
    this.standing = element("span", { class: "standing" });
    this.name = element("span", { class: "name" });
    this.node = element("a", { class: "tile-link", href: linkTo(["unit", layer, record.channel]), ...attributes },
      this.picture.node,
      element("span", { class: "tile-caption" }, element("b", {}, String(record.channel)), this.name, this.standing));
    this.#stop = units.watch(layer, record.channel, {
      onCoarse: ({ src, step, steps }) => this.picture.show(src, "", step / steps),
      onUnit: (unit) => this.update(unit),
    });
    this.update(record);
  }

  update(record) {
    this.record = { ...record, name: record.name ?? this.record.name ?? record.words?.[0] ?? null };
    if (record.url) this.picture.show(record.url);
    const name = this.record.name ?? "";
    this.name.textContent = name;
    this.standing.textContent = shortStanding(record);
    this.standing.title = standing(record);
    this.node.setAttribute("aria-label", [`unit ${record.channel}`, name, standing(record)].filter(Boolean).join(", "));
  }

  close() {
    this.#stop();
  }
}
