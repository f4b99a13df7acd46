"""Really trained networks that no library has, built as the test data's description says.

Each function is a factory for `--model tests/shared_networks.py:NAME`; the weights are files in the folder named by
`INVERTER_TEST_DATA`.
"""

import os
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def weights(name: str) -> Path:
    """The file of a network's weights."""
    return Path(os.environ.get("INVERTER_TEST_DATA", ".")) / "weights" / f"{name}.safetensors"


def mnist_lenet5() -> nn.Module:
    """Digits: grey 32x32 in [0, 1], no normalisation; 10 logits."""
    layers = {
        "c1": nn.Conv2d(1, 6, 5), "relu1": nn.ReLU(), "pool1": nn.MaxPool2d(2),
        "c3": nn.Conv2d(6, 16, 5), "relu3": nn.ReLU(), "pool3": nn.MaxPool2d(2),
        "c5": nn.Conv2d(16, 120, 5), "relu5": nn.ReLU(), "flat": nn.Flatten(),
        "f6": nn.Linear(120, 84), "relu6": nn.ReLU(), "f7": nn.Linear(84, 10),
    }  # fmt: skip
    return nn.Sequential(OrderedDict(layers))


class _Separable(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.dw = nn.Conv2d(before, before, 3, padding=1, groups=before, bias=False)
        self.pw = nn.Conv2d(before, after, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.pw(self.dw(x))


class _Block(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.shortcut = nn.Conv2d(before, after, 1, stride=2, bias=False)
        self.bn_s = nn.BatchNorm2d(after, eps=1e-3)
        self.sep1, self.bn1 = _Separable(before, after), nn.BatchNorm2d(after, eps=1e-3)
        self.sep2, self.bn2 = _Separable(after, after), nn.BatchNorm2d(after, eps=1e-3)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        deep = self.bn2(self.sep2(self.relu(self.bn1(self.sep1(x)))))
        odd = deep.shape[2] % 2
        padded = F.pad(deep, (odd, 1, odd, 1), value=-torch.inf)
        return self.bn_s(self.shortcut(x)) + F.max_pool2d(padded, 3, 2)


class _MiniXception(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(1, 8, 3, bias=False), nn.BatchNorm2d(8, eps=1e-3)
        self.conv2, self.bn2 = nn.Conv2d(8, 8, 3, bias=False), nn.BatchNorm2d(8, eps=1e-3)
        self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()
        self.block1, self.block2 = _Block(8, 16), _Block(16, 32)
        self.block3, self.block4 = _Block(32, 64), _Block(64, 128)
        self.head = nn.Conv2d(128, 7, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu2(self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x))))))
        x = self.block4(self.block3(self.block2(self.block1(x))))
        return self.head(x).mean((2, 3))


def fer_mini_xception() -> nn.Module:
    """Facial expressions: grey 64x64, mean and deviation .5; 7 logits."""
    return _MiniXception()


class _BasicPitch(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.contour1, self.contour2 = nn.Conv2d(8, 8, (3, 39), padding=(1, 19)), nn.Conv2d(8, 1, 5, padding=2)
        self.note1 = nn.Conv2d(1, 32, 7, stride=(1, 3), padding=(3, 2))
        self.note2 = nn.Conv2d(32, 1, (7, 3), padding=(3, 1))
        self.onset1 = nn.Conv2d(8, 32, 5, stride=(1, 3), padding=(2, 1))
        self.onset2 = nn.Conv2d(33, 1, 3, padding=1)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        contour = torch.sigmoid(self.contour2(self.relu(self.contour1(x))))
        note = torch.sigmoid(self.note2(self.relu(self.note1(contour))))
        onset = self.onset2(torch.cat([note, self.relu(self.onset1(x))], 1))
        return {"contour": contour, "note": note, "onset": torch.sigmoid(onset)}


def basic_pitch() -> nn.Module:
    """Notes of polyphonic music: eight harmonics of a constant-Q transform, 172x264; three dense outputs."""
    return _BasicPitch()


class _FashionBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        y = self.ln1(x)
        return x + self.mlp(self.ln2(self.attn(y, y, y, need_weights=False)[0]))


class _FashionImage(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 32, 5, stride=5)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, 32))
        self.register_buffer("pos", torch.zeros(1, 257, 32))
        self.blocks = nn.Sequential(*(_FashionBlock(32, 4) for _ in range(8)))
        self.proj = nn.Parameter(torch.zeros(32, 128))

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patch(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls_token.expand(len(x), -1, -1), tokens], 1) + self.pos
        return F.normalize(self.blocks(tokens)[:, 0] @ self.proj, dim=-1)


