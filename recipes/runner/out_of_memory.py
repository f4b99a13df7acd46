"""Out of memory: what was too much together is done in halves."""

from __future__ import annotations

import gc
import warnings
from dataclasses import replace

import torch

from inverter import Graphs, Inversion, Model, ProgressCallback, Settings, optimize
from inverter.augment import Augmentation
from inverter.engine import default_batch
from inverter.isolation.device_faults import out_of_memory
from inverter_errors import OutOfMemory
from objectives import Objective
from priors import Prior


def optimize_in_halves(
    model: Model,
    objective: Objective,
    prior: Prior,
    settings: Settings,
    augment: Augmentation = "standard",
    progress: ProgressCallback | None = None,
    graphs: Graphs | None = None,
) -> Inversion:
    """`inverter.optimize`, restarted with half the batch size as often as memory runs out.

    It warns when it does; the batch size that fitted is in the result's settings. Another batch size changes the last
    bits of a picture, not its random draws.

    Args:
        model: as in `inverter.optimize`.
        objective: as in `inverter.optimize`.
        prior: as in `inverter.optimize`.
        settings: as in `inverter.optimize`.
        augment: as in `inverter.optimize`.
        progress: as in `inverter.optimize`.
        graphs: as in `inverter.optimize`; emptied when memory runs out.

    Returns:
        The result of the run that fitted.

    Raises:
        OutOfMemory: where the batch cannot be halved: a single picture, or pictures that influence each other.
    """
    together = min(prior.count, settings.batch_size or default_batch(model.device))
    everyone = torch.arange(prior.count)
    blank, rival = prior.take(everyone), prior  # an attempt leaves its prior as far as it came
    recordings = graphs is not None and len(graphs) > 0  # of earlier batches, which hold memory
    while True:
        try:
            fitting = replace(settings, batch_size=together)
            found = optimize(model, objective, rival, fitting, augment, progress, graphs)
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            if not recordings and (together == 1 or objective.coupled):
                what = "one picture" if together == 1 else f"{prior.count} pictures that belong together"
                raise OutOfMemory(f"{what} did not fit into memory ({model.device}): give a smaller size") from None
            if not recordings:
                half = -(-together // 2)
                warnings.warn(f"out of memory with {together} pictures together: going on with {half}", stacklevel=2)
                together = half
            recordings = False  # they are given up below, and the same batch is tried once more
        else:
            if rival is not prior:
                prior.put(everyone, rival)
            return found
        rival = blank.take(everyone)
        if graphs is not None:
            graphs.clear()
        gc.collect()  # what the error's traceback held
        if model.device.type == "cuda":
            torch.cuda.empty_cache()
