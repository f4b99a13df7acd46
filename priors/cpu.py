"""Tensors in float32 on the CPU, where priors are made and drawn, whatever the process's default type and device."""

from __future__ import annotations

from functools import partial

import torch

zeros = partial(torch.zeros, dtype=torch.float32, device="cpu")
ones = partial(torch.ones, dtype=torch.float32, device="cpu")
full = partial(torch.full, dtype=torch.float32, device="cpu")
tensor = partial(torch.tensor, dtype=torch.float32, device="cpu")
arange = partial(torch.arange, dtype=torch.float32, device="cpu")
fftfreq = partial(torch.fft.fftfreq, dtype=torch.float32, device="cpu")
rfftfreq = partial(torch.fft.rfftfreq, dtype=torch.float32, device="cpu")
rand = partial(torch.rand, dtype=torch.float32, device="cpu")
randn = partial(torch.randn, dtype=torch.float32, device="cpu")
