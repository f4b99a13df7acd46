
"use strict";
// Inpainting: rows of three pictures.

const kinds = { masked: "masked", restored: "restored", original: "original" };
const restoredOf = (picture) => picture.units.find((unit) => unit.objective === "restored");
const percent = (share) => `${(100 * share).toFixed(1)} %`;
const decibels = (value) => `${value.toFixed(1)} dB`;

// ---- The rows ----

/** The metric in the caption of a picture, next to its kind. */
function metricOf(unit, picture) {
  const { psnr } = metricsOf(unit);
  const missing = unit.objective === "masked" ? metricsOf(restoredOf(picture) ?? {}).missing : null;
  if (Number.isFinite(psnr)) return decibels(psnr);
  return Number.isFinite(missing) ? `${percent(missing)} missing` : "";
}

function titleOf(unit) {
  return `${text(unit.image)} · ${kinds[unit.objective] ?? text(unit.objective)}`;
}

function makeRowShot(unit, picture) {
  const metric = metricOf(unit, picture);
  const spoken = [titleOf(unit), metric, isStopped(unit) ? text(unit.status) : ""].filter(Boolean).join(", ");
  return makeShot(unit, { "aria-label": spoken }, pictureOf(unit),
    element("span", { class: "caption" },
      element("span", { class: "kind" }, kinds[unit.objective] ?? text(unit.objective)),
      element("span", { class: "metric", title: unit.objective === "restored" ? "PSNR on the missing pixels" : null }, metric)));
}

const rows = data.map((picture) => {
  const row = element("section", { class: "row", "aria-label": picture.name },
    element("h2", { title: picture.name }, picture.name),
    element("div", { class: "shots" }, ...picture.units.map((unit) => makeRowShot(unit, picture))));
  const { width, height } = picture.units.map(metricsOf).find((metrics) => metrics.width > 0 && metrics.height > 0) ?? {};
  if (width) row.style.setProperty("--aspect", width / height);
  const restored = restoredOf(picture);
  return { ...picture, row, psnr: restored ? metricsOf(restored).psnr : undefined };
});

// ---- Filter and order ----

// A picture without a PSNR comes last in either order.
const orders = {
  given: () => 0,
  worst: (a, b) => (a.psnr ?? Infinity) - (b.psnr ?? Infinity) || 0,
  best: (a, b) => (b.psnr ?? -Infinity) - (a.psnr ?? -Infinity) || 0,
};

function arrange({ query, sort }) {
  const words = query.trim().toLowerCase();
  const seen = rows.filter(({ name }) => name.toLowerCase().includes(words)).sort(orders[sort]);
  $("rows").replaceChildren(...seen.map(({ row }) => row));
  return { seen: seen.length, total: rows.length };
}

function rowsOf(unit) {
  const { source, missing, psnr, psnr_of_mean: mean, width, height } = metricsOf(unit);
  const list = [["Picture", unit.image], ["File", source], ["Size", width && `${width} × ${height}`]];
  if (Number.isFinite(missing)) list.push(["Missing", percent(missing)]);
  if (Number.isFinite(psnr)) list.push(["PSNR (missing pixels)", decibels(psnr)]);
  if (Number.isFinite(mean)) list.push(["PSNR of the mean colour", decibels(mean)]);
  if (unit.objective === "restored") {
    list.push(["Score", unit.score], ["Steps", unit.steps], ["Seconds", unit.seconds], ["Seed", unit.seed]);
  }
  list.push(["Status", unit.status, isStopped(unit)]);
  return list.filter(([, value]) => value !== undefined);
}

new Listing({
  root: $("rows"),
  usualSize: matchMedia("(max-width: 46rem)").matches ? 112 : 224,
  arrange,
  describe: (unit) => ({ title: titleOf(unit), source: unit.source, rows: rowsOf(unit) }),
}).start();
