"""A mode of torch functions that may be off: one `with` serves both cases."""

from __future__ import annotations

from typing import Any, Self

from torch.overrides import TorchFunctionMode


class SwitchedMode(TorchFunctionMode):
    """A `TorchFunctionMode` that has no effect where it is off.

    Args:
        on: False for a context without effect.
    """

    def __init__(self, on: bool = True) -> None:
        super().__init__()
        self.on = on

    def __enter__(self) -> Self:
        if self.on:
            super().__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        if self.on:
            super().__exit__(*exception)
