"""Objectives: what to look for in a picture, as a score per image computed from activations."""

from objectives.base import OUTPUT, Activations, Objective
from objectives.codes import DISTANCES, code
from objectives.directions import direction
from objectives.gram import diverse, diversity
from objectives.logits import logit, softmax
from objectives.pixels import known_pixels
from objectives.units import channel, layer, neuron

__all__ = [
    "DISTANCES",
    "OUTPUT",
    "Activations",
    "Objective",
    "channel",
    "code",
    "direction",
    "diverse",
    "diversity",
    "known_pixels",
    "layer",
    "logit",
    "neuron",
    "softmax",
]
