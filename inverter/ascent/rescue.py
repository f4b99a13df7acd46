"""Pictures without a gradient: found in each step, and given redirected gradients in the next ones."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from inverter.ascent.relu_rules import RedirectedReLU


class Rescue:
    """Tracks which pictures get a gradient, and redirects the ReLUs for those that get none (`RedirectedReLU`).

    A picture is stuck when none of its views got any gradient in a step. On a CPU this is known in the next step, on
    other devices in the one after it: reading it at once would make host and device wait for each other.

    Args:
        count: pictures in the batch, B.
        steps: pictures can be rescued in this many steps at the start.
        device: where the pictures are.
    """

    def __init__(self, count: int, steps: int, device: torch.device) -> None:
        self.count, self.steps = count, steps
        self.delay = 0 if device.type == "cpu" else 1
        self._reached: list[Tensor] = []
        self._stuck: list[Callable[[], Tensor]] = []

    def redirect(self, step: int, views: int) -> AbstractContextManager[object]:
        """The context of the network's forward pass in a step.

        Args:
            step: index of the step.
            views: views of each picture in the forward pass.

        Returns:
            A `RedirectedReLU` if some picture is stuck, else a null context.
        """
        if step < self.steps and len(self._stuck) > self.delay:
            stuck = self._stuck.pop(0)()
            if bool(stuck.any()):
                return RedirectedReLU(stuck.repeat(views))
        return nullcontext()

    def watch(self, step: int, entering: Tensor) -> None:
        """Records the gradient of the network's input when the backward pass reaches it.

        Args:
            step: index of the step.
            entering: the network's input, (views * B, C, H, W).
        """
        if step < self.steps:
            entering.register_hook(self._note)

    def _note(self, gradient: Tensor) -> None:
        self._reached.append(gradient.flatten(1).any(1).view(-1, self.count))

    def learn(self) -> None:
        """Evaluates the gradients of a step; called after its backward pass."""
        if self._reached:
            self._stuck.append(_arriving(~torch.cat(self._reached).any(0)))
            self._reached.clear()


def _arriving(flags: Tensor) -> Callable[[], Tensor]:
    """A function that returns the flags on the host; the copy runs asynchronously until it is called."""
    if flags.device.type != "cuda":
        return flags.cpu
    here, arrived = flags.to("cpu", non_blocking=True), torch.cuda.Event()
    arrived.record(torch.cuda.current_stream(flags.device))

    def wait() -> Tensor:
        arrived.synchronize()
        return here

    return wait
