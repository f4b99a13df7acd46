"""Train the inverter that ships with the bundled network on the synthetic images."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from torch import Tensor

from inverter import load_model
from inverter.inverter_training import Training, TrainingSettings, held_out_error, train
from inverter.learned_inverter import save_inverter
from inverter.sources.builtin import DATA
from tools.bundled.files import load_checkpoint, save_checkpoint
from tools.bundled.train_network import Progress
from tools.bundled.world import pictures

LAYER = "features.stage2"
OUT = DATA / "builtin_stage2.safetensors"
STEPS, WIDTH, RATE = 1200, 56, 2e-3
EVERY = 100
TRAINING_SEED, TEST_SEED, TEST = 11, 7_000_003, 112


def _batch(settings: TrainingSettings, step: int) -> Tensor:
    return pictures(TRAINING_SEED + settings.seed, step * settings.batch, settings.batch, settings.size)[0]


def run(arguments: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """The command: train or resume, then store and evaluate."""
    out: Path = arguments.out or OUT
    settings = TrainingSettings(arguments.steps or STEPS, rate=RATE, width=WIDTH, seed=arguments.seed)
    model = load_model("builtin", device=arguments.device)
    training = Training.begin(model, LAYER, settings)
    test = pictures(TEST_SEED, 0, TEST)[0]
    before = held_out_error(model, training.inverter, test)
    found = load_checkpoint(arguments.checkpoint, training.state()["settings"])
    if found is not None:
        training.restore(found)
    steps = () if arguments.export else train(model, training, lambda step: _batch(settings, step))
    for _, error, apart in steps:
        if training.step % EVERY == 0 or training.step == settings.steps:
            save_checkpoint(arguments.checkpoint, training.state())
            progress(training.step, settings.steps, {"error": error, "code": apart, "seconds": training.seconds})
    measured = held_out_error(model, training.inverter, test)
    training.inverter.about = {"settings": training.state()["settings"], "step": training.step, "measured": measured}
    save_inverter(out, training.inverter)
    return {"bytes": out.stat().st_size} | measured | {f"{name} before": value for name, value in before.items()}
