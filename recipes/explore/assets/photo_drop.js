// A place for a photograph: chosen, dropped anywhere on the page, or pasted.

import { ApiError, api } from "./api.js";
import { announce, element } from "./dom.js";
import { linkTo } from "./router.js";

const LARGEST = 20e6; // bytes, what the server takes

/** Send a picture to the server, which answers with its id and what the network takes it for. */
function send(file) {
  if (file.size > LARGEST) throw new ApiError(`${file.name || "the picture"}: ${Math.round(file.size / 1e6)} MB; expected at most ${LARGEST / 1e6} MB: make it smaller`, 413);
  return api.addPhoto(file);
}

async function open(file, say) {
  say(`Sending ${file.name || "the picture"}…`, false);
  announce("sending the photograph");
  try {
    const { photo } = await send(file);
    location.hash = linkTo(["photo", photo]);
  } catch (error) {
    say(error.message, true);
  }
}

/** The zone of the first view. */
export function photoDrop() {
  const words = element("span", { class: "drop-words" }, element("b", {}, "Drop a photograph"), " or choose one, to see what the network sees in it");
  const message = element("p", { class: "drop-message", role: "status", hidden: true });
  const say = (text, failed) => {
    message.textContent = text;
    message.hidden = false;
    message.classList.toggle("failed", failed);
  };
  const input = element("input", { type: "file", accept: "image/*", class: "unseen", id: "photo-file", onchange: () => { if (input.files[0]) open(input.files[0], say); input.value = ""; } });
  const zone = element("div", { class: "drop" }, input, element("label", { for: "photo-file" }, icon(), words), message);
  zone.addEventListener("photo", ({ detail }) => open(detail, say));
  return zone;
}

const icon = () => element("span", { class: "drop-icon", "aria-hidden": "true" });

/** Take pictures dropped or pasted anywhere: at the zone if the view has one, else at the first view. */
export function catchPhotos() {
  const has = ({ dataTransfer }) => [...(dataTransfer?.types ?? [])].includes("Files");
  let depth = 0;
  const over = (on) => document.body.classList.toggle("dropping", on);
  addEventListener("dragenter", (event) => { if (has(event)) over(++depth > 0); });
  addEventListener("dragleave", (event) => { if (has(event)) over(--depth > 0); });
  addEventListener("dragover", (event) => { if (has(event)) event.preventDefault(); });
  addEventListener("drop", (event) => {
    if (!has(event)) return;
    event.preventDefault();
    over((depth = 0));
    deliver(event.dataTransfer.files[0]);
  });
  addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files ?? [])].find(({ type }) => type.startsWith("image/"));
    if (file) deliver(file);
  });
}

function deliver(file) {
  if (!file) return;
  const zone = document.querySelector(".drop");
  if (zone) return void zone.dispatchEvent(new CustomEvent("photo", { detail: file }));
  addEventListener("hashchange", () => setTimeout(() => deliver(file)), { once: true });
  location.hash = "#/";
}
