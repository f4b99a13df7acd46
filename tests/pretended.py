"""A pretended GPU: on a machine without one it shows where tensors of two devices meet, and where the host waits."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, ClassVar, Self
from unittest.mock import patch

import pytest
import torch
import torch._dynamo  # which the first mode would import, while `torch.cuda` is another
from torch import Tensor
from torch.autograd import forward_ad
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from tests.pretended_graphs import RecordedGraph, Recording, refuse

CUDA = torch.device("cuda", 0)
BENEATH = torch.device("lazy", 0)
"""The device of a pretended tensor in C++: every build of torch has it, and its backward passes need no streams."""

WAITS = frozenset(
    (
        *("_local_scalar_dense", "nonzero", "masked_select", "equal", "_unique2", "unique_dim", "unique_consecutive"),
        *("bincount", "_linalg_svd", "_linalg_eigh"),
    )
)
"""Operations that end only when the host has results of the device: numbers, sizes, error flags."""
NONDETERMINISTIC = frozenset(
    (
        *("grid_sampler_2d_backward", "reflection_pad2d_backward", "replication_pad2d_backward"),
        *("upsample_bilinear2d_backward", "upsample_bicubic2d_backward", "_upsample_bilinear2d_aa_backward"),
        *("_adaptive_avg_pool2d_backward", "adaptive_max_pool2d_backward"),
    )
)
"""Gradients without a deterministic algorithm on CUDA, of those in `torch.use_deterministic_algorithms`' list."""
INDEXING = frozenset(("index", "index_put", "index_put_", "_index_put_impl_"))
STRICT = frozenset(("cat", "stack", "lerp", "lerp_"))
"""Elsewhere a number (a tensor without dimensions) of the CPU may meet tensors of a GPU."""
ROOT = Path(__file__).resolve().parents[1]
OURS = tuple(str(ROOT / name) for name in ("inverter", "objectives", "priors", "recipes", "tests"))


class OnDevice(Tensor):
    """A tensor that appears to be on `cuda:0`, and keeps its numbers in `numbers`, on the CPU."""

    numbers: Tensor

    @staticmethod
    def __new__(cls, numbers: Tensor) -> OnDevice:
        made = Tensor._make_wrapper_subclass(
            cls,
            numbers.size(),
            strides=numbers.stride(),
            storage_offset=numbers.storage_offset(),
            dtype=numbers.dtype,
            device=BENEATH,
        )
        made.numbers = numbers
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl
    device = CUDA  # type: ignore[assignment]
    is_cuda = True  # type: ignore[assignment]

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def numpy(self, *, force: bool = False) -> Any:
        raise TypeError(f"can't convert {CUDA} device type tensor to numpy: use Tensor.cpu() first")

    def __repr__(self) -> str:  # type: ignore[override]
        return f"{self.numbers!r} on {CUDA}"

    def __deepcopy__(self, memo: dict[int, Any]) -> OnDevice:
        made = OnDevice(self.numbers.detach().clone()).requires_grad_(self.requires_grad)
        made.__dict__ |= {key: value for key, value in vars(self).items() if key != "numbers"}  # it may be a parameter
        memo[id(self)] = made
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Sequence[type], args: Any = (), kwargs: Any = None) -> Any:
        if PretendedDevice.current is None:
            raise RuntimeError(f"{func} of a tensor on a device that is no longer pretended")
        return PretendedDevice.current.compute(func, args, kwargs or {})


