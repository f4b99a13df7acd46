"""Words that users choose from. Standard library only, so that the command line's help can import them."""

from typing import Literal, get_args

Separator = Literal["logistic", "sgd", "difference"]
"""How a vector is found: logistic regression, a linear SVM by SGD as in Captum, or the difference of the means."""

SEPARATORS: tuple[Separator, ...] = get_args(Separator)

Pooling = Literal["mean", "none"]
"""Activations that concepts are separated in: means over the places, or all values of the layer, as in the paper."""

POOLINGS: tuple[Pooling, ...] = get_args(Pooling)
