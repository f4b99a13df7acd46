"""Priors: what a picture may be, as a differentiable map from parameters to images in [0, 1], and its penalties."""

from priors.accentuate import Accentuate
from priors.base import Prior
from priors.cppn import Cppn
from priors.deep_image import DeepImage
from priors.fourier import Fourier
from priors.generator import GanLatent, PlugAndPlay
from priors.maco import Maco, transparency
from priors.measuring import measure
from priors.penalties import alpha_norm, l2, total_variation
from priors.pixels import Pixels
from priors.pyramid import Pyramid
from priors.statistics import ImageStatistics, natural

__all__ = [
    "Accentuate",
    "Cppn",
    "DeepImage",
    "Fourier",
    "GanLatent",
    "ImageStatistics",
    "Maco",
    "Pixels",
    "PlugAndPlay",
    "Prior",
    "Pyramid",
    "alpha_norm",
    "l2",
    "measure",
    "natural",
    "total_variation",
    "transparency",
]
