"""Architectures of torchvision, timm and transformers in their smallest form, and odd ones, with random weights.

`NETWORKS` has them by name, as functions that make one, with the side of its pictures in pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils import checkpoint

Make = Callable[[], nn.Module]
TOKENS = {"patch_size": 8, "image_size": 32, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
STAGES = {"depths": [1, 1, 1, 1], "hidden_sizes": [8, 8, 16, 16]}
SWIN = {"image_size": 32, "patch_size": 4, "embed_dim": 16, "depths": [1, 1], "num_heads": [1, 2], "window_size": 4}


def _torchvision(make: Callable[[Any], nn.Module]) -> Make:
    def made() -> nn.Module:
        from torchvision import models

        return make(models)

    return made


def _timm(name: str, **options: Any) -> Make:
    def made() -> nn.Module:
        import timm

        return timm.create_model(name, pretrained=False, num_classes=8, **options)

    return made


def _transformers(model: str, config: str, **options: Any) -> Make:
    def made() -> nn.Module:
        import transformers

        return getattr(transformers, model)(getattr(transformers, config)(**options))

    return made


def _vgg(models: Any) -> nn.Module:
    net = nn.Module.__new__(models.VGG)  # its own head has 120 million weights
    nn.Module.__init__(net)
    net.features, net.avgpool = models.vgg.make_layers([8, "M", 16, "M"], batch_norm=True), nn.AdaptiveAvgPool2d(2)
    net.classifier = nn.Sequential(nn.Linear(64, 32), nn.ReLU(True), nn.Dropout(), nn.Linear(32, 8))
    return net


def _vit(models: Any) -> nn.Module:
    net = models.VisionTransformer(32, 8, 3, 2, hidden_dim=16, mlp_dim=32, num_classes=8)
    nn.init.normal_(net.heads.head.weight)  # zero at first, so that no logit would depend on the picture
    return net


def _regnet(models: Any) -> nn.Module:
    blocks = models.regnet.BlockParams.from_init_params(depth=4, w_0=8, w_a=8.0, w_m=2.0, group_width=8, se_ratio=0.25)
    return models.RegNet(blocks, num_classes=8, stem_width=8)


def _convnext(models: Any) -> nn.Module:
    block = models.convnext.CNBlockConfig
    return models.ConvNeXt([block(8, 16, 1), block(16, None, 1)], num_classes=8)


def _fcn(models: Any) -> nn.Module:
    from torchvision.models._utils import IntermediateLayerGetter
    from torchvision.models.segmentation.fcn import FCN, FCNHead

    body = models.ResNet(models.resnet.BasicBlock, [1, 1, 1, 1])
    return FCN(IntermediateLayerGetter(body, {"layer4": "out"}), FCNHead(512, 5))


class UNet(nn.Module):
    """Skips by concatenation, and a dictionary of maps."""

    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2 = nn.Conv2d(3, 8, 3, 1, 1), nn.Conv2d(8, 16, 3, 2, 1)
        self.up, self.last = nn.ConvTranspose2d(16, 8, 2, 2), nn.Conv2d(16, 4, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        high = F.relu(self.down1(x))
        low = F.relu(self.down2(high))
        return {"low": low, "out": self.last(torch.cat([high, self.up(low)], 1))}


class Shared(nn.Module):
    """A module that runs three times, in-place sums, and two outputs of which none is the main one."""

    @dataclass
    class Output:
        left: Tensor
        logits: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.body, self.relu = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 1, 1), nn.ReLU(inplace=True)
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Output:
        x = self.relu(self.stem(x))
        for _ in range(3):
            y = self.body(x)
            y += x
            x = self.relu(y)
        return self.Output(x, self.head(x.mean((2, 3))))


class Rows(nn.Module):
    """Recurrent over the rows of its maps, as in readers of text."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.pool = nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1), nn.ReLU()), nn.MaxPool2d(4)
        self.gru, self.head = nn.GRU(64, 12, batch_first=True, bidirectional=True), nn.Linear(24, 5)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.pool(self.conv(x))
        columns, _ = self.gru(maps.permute(0, 3, 1, 2).flatten(2))
        return self.head(columns[:, -1])


