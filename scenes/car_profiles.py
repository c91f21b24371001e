"""Side views of cars."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Profile:
    """The side view of a car, in metres forward and up from the middle of its footprint.

    Attributes:
        body: Outline of the lower body, from the rear bottom over the top to the front bottom;
            the third point is the boot's edge, the fifth the bonnet's front edge.
        cabin: Rear base, rear roof, front roof, front base.
        axles: Positions of the rear and the front axle.
        half_width: Half the width of the body.
    """

    body: tuple[tuple[float, float], ...]
    cabin: tuple[tuple[float, float], ...]
    axles: tuple[float, float]
    half_width: float


def _profile(
    length: float, waist: float, cabin: Sequence[tuple[float, float]], half_width: float
) -> Profile:
    half = length / 2
    body = (
        (-half, 0.3),
        (-half - 0.04, 0.58),
        (-half + 0.06, waist),
        (cabin[3][0], waist),
        (half - 0.12, waist - 0.17),
        (half + 0.03, 0.58),
        (half, 0.3),
    )
    return Profile(body, tuple(cabin), (-0.3 * length, 0.31 * length), half_width)


PROFILES = (
    _profile(4.5, 0.95, ((-1.7, 0.95), (-1.0, 1.43), (0.2, 1.45), (1.05, 0.95)), 0.88),
    _profile(3.9, 0.97, ((-1.88, 0.97), (-1.5, 1.5), (0.1, 1.52), (0.95, 0.97)), 0.84),
    _profile(4.5, 1.08, ((-2.15, 1.08), (-1.85, 1.68), (0.15, 1.72), (1.05, 1.08)), 0.92),
    _profile(4.3, 1.1, ((-2.1, 1.1), (-2.0, 1.88), (0.9, 1.9), (1.6, 1.1)), 0.86),
)
