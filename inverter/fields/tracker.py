"""Traces receptive fields through every tensor operation of a forward pass."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from inverter.capture.outputs import first_tensor
from inverter.fields.geometry import Axis, ReceptiveField
from inverter.fields.rules import CONSTANT, output_field


class FieldTracker(TorchDispatchMode):
    """A context that traces receptive fields: any Python forward() is covered, not only graphs.

    Args:
        picture: (1, C, H, W), the input of the pass.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """The tracker runs where nobody compiles; to keep the compiler away from it, torch would import it first."""
        return False

    def __init__(self, picture: Tensor) -> None:
        super().__init__()
        self._fields: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
        self._fields[picture] = ReceptiveField(Axis(1, 0, 0), Axis(1, 0, 0))
        self._overwritten: dict[int, Tensor] = {}  # by memory; the tensor keeps it from being used again

    def field(self, tensor: Tensor) -> ReceptiveField | None:
        """The receptive field of a tensor of the pass; None if it is unknown, or there is none."""
        return self._fields.get(tensor)

    def _depends(self, tensor: Tensor) -> bool:
        return tensor in self._fields or _memory(tensor) in self._overwritten

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        inputs = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        known = [tensor for tensor in inputs if self._depends(tensor)]
        result = function(*args, **kwargs)
        name = function.overloadpacket.__name__
        name = name if name.startswith("__") else name.rstrip("_")
        output = first_tensor(result)
        if not known or output is None or name in CONSTANT:
            return result
        source = known
        if name == "copy":  # the old values of the target are gone
            source = [tensor for tensor in known if tensor is not args[0]] or known
        fields = output_field(name, args, source, [self.field(tensor) for tensor in source], output)
        if function._schema.is_mutable:
            self._overwrite(args[0], fields)
        for each in result if isinstance(result, list | tuple) else [result]:
            if isinstance(each, Tensor):
                self._fields[each] = fields
        return result

    def _overwrite(self, target: Any, fields: ReceptiveField | None) -> None:
        """Other views of memory that is written to become unknown, unless its receptive field stays."""
        if not isinstance(target, Tensor) or self._fields.get(target) == fields is not None:
            return
        if not (memory := _memory(target)):
            return
        for tensor in list(self._fields.keys()):
            if tensor is not target and _memory(tensor) == memory:
                self._fields[tensor] = None
        if target.numel() * target.element_size() < target.untyped_storage().nbytes():
            self._overwritten[memory] = target  # the rest of the memory is a tensor that may not have been seen yet


def _memory(tensor: Tensor) -> int:
    """The address of a tensor's memory; 0 where there is none to share."""
    try:
        return tensor.untyped_storage()._cdata if tensor.numel() else 0
    except NotImplementedError:  # sparse tensors, and those inside of torch.func
        return 0
