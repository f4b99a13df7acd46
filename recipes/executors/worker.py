"""What every worker does, in a process or a cluster: it holds the network, and does one job at a time."""

# No torch at the top: the visible GPUs must be set before it is imported.
from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from inverter_errors import BadInput, GuessedSizeWarning

if TYPE_CHECKING:
    from inverter import Model
    from recipes.executors import JobProgressCallback, Work


def packed(dumps: Callable[[Any], bytes], load: Callable[[], Model], work: Work) -> bytes:
    """Pickles the network's loader and the work, for the workers.

    Args:
        dumps: the pickle function.
        load: loads the network.
        work: the function that workers call for each job.

    Raises:
        BadInput: for a network, a picture set or anything else that cannot be pickled.
    """
    try:
        return dumps((load, work))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise BadInput(
            f"this cannot be sent to other processes ({' '.join(str(error).split())}): give the model as "
            "path/to/file.py:factory and pictures by their folder, or do not set workers"
        ) from error


class Worker:
    """The network and the work, unpickled.

    Args:
        payload: from `packed`.
        threads: torch threads.

    Raises:
        BadInput: if this process cannot import what it needs.
    """

    def __init__(self, payload: bytes, threads: int) -> None:
        import torch

        warnings.filterwarnings("ignore", category=GuessedSizeWarning)  # the process that employs this one says it
        torch.set_num_threads(threads)
        self.threads = threads
        try:
            load, self.work = pickle.loads(payload)
        except (AttributeError, ImportError) as error:
            raise BadInput(
                f"another process cannot import what it needs ({' '.join(str(error).split())}): give the model as "
                "path/to/file.py:factory, or move its class into a module that can be imported"
            ) from error
        self.model: Model = load()

    def answer(self, job: Any, on_progress: JobProgressCallback) -> bytes:
        """The result of a job, pickled: tensors by value, so that they outlive this process."""
        import torch

        torch.set_num_threads(self.threads)  # it is a setting of the calling thread
        return pickle.dumps(self.work(self.model, job, on_progress))


def portable(error: Exception) -> bytes:
    """An error, pickled; replaced by a RuntimeError with the same text if it does not survive pickling."""
    try:
        pickle.loads(data := pickle.dumps(error))
    except Exception:  # an error of another library may raise anything when it is unpickled
        return pickle.dumps(RuntimeError(f"{type(error).__name__}: {error}"))
    return data
