"""Pictures that the objective does not reach: found by their gradients, and given others in the next steps."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from inverter.relu_rules import RedirectedReLU


class Rescue:
    """Watches which pictures get a gradient, and redirects the ReLUs for those that got none (`RedirectedReLU`).

    A picture is stuck when none of its views got any gradient in a step. On a CPU the next step knows. Elsewhere only
    the one after it does: to ask at once would make host and device wait for each other.

    Args:
        count: pictures in the batch, B.
        steps: how many of the first steps this is for.
        device: where the pictures are.
    """

    def __init__(self, count: int, steps: int, device: torch.device) -> None:
        self.count, self.steps = count, steps
        self.delay = 0 if device.type == "cpu" else 1
        self._reached: list[Tensor] = []
        self._stuck: list[Callable[[], Tensor]] = []

    def redirect(self, step: int, views: int) -> AbstractContextManager[object]:
        """The context for the network in a step that shows it `views` views of each picture at a time."""
        if step < self.steps and len(self._stuck) > self.delay:
            stuck = self._stuck.pop(0)()
            if bool(stuck.any()):
                return RedirectedReLU(stuck.repeat(views))
        return nullcontext()

    def watch(self, step: int, entering: Tensor) -> None:
        """Takes note of the gradient of what enters the network, (views * B, C, H, W), once it is known."""
        if step < self.steps:
            entering.register_hook(self._note)

    def _note(self, gradient: Tensor) -> None:
        self._reached.append(gradient.flatten(1).any(1).view(-1, self.count))

    def learn(self) -> None:
        """Called when the gradients of a step are known."""
        if self._reached:
            self._stuck.append(_arriving(~torch.cat(self._reached).any(0)))
            self._reached.clear()


def _arriving(flags: Tensor) -> Callable[[], Tensor]:
    """Gives the flags on the host when called; until then, nobody waits for them."""
    if flags.device.type != "cuda":
        return flags.cpu
    here, arrived = flags.to("cpu", non_blocking=True), torch.cuda.Event()
    arrived.record()

    def wait() -> Tensor:
        arrived.synchronize()
        return here

    return wait
