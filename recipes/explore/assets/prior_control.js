// A prior with its options: a menu, and a number for each option that a page may set. Written as NAME:OPTION=VALUE,...

import { element, number } from "./dom.js";
import { menu } from "./sliders.js";

let count = 0;

/** `priors`: [{name, help, options: [{name, default}]}]; `value` and what `onInput` gets are the written form. */
export function priorControl({ priors, value, onInput }) {
  let { name, given } = parsed(value);
  const details = element("details", { class: "prior-options", open: Object.keys(given).length > 0 });
  const choose = (next) => { name = next; given = {}; build(); hand(); };
  const choice = menu({ label: "Prior", hint: "how the picture is represented while it is made", choices: priors, value: name, onInput: choose });
  const hand = () => onInput(written(name, given));
  choice.node.append(details);
  build();
  return choice;

  function build() {
    const options = priors.find((prior) => prior.name === name)?.options ?? [];
    details.hidden = !options.length;
    details.replaceChildren(element("summary", {}, "Its options"), ...options.map(field));
  }

  function field(option) {
    const id = `prior-option-${++count}`;
    const usual = option.default === null ? "automatic" : number(option.default);
    const input = element("input", { id, type: "number", step: "any", value: given[option.name] ?? "", placeholder: usual });
    input.addEventListener("change", () => {
      if (input.value === "" || Number(input.value) === option.default) delete given[option.name];
      else given[option.name] = input.value;
      hand();
    });
    return element("div", { class: "prior-option" }, element("label", { for: id }, option.name.replaceAll("_", " ")), input);
  }
}

function parsed(text) {
  const [name, rest = ""] = String(text).split(/:(.*)/s);
  return { name, given: Object.fromEntries(rest.split(",").map((part) => part.split("=").map((side) => side.trim())).filter(([, value]) => value)) };
}

function written(name, given) {
  const options = Object.entries(given).map(([key, value]) => `${key}=${value}`).join(",");
  return options ? `${name}:${options}` : name;
}
