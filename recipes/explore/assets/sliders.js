// Native inputs with a label and their value in words.

import { element } from "./dom.js";

let count = 0;
const newId = (kind) => `${kind}-${++count}`;

/** A slider over the numbers of `values`, or from `min` to `max` in steps. */
export function slider({ label, hint, values = null, min = 0, max = 1, step = 1, value, format = String, onInput }) {
  const id = newId("slider");
  const output = element("span", { class: "value", "aria-hidden": "true" });
  const at = values ? nearest(values, value) : value;
  const input = element("input", { id, type: "range", min: values ? 0 : min, max: values ? values.length - 1 : max, step: values ? 1 : step, value: at, "aria-describedby": hint ? `${id}-hint` : null });
  const read = () => (values ? values[Number(input.value)] : Number(input.value));
  const say = () => {
    output.textContent = format(read());
    input.setAttribute("aria-valuetext", format(read()));
  };
  input.addEventListener("input", () => { say(); onInput(read()); });
  say();
  const node = element("div", { class: "control" }, element("label", { for: id }, label), output, input, hint ? element("p", { id: `${id}-hint`, class: "hint" }, hint) : null);
  const set = (next) => { input.value = values ? nearest(values, next) : next; say(); };
  return { node, input, read, set };
}

function nearest(values, value) {
  return values.reduce((best, each, index) => (Math.abs(each - value) < Math.abs(values[best] - value) ? index : best), 0);
}

/** A menu; choices are texts, or {name, title, help}; the help of the chosen one is shown, else `hint`. */
export function menu({ label, hint: usual = "", choices, value, onInput }) {
  const id = newId("menu");
  const options = choices.map((choice) => (typeof choice === "string" ? { name: choice } : choice));
  const select = element("select", { id }, ...options.map(({ name, title, help }) => element("option", { value: name, title: help, selected: name === value }, title ?? name)));
  const hint = element("p", { class: "hint" });
  const say = () => { hint.textContent = options.find(({ name }) => name === select.value)?.help || usual; };
  select.addEventListener("change", () => { say(); onInput(select.value); });
  say();
  return { node: element("div", { class: "control" }, element("label", { for: id }, label), select, hint), select, read: () => select.value };
}

/** A switch. */
export function toggle({ label, hint, value, onInput }) {
  const id = newId("toggle");
  const input = element("input", { id, type: "checkbox", checked: value });
  input.addEventListener("change", () => onInput(input.checked));
  return { node: element("div", { class: "control toggle" }, input, element("label", { for: id }, label), hint ? element("p", { class: "hint" }, hint) : null), read: () => input.checked };
}
