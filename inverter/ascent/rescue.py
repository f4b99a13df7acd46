"""Pictures without a gradient: found in each step, and given redirected gradients in the next ones."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from inverter.ascent.relu_rules import RedirectedReLU


class Rescue:
    """Tracks which pictures get a gradient, and redirects the ReLUs for those that get none (`RedirectedReLU`).

    A picture is stuck when none of its views got any gradient in a step. Which ones are is a mask on the device. The
    host only has to know whether to redirect at all: on a CPU it reads that of the last step, on other devices of the
    one before it, whose answer has arrived by then. Reading it at once would make host and device wait for each other.

    Args:
        count: pictures in the batch, B.
        steps: pictures can be rescued in this many steps at the start.
        device: where the pictures are.

    Attributes:
        stuck: (B,) bool on the device, of the last step.
    """

    def __init__(self, count: int, steps: int, device: torch.device) -> None:
        self.count, self.steps = count, steps
        self.delay = 0 if device.type == "cpu" else 1
        self.stuck = torch.zeros(count, dtype=torch.bool, device=device)
        self.any = torch.zeros(1, dtype=torch.bool, device=device)
        self._reached: list[Tensor] = []
        self._sent: list[Callable[[], Tensor]] = []

    def reset(self) -> None:
        """Forgets the steps so far: another batch begins."""
        self._sent.clear()
        self.stuck.zero_()

    def needed(self, step: int) -> bool:
        """True if some picture is known to be stuck, and this step is among the first ones; called once a step."""
        return step < self.steps and len(self._sent) > self.delay and bool(self._sent.pop(0)())

    def redirect(self, views: int) -> RedirectedReLU:
        """The context of a forward pass of `views` views of each picture in which stuck ones get a gradient."""
        return RedirectedReLU(self.stuck.repeat(views))

    def watch(self, entering: Tensor) -> None:
        """Records the gradient of the network's input, (views * B, C, H, W), when the backward pass reaches it."""
        entering.register_hook(self._note)

    def _note(self, gradient: Tensor) -> None:
        self._reached.append(gradient.flatten(1).any(1).view(-1, self.count))

    def learn(self) -> None:
        """Finds the stuck pictures of a step; called after its backward pass."""
        if self._reached:
            self.stuck.copy_(~torch.cat(self._reached).any(0))
            self.any.copy_(self.stuck.any())
            self._reached.clear()

    def send(self, step: int) -> None:
        """Sends the host what `needed` is to know of a step; called after it."""
        if step < self.steps:
            self._sent.append(_arriving(self.any))


def _arriving(flag: Tensor) -> Callable[[], Tensor]:
    """A function that returns the flag on the host; the copy runs asynchronously until it is called."""
    if flag.device.type != "cuda":
        here = flag.cpu()
        return lambda: here
    here, arrived = flag.to("cpu", non_blocking=True), torch.cuda.Event()
    arrived.record(torch.cuda.current_stream(flag.device))

    def wait() -> Tensor:
        arrived.synchronize()
        return here

    return wait
