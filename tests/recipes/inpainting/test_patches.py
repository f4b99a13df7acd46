"""Completion of missing areas by patches of their surroundings."""

import torch
from torch import Tensor

from recipes.inpainting.patches import completed, with_detail


def texture(size: int = 48) -> Tensor:
    """A picture (3, S, S) of coarse grains."""
    grains = torch.rand(1, 3, size // 3, size // 3, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(grains, (size, size))[0]


def hole(size: int = 48) -> Tensor:
    """A mask (1, S, S) whose central quarter of the side is missing."""
    mask = torch.ones(1, size, size)
    mask[:, size * 3 // 8 : size * 5 // 8, size * 3 // 8 : size * 5 // 8] = 0
    return mask


def complete(picture: Tensor, mask: Tensor, seed: int = 0) -> Tensor:
    return completed(picture, mask, torch.Generator().manual_seed(seed))


def test_a_hole_in_a_texture_has_the_contrast_of_its_surroundings() -> None:
    picture, mask = texture(), hole()
    result = complete(picture, mask)
    inside = mask[0] == 0
    assert 0.7 < float(result[:, inside].std() / picture[:, ~inside].std()) < 1.3
    assert torch.equal(result[:, ~inside], picture[:, ~inside])
    assert float(result.min()) >= 0
    assert float(result.max()) <= 1


def test_an_edge_is_continued_through_a_hole() -> None:
    picture = torch.zeros(1, 40, 40)
    picture[:, :, 19:] = 1
    assert torch.equal(complete(picture, hole(40)), picture)


def test_a_soft_picture_gets_the_texture_of_an_example_and_keeps_its_own_colour() -> None:
    soft = torch.tensor([0.3, 0.5, 0.7]).view(1, 3, 1, 1).expand(1, 3, 32, 32)
    example = 0.5 + 0.1 * torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    result = with_detail(soft, example)
    assert torch.allclose(result.mean((2, 3)), soft.mean((2, 3)), atol=0.02)
    rough = [picture.diff(dim=3).abs().mean() for picture in (example, result)]
    assert 0.9 < float(rough[1] / rough[0]) < 1.1
    assert torch.allclose(with_detail(example, example), example.clamp(0, 1), atol=1e-6)


def test_missing_pixels_have_no_influence_and_a_seed_decides() -> None:
    picture, mask = texture(), hole()
    first = complete(picture, mask)
    assert torch.equal(complete(picture * mask, mask), first)
    assert torch.equal(complete(picture * mask + (1 - mask), mask), first)


def test_without_a_known_patch_a_hole_has_the_mean_of_what_is_known() -> None:
    picture, mask = torch.rand(2, 8, 8, generator=torch.Generator().manual_seed(0)), torch.zeros(1, 8, 8)
    mask[:, 0] = 1
    result = complete(picture, mask)
    torch.testing.assert_close(result[:, 1:], picture[:, :1].mean(2, keepdim=True).expand(2, 7, 8))
