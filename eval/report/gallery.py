"""Which labelled objects a report shows, chosen while they come, in constant memory.

For every arm and outcome the objects with the least of a hash of their image's key are kept: a
random sample, the same one for the same data, whatever was resumed meanwhile.
"""

import hashlib
import heapq
from collections import Counter
from collections.abc import Mapping, Sequence

# How many of the crops show each outcome, all arms together: what fusion changed comes first.
PLACES: Mapping[str, int] = {
    "rescued": 40, "lost_ir": 40, "lost_vis": 40, "lost_both": 20, "kept_ir": 20, "kept_vis": 20,
    "missed_by_all": 20,
}  # fmt: skip
MOST = sum(PLACES.values())


class Picks:
    """The objects that are kept, by name; one may be kept for several arms at once."""

    def __init__(self, arms: Sequence[str]) -> None:
        """Share the places among the arms whose outcomes are shown."""
        self._places = {outcome: places // max(1, len(arms)) for outcome, places in PLACES.items()}
        self._heaps: dict[tuple[str, str], list[tuple[int, str]]] = {}
        self._uses: Counter[str] = Counter()

    def offer(self, name: str, rank: int, outcomes: Mapping[str, str]) -> tuple[bool, list[str]]:
        """Take an object if it belongs to the sample so far.

        Args:
            name: Names the object, once.
            rank: Of ``rank``.
            outcomes: By arm, one of ``eval.attribution.OUTCOMES``.

        Returns:
            Whether it is kept; and the names of those that are no longer.
        """
        gone = []
        for arm, outcome in outcomes.items():
            places = self._places.get(outcome, 0)
            heap = self._heaps.setdefault((arm, outcome), [])
            # the greatest rank is the first of the heap, and the first to go
            if len(heap) < places:
                heapq.heappush(heap, (-rank, name))
            elif places and -rank > heap[0][0]:
                gone.append(heapq.heapreplace(heap, (-rank, name))[1])
            else:
                continue
            self._uses[name] += 1
        left = []
        for other in gone:
            self._uses[other] -= 1
            if self._uses[other] == 0:
                left.append(other)
        return self._uses[name] > 0, left


def rank(key: str, label: int) -> int:
    """A random number that is always the same for a label of an image, 64 bits."""
    digest = hashlib.blake2b(f"{label} {key}".encode("utf-8", "surrogateescape"), digest_size=8)
    return int.from_bytes(digest.digest())


def stride(number: int, most: int) -> int:
    """How far apart the moments are that stand for all images up to a number.

    Args:
        number: Position of the newest image, from 0.
        most: Moments, at most.

    Returns:
        A power of two; of the images with a position that it divides there are at most ``most``.
    """
    step = 1
    while number // step >= most:
        step *= 2
    return step
