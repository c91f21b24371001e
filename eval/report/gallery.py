"""The sample of labelled objects shown in a report, chosen in one pass in constant memory.

For each arm and outcome the objects with the smallest hashes of their image's key are kept. The
sample is random but depends only on the data, also after a resume.
"""

import hashlib
import heapq
from collections import Counter
from collections.abc import Mapping, Sequence

# Crops per outcome, for all arms together; more of those that fusion changed.
PLACES: Mapping[str, int] = {
    "rescued": 40, "lost_ir": 40, "lost_vis": 40, "lost_both": 20, "kept_ir": 20, "kept_vis": 20,
    "missed_by_all": 20,
}  # fmt: skip
MOST = sum(PLACES.values())


class Picks:
    """The kept objects, by name; an object may be kept for several arms."""

    def __init__(self, arms: Sequence[str]) -> None:
        """Divide the places among the arms."""
        self._places = {outcome: places // max(1, len(arms)) for outcome, places in PLACES.items()}
        self._heaps: dict[tuple[str, str], list[tuple[int, str]]] = {}
        self._uses: Counter[str] = Counter()

    def offer(self, name: str, rank: int, outcomes: Mapping[str, str]) -> tuple[bool, list[str]]:
        """Add an object if it belongs to the sample so far.

        Args:
            name: Unique name of the object.
            rank: Its ``rank``.
            outcomes: One of ``eval.attribution.OUTCOMES`` by arm.

        Returns:
            Whether it is kept, and the names of the objects that are dropped for it.
        """
        replaced = []
        for arm, outcome in outcomes.items():
            places = self._places.get(outcome, 0)
            heap = self._heaps.setdefault((arm, outcome), [])
            # the top of the heap has the greatest rank
            if len(heap) < places:
                heapq.heappush(heap, (-rank, name))
            elif places and -rank > heap[0][0]:
                replaced.append(heapq.heapreplace(heap, (-rank, name))[1])
            else:
                continue
            self._uses[name] += 1
        dropped = []
        for other in replaced:
            self._uses[other] -= 1
            if self._uses[other] == 0:
                dropped.append(other)
        return self._uses[name] > 0, dropped


def rank(key: str, label: int) -> int:
    """A 64-bit hash of a label of an image."""
    digest = hashlib.blake2b(f"{label} {key}".encode("utf-8", "surrogateescape"), digest_size=8)
    return int.from_bytes(digest.digest())


def stride(number: int, most: int) -> int:
    """The spacing of the images that are shown as moments of a run.

    Args:
        number: Index of the newest image, from 0.
        most: Largest number of moments.

    Returns:
        The least power of two of which at most ``most`` multiples are indices so far.
    """
    step = 1
    while number // step >= most:
        step *= 2
    return step
