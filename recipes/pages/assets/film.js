
"use strict";
// Films of how pictures came about: over the picture while the pointer rests on it, and enlarged at a button.

const still = matchMedia("(prefers-reduced-motion: reduce)");

/** Show a unit's film over the picture in a frame; it is removed if it cannot be played. */
function startFilm(box, source) {
  const isVideo = /\.mp4$/i.test(source);
  const more = isVideo ? { autoplay: "", loop: "", muted: "", playsinline: "" } : { alt: "", draggable: "false" };
  const film = element(isVideo ? "video" : "img", { class: "film", ...more });
  film.muted = true; // without sound it may start by itself
  film.addEventListener("error", () => film.remove());
  film.src = source;
  box.append(film);
}

const endFilm = (box) => box?.querySelector(".film")?.remove();

/** Play the film of the picture below the pointer, unless the reader wants no motion; `unitOf(shot)` has its `film`. */
function playOnHover(root, unitOf) {
  let timer = 0, playing = null;
  const end = () => {
    clearTimeout(timer);
    endFilm(playing);
    playing = null;
  };
  root.addEventListener("pointerover", ({ target, pointerType }) => {
    const box = target.closest?.(".shot")?.querySelector(".frame");
    if (box && box === playing) return;
    end();
    const source = box && unitOf(box.closest(".shot"))?.film;
    if (!source || still.matches || pointerType === "touch") return;
    playing = box;
    timer = setTimeout(() => startFilm(box, source), 150);
  });
  root.addEventListener("pointerleave", end);
}

/** The enlarged picture of a unit, with a button that plays its film. */
function makeScreen(unit) {
  const picture = frame(unit.source, true);
  const play = element("button", { type: "button", class: "chip play", "aria-pressed": "false" }, "▶ Play its optimisation");
  play.addEventListener("click", () => {
    const playing = picture.querySelector(".film") !== null;
    if (playing) endFilm(picture);
    else startFilm(picture, unit.film);
    play.setAttribute("aria-pressed", String(!playing));
    play.textContent = playing ? "▶ Play its optimisation" : "■ Show the finished picture";
  });
  return element("div", { class: "screen" }, picture, play);
}
