"""What pages show: whose turn it is, and what each page wishes for first."""

from recipes.explore.server.demands import MOST_OF_A_PAGE, Demands


def order(demands: Demands) -> list[tuple[str, int | None]]:
    return [unit for _, unit in demands.turns()]


def test_the_layers_of_a_map_fill_together_the_newest_first() -> None:
    demands = Demands()
    demands.set("page", "a", [0, 1, 2])
    demands.set("page", "b", [5, 6])
    assert order(demands) == [("b", 5), ("a", 0), ("b", 6), ("a", 1), ("a", 2)]
    demands.set("page", "b", [])
    assert order(demands) == [("a", 0), ("a", 1), ("a", 2)]


def test_who_asked_last_comes_first_and_then_who_has_waited_longest() -> None:
    demands = Demands()
    demands.set("one", "a", [0])
    demands.set("two", "a", [9, 1])
    first = next(demands.turns())
    assert first[1] == ("a", 9)
    first[0].served = 1.0
    assert order(demands) == [("a", 0), ("a", 9), ("a", 1)]
    assert demands.missing({("a", 9)}) == 2
    assert demands.shown([("a", 1), ("a", 0), ("a", 9)]) == {"one": [1], "two": [0, 2]}
    demands.drop("two")
    assert (order(demands), bool(demands)) == ([("a", 0)], True)
    demands.drop("one")
    assert not demands


def test_what_a_page_waits_for_is_bounded() -> None:
    demands = Demands()
    for layer in range(5):
        demands.set("page", str(layer), list(range(300)))
    assert len(order(demands)) == MOST_OF_A_PAGE
