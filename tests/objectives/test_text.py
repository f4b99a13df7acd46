"""Words as objectives: scores on plain tensors, one target a text, and mistakes in one line."""

import pytest
import torch
from torch import Tensor

from objectives import OUTPUT, Activations, text_match
from tests.inverter.test_text import WORDS


class Speaker:
    """A network whose text tower knows a few colours."""

    def encode_text(self, texts: object) -> Tensor:
        vectors = torch.tensor([WORDS[text] for text in texts])  # type: ignore[attr-defined]
        return torch.nn.functional.normalize(vectors, dim=1)


def seen(*vectors: tuple[float, ...], rows: list[int] | None = None) -> Activations:
    return Activations({OUTPUT: torch.tensor(vectors)}, rows=None if rows is None else torch.tensor(rows))


def test_it_is_the_cosine_of_any_length() -> None:
    score = text_match(Speaker(), "red").score(seen((3.0, 4.0, 0.0), (0.0, 9.0, 0.0)))
    assert torch.allclose(score, torch.tensor([0.6, 0.0]))


def test_each_image_has_its_own_text() -> None:
    objective = text_match(Speaker(), ["red", "green"])
    assert objective.count == 2
    assert objective.labels == ("text_match(red)", "text_match(green)")
    assert torch.allclose(objective.score(seen((1.0, 0.0, 0.0), (0.0, 2.0, 0.0))), torch.ones(2))
    assert torch.allclose(objective.score(seen((0.0, 2.0, 0.0), rows=[1])), torch.ones(1))


def test_against_other_texts_it_is_a_log_probability() -> None:
    objective = text_match(Speaker(), ["red", "green"], against=["green", "dark", "red"], scale=4.0)
    score = objective.score(seen((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)))
    logits = 4 * torch.tensor([1.0, 0.0, -(3**-0.5)])
    assert torch.allclose(score, logits.log_softmax(0)[0].expand(2), atol=1e-6)


def test_a_text_is_no_rival_of_itself() -> None:
    alone = text_match(Speaker(), "red", against=["red"])
    assert torch.allclose(alone.score(seen((0.3, 0.1, 0.0))), torch.zeros(1), atol=1e-6)


def test_the_gradient_leads_towards_the_text() -> None:
    embedding = torch.tensor([[0.1, 1.0, 0.0]], requires_grad=True)
    text_match(Speaker(), "red").score(Activations({OUTPUT: embedding})).sum().backward()
    assert embedding.grad is not None
    assert embedding.grad[0, 0] > 0 > embedding.grad[0, 1]


def test_an_output_of_another_space_is_one_line() -> None:
    with pytest.raises(ValueError, match="the texts' vectors have 3 numbers, the model's output 2"):
        text_match(Speaker(), "red").score(seen((1.0, 0.0)))
    with pytest.raises(ValueError, match="2 targets for a batch of 3 images"):
        text_match(Speaker(), ["red", "dark"]).score(seen((1.0, 0.0, 0.0), (1.0, 0.0, 0.0), (1.0, 0.0, 0.0)))
    with pytest.raises(ValueError, match="text_match: got no text"):
        text_match(Speaker(), [])
