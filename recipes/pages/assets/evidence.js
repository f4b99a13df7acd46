
"use strict";
// The evidence for and against each picture of a unit: a verdict, how often judges tell its patch, and its path.

const FAILING = {
  judges: "no judge recognises it", two_patches: "judges hardly tell its patch from others",
  percentile: "weaker than photographs", path: "processed unlike photographs", slope: "unusual spectrum", burnt: "burnt",
  saturation: "unusual colours",
};
const FOOLS = ["judges", "two_patches"];
const MEANING = {
  two_patches: "Two patches: how often a judge assigns two natural patches to two units rightly, given their pictures; 50 % is guessing.",
  path: "Path: in each layer, the share of other units' patches that the network processes less like the unit's own than it "
    + "does this picture; dashed: half, as any other patch; the dot: below 5 %, unlike natural pictures.",
  fails: "A picture fools if judges do not see in it what its network sees.",
};

const share = (value) => `${Math.round(100 * value)} %`;
const isPath = (value) => Array.isArray(value) && value.length > 1 && value.every((step) => Number.isFinite(step?.rank));

/** The judges' answers to the question of two patches, as [judge, share]. */
const answersOf = (metrics) => Object.entries(metrics ?? {})
  .filter(([name, value]) => /^two_patches( |$)/.test(name) && Number.isFinite(value))
  .map(([name, value]) => [name.slice("two_patches ".length) || "judge", value]);

const hasEvidence = ({ metrics }) => isPath(metrics?.path) || answersOf(metrics).length > 0 || failsOf(metrics).length > 0;
const failsOf = (metrics) => (Array.isArray(metrics?.fails) ? metrics.fails.filter((name) => name in FAILING) : []);

/** What fails, in words; a picture that fools says so first. */
function verdictOf(metrics) {
  const fails = failsOf(metrics).sort((a, b) => FOOLS.includes(b) - FOOLS.includes(a));
  const words = fails.map((name) => (name === "path" && metrics.path_departs ? `${FAILING.path} from ${metrics.path_departs}` : FAILING[name]));
  const fooled = fails.some((name) => FOOLS.includes(name));
  return { fooled, words: words.length ? `${fooled ? "Fools: " : "But: "}${words.join(", ")}` : "No evidence against it" };
}

function pathCurve(path) {
  const [width, height] = [72, 20];
  const at = ({ rank }, index) => [(width * index) / (path.length - 1), height * (1 - rank)];
  const leaves = path.findIndex(({ rank }) => rank < 0.05);
  const [x, y] = leaves < 0 ? [] : at(path[leaves], leaves);
  const said = leaves < 0 ? "stays with natural pictures" : `unlike natural pictures at ${path[leaves].layer}`;
  return drawn("svg", { class: "path-curve", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Path: ${said}` },
    drawn("title", {}, path.map(({ layer, rank }) => `${layer} ${rank.toFixed(2)}`).join("\n")),
    drawn("line", { class: "half", x1: 0, x2: width, y1: height / 2, y2: height / 2 }),
    drawn("polyline", { class: "ranks", points: path.map(at).map(([px, py]) => `${px.toFixed(1)},${py.toFixed(1)}`).join(" ") }),
    ...(leaves < 0 ? [] : [drawn("circle", { class: "leaves", cx: x, cy: y, r: 2.5 })]));
}

/** The evidence of one picture, below it. */
function makeEvidence({ metrics }) {
  const { fooled, words } = verdictOf(metrics);
  const answers = answersOf(metrics).map(([judge, value]) => `${judge === "judge" ? "" : `${judge} `}${share(value)}`);
  return element("span", { class: "evidence" },
    element("span", { class: fooled ? "verdict fools" : "verdict", title: words }, words),
    element("span", {}, answers.length ? `two patches ${answers.join(", ")}` : ""),
    isPath(metrics?.path) ? pathCurve(metrics.path) : null);
}

/** One line before the pictures that says what their evidence means. */
function showMeaning(before, units) {
  const has = {
    two_patches: units.some(({ metrics }) => answersOf(metrics).length), path: units.some(({ metrics }) => isPath(metrics?.path)),
    fails: units.some(({ metrics }) => failsOf(metrics).some((name) => FOOLS.includes(name))),
  };
  const words = Object.keys(MEANING).filter((name) => has[name]).map((name) => MEANING[name]);
  if (words.length) before.before(element("p", { class: "meaning" }, words.join(" ")));
}
