"""Objectives: what to maximise in a picture, as one score per image computed from activations."""

from objectives.base import OUTPUT, Activations, Objective
from objectives.centred import centred_direction
from objectives.codes import DISTANCES, Distance, caricature, code
from objectives.directions import Position, direction
from objectives.distributions import distribution
from objectives.facets import facet
from objectives.feature_statistics import FeatureStatistics, LayerStatistics
from objectives.gram import diverse, diversity
from objectives.heads import attention, attention_head
from objectives.logits import logit, softmax
from objectives.naturalness import natural, naturally
from objectives.pixels import known_pixels
from objectives.registry import list_objectives
from objectives.text import text_match
from objectives.units import channel, layer, neuron

__all__ = [
    "DISTANCES",
    "OUTPUT",
    "Activations",
    "Distance",
    "FeatureStatistics",
    "LayerStatistics",
    "Objective",
    "Position",
    "attention",
    "attention_head",
    "caricature",
    "centred_direction",
    "channel",
    "code",
    "direction",
    "distribution",
    "diverse",
    "diversity",
    "facet",
    "known_pixels",
    "layer",
    "list_objectives",
    "logit",
    "natural",
    "naturally",
    "neuron",
    "softmax",
    "text_match",
]


def __dir__() -> list[str]:
    return sorted(__all__)
