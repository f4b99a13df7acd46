
"use strict";
// The search: units of all layers by name, by the other words that describe them, and classes; a number finds its units.

const EACH = 48;
const rows = data.units.map(([place, channel, name, more = ""]) => ({ place, channel, name, text: `${name}, ${more}`.toLowerCase() }));

/** How well a unit answers: by its name, a word of it or of the others, the start of a word, any part; 0 for not at all. */
function answers({ name, text: words, channel }, term) {
  if (/^\d+$/.test(term)) return channel === Number(term) ? 4 : 0;
  const at = words.indexOf(term);
  if (at < 0) return 0;
  if (name.toLowerCase() === term) return 4;
  if (` ${words} `.split(/[^\p{L}\p{N}]+/u).join(" ").includes(` ${term} `)) return 3;
  return at === 0 || /[^\p{L}]/u.test(words[at - 1]) ? 2 : 1;
}

function show(query) {
  const term = query.trim().toLowerCase();
  fragment.write(new URLSearchParams(term ? { q: query.trim() } : {}));
  const found = term ? rows.map((row) => ({ ...row, rank: answers(row, term) })).filter(({ rank }) => rank) : [];
  const names = rows.filter(({ name }) => name).length;
  const help = `Type a word, such as ${example ? `“${example}”` : "the name of a class"}, or the number of a unit. ${grouped.format(names)} of ${plural(rows.length, "unit")} have names.`;
  $("count").textContent = found.length ? `${plural(found.length, "unit")} found` : term ? `None is called so. ${help}` : help;
  const order = data.layers.map((_, place) => place).sort((a, b) => isClasses(b) - isClasses(a));  // classes first
  $("found").replaceChildren(...order.flatMap((place) => {
    const here = found.filter((row) => row.place === place).sort((a, b) => b.rank - a.rank || a.channel - b.channel);
    if (!here.length) return [];
    const note = here.length > EACH ? `the first ${EACH} of ${grouped.format(here.length)}` : plural(here.length, nounOf(place), isClasses(place) ? "classes" : "units");
    return [element("section", {}, element("h2", {}, `${nameOfLayer(place)} `, element("small", {}, note)),
      element("ul", { class: "row", role: "list" }, ...here.slice(0, EACH).map(({ channel, name }) => element("li", {},
        unitLink(place, channel, name || String(channel), ...(name ? [String(channel)] : []))))))];
  }));
}

const query = $("query"), example = rows.findLast(({ name }) => name)?.name;
query.addEventListener("input", () => show(query.value));
window.addEventListener("hashchange", () => start());
function start() {
  query.value = fragment.read().get("q") ?? "";
  show(query.value);
}
start();
listenForKeys(query);
if (matchMedia("(pointer: fine)").matches) query.focus();
