// The start: the network is fetched, the connection made, and the view of the address shown.

import { api } from "./api.js";
import { showConnection, showWork } from "./connection.js";
import { element } from "./dom.js";
import { Events } from "./events.js";
import { listenForKeys } from "./keyboard.js";
import { layerGrid } from "./layer_grid.js";
import { mixing } from "./mixing.js";
import { Network } from "./network.js";
import { networkMap } from "./network_map.js";
import { catchPhotos } from "./photo_drop.js";
import { photoView } from "./photo.js";
import { Router } from "./router.js";
import { Search } from "./search.js";
import { unitView } from "./unit_view.js";
import { Units } from "./units.js";

const $ = (id) => document.getElementById(id);

/** A view of one clear line, for addresses that lead nowhere. */
function lost(message) {
  return { title: "not found", up: "#/", node: element("div", { class: "view" }, element("h1", {}, "Not in this network"), element("p", { class: "notice" }, message), element("p", {}, element("a", { href: "#/" }, "To the network’s map"))) };
}

/** The view of an address. */
function viewOf(app, [kind, ...rest], options) {
  if (kind === undefined) return networkMap(app);
  if (kind === "mix") return mixing(app, rest.join("/"), options);
  if (kind === "photo" && rest[0]) return photoView(app, rest[0], rest[1], options);
  const layer = app.network.layer(rest[0]);
  if (!layer?.channels) return lost(`There is no layer “${rest[0] ?? kind}” with units. The map lists all layers.`);
  if (kind === "layer") return layerGrid(app, layer, options);
  const channel = Number(rest[1]);
  if (kind !== "unit" || !Number.isInteger(channel) || channel < 0 || channel >= layer.channels) {
    return lost(`There is no unit “${rest[1] ?? ""}” in ${layer.address}: it has units 0 to ${layer.channels - 1}.`);
  }
  return unitView(app, layer, channel, options);
}

function listen(app, router) {
  const search = new Search($("search"), $("found"), app.network, () => router.view?.layer ?? null, app.units);
  const help = document.querySelector("dialog.help");
  $("help-button").addEventListener("click", () => help.showModal());
  help.addEventListener("click", ({ target }) => { if (target === help || target.closest("[data-close]")) help.close(); });
  document.querySelector("[data-skip]").addEventListener("click", (event) => { event.preventDefault(); $("main").focus(); });
  const goUp = () => { if (router.view?.up) location.hash = router.view.up; };
  const asView = (event) => router.view?.onKey?.(event) ?? false;
  listenForKeys({ "/": () => search.focus(), "?": () => help.showModal(), Escape: goUp, m: asView, ArrowLeft: asView, ArrowRight: asView, ArrowUp: asView, ArrowDown: asView });
}

async function start() {
  const events = new Events();
  showConnection(events, $("connection"));
  showWork(events, $("work"));
  const app = { events, units: new Units(events), network: new Network(await api.network()) };
  await events.connect();
  const router = new Router((parts, options) => viewOf(app, parts, options), $("main"));
  listen(app, router);
  catchPhotos();
  await router.show(false);
}

start().catch((error) => {
  $("main").replaceChildren(element("div", { class: "view" }, element("h1", {}, "The network cannot be shown"), element("p", { class: "notice", role: "alert" }, error.message)));
  console.error(error);
});