class _FashionText(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(256, 64)
        self.register_buffer("pos", torch.zeros(1, 32, 64))
        self.blocks = nn.Sequential(*(_FashionBlock(64, 8) for _ in range(8)))
        self.proj = nn.Parameter(torch.zeros(64, 128))

    def forward(self, tokens: Tensor) -> Tensor:
        last = (tokens > 0).sum(1) - 1
        found = self.blocks(self.embed(tokens) + self.pos)[torch.arange(len(tokens)), last]
        return F.normalize(found @ self.proj, dim=-1)


class _FashionClip(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.image, self.text = _FashionImage(), _FashionText()
        self.logit_scale = nn.Parameter(torch.zeros(()))

    def encode_image(self, x: Tensor) -> Tensor:
        return self.image(x)

    def encode_text(self, tokens: Tensor) -> Tensor:
        return self.text(tokens)


def _bytes(texts: Sequence[str]) -> Tensor:
    """Byte 2, the text's UTF-8 bytes in lower case, byte 3, zeros up to 32."""
    tokens = torch.zeros(len(texts), 32, dtype=torch.long)
    for row, text in zip(tokens, texts, strict=True):
        content = [2, *text.lower().encode()[:30], 3]
        row[: len(content)] = torch.tensor(content)
    return tokens


def fashion_clip_mira() -> tuple[nn.Module, dict[str, object]]:
    """Product pictures and their captions (CLIP): RGB 80x80 in [0, 1], no normalisation; embeddings of length 128."""
    return _FashionClip(), {"tokenizer": _bytes, "input_size": 80, "normalize": "none"}


FASHION_CAPTIONS = [
    "accessories", "apparel set", "bags", "bath and body", "beauty accessories", "belts", "bottomwear", "cufflinks",
    "dress", "eyelash", "eyewear", "flip flops", "fragrance", "free gifts", "gloves", "hair", "headwear",
    "home furnishing", "innerwear", "jewellery", "lipstick", "loungewear and nightwear", "makeup", "mufflers",
    "nail polish", "perfumes", "sandal", "saree", "scarves", "shoe accessories", "shoes", "skin", "skin care",
    "socks", "sports accessories", "sports equipment", "stoles", "ties", "topwear", "umbrellas", "vouchers",
    "wallets", "watches", "water bottle", "wristbands",
]  # fmt: skip
"""The captions that `fashion_clip_mira` knows."""


class _Inception(nn.Module):
    """Four branches, concatenated; the widths of `reduce` are those of the 1x1 convolutions before 3x3 and 5x5."""

    def __init__(self, before: int, one: int, reduce3: int, three: int, reduce5: int, five: int, pool: int) -> None:
        super().__init__()
        self.branch1 = nn.Conv2d(before, one, 1)
        self.branch2 = nn.Sequential(nn.Conv2d(before, reduce3, 1), nn.ReLU(), nn.Conv2d(reduce3, three, 3, padding=1))
        self.branch3 = nn.Sequential(nn.Conv2d(before, reduce5, 1), nn.ReLU(), nn.Conv2d(reduce5, five, 5, padding=2))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.Conv2d(before, pool, 1))
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1))


def bvlc_googlenet() -> tuple[nn.Module, dict[str, object]]:
    """InceptionV1 as in Caffe, ImageNet: RGB 224x224, mean 123 117 104 of 255; 1000 logits."""
    layers: dict[str, nn.Module] = {
        "conv1": nn.Conv2d(3, 64, 7, stride=2, padding=3), "relu1": nn.ReLU(),
        "pool1": nn.MaxPool2d(3, 2, ceil_mode=True), "lrn1": nn.LocalResponseNorm(5, 1e-4, 0.75, 1),
        "conv2": nn.Conv2d(64, 64, 1), "relu2": nn.ReLU(), "conv3": nn.Conv2d(64, 192, 3, padding=1),
        "relu3": nn.ReLU(), "lrn2": nn.LocalResponseNorm(5, 1e-4, 0.75, 1),
        "pool2": nn.MaxPool2d(3, 2, ceil_mode=True),
        "inception3a": _Inception(192, 64, 96, 128, 16, 32, 32),
        "inception3b": _Inception(256, 128, 128, 192, 32, 96, 64),
        "pool3": nn.MaxPool2d(3, 2, ceil_mode=True),
        "inception4a": _Inception(480, 192, 96, 208, 16, 48, 64),
        "inception4b": _Inception(512, 160, 112, 224, 24, 64, 64),
        "inception4c": _Inception(512, 128, 128, 256, 24, 64, 64),
        "inception4d": _Inception(512, 112, 144, 288, 32, 64, 64),
        "inception4e": _Inception(528, 256, 160, 320, 32, 128, 128),
        "pool4": nn.MaxPool2d(3, 2, ceil_mode=True),
        "inception5a": _Inception(832, 256, 160, 320, 32, 128, 128),
        "inception5b": _Inception(832, 384, 192, 384, 48, 128, 128),
        "average": nn.AdaptiveAvgPool2d(1), "flat": nn.Flatten(), "fc": nn.Linear(1024, 1000),
    }  # fmt: skip
    mean = ",".join(str(value / 255) for value in (123, 117, 104))
    return nn.Sequential(OrderedDict(layers)), {"input_size": 224, "normalize": f"{mean}/1,1,1"}
