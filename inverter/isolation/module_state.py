"""Everything that the modules of a network hold, taken before the network is read and put back afterwards."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

_CHANGEABLE: tuple[Any, ...] = (dict, list, set)
_TENSOR: type[Tensor] = torch._C.TensorBase  # type: ignore[assignment]
"""`isinstance` takes a tenth of the time that it takes with `Tensor`."""
_KEPT = (*_CHANGEABLE, tuple, _TENSOR)


class ModuleState:
    """The attributes of all modules of a network, among them modes, hooks and buffers, as they are now.

    A forward pass may change any of them: it counts its calls, keeps its last activations, fills a cache, updates
    running statistics. All of that is put back, also what is written in place in lists, dictionaries, sets and tensors.
    Only parameters written in place are not: a copy of them would double the memory that a network takes.

    Args:
        module: the network.
    """

    def __init__(self, module: nn.Module) -> None:
        parts, found = list(module.modules()), dict[int, Any]()
        # A module in TorchScript makes the objects of its attributes anew each time they are read.
        self.scripts = [(part, part.training) for part in parts if isinstance(part, torch.jit.ScriptModule)]
        self.attributes = [(vars(p), dict(vars(p))) for p in parts if not isinstance(p, torch.jit.ScriptModule)]
        for _, kept in self.attributes:
            _collect(kept, found)
        for part, _ in self.scripts:
            _collect([*part.parameters(recurse=False), *part.buffers(recurse=False)], found)
        changeable = [value for value in found.values() if isinstance(value, _CHANGEABLE)]
        self.empty = [value for value in changeable if not value]  # most of them: tables of hooks
        self.contents = [(value, _copied(value)) for value in changeable if value]
        tensors = [value for value in found.values() if isinstance(value, _TENSOR)]
        self.parameters = [(name, value, _version(value)) for name, value in module.named_parameters()]
        leaves = [value for value in tensors if value.is_leaf]
        self.trained = [value for value in leaves if value.requires_grad]
        self.gradients = [(value, value.grad) for value in leaves]
        self.tensors = [
            (value, _version(value), value.detach().clone()) for value in tensors if not isinstance(value, nn.Parameter)
        ]

    def freeze(self) -> None:
        """Sets eval mode, and no gradients of parameters or of tensors that are none but require them."""
        for part, _ in self.scripts:
            part.training = False
        for attributes, _ in self.attributes:
            attributes["training"] = False  # not .eval(): a user's override of it might change more than the flag
        for tensor in self.trained:
            tensor.requires_grad_(False)
        for tensor, gradient in self.gradients:
            if gradient is not None:  # so that none is added to it
                tensor.grad = None

    @torch.no_grad()
    def restore(self) -> list[str]:
        """Puts everything back.

        Returns:
            Names of parameters that were written in place, which have kept what was written.
        """
        for part, training in self.scripts:
            part.training = training
        for collection in self.empty:
            if collection:
                collection.clear()
        for collection, content in (*self.attributes, *self.contents):
            if not _same(collection, content):
                collection.clear()
                (collection.extend if isinstance(collection, list) else collection.update)(content)
        trained = {id(tensor) for tensor in self.trained}
        for tensor, gradient in self.gradients:
            if tensor.requires_grad != (id(tensor) in trained):
                tensor.requires_grad_(id(tensor) in trained)
            if tensor.grad is not gradient:
                tensor.grad = gradient
        for tensor, version, before in self.tensors:
            if _version(tensor) != version or _differs(tensor, before):
                with torch.inference_mode(tensor.is_inference()):
                    (tensor if tensor.shape == before.shape else tensor.resize_(before.shape)).copy_(before)
        return [name for name, parameter, version in self.parameters if _version(parameter) != version]


def _collect(values: Any, found: dict[int, Any]) -> None:
    """Adds the tensors, lists, dictionaries, sets and tuples in a collection, at any depth, by their identity."""
    for each in values.values() if isinstance(values, dict) else values:
        if isinstance(each, _KEPT) and id(each) not in found:
            found[id(each)] = each
            if not isinstance(each, _TENSOR) and each:
                _collect(each, found)


def _copied(value: Any) -> Any:
    """A shallow copy in the plain type: a subclass may copy itself in any way."""
    return next(kind.copy(value) for kind in _CHANGEABLE if isinstance(value, kind))


def _same(one: Any, other: Any) -> bool:
    """True for two collections that hold the same objects in the same order."""
    if len(one) != len(other):
        return False
    if isinstance(one, dict):
        return all(a is b and one[a] is other[b] for a, b in zip(one, other, strict=True))
    return one == other if isinstance(one, set) else all(a is b for a, b in zip(one, other, strict=True))


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version


def _differs(tensor: Tensor, before: Tensor) -> bool:
    """True for a change that torch does not count; on other devices, to look for it would make the host wait."""
    readable = tensor.device.type == "cpu" and tensor.layout == torch.strided
    return readable and not torch.equal(tensor, before)