class PretendedDevice(TorchDispatchMode):
    """A context in which this machine has one GPU, `cuda`, an older one that computes in float32 alone.

    Every operation on its tensors is computed on the CPU, so that results are bit-identical to the CPU's, and

    - raises a RuntimeError where CUDA does: for tensors of two devices in one operation, except numbers without
      dimensions and indices of the CPU into tensors of the GPU; in torch's deterministic mode, for an operation without
      a deterministic algorithm;
    - is counted where the host waits for an idle GPU, or sends it data, and refused there while it
      records a CUDA graph.

    Limits of a GPU's memory, kernels and types, and its rounding, are not simulated. It is active in the current thread
    only, and does not support forward-mode differentiation.

    Attributes:
        waits: how often the host waited, by line and operation: `inverter/engine.py:240 _local_scalar_dense`.
        copies: how often data of the CPU was copied to the GPU; the GPU waits for the host, not the host for it.

    Example:
        >>> with PretendedDevice() as gpu:
        ...     x = torch.ones(3, device="cuda")
        ...     if x.sum() > 2:
        ...         print(x.device, gpu.waits.total(), gpu.copies.total())
        cuda:0 1 0
    """

    current: ClassVar[PretendedDevice | None] = None

    def __init__(self) -> None:
        super().__init__()
        # Torch dispatches factory functions to a mode of this kind before it initialises the device.
        self._mode_key = torch._C._TorchDispatchModeKey.FAKE
        self.waits: Counter[str] = Counter()
        self.copies: Counter[str] = Counter()
        self.launched = 0  # operations
        self._open = ExitStack()

    def __enter__(self) -> Self:
        if torch.cuda.is_available() and PretendedDevice.current is None:
            pytest.skip("a GPU is pretended only where there is none")
        torch._C._ensureCUDADeviceGuardSet()  # "cuda" without a number is the GPU that is there
        lifting = torch._C._only_lift_cpu_tensors()
        torch._C._set_only_lift_cpu_tensors(True)  # `torch.tensor(..., device=...)` is made on the CPU and moved
        self._open.callback(torch._C._set_only_lift_cpu_tensors, lifting)
        self._open.enter_context(patch.multiple(torch.cuda, **_CUDA))
        self._open.enter_context(patch.object(Tensor, "pin_memory", lambda tensor, *_: tensor))
        self._open.callback(setattr, PretendedDevice, "current", PretendedDevice.current)
        PretendedDevice.current = self
        return super().__enter__()

    def __exit__(self, *exception: Any) -> None:
        super().__exit__(*exception)
        self._open.close()

    @classmethod
    def is_infra_mode(cls) -> bool:
        return True

    def __torch_dispatch__(self, func: Any, types: Sequence[type], args: Any = (), kwargs: Any = None) -> Any:
        return self.compute(func, args, kwargs or {})

    def compute(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        ours = [tensor for tensor in tensors if isinstance(tensor, OnDevice)]
        device = kwargs.get("device")
        to_us = bool(ours) if device is None else torch.device(device).type in (CUDA.type, BENEATH.type)
        if not ours and not to_us:
            return func(*args, **kwargs)
        if forward_ad._current_level >= 0:
            raise NotImplementedError("forward-mode differentiation on a pretended device")
        self._check(func._schema.name.partition("::")[2], args, kwargs, tensors, ours, to_us)
        self.launched += 1
        if device is not None and to_us:
            kwargs = kwargs | {"device": torch.device("cpu")}
        given = {id(_numbers(tensor)): tensor for tensor in tensors}
        if to_us and (graph := RecordedGraph.current) is not None:
            if host := [tensor for tensor in tensors if not isinstance(tensor, OnDevice)]:
                refuse(f"{func} reads {tuple(host[0].shape)} of the host")
            result = graph.compute(func, args, kwargs, _numbers)
        else:
            result = func(*tree_map(_numbers, args), **tree_map(_numbers, kwargs))

        def known(value: Any) -> Any:
            """In-place operations return their arguments."""
            if not isinstance(value, Tensor) or id(value) in given:
                return given.get(id(value), value)
            # Here, below autograd, torch would overlook that numbers are to be conjugated or negated when read.
            return OnDevice(value.resolve_conj().resolve_neg()) if to_us else value

        return tree_map(known, result)

    def _check(
        self, name: str, args: Any, kwargs: dict[str, Any], tensors: list[Tensor], ours: list[Any], to_us: bool
    ) -> None:
        """Counts the waits and copies of an operation; raises where CUDA would."""
        if name in NONDETERMINISTIC and torch.are_deterministic_algorithms_enabled():
            raise RuntimeError(f"{name} does not have a deterministic implementation on {CUDA}")
        strangers = [t for t in tensors if not isinstance(t, OnDevice) and (t.ndim or name in STRICT)]
        if name in ("copy_", "_to_copy"):
            if ours and (not to_us or not isinstance(args[0], OnDevice)):
                if not kwargs.get("non_blocking"):
                    self.count(self.waits, name)
            elif len(ours) < len(tensors):
                self.count(self.copies, name)
            return
        if name in INDEXING and isinstance(args[0], OnDevice):
            indices = [index for index in args[1] if index is not None]
            if sent := [index for index in indices if not isinstance(index, OnDevice)]:
                self.count(self.copies, name)
            strangers = [t for t in strangers if not any(t is index for index in sent)]
            # One mask and one number are a masked fill, which needs no indices.
            filled = len(args) > 2 and args[2].numel() == 1 and len(indices) == 1
            if any(index.dtype == torch.bool for index in indices) and not filled:
                self.count(self.waits, name)
        if ours and strangers:
            raise RuntimeError(
                f"Expected all tensors to be on the same device, but found {CUDA} and {strangers[0].device}: {name} of "
                + ", ".join(f"{tuple(tensor.shape)} on {tensor.device}" for tensor in tensors)
            )
        if ours and name in WAITS:
            self.count(self.waits, name)

    def count(self, counter: Counter[str], name: str) -> None:
        refuse(f"{name} at {_place()}")
        counter[f"{_place()} {name}"] += 1


def _numbers(value: Any) -> Any:
    return value.numbers if isinstance(value, OnDevice) else value


def _place() -> str:
    """The current line of the project's code."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and not _is_ours(frame.f_code):
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).relative_to(ROOT)}:{frame.f_lineno}" if frame else "elsewhere"


def _is_ours(code: CodeType) -> bool:
    # A mode that has seen a function only passes it on.
    return code.co_filename.startswith(OURS) and code.co_filename != __file__ and code.co_name != "__torch_function__"


class _Event:
    """`torch.cuda.Event`: while the host waits for it the GPU is idle, unless other work was queued since."""

    def record(self, _stream: object = None) -> None:
        assert PretendedDevice.current is not None
        self.at = PretendedDevice.current.launched

    def synchronize(self) -> None:
        gpu = PretendedDevice.current
        if gpu is not None and gpu.launched == self.at:
            gpu.count(gpu.waits, "synchronize")


class _Graph(RecordedGraph):
    def replay(self) -> None:
        assert PretendedDevice.current is not None
        PretendedDevice.current.launched += 1  # all of it at once
        super().replay()


class _Stream:
    def wait_stream(self, _other: object) -> None:
        pass


def _no_op(*_arguments: Any, **_options: Any) -> None:
    pass


_CUDA: dict[str, Callable[..., Any]] = {
    "is_available": lambda: True,
    "device_count": lambda: 1,
    "current_device": lambda: 0,
    "current_stream": lambda *_: _Stream(),
    "Stream": lambda *_: _Stream(),
    "stream": lambda _stream: nullcontext(),
    "is_current_stream_capturing": lambda: RecordedGraph.current is not None,
    "CUDAGraph": _Graph,
    "graph": Recording,
    "get_device_capability": lambda *_: (7, 5),
    "is_bf16_supported": lambda *_: False,
    "get_rng_state": lambda *_: torch.get_rng_state(),
    "set_rng_state": _no_op,
    "manual_seed_all": _no_op,
    "empty_cache": _no_op,
    "mem_get_info": lambda *_: (4 << 30, 4 << 30),
    "memory_allocated": lambda *_: 0,
    "memory_reserved": lambda *_: 0,
    "max_memory_allocated": lambda *_: 64 << 20,
    "reset_peak_memory_stats": _no_op,
    "Event": _Event,
}
"""What the project, torch and kornia call in `torch.cuda`. The GPU draws from the CPU's generator."""
