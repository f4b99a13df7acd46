"""Networks of many operations, through which relevance and differences are propagated."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inverter import Model, load_model


def seeded(make: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make().eval()


class Plain(nn.Module):
    """A network of modules that run once, without maxima: Captum's rules are valid for it."""

    def __init__(self, bias: bool = True) -> None:
        super().__init__()
        self.first, self.act, self.pool = nn.Conv2d(3, 8, 3, padding=1, bias=bias), nn.ReLU(), nn.AvgPool2d(2)
        self.second, self.again, self.head = nn.Conv2d(8, 8, 3, bias=bias), nn.ReLU(), nn.Linear(288, 5, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.again(self.second(self.pool(self.act(self.first(x))))).flatten(1))


def model_of(net: nn.Module) -> Model:
    return load_model(net, normalize=((0.4, 0.5, 0.6), (0.2, 0.3, 0.25)), input_size=16, device="cpu")


class Wild(nn.Module):
    """Functional and repeated activations of several kinds, partly in place, a gate, branches, sums and a maximum."""

    def __init__(self, bias: bool = True) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1, bias=bias)
        self.second = nn.Conv2d(8, 8, 3, padding=1, bias=bias)
        self.gate = nn.Conv2d(8, 8, 1, bias=bias)
        self.act = nn.ReLU6(inplace=True)
        self.head = nn.Linear(16, 5, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(3 * self.first(x))
        y = F.hardswish(self.second(x))
        y = y * torch.sigmoid(self.gate(y.mean((2, 3), keepdim=True)))
        y += x
        y = torch.cat([F.max_pool2d(self.act(y), 2), F.avg_pool2d(torch.tanh(y), 2)], 1)
        return self.head(F.adaptive_avg_pool2d(y, 1).flatten(1))


class Middle(nn.Module):
    """Any operation between a convolution and a linear layer, on maps or on tokens."""

    def __init__(self, middle: Callable[[Tensor], Tensor], tokens: bool, bias: bool) -> None:
        super().__init__()
        self.first, self.head = nn.Conv2d(3, 8, 3, 2, 1, bias=bias), nn.Linear(8, 5, bias=bias)
        self.middle, self.tokens = middle, tokens

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return self.head(self.middle(x.flatten(2).mT).mean(1) if self.tokens else self.middle(x).mean((2, 3)))


def written_in_place(x: Tensor) -> Tensor:
    x = x + 0
    x.clamp_(min=0)
    x *= 2
    x.pow_(2)
    return x.div_(1 + x.mean(1, keepdim=True))


class Attention(nn.Module):
    def __init__(self, bias: bool = True) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, bias=bias, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x)[0]


ON_MAPS: dict[str, Callable[[], Callable[[Tensor], Tensor]]] = {
    "prelu": nn.PReLU,
    "clamp": lambda: lambda x: x.clamp(-0.2, 0.5),
    "threshold": lambda: nn.Threshold(0.1, 0.05),
    "softsign": nn.Softsign,
    "square": lambda: Tensor.square,
    "power": lambda: lambda x: x**3,
    "quotient": lambda: lambda x: x / (1 + x.abs().sum(1, keepdim=True)),
    "adaptive max pooling": lambda: nn.AdaptiveMaxPool2d(1),
    "maximum": lambda: lambda x: torch.maximum(x, x.flip(3)),
    "max over rows": lambda: lambda x: x.max(3, keepdim=True).values,
    "minimum over rows": lambda: lambda x: x.amin(2, keepdim=True),
    "sorted": lambda: lambda x: x.sort(3).values,
    "max pooling with indices": lambda: lambda x: F.max_pool2d(x, 2, return_indices=True)[0],
    "group normalisation": lambda: nn.GroupNorm(2, 8),
    "instance normalisation": lambda: nn.InstanceNorm2d(8),
    "response normalisation": lambda: nn.LocalResponseNorm(3),
    "softmax": lambda: nn.Softmax(1),
    "log_softmax": lambda: nn.LogSoftmax(1),
    "product of maps": lambda: lambda x: x @ x.mT,
    "einsum": lambda: lambda x: torch.einsum("bchw,bdhw->bcd", x, x)[..., None],
    "glu": lambda: lambda x: F.glu(torch.cat([x, x.flip(2)], 1), 1),
    "leaky ReLU by where": lambda: lambda x: torch.where(x > 0, x, 0.1 * x),
    "another mask": lambda: lambda x: x * (x > 0.3),
    "in place": lambda: written_in_place,
}
ON_TOKENS: dict[str, Callable[[], Callable[[Tensor], Tensor]]] = {
    "layer normalisation": lambda: nn.LayerNorm(8),
    "root mean square": lambda: nn.RMSNorm(8),
    "attention": lambda: lambda x: F.scaled_dot_product_attention(x, x, x),
    "attention by hand": lambda: lambda x: (x @ x.mT).softmax(-1) @ x,
    "attention module": Attention,
    "attention module without biases": lambda: Attention(bias=False),
    "encoder": lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True),
}
