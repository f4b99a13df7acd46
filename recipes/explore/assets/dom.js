// Elements and texts. What comes from networks and files only ever becomes a text node or an attribute value, never markup.

/** Create an element. Attributes that are null or false are left out; functions are listeners: `{ onclick: act }`. */
export function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** Create an SVG element. */
export function drawn(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const grouped = new Intl.NumberFormat("en");
const rounded = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

/** A number for readers: integers in full, others to three significant digits; a dash where there is none. */
export function number(value) {
  if (!Number.isFinite(value)) return "–";
  return Number.isInteger(value) ? grouped.format(value) : rounded.format(value);
}

export function plural(count, noun, nouns = `${noun}s`) {
  return `${grouped.format(count)} ${count === 1 ? noun : nouns}`;
}

/** A duration for readers. */
export function duration(seconds) {
  if (seconds < 1.5) return "1 s";
  return seconds < 90 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}

/** A share from 0 to 1 as a percentage. */
export function percent(share) {
  return `${number(Math.round(share * (share < 0.1 ? 1000 : 100)) / (share < 0.1 ? 10 : 1))} %`;
}

/** Say something to screen readers without showing it. */
export function announce(text) {
  document.getElementById("announcer").textContent = text;
}

/** Call `act` once, `pause` milliseconds after the last of several calls. */
export function debounced(pause, act) {
  let timer = 0;
  const later = (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => act(...values), pause);
  };
  later.cancel = () => clearTimeout(timer);
  return later;
}
