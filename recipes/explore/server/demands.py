"""What open pages show: which units are made next, so that pages take turns and each has its units in its own order."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice, zip_longest

MOST_OF_A_PAGE = 1000
"""Units that a page may wait for."""

Address = tuple[str, int | None]
"""A layer and a channel."""


@dataclass(eq=False)
class Demand:
    """What one page shows.

    Attributes:
        units: in the order in which it wishes for them.
        since: when it last said so.
        served: when something was last made for it.
    """

    units: dict[Address, None] = field(default_factory=dict)
    since: float = 0.0
    served: float = 0.0


class Demands:
    """What all open pages show; used by several threads.

    Attributes:
        changed: notified when it changes.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self._of: dict[str, Demand] = {}

    def __bool__(self) -> bool:
        return bool(self._of)

    def set(self, page: str, layer: str, channels: Sequence[int]) -> None:
        """A page says which units of a layer it shows; those of its other layers come after them.

        Args:
            page: its id.
            layer: address.
            channels: in the order in which it wishes for them.
        """
        with self.changed:
            demand = self._of.setdefault(page, Demand())
            others = (unit for unit in demand.units if unit[0] != layer)
            units = ((layer, channel) for channel in channels)
            demand.units = dict.fromkeys(islice(chain(units, others), MOST_OF_A_PAGE))
            demand.since = time.monotonic()
            self.changed.notify_all()

    def drop(self, page: str) -> None:
        """A page has gone."""
        with self.changed:
            self._of.pop(page, None)
            self.changed.notify_all()

    def turns(self) -> Iterator[tuple[Demand, Address]]:
        """All units that pages show: of the page that has waited longest first, or else of the one that came last.

        Of a page that shows several layers, the first unit of each comes before the second of any.
        """
        for demand in sorted(self._of.values(), key=lambda each: (each.served, -each.since)):
            layers = dict[str, list[Address]]()
            for unit in demand.units:
                layers.setdefault(unit[0], []).append(unit)
            for row in zip_longest(*layers.values()):
                yield from ((demand, unit) for unit in row if unit is not None)

    def alone(self) -> list[str]:
        """The layers that a page shows alone, of the page that came last first."""
        with self.changed:
            newest = sorted(self._of.values(), key=lambda demand: -demand.since)
            shown = [list(dict.fromkeys(layer for layer, _ in demand.units)) for demand in newest]
        return [layers[0] for layers in shown if len(layers) == 1]

    def missing(self, finished: Collection[Address]) -> int:
        """The number of units that pages show and that are not finished."""
        with self.changed:
            return len({unit for demand in self._of.values() for unit in demand.units if unit not in finished})

    def shown(self, units: Sequence[Address]) -> dict[str, list[int]]:
        """The pages that show some of these units -> the places of those that they show."""
        with self.changed:
            wishes = [(page, demand.units) for page, demand in self._of.items()]
        found = {page: [place for place, unit in enumerate(units) if unit in wish] for page, wish in wishes}
        return {page: places for page, places in found.items() if places}
