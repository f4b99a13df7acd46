"""The question of two patches: its formula on plain tensors, and on a really trained judge."""

from pathlib import Path

import pytest
import torch

from inverter import Model
from recipes.evidence.natural_patches import Patch
from recipes.evidence.two_patches import JudgeFeatures, two_patches

DIAGONAL = torch.eye(8, dtype=torch.bool)


def test_pictures_like_their_patches_are_told_and_random_ones_are_guessed() -> None:
    generator = torch.Generator().manual_seed(0)
    units = torch.randn(8, 64, generator=generator)
    patches = [units + 0.3 * torch.randn(8, 64, generator=generator)]
    assert two_patches([units], patches, DIAGONAL) == [1.0] * 8
    shifted = [units + 3.0]  # what all optimised pictures have in common does not matter
    assert two_patches(shifted, patches, DIAGONAL) == [1.0] * 8
    noise = [torch.randn(8, 64, generator=generator) for _ in range(50)]
    means = [sum(filter(None, two_patches([each], patches, DIAGONAL))) / 8 for each in noise]
    assert sum(means) / 50 == pytest.approx(0.5, abs=0.05)
    assert two_patches([units.roll(1, 0)], patches, DIAGONAL) != [1.0] * 8


def test_patches_that_show_the_same_are_no_question() -> None:
    units = torch.eye(3)
    same = torch.eye(3, dtype=torch.bool)
    same[0, 1:] = same[1:, 0] = True
    assert two_patches([units], [units], same) == [None, 1.0, 1.0]
    swapped = units[[1, 0, 2]]
    (wrong, *_) = two_patches([swapped], [units], torch.eye(3, dtype=torch.bool))
    assert wrong is not None
    assert wrong < 1


def test_a_trained_judge_finds_the_other_half_of_a_photograph(squeezenet: Model, shared_data: Path) -> None:
    """Left halves stand for the pictures, right halves for the patches: better than guesses, and random halves not."""
    files = sorted((shared_data / "images" / "imagenet").glob("*.jpg"))[::36]
    features = JudgeFeatures(squeezenet)
    left, right = (
        features.of([Patch(file, window) for file in files]) for window in ((0, 0, 256, 128), (0, 128, 256, 256))
    )
    same = torch.eye(len(files), dtype=torch.bool)
    own = two_patches(left, right, same)
    other = two_patches([each.roll(5, 0) for each in left], right, same)
    assert sum(filter(None, own)) / len(files) > 0.85
    assert sum(share or 0 for share in other) / len(files) < 0.7
