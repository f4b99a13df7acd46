"""`inverter learn-directions`: a sparse autoencoder of a layer's activations, or their components."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from inverter_errors import BadInput, plural
from recipes.options.fields import MACHINE, OUTPUT, check_integer, option
from recipes.options.input_values import checked_size
from recipes.options.names import address
from recipes.runner.base import Recipe
from recipes.runner.network_fields import NetworkFields

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inverter import Directions, Model
    from recipes.directions.vectors import Vectors
    from recipes.executors.progress import RunProgressCallback
    from recipes.outputs.training_state import TrainingState
    from recipes.runner.report import Report

METHODS = ("sae", "nmf", "pca", "kmeans", "ica")
COUNTS = {"sae": 1024}
FEW = 32
"""Components where no count is given."""
ACTIVATIONS = 1_000_000
"""Activation vectors to learn from, about, where no positions are given."""
SAMPLE = 16_384
"""Vectors that a training's start is found from."""
FITTED = 50_000
"""Vectors, at most, that scikit-learn gets: of more, a random sample."""
MEASURED = 100_000
"""Vectors, at most, that dead latents are looked for in."""
EVERY = 60.0
"""Seconds between two checkpoints."""


@dataclass(frozen=True, kw_only=True)
class LearnDirections(NetworkFields, Recipe):
    """Learns the directions of a layer from its activations on a folder of pictures.

    A sparse autoencoder (Bricken et al. 2023), of which few latents are active at any one place, or components: NMF,
    PCA, k-means, ICA. Activations stream to disk, at places drawn at random; the state of a training lies next to the
    file, in `FILE.training`: the same command continues, also after an interruption, which keeps what is learnt.

    Raises:
        BadInput: for an option out of its range, or (in `run`) too few pictures, a layer without maps or tokens,
            negative activations for NMF, or a training of other settings.
        LayerNotFound: in `run`, for an unknown layer.

    Example:
        >>> LearnDirections(images="photographs", layer="features.stage2", out="stage2.safetensors").method
        'sae'
    """

    name: ClassVar[str] = "learn-directions"
    noun: ClassVar[str] = "step"

    images: str = option(MISSING, "picture folder to learn from, searched recursively")
    layer: str = option(MISSING, "address of the layer; it must output maps or tokens")
    out: str = option(MISSING, "file to write, e.g. features9.safetensors", group=OUTPUT)
    method: str = option("sae", "sae (a sparse autoencoder), nmf, pca, kmeans or ica", choices=METHODS)
    count: int | None = option(None, f"directions to learn (default: {COUNTS['sae']} of an SAE, else {FEW})")
    k: int = option(16, "sae: latents that are active at a place")
    gate: str = option("topk", "sae: topk (k at every place) or jumprelu (k on average)", choices=("topk", "jumprelu"))
    steps: int = option(3000, "sae: training steps")
    batch_size: int = option(512, "sae: activations in a step")
    learning_rate: float = option(3e-3, "sae: peak learning rate")
    positions: str | int | None = option(
        None, "places to draw in each picture, or all (default: as many as make a million in all)"
    )
    size: str | int | Sequence[int] | None = option(
        None, "side at which the network sees the pictures in pixels, or HxW (default: its input size)"
    )
    held_out: int = option(10, "every N-th picture is not learnt from, to measure the explained variance")
    seeds: int = option(2, "times to learn, with other random draws: how alike the results are is their stability")
    seed: int = option(0, "seed of all random draws; the file has the directions of this one")
    activations: str | None = option(
        None, "folder that keeps the activations, for other methods (default: next to the file, until the end)"
    )
    fresh: bool = option(False, "start over, and replace the file", group=MACHINE)

    def __post_init__(self) -> None:
        super().__post_init__()
        least = {"k": 1, "steps": 1, "batch_size": 1, "held_out": 2, "seeds": 1, "seed": 0}
        for key, lowest in least.items():
            check_integer(key, getattr(self, key), lowest, 2**31 - 1)
        if self.count is not None:
            check_integer("count", self.count, 2, 2**22)
        positions = int(str(self.positions)) if str(self.positions).isdigit() else self.positions
        if positions not in (None, "all"):
            check_integer("positions", positions, 1, 2**31 - 1)
        object.__setattr__(self, "positions", positions)
        object.__setattr__(self, "size", checked_size(self.size))
        if not 0 < self.learning_rate < 1:
            raise BadInput(f"learning_rate must be above 0 and below 1, got {self.learning_rate!r}")
        if Path(self.out).suffix != ".safetensors":
            raise BadInput(f"directions are kept in a .safetensors file, got {self.out!r}")
        of_sae = ("k", "gate", "steps", "batch_size", "learning_rate")
        given = [f.name for f in fields(self) if f.name in of_sae and getattr(self, f.name) != f.default]
        if self.method != "sae" and given:
            raise BadInput(f"{given[0]} is of a sparse autoencoder: leave it out with method {self.method}")
        if self.method == "sae" and self.k >= self.number:
            raise BadInput(f"k {self.k}: expected fewer active latents than the {self.number} that there are")

    @property
    def number(self) -> int:
        """Directions to learn."""
        return self.count if self.count is not None else COUNTS.get(self.method, FEW)

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        yield  # it writes a file: there is no output folder to lock

    def settings(self) -> dict[str, Any]:
        return super().settings() | self.network_settings()

    def _run(self, progress: RunProgressCallback | None) -> Report:
        from recipes.outputs.atomic import check_writable
        from recipes.outputs.manifest import Manifest, describe
        from recipes.outputs.training_state import TrainingState
        from recipes.runner.report import Report

        started, out, model = time.perf_counter(), Path(self.out), self.load()
        check_writable(out)
        state = TrainingState(out, self._facts(model))
        earlier = state.load(self.fresh) or {}
        skipped: dict[str, str] = earlier.get("skipped", {})
        if "table" not in earlier:
            vectors, skipped = self._collect(model, progress)
            learnt = self._learn(model, vectors, state, earlier, progress)
            table = self._table(learnt, vectors)
            state.save(earlier | {"table": table, "skipped": skipped, "held": vectors.pictures})
            earlier = state.load(False) or {}
            if self.activations is None:
                shutil.rmtree(self._folder)
        first = earlier["table"][0]
        return Report(
            out.parent,
            Manifest(self.name, self.settings(), dict(describe(model)), planned=0, table=earlier["table"]),
            made=0,
            seconds=time.perf_counter() - started,
            files={"directions": out},
            skipped=skipped,
            closing=f"on {plural(earlier['held'], 'held-out picture')} {plural(self.number, 'direction')} explain "
            f"{first['explained_variance']:.3f} of the variance, with {first['active']:.1f} active at a place",
        )

    def _facts(self, model: Model) -> dict[str, Any]:
        """What must not change while a training is continued."""
        shared = {f.name for base in (NetworkFields, Recipe) for f in fields(base)} | {"activations", "fresh"}
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in shared}
        return own | {"count": self.number, "model": model.sha256}

    @property
    def _folder(self) -> Path:
        return Path(self.activations or f"{self.out}.activations")

    def _collect(self, model: Model, progress: RunProgressCallback | None) -> tuple[Vectors, dict[str, str]]:
        from priors.base import as_size
        from recipes.activations.collect import collect
        from recipes.activations.reducers import Positions
        from recipes.directions.vectors import Vectors
        from recipes.pictures.sets import picture_set

        pictures, layer = picture_set(self.images, len(model.mean), model.value_range), address(self.layer)
        places = self.positions if self.positions is not None else math.ceil(ACTIVATIONS / len(pictures))
        found = collect(
            model,
            pictures,
            [layer],
            Positions(places, border=True, seed=self.seed, dtype="float32"),
            out=self._folder,
            size=None if (side := checked_size(self.size)) is None else as_size(side),
            fresh=self.fresh and self.activations is None,
            progress=progress,
        )
        return Vectors.split(found, layer, self.held_out, model.device), dict(found.skipped)

    def _learn(
        self,
        model: Model,
        vectors: Vectors,
        state: TrainingState,
        earlier: dict[str, Any],
        progress: RunProgressCallback | None,
    ) -> list[Directions]:
        """The directions of each seed; it keeps the state, and those of the first seed, also when it is stopped."""
        from recipes.executors.progress import RunProgress

        length = self.steps if self.method == "sae" else 1
        states: dict[int, Any] = earlier.setdefault("trainings", {})
        done = {seed: each["done"] for seed, each in states.items()}
        before = sum(done.values())
        learnt: list[Directions] = []

        def update(seed: int, steps: int) -> None:
            done[seed] = steps
            if progress is not None:
                now = sum(done.values()) - before
                progress(RunProgress(now, length * self.seeds - before, finished=before, noun="step"))

        def keep(directions: Directions) -> None:
            if not learnt:
                source = str(self.images)
                replace(directions, model=model.spec, sha256=model.sha256, source=source).save(self.out)
            state.save(earlier)

        for seed in range(self.seed, self.seed + self.seeds):
            update(seed, done.get(seed, 0))
            learnt.append(self._one(vectors, seed, states, update, keep))
            update(seed, length)
        return learnt

    def _one(
        self,
        vectors: Vectors,
        seed: int,
        states: dict[int, Any],
        update: Callable[[int, int], None],
        keep: Callable[[Directions], None],
    ) -> Directions:
        from inverter.directions.learning.components import components
        from inverter.directions.learning.sparse_autoencoder import SparseSettings, SparseTraining, train

        layer = address(self.layer)
        if self.method != "sae":
            found = components(self.method, vectors.sample(FITTED, self.seed), self.number, seed, layer)
            keep(found)
            return found.to(vectors.device)
        settings = SparseSettings(
            self.number, self.k, self.gate, self.steps, self.batch_size, self.learning_rate, seed=seed
        )
        training = SparseTraining.begin(vectors.draw(SAMPLE, self.seed), settings)
        if seed in states:
            training.restore(states[seed])
        kept = time.monotonic()
        try:
            for _ in train(training, lambda step: vectors.draw(self.batch_size, seed * 1_000_003 + step)):
                update(seed, training.done)
                if time.monotonic() - kept > EVERY:
                    states[seed] = training.state()
                    keep(training.directions(layer))
                    kept = time.monotonic()
        finally:
            states[seed] = training.state()
            keep(training.directions(layer))
        return training.directions(layer)

    def _table(self, learnt: Sequence[Directions], vectors: Vectors) -> list[dict[str, Any]]:
        """A row for each seed."""
        import numpy as np

        from inverter.directions.learning.quality import quality, stability

        some = vectors.learnt
        if len(some) > MEASURED:
            some = np.sort(np.random.default_rng(self.seed).choice(some, MEASURED, replace=False))
        rows = []
        for index, directions in enumerate(learnt):
            held, own = quality(directions, vectors.parts(vectors.held)), quality(directions, vectors.parts(some))
            others = [stability(directions, other) for at, other in enumerate(learnt) if at != index]
            row = {"seed": self.seed + index, "explained_variance": held.explained_variance}
            row |= {"where_learnt": own.explained_variance, "active": held.l0, "dead": own.dead}
            rows.append(row | ({"stability": sum(others) / len(others)} if others else {}))
        return rows
