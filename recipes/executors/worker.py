"""What every worker does, wherever it lives: it holds the network, and answers one job at a time."""

# No torch at the top: which GPUs there are is settled before it is imported.
from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from inverter_errors import BadInput

if TYPE_CHECKING:
    from inverter import Model
    from recipes.executors import JobProgressCallback, Work


def packed(dumps: Callable[[Any], bytes], load: Callable[[], Model], work: Work) -> bytes:
    """The network's loader and the work, as they go to the workers.

    Args:
        dumps: how to pickle them.

    Raises:
        BadInput: for a network, a picture set or anything else that cannot be pickled.
    """
    try:
        return dumps((load, work))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise BadInput(
            f"this cannot be sent to other processes ({' '.join(str(error).split())}): name the model as "
            "path/to/file.py:factory and pictures by their folder, or leave out workers"
        ) from error


class Worker:
    """The network and the work, unpacked.

    Args:
        payload: of `packed`. threads: of torch.
    """

    def __init__(self, payload: bytes, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self.threads = threads
        try:
            load, self.work = pickle.loads(payload)
        except (AttributeError, ImportError) as error:
            raise BadInput(
                f"another process cannot find what it is to work with ({' '.join(str(error).split())}): name the "
                "model as path/to/file.py:factory, or put its class into a module that can be imported"
            ) from error
        self.model: Model = load()

    def answer(self, job: Any, on_progress: JobProgressCallback) -> bytes:
        """What comes of a job, pickled: tensors as their bytes, which outlive this process."""
        import torch

        torch.set_num_threads(self.threads)  # it is a setting of the calling thread
        return pickle.dumps(self.work(self.model, job, on_progress))


def portable(error: Exception) -> bytes:
    """An error, pickled; as a RuntimeError with the same text where it does not survive that."""
    try:
        pickle.loads(data := pickle.dumps(error))
    except Exception:  # whatever an error of somebody else's does when it is made again
        return pickle.dumps(RuntimeError(f"{type(error).__name__}: {error}"))
    return data
