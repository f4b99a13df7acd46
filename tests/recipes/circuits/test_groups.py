"""Groups of attribution vectors: two things are found as two, one as one, and a figure tells them apart."""

import numpy as np

from recipes.circuits.groups import Array, grouped

GENERATOR = np.random.default_rng(0)
CENTRES = GENERATOR.standard_normal((3, 40))


def around(*centres: Array, count: int = 12, noise: float = 0.2) -> Array:
    """`count` vectors about each centre, each of a length of its own."""
    found = np.concatenate([each + noise * GENERATOR.standard_normal((count, len(each))) for each in centres])
    return found * GENERATOR.uniform(0.5, 3, (len(found), 1))


def test_as_many_groups_as_there_are_directions() -> None:
    for count in (2, 3):
        found = grouped(around(*CENTRES[:count]), 4, shuffles=2)
        assert found.count == count
        assert [len(set(part)) for part in np.split(found.labels, count)] == [1] * count
        assert found.silhouette > 0.45 and found.mixed > 0.3 and found.between > 0.3


def test_the_largest_group_comes_first() -> None:
    found = grouped(np.concatenate([around(CENTRES[0], count=5), around(CENTRES[1], count=15)]), 3, shuffles=1)
    assert found.labels.tolist() == [1] * 5 + [0] * 15


def test_one_direction_is_hardly_mixed() -> None:
    one, two = grouped(around(CENTRES[0]), 3), grouped(around(*CENTRES[:2]), 3)
    assert one.mixed < 0.1 < two.mixed


def test_a_few_exceptions_are_no_group() -> None:
    found = grouped(np.concatenate([around(CENTRES[0], count=29), around(CENTRES[1], count=1)]), 2, shuffles=1)
    assert (found.count, found.silhouette, set(found.labels.tolist())) == (1, 0.0, {0})
    assert found.between == 0


def test_the_same_seed_gives_the_same_groups() -> None:
    vectors = around(*CENTRES, noise=0.5)
    one, again = grouped(vectors, 4, seed=5, shuffles=2), grouped(vectors, 4, seed=5, shuffles=2)
    assert one.labels.tolist() == again.labels.tolist() and one.mixed == again.mixed
