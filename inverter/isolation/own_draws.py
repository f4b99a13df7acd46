"""Random numbers that networks draw in their forward passes: from a fixed seed, and apart from everybody else's."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

SEED = 0


class OwnDraws:
    """The global generators of torch, Python and NumPy as a network sees them, from one forward pass to the next.

    A network may draw in eval mode too: random masks, stochastic depth, dropout that is always on. Its draws start at
    a fixed seed, so that a result can be repeated, and the caller's generators are left as they were. While a CUDA
    graph is recorded generators cannot be read: record only passes of a network that has not drawn.

    Attributes:
        drew: True if a pass on a GPU has drawn.

    Example:
        >>> draws, before = OwnDraws(), torch.get_rng_state()
        >>> with draws.apply(torch.device("cpu")):
        ...     one = torch.rand(1)
        >>> with draws.apply(torch.device("cpu")):
        ...     other = torch.rand(1)
        >>> bool(one == other), torch.equal(torch.get_rng_state(), before)
        (False, True)
    """

    def __init__(self) -> None:
        self.drew = False
        self._torch: dict[torch.device, Tensor] = {}
        self._python: Any = random.Random(SEED).getstate()
        self._numpy: Any = np.random.MT19937(SEED)

    @contextmanager
    def apply(self, device: torch.device) -> Iterator[None]:
        """A context in which the global generators are the network's.

        Args:
            device: where the network is; its generator and the CPU's are meant.
        """
        on_gpu = device.type == "cuda"
        if on_gpu and torch.cuda.is_current_stream_capturing():
            yield
            return
        generators = [_generator(place) for place in dict.fromkeys((torch.device("cpu"), device))]
        theirs = [(generator, generator.get_state()) for generator in generators if generator is not None]
        python, numpy = random.getstate(), np.random.get_bit_generator()  # type: ignore[attr-defined]
        for generator, _ in theirs:
            if generator.device in self._torch:
                generator.set_state(self._torch[generator.device])
            else:
                generator.manual_seed(SEED)
        random.setstate(self._python)
        np.random.set_bit_generator(self._numpy)  # type: ignore[attr-defined]
        begun = _states(generators) if on_gpu else None
        try:
            yield
        finally:
            self.drew = self.drew or (on_gpu and begun != _states(generators))
            self._python, self._numpy = random.getstate(), np.random.get_bit_generator()  # type: ignore[attr-defined]
            random.setstate(python)
            np.random.set_bit_generator(numpy)  # type: ignore[attr-defined]
            for generator, state in theirs:
                self._torch[generator.device] = generator.get_state()
                generator.set_state(state)


def _generator(device: torch.device) -> torch.Generator | None:
    """The global generator of a device; None where there is none, or none that is ready."""
    if device.type == "cpu":
        return torch.default_generator
    if device.type == "cuda" and torch.cuda.is_initialized():
        return torch.cuda.default_generators[torch.cuda.current_device() if device.index is None else device.index]
    return None


def _states(generators: list[torch.Generator | None]) -> tuple[object, ...]:
    """The states of these generators, of Python's and of NumPy's, to be compared."""
    of_torch = tuple(generator.get_state().numpy().tobytes() for generator in generators if generator is not None)
    return *of_torch, random.getstate(), str(np.random.get_bit_generator().state)  # type: ignore[attr-defined]
