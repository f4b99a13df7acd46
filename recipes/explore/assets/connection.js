// The banner of a lost connection, and the line that says what the server is making.

import { announce, duration, element, number } from "./dom.js";

/** Show what becomes of the connection. */
export function showConnection(events, banner) {
  const show = (...content) => { banner.replaceChildren(...content); banner.hidden = false; };
  events.on("lost", ({ seconds }) => show(
    `The connection to the server is lost. Trying again in ${duration(seconds)}. If it was stopped, start it again and open the link that it prints. `,
    element("button", { type: "button", class: "small", onclick: () => events.retry() }, "Try now")));
  events.on("refused", () => show("The server was started again and does not know this browser any more: open the new link that it printed in its terminal, here or in another tab."));
  events.on("back", () => { banner.hidden = true; announce("connected again"); });
}

/** "40 to make · 16 s left". */
export function showWork(events, line) {
  events.on("status", ({ busy, waiting, seconds_left: seconds }) => {
    const parts = busy || waiting ? [waiting ? `${number(waiting)} to make` : "at work", seconds && waiting ? `${duration(seconds)} left` : null] : [];
    line.textContent = parts.filter(Boolean).join(" · ");
    line.classList.toggle("busy", parts.length > 0);
  });
  events.on("lost", () => { line.textContent = ""; line.classList.remove("busy"); });
}
