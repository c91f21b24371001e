"""A street and everybody on it: the layout, and who is where as a function of time."""

from dataclasses import dataclass

import numpy as np

from pipeline.scenes.cars import Car
from pipeline.scenes.casting import draw_car, draw_person
from pipeline.scenes.climate import Climate, draw_climate
from pipeline.scenes.drawing import RGB, SUPERSAMPLING, Camera
from pipeline.scenes.people import Person

PERSON, CAR = 0, 2  # COCO's class ids
STREET_END_M = 85.0


@dataclass(frozen=True, slots=True)
class Block:
    """One building of a side, from ``start`` to ``end`` metres along the street; none of height 0.

    Attributes:
        start, end: Along z.
        height: In metres; 0 is the mouth of a side street.
        paint: Colour of its wall.
        storey, bay: Spacing of the windows in metres.
        warmer: Its wall's temperature over the mean, in kelvin.
    """

    start: float
    end: float
    height: float
    paint: RGB
    storey: float
    bay: float
    warmer: float


@dataclass(frozen=True, slots=True)
class Walker:
    """Somebody and the way they go: along the street, or across it between the kerbs."""

    person: Person
    x: float
    z: float
    velocity: float
    across: bool

    def place(
        self, seconds: float, reach: float
    ) -> tuple[tuple[float, float], tuple[float, float]]:
        """World x and z, and the heading, at a time; ``reach`` bounds x of those who cross."""
        moved = self.velocity * seconds
        if not self.across:
            heading = (0.0, 1.0 if self.velocity >= 0 else -1.0)
            return (self.x, 3.0 + (self.z - 3.0 + moved) % 42.0), heading
        # There and back: a triangle wave, so that nobody ever jumps.
        turn = (self.x + reach + moved) % (4 * reach)
        out = turn < 2 * reach
        x = turn - reach if out else 3 * reach - turn
        return (x, self.z), (1.0 if out else -1.0, 0.0)


@dataclass(frozen=True, slots=True)
class Drive:
    """A car and the way it goes; a parked one has velocity 0."""

    car: Car
    x: float
    z: float
    velocity: float
    across: bool
    facing: float

    def place(self, seconds: float) -> tuple[tuple[float, float], tuple[float, float]]:
        """World x and z, and the heading, at a time."""
        moved = self.velocity * seconds
        if self.across:
            return ((self.x + 30.0 + moved) % 60.0 - 30.0, self.z), (self.facing, 0.0)
        if self.velocity == 0.0:
            return (self.x, self.z), (0.0, self.facing)
        return (self.x, 1.0 + (self.z - 1.0 + moved) % 70.0), (0.0, self.facing)


@dataclass(frozen=True, slots=True)
class Street:
    """A camera's fixed view of a street; lengths in metres.

    Attributes:
        camera: The camera.
        climate: Light and warmth.
        road: Half the road's width.
        wall: From the middle of the road to the facades.
        junction: z of the side street's near and far edge, None without one.
        sides: The buildings of the left and the right side, nearest first.
        trees: x, z, height and a seed of each tree.
        lamps: x and z of each street lamp.
        walkers: The people.
        drives: The cars.
        sun: Side, -1 or 1, whose facade is in the sun.
    """

    camera: Camera
    climate: Climate
    road: float
    wall: float
    junction: tuple[float, float] | None
    sides: tuple[tuple[Block, ...], tuple[Block, ...]]
    trees: tuple[tuple[float, float, float, int], ...]
    lamps: tuple[tuple[float, float], ...]
    walkers: tuple[Walker, ...]
    drives: tuple[Drive, ...]
    sun: int


def build_street(seed: tuple[int, int], size: tuple[int, int], *, night: bool) -> Street:
    """Lay out a street.

    Args:
        seed: The run's seed and the clip's number; decide everything, together with ``night``.
        size: Height and width of the image in pixels; the view's angle follows the width.
        night: Whether it is dark.
    """
    rng = np.random.default_rng([*seed, int(night), 1])
    climate = draw_climate(rng, night=night)
    road = float(rng.uniform(3.6, 5.2))
    wall = road + float(rng.uniform(2.8, 5.0))
    camera = _camera(rng, size, road)
    near = float(rng.uniform(11, 24))
    junction = (near, near + 8.5) if rng.random() < 0.6 else None
    sides = (_blocks(rng, junction), _blocks(rng, junction))
    kerb = road + 0.7
    trees = tuple(
        (
            side * kerb,
            z + float(rng.uniform(-1, 1)),
            float(rng.uniform(4.5, 8.0)),
            int(rng.integers(1 << 30)),
        )
        for side in (-1, 1)
        for z in np.arange(float(rng.uniform(7, 13)), 60, float(rng.uniform(7, 14)))
        if rng.random() < 0.55 and not _in_mouth(junction, z)
    )
    first, spacing = float(rng.uniform(6, 14)), float(rng.uniform(14, 22))
    lamps = tuple(((-1) ** i * kerb, float(z)) for i, z in enumerate(np.arange(first, 70, spacing)))
    return Street(
        camera, climate, road, wall, junction, sides, trees, lamps,
        _walkers(rng, climate, road, wall, junction),
        _drives(rng, climate, road, junction),
        int(rng.choice([-1, 1])),
    )  # fmt: skip


