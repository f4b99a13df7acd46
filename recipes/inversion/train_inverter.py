"""`inverter train-inverter`: a feed-forward network from the code of a layer to the picture."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from inverter_errors import BadInput, plural
from recipes.options.fields import MACHINE, OUTPUT, check_integer, option
from recipes.options.names import address
from recipes.options.networks import written
from recipes.runner.base import Recipe
from recipes.runner.network_fields import NetworkFields

if TYPE_CHECKING:
    from inverter.inverter_training import Training, TrainingSettings
    from recipes.executors.progress import RunProgressCallback
    from recipes.inversion.crops import Crops
    from recipes.outputs.training_state import TrainingState
    from recipes.runner.report import Report

EVERY = 100
"""Steps between two checkpoints."""
MEASURED = 64
"""Held-out pictures that the error is measured on, at most."""


@dataclass(frozen=True, kw_only=True)
class TrainInverter(NetworkFields, Recipe):
    """Trains a network that reads pictures off the codes of a layer in one pass (Dosovitskiy & Brox 2016).

    `inverter invert --inverter FILE` starts from its pictures, and `--prior learned:weights=FILE` shows them. The state
    of the training lies next to the file, in `FILE.training`: the same command continues, also after an interruption,
    which keeps what is trained.

    Raises:
        BadInput: for an option out of its range, or (in `run`) too few pictures, a layer without maps, or a training
            of other settings.
        LayerNotFound: in `run`, for an unknown layer.

    Example:
        >>> TrainInverter(images="photographs", layer="features.stage2", out="stage2.safetensors").steps
        2000
    """

    name: ClassVar[str] = "train-inverter"
    noun: ClassVar[str] = "step"

    images: str = option(MISSING, "picture folder to train on, searched recursively")
    layer: str = option(MISSING, "address of the layer to invert; it must output maps")
    out: str = option(MISSING, "file to write, e.g. stage2.safetensors", group=OUTPUT)
    steps: int = option(2000, "training steps")
    batch_size: int = option(8, "pictures in a step")
    size: int = option(128, "side in pixels of the random crops that it is trained on")
    width: int = option(96, "channels at the resolution of the code: more are slower and better")
    learning_rate: float = option(2e-3, "peak learning rate")
    held_out: int = option(20, "every N-th picture is not trained on, to measure the error")
    seed: int = option(0, "seed of all random draws")
    fresh: bool = option(False, "start over, and replace the file", group=MACHINE)

    def __post_init__(self) -> None:
        super().__post_init__()
        for key, least in (("steps", 1), ("batch_size", 1), ("size", 32), ("width", 8), ("held_out", 2), ("seed", 0)):
            check_integer(key, getattr(self, key), least, 2**31 - 1)
        if not 0 < self.learning_rate < 1:
            raise BadInput(f"learning_rate must be above 0 and below 1, got {self.learning_rate!r}")
        if Path(self.out).suffix != ".safetensors":
            raise BadInput(f"a learned inverter is kept in a .safetensors file, got {self.out!r}")

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        yield  # it writes a file: there is no output folder to lock

    def settings(self) -> dict[str, Any]:
        return super().settings() | self.network_settings()

    def _training_settings(self) -> TrainingSettings:
        from inverter.inverter_training import TrainingSettings

        return TrainingSettings(self.steps, self.batch_size, self.learning_rate, self.size, self.width, seed=self.seed)

    def _run(self, progress: RunProgressCallback | None) -> Report:
        from inverter.inverter_training import Training, held_out_error, train
        from recipes.executors.progress import RunProgress
        from recipes.inversion.crops import Crops
        from recipes.outputs.manifest import Manifest
        from recipes.runner.report import Report

        started, out, model = time.perf_counter(), Path(self.out), self.load()
        layer = address(self.layer)
        crops = Crops.find(self.images, model, self._training_settings(), self.held_out)
        training = Training.begin(model, layer, self._training_settings())
        before = held_out_error(model, training.inverter, crops.held(MEASURED))
        first = self._restore(training, crops)
        try:
            for _, _, _ in train(model, training, crops):
                if progress is not None:
                    progress(RunProgress(training.step - first, self.steps - first, finished=first, noun="step"))
                if training.step % EVERY == 0 and training.step < self.steps:
                    self._keep(training, crops)
        finally:
            self._keep(training, crops)
        after = held_out_error(model, training.inverter, crops.held(MEASURED))
        training.inverter.about |= {"held_out": after}
        self._keep(training, crops)
        return Report(
            out.parent,
            Manifest(self.name, self.settings(), {}, planned=0),
            made=0,
            seconds=time.perf_counter() - started,
            files={"inverter": out},
            skipped=crops.unreadable,
            closing=f"on {plural(crops.measured(MEASURED), 'held-out picture')} the codes of its pictures are off by "
            f"{after['relative_error']:.3f} ({before['relative_error']:.3f} before), at {after['psnr']:.1f} dB "
            f"({before['psnr']:.1f})",
        )

    def _state(self, training: Training, crops: Crops) -> TrainingState:
        from recipes.outputs.training_state import TrainingState

        return TrainingState(Path(self.out), self._facts(training, crops))

    def _restore(self, training: Training, crops: Crops) -> int:
        """Continues an earlier training of the same settings; returns the steps that are done."""
        if (state := self._state(training, crops).load(self.fresh)) is not None:
            training.restore(state)
        return training.step

    def _facts(self, training: Training, crops: Crops) -> dict[str, Any]:
        """What must not change while a training is continued."""
        inverter = training.inverter
        about: Mapping[str, Any] = asdict(training.settings)
        return {"layer": inverter.layer, "model": inverter.sha256, "pictures": len(crops.names), **about}

    def _keep(self, training: Training, crops: Crops) -> None:
        """Writes the inverter as it is now, and the state of its training."""
        from inverter.learned_inverter import save_inverter

        facts = self._facts(training, crops)
        training.inverter.about |= {"model": written(self.model), "step": training.step} | facts
        save_inverter(self.out, training.inverter)
        self._state(training, crops).save(training.state())
