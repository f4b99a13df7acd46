"""Names that recipes write out, so that help texts do not wait for torch, are those of the code that has them."""

from inverter import PRESETS
from recipes.options.augmentations import AUGMENTS


def test_the_augmentations_are_those_of_the_engine() -> None:
    assert ["auto", *PRESETS] == list(AUGMENTS)