class Frequencies(nn.Module):
    """Learned filters in the Fourier domain, whose weights are complex."""

    def __init__(self) -> None:
        super().__init__()
        self.lift, self.norm, self.head = nn.Conv2d(3, 8, 1), nn.GroupNorm(2, 8), nn.Linear(8, 4)
        self.filter = nn.Parameter(torch.randn(8, 32, 17, dtype=torch.cfloat) * 0.1 + 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(torch.fft.irfft2(torch.fft.rfft2(self.lift(x)) * self.filter, s=x.shape[2:]))
        return self.head(F.gelu(x).amax((2, 3)))


class Deformable(nn.Module):
    """A deformable convolution, and a spatial transformer in front of it."""

    def __init__(self) -> None:
        super().__init__()
        from torchvision.ops import DeformConv2d

        self.where, self.theta = nn.Conv2d(3, 18, 3, 1, 1), nn.Conv2d(3, 6, 32)
        self.deformed, self.head = DeformConv2d(3, 8, 3, padding=1), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        theta = torch.eye(2, 3) + 0.1 * self.theta(x).view(-1, 2, 3)
        x = F.grid_sample(x, F.affine_grid(theta, list(x.shape), align_corners=False), align_corners=False)
        return self.head(self.deformed(x, self.where(x)).relu().mean((2, 3)))


class Experts(nn.Module):
    """Control flow that depends on the picture, weights that are computed from it, and masks drawn at random."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.weights = nn.Linear(3, 2), nn.Linear(3, 8 * 27)
        self.experts = nn.ModuleList([nn.Conv2d(8, 8, 3, 1, 1), nn.Conv2d(8, 8, 1)])
        self.last, self.head = nn.BatchNorm2d(8), nn.Linear(8, 4)
        self.calls, self.seen = 0, []

    def forward(self, x: Tensor) -> Tensor:
        self.calls, mean = self.calls + 1, x.mean((2, 3))
        self.seen.append(mean)
        kernels = self.weights(mean).view(-1, 3, 3, 3) * 0.2
        x = F.conv2d(x.reshape(1, -1, *x.shape[2:]), kernels, padding=1, groups=len(x)).view(-1, 8, *x.shape[2:])
        chosen = [self.experts[i](row[None]) for row, i in zip(x, self.gate(mean).argmax(1).tolist(), strict=True)]
        x = torch.cat(chosen) * (torch.rand(8, 1, 1) > 0.1)
        return self.head(self.last(x).relu().mean((2, 3)))


class Grey(nn.Module):
    """The tutorial's network for digits, which flattens with `view`, in float64, with gradient checkpointing."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.fc = nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5), nn.Linear(400, 10)
        self.input_size, self.normalize = 32, ((0.5,), (0.5,))
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(checkpoint.checkpoint(self.conv1, x, use_reentrant=False).relu(), 2)
        return self.fc(F.max_pool2d(self.conv2(x).relu(), 2).view(-1, 400))


NETWORKS: dict[str, tuple[Make, int]] = {
    "torchvision squeezenet": (_torchvision(lambda m: m.squeezenet1_1(num_classes=8)), 64),
    "torchvision resnet": (_torchvision(lambda m: m.ResNet(m.resnet.BasicBlock, [1, 1, 1, 1], num_classes=8)), 32),
    "torchvision resnext": (
        _torchvision(lambda m: m.ResNet(m.resnet.Bottleneck, [1, 1, 1, 1], 8, groups=4, width_per_group=4)),
        32,
    ),
    "torchvision densenet, saving memory": (
        _torchvision(lambda m: m.DenseNet(8, (2, 2, 2), 8, num_classes=8, memory_efficient=True)),
        32,
    ),
    "torchvision vgg": (_torchvision(_vgg), 32),
    "torchvision googlenet": (
        _torchvision(lambda m: m.GoogLeNet(num_classes=8, aux_logits=False, init_weights=False)),
        64,
    ),
    "torchvision mobilenet v2": (_torchvision(lambda m: m.MobileNetV2(num_classes=8, width_mult=0.25)), 64),
    "torchvision shufflenet": (
        _torchvision(lambda m: m.ShuffleNetV2([1, 1, 1], [8, 16, 32, 64, 64], num_classes=8)),
        32,
    ),
    "torchvision mnasnet": (_torchvision(lambda m: m.MNASNet(0.1, num_classes=8)), 64),
    "torchvision regnet": (_torchvision(_regnet), 32),
    "torchvision convnext": (_torchvision(_convnext), 32),
    "torchvision fcn": (_torchvision(_fcn), 32),
    "torchvision vit": (
        _torchvision(_vit),
        32,
    ),
    "torchvision swin": (
        _torchvision(lambda m: m.SwinTransformer([4, 4], 16, [1, 1], [1, 2], [4, 4], num_classes=8)),
        32,
    ),
    "torchvision maxvit": (
        _torchvision(
            lambda m: m.MaxVit((32, 32), 8, 2, [8, 16], [1, 1], head_dim=8, stochastic_depth_prob=0, num_classes=8)
        ),
        32,
    ),
    "timm convnext": (_timm("test_convnext"), 32),
    "timm efficientnet": (_timm("test_efficientnet"), 32),
    "timm nfnet": (_timm("test_nfnet"), 32),
    "timm mambaout": (_timm("test_mambaout"), 32),
    "timm repghostnet": (_timm("lcnet_035"), 32),
    "timm dla": (_timm("dla46_c"), 32),
    "timm mobilevit": (_timm("mobilevit_xxs"), 64),
    "timm efficientvit": (_timm("efficientvit_b0"), 32),
    "timm coatnet": (_timm("coatnet_pico_rw_224", img_size=32), 32),
    "timm vit": (_timm("test_vit", img_size=32), 32),
    "timm deit, distilled": (
        _timm("deit_tiny_distilled_patch16_224", img_size=32, depth=2, embed_dim=16, num_heads=2),
        32,
    ),
    "timm dinov2 with registers": (
        _timm("vit_small_patch14_reg4_dinov2", img_size=42, depth=2, embed_dim=16, num_heads=2),
        42,
    ),
    "timm eva": (_timm("eva02_tiny_patch14_224", img_size=28, depth=2, embed_dim=24, num_heads=2), 28),
    "timm swin": (
        _timm(
            "swin_tiny_patch4_window7_224", img_size=32, depths=(1, 1), num_heads=(1, 2), embed_dim=16, window_size=4
        ),
        32,
    ),
    "transformers vit": (_transformers("ViTForImageClassification", "ViTConfig", **TOKENS), 32),
    "transformers dinov2": (_transformers("Dinov2ForImageClassification", "Dinov2Config", **TOKENS), 32),
    "transformers clip": (
        _transformers("CLIPVisionModelWithProjection", "CLIPVisionConfig", projection_dim=8, **TOKENS),
        32,
    ),
    "transformers siglip": (_transformers("SiglipVisionModel", "SiglipVisionConfig", **TOKENS), 32),
    "transformers vit mae": (_transformers("ViTMAEModel", "ViTMAEConfig", **TOKENS), 32),
    "transformers swin": (_transformers("SwinForImageClassification", "SwinConfig", **SWIN), 32),
    "transformers convnext v2": (
        _transformers("ConvNextV2ForImageClassification", "ConvNextV2Config", image_size=32, **STAGES),
        32,
    ),
    "transformers resnet": (
        _transformers("ResNetForImageClassification", "ResNetConfig", embedding_size=8, layer_type="basic", **STAGES),
        32,
    ),
    "transformers segformer": (
        _transformers(
            "SegformerForSemanticSegmentation",
            "SegformerConfig",
            num_attention_heads=[1, 1, 2, 2],
            decoder_hidden_size=16,
            **STAGES,
        ),
        32,
    ),
    "own u-net": (UNet, 32),
    "own with a shared module": (Shared, 32),
    "own recurrent": (Rows, 32),
    "own of frequencies": (Frequencies, 32),
    "own deformable": (Deformable, 32),
    "own experts": (Experts, 32),
    "own grey, in float64": (Grey, 32),
    "own, wrapped and compiled": (
        lambda: torch.compile(
            nn.DataParallel(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(7200, 3)))
        ),
        32,
    ),
}
"""Name -> a function that makes the network, and the side of its pictures in pixels."""
