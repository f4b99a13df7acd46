"""Priors: parameterisations of pictures, differentiable maps from parameters to images in [0, 1], and penalties."""

from priors.accentuate import Accentuate
from priors.base import Prior
from priors.cppn import Cppn
from priors.decoder import Decoder
from priors.deep_image import DeepImage
from priors.fourier import Fourier
from priors.generator import GanLatent, PlugAndPlay, Span
from priors.maco import Maco, transparency
from priors.measuring import measure
from priors.penalties import alpha_norm, l2, total_variation
from priors.pixels import Pixels
from priors.pyramid import Pyramid
from priors.registry import list_priors
from priors.statistics import ImageStatistics, natural_statistics

__all__ = [
    "Accentuate",
    "Cppn",
    "Decoder",
    "DeepImage",
    "Fourier",
    "GanLatent",
    "ImageStatistics",
    "Maco",
    "Pixels",
    "PlugAndPlay",
    "Prior",
    "Pyramid",
    "Span",
    "alpha_norm",
    "l2",
    "list_priors",
    "measure",
    "natural_statistics",
    "total_variation",
    "transparency",
]


def __dir__() -> list[str]:
    return sorted(__all__)
