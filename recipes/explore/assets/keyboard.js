// Keys: arrows through a grid, and the page's own letters.

/** The neighbour of `node` among `nodes` laid out as a grid, in the direction of an arrow key; null at the edge. */
function neighbour(nodes, node, key) {
  const at = nodes.indexOf(node);
  const straight = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: nodes.length - 1 }[key];
  if (straight !== undefined) return nodes[straight] ?? null;
  const here = node.getBoundingClientRect();
  const down = key === "ArrowDown" || key === "PageDown";
  const rows = key.startsWith("Page") ? Math.max(1, Math.floor(innerHeight / here.height) - 1) : 1;
  const columns = columnsOf(nodes);
  const index = at + (down ? 1 : -1) * columns * rows;
  if (index < 0) return key === "PageUp" ? nodes[0] : null;
  return nodes[index] ?? (key === "PageDown" ? nodes.at(-1) : null);
}

function columnsOf(nodes) {
  const topOf = (node) => node.getBoundingClientRect().top;
  const top = topOf(nodes[0]);
  const next = nodes.findIndex((node) => topOf(node) > top + 4);
  return next < 0 ? nodes.length : next;
}

const MOVES = new Set(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "PageUp", "PageDown"]);

/** Let the arrow keys walk through links of a grid; one of them alone is in the order of the Tab key. */
export function walkable(grid, selector) {
  const nodes = () => [...grid.querySelectorAll(selector)].filter((node) => node.offsetParent !== null);
  const mark = (node) => {
    for (const other of grid.querySelectorAll(`${selector}[tabindex="0"]`)) other.tabIndex = -1;
    node.tabIndex = 0;
  };
  grid.addEventListener("focusin", ({ target }) => { if (target.matches(selector)) mark(target); });
  grid.addEventListener("keydown", (event) => {
    if (!MOVES.has(event.key) || event.ctrlKey || event.metaKey || event.altKey || !event.target.matches(selector)) return;
    const next = neighbour(nodes(), event.target, event.key);
    if (!next) return;
    event.preventDefault();
    next.focus();
  });
  return { mark };
}

/** Act on single keys anywhere but in inputs and dialogs. `keys`: {key: (event) => void}. */
export function listenForKeys(keys) {
  const listen = (event) => {
    const typing = event.target.closest?.("input:not([type=range], [type=checkbox]), textarea, select, dialog");
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || typing) return;
    const sliding = event.target.closest?.("input[type=range]") && event.key.startsWith("Arrow");
    const act = sliding ? null : keys[event.key];
    if (act && act(event) !== false) event.preventDefault();
  };
  document.addEventListener("keydown", listen);
  return () => document.removeEventListener("keydown", listen);
}

/** [rows, columns] that an arrow key goes; null for other keys. */
export function walkStep({ key, ctrlKey, metaKey, altKey }) {
  if (ctrlKey || metaKey || altKey) return null;
  return { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[key] ?? null;
}
