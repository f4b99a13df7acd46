"""Objectives: what to look for in a picture, as a score per image computed from activations."""

from objectives.base import OUTPUT, Objective, Seen
from objectives.code import DISTANCES, code
from objectives.direction import direction
from objectives.diversity import diverse, diversity
from objectives.logits import logit, softmax
from objectives.pixels import known_pixels
from objectives.units import channel, layer, neuron

__all__ = [
    "DISTANCES",
    "OUTPUT",
    "Objective",
    "Seen",
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