def _in_mouth(junction: tuple[float, float] | None, z: float) -> bool:
    return junction is not None and junction[0] - 1.5 < z < junction[1] + 1.5


def _camera(rng: np.random.Generator, size: tuple[int, int], road: float) -> Camera:
    height, width = size[0] * SUPERSAMPLING, size[1] * SUPERSAMPLING
    # Between the lanes or on the pavement, where no car drives through the camera.
    beside = rng.choice([-1, 1]) * (road + rng.uniform(1.5, 2.1))
    return Camera(
        canvas=(height, width),
        focal=width * float(rng.uniform(0.95, 1.35)),
        centre_x=width * float(rng.uniform(0.35, 0.65)),
        horizon=height * float(rng.uniform(0.38, 0.5)),
        x=float(beside if rng.random() < 0.5 else rng.uniform(-0.3, 0.3)),
        height=float(rng.uniform(1.5, 2.8)),
    )


def _blocks(rng: np.random.Generator, junction: tuple[float, float] | None) -> tuple[Block, ...]:
    blocks, start = [], 0.0
    while start < STREET_END_M:
        end = start + float(rng.uniform(9, 20))
        height = float(rng.uniform(2.2, 3.0) if rng.random() < 0.2 else rng.uniform(5, 17))
        if junction is not None and start < junction[0] <= end:
            end = junction[0]
        if junction is not None and start == junction[0]:
            end, height = junction[1], 0.0
        base = rng.uniform(95, 205)
        warm = rng.uniform(-0.12, 0.2)
        paint = (base * (1 + warm), base, base * (1 - warm * rng.uniform(0.7, 1.4)))
        blocks.append(
            Block(start, end, height, paint, float(rng.uniform(2.8, 3.6)),
                  float(rng.uniform(2.0, 3.4)), float(rng.normal(0, 1.3)))
        )  # fmt: skip
        start = end
    return tuple(blocks)


def _walkers(
    rng: np.random.Generator,
    climate: Climate,
    road: float,
    wall: float,
    junction: tuple[float, float] | None,
) -> tuple[Walker, ...]:
    walkers = []
    for _ in range(int(rng.integers(2, 7))):
        speed = float(rng.uniform(0.9, 1.6) * rng.choice([-1, 1]))
        z = float(rng.uniform(6, 32))
        if rng.random() < 0.35:
            crossing = junction[0] - 2.2 + float(rng.uniform(-1, 1)) if junction else z
            x = float(rng.uniform(-road, road))
            walkers.append(Walker(draw_person(rng, climate), x, crossing, abs(speed), True))
            continue
        speed = 0.0 if rng.random() < 0.15 else speed
        x = float(rng.choice([-1, 1]) * rng.uniform(road + 0.5, wall - 0.5))
        for companion in range(2 if rng.random() < 0.3 else 1):
            shift = float(rng.uniform(0.55, 0.7)) * companion * -np.sign(x)
            walkers.append(
                Walker(draw_person(rng, climate), x + shift, z + 0.3 * companion, speed, False)
            )
    return tuple(walkers)


def _drives(
    rng: np.random.Generator, climate: Climate, road: float, junction: tuple[float, float] | None
) -> tuple[Drive, ...]:
    drives = []
    for side in (-1, 1):  # traffic keeps to the right: the near side recedes, the far one comes
        for slot in range(int(rng.integers(0, 3))):
            z = float(rng.uniform(4, 28)) + 30 * slot
            speed = float(rng.uniform(4, 11)) * side
            car = draw_car(rng, climate, running=True)
            drives.append(Drive(car, side * road * 0.38, z, speed, False, float(side)))
    for side in (-1, 1):
        for z in np.arange(float(rng.uniform(6, 12)), 45, 6.2):
            if (
                rng.random() < 0.3
                and not _in_mouth(junction, z + 2)
                and not _in_mouth(junction, z - 2)
            ):
                car = draw_car(rng, climate, running=False)
                facing = float(rng.choice([-1, 1], p=(0.3, 0.7))) * side
                drives.append(Drive(car, side * (road - 0.95), float(z), 0.0, False, facing))
    if junction is not None:
        for side in (-1, 1):
            if rng.random() < 0.6:
                z = (junction[0] + junction[1]) / 2 - side * 1.9
                start, speed = float(rng.uniform(-20, 20)), float(rng.uniform(3, 9)) * side
                car = draw_car(rng, climate, running=True)
                drives.append(Drive(car, start, z, speed, True, float(side)))
    return tuple(drives)
