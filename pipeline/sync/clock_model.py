"""The relation between the two cameras' clocks, and the time difference that remains in pairs."""

from dataclasses import dataclass
from math import inf, sqrt
from typing import Any


@dataclass(frozen=True, slots=True)
class ClockModel:
    """Converts infrared times to the visible camera's clock.

    Attributes:
        offset_ns: Added to infrared times, nanoseconds.
        drift_ppm: How much faster the visible clock runs, parts per million; over -1,000,000.
    """

    offset_ns: int = 0
    drift_ppm: float = 0.0

    def __post_init__(self) -> None:
        if not -1e6 < self.drift_ppm < inf:
            raise ValueError(f"a drift of {self.drift_ppm} ppm would turn time back")

    def on_visible(self, time_ns: int, first_ns: int) -> int:
        """An infrared time on the visible clock: t + offset + drift·10⁻⁶·(t − first).

        Args:
            time_ns: Time on the infrared clock.
            first_ns: Time of the first infrared frame, where the drift is zero.
        """
        drifted = round(self.drift_ppm * 1e-6 * (time_ns - first_ns))
        return time_ns + self.offset_ns + drifted


@dataclass(slots=True)
class Skew:
    """Statistics of visible minus corrected infrared time over all pairs, in constant memory.

    The sums are integers, so a long run loses no precision.
    """

    count: int = 0
    least_ns: int = 0
    greatest_ns: int = 0
    _sum: int = 0
    _squares: int = 0

    def add(self, difference_ns: int) -> None:
        """Add a pair."""
        first = self.count == 0
        self.least_ns = difference_ns if first else min(self.least_ns, difference_ns)
        self.greatest_ns = difference_ns if first else max(self.greatest_ns, difference_ns)
        self.count += 1
        self._sum += difference_ns
        self._squares += difference_ns**2

    def as_dict(self) -> dict[str, int | float | None]:
        """Number of pairs; mean, population standard deviation, minimum, maximum in milliseconds.

        The times are None without pairs.
        """
        names = ("mean_ms", "std_ms", "min_ms", "max_ms")
        if not self.count:
            return {"pairs": 0, **dict.fromkeys(names)}
        mean = self._sum / self.count
        std = sqrt(self.count * self._squares - self._sum**2) / self.count
        values = (mean, std, self.least_ns, self.greatest_ns)
        return {"pairs": self.count, **{n: v / 1e6 for n, v in zip(names, values, strict=True)}}


def timing_of(clock: ClockModel, skew: Skew) -> dict[str, Any]:
    """The part ``sync`` of ``results.json``: the infrared camera's clock and the remaining skew."""
    return {
        "offset_ms": clock.offset_ns / 1e6,
        "drift_ppm": clock.drift_ppm,
        "skew": skew.as_dict(),
    }
