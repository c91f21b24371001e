"""An endless street, laid out in stretches on demand."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from scenes.drawing import RGB

STRETCH_M = 40.0
_MOUTH_M = 8.5  # width of a side street


@dataclass(frozen=True, slots=True)
class Block:
    """One building of a side, or the mouth of a side street.

    Attributes:
        start, end: Extent along z in metres.
        height: Height in metres; 0 for the mouth of a side street.
        paint: Colour of the wall.
        storey, bay: Spacing of the windows in metres.
        warmer: Temperature of the wall over the mean, in kelvin.
    """

    start: float
    end: float
    height: float
    paint: RGB
    storey: float
    bay: float
    warmer: float


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree at x and z, ``height`` metres tall; ``kind`` is the number of its drawing."""

    x: float
    z: float
    height: float
    kind: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """Forty metres of street.

    Attributes:
        number: Its number; it begins at z = ``number * STRETCH_M``.
        sides: The buildings of the left and the right side, nearest first.
        junction: z of a side street's near and far edge, None without one.
        trees: The trees on both pavements.
    """

    number: int
    sides: tuple[tuple[Block, ...], tuple[Block, ...]]
    junction: tuple[float, float] | None
    trees: tuple[Tree, ...]

    def in_mouth(self, z: float, margin: float = 1.5) -> bool:
        """Whether z on the kerb is at the mouth of the side street."""
        mouth = self.junction
        return mouth is not None and mouth[0] - margin < z < mouth[1] + margin


class Street:
    """A street's cross-section, and its stretches in any order.

    Attributes:
        seed: Seed of all random choices.
        road: Half the road's width in metres.
        wall: Distance from the middle of the road to the facades in metres.
        sun: Side of the sun, -1 or 1; the opposite facades are in the sun.
        asphalt: Grey level of the road, 0 to 255.
    """

    def __init__(self, seed: tuple[int, int], *, few_lamps: bool = False) -> None:
        """Draw the cross-section; with ``few_lamps`` the lamps' spacing is 2.5 times as large."""
        rng = np.random.default_rng([*seed, 1])
        self.seed = seed
        self.road = float(rng.uniform(4.6, 5.8))
        self.wall = self.road + float(rng.uniform(2.8, 5.0))
        self.sun = int(rng.choice([-1, 1]))
        self.asphalt = float(rng.uniform(76, 102))
        self._first, self._spacing = float(rng.uniform(0, 18)), float(rng.uniform(15, 23))
        self._spacing *= 2.5 if few_lamps else 1.0
        self._kerb = self.road + 0.7
        self.stretch = lru_cache(maxsize=16)(self._lay_out)

    def lamps(self, start: float, end: float) -> list[tuple[float, float]]:
        """Positions (x, z) of the street lamps between two z, alternating between the sides."""
        low = int(np.ceil((start - self._first) / self._spacing))
        high = int(np.ceil((end - self._first) / self._spacing))
        places = [(i % 2 * 2 - 1, self._first + i * self._spacing) for i in range(low, high)]
        return [
            (side * self._kerb, z)
            for side, z in places
            if not self.stretch(int(z // STRETCH_M)).in_mouth(z)
        ]

    def _lay_out(self, number: int) -> Stretch:
        # numbers are negative behind the start of the drive
        rng = np.random.default_rng([*self.seed, 2, number + 1000])
        start = number * STRETCH_M
        junction = None
        if rng.random() < 0.4:
            near = start + float(rng.uniform(12, 24))
            junction = (near, near + _MOUTH_M)
        sides = (_blocks(rng, start, junction), _blocks(rng, start, junction))
        bare = Stretch(number, sides, junction, ())
        spacing = float(rng.uniform(7, 13))
        trees = tuple(
            Tree(side * self._kerb, float(z + rng.uniform(-1, 1)), float(rng.uniform(4.5, 8.0)),
                 int(rng.integers(TREE_KINDS)))
            for side in (-1, 1)
            for z in np.arange(start + float(rng.uniform(2, 6)), start + STRETCH_M - 2, spacing)
            if rng.random() < 0.5 and not bare.in_mouth(z, 3.0)
        )  # fmt: skip
        return Stretch(number, sides, junction, trees)


TREE_KINDS = 5


def _blocks(
    rng: np.random.Generator, start: float, junction: tuple[float, float] | None
) -> tuple[Block, ...]:
    """Buildings of one side that fill a stretch."""
    edges = [start, start + float(rng.uniform(10, 16)), start + float(rng.uniform(24, 31))]
    edges.append(start + STRETCH_M)
    blocks = []
    for low, high in pairwise(edges):
        height = float(rng.uniform(2.2, 3.0) if rng.random() < 0.18 else rng.uniform(5, 17))
        base, warm = rng.uniform(95, 205), rng.uniform(-0.12, 0.2)
        paint = (base * (1 + warm), base, base * (1 - warm * rng.uniform(0.7, 1.4)))
        look = (paint, float(rng.uniform(2.8, 3.6)), float(rng.uniform(2.0, 3.4)),
                float(rng.normal(0, 1.3)))  # fmt: skip
        # a side street cuts a house into one or two parts
        parts = [(low, high)] if junction is None else [(low, junction[0]), (junction[1], high)]
        for part_low, part_high in parts:
            a, b = max(part_low, low), min(part_high, high)
            if b - a > 0.3:
                # parts too narrow for a house become gardens
                blocks.append(Block(a, b, height if b - a > 4 else 2.4, *look))
    if junction is not None:
        blocks.append(Block(*junction, 0.0, (0.0, 0.0, 0.0), 3.0, 3.0, 0.0))
    return tuple(sorted(blocks, key=lambda block: block.start))
