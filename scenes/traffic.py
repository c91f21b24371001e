"""The paths of people and cars as functions of time."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from scenes.casting import Outfit, Vehicle, draw_outfit, draw_vehicle
from scenes.climate import Climate
from scenes.ego import Ego
from scenes.street import STRETCH_M, Street, Stretch

PERSON, CAR = 0, 2  # COCO's class ids
_FARTHEST_M = 85.0  # cars farther ahead are left out
_AMOUNT = {"sparse": 0.5, "normal": 1.0, "dense": 1.9}
# Track ids are the kind of path times this, plus a number.
_KIND = 10_000_000
_PARKED, _WALKING, _CROSSING, _AHEAD, _ONCOMING, _SIDE = range(1, 7)


@dataclass(frozen=True, slots=True)
class Pose:
    """The position of a person or car at one time.

    Attributes:
        track: Track id, constant throughout the clip.
        figure: The person or car.
        place: World x and z in metres.
        heading: Unit vector, x and z.
        speed: Speed along z in m/s.
        walked: Distance walked so far in metres; 0 for cars.
    """

    track: int
    figure: Outfit | Vehicle
    place: tuple[float, float]
    heading: tuple[float, float]
    speed: float
    walked: float = 0.0


@dataclass(frozen=True, slots=True)
class _Stroll:
    """A walk along the pavement and back, with a turn on the spot at each end."""

    figure: Outfit
    x: float
    z: float
    reach: float
    start: float
    speed: float

    def pose(self, track: int, seconds: float) -> Pose:
        walked = self.start + self.speed * seconds
        leg, along = divmod(walked, self.reach)
        back = leg % 2 == 1
        z = self.z + (self.reach - along if back else along)
        # the half turn takes the last and the first 0.4 m
        turned = max(0.0, (along - self.reach + 0.4) / 0.8) - max(0.0, 0.5 - along / 0.8)
        angle = np.pi * (float(back) + (turned if self.speed else 0.0))
        heading = (float(np.sin(angle)) * float(-np.sign(self.x)), float(np.cos(angle)))
        pace = self.speed * (-1 if back else 1)
        return Pose(track, self.figure, (self.x, z), heading, pace, walked)


@dataclass(frozen=True, slots=True)
class _Crossing:
    """A crossing of the road ahead: waits at the kerb, crosses, then stands still."""

    figure: Outfit
    z: float
    reach: float
    side: int
    leaves: float
    speed: float

    def pose(self, track: int, seconds: float) -> Pose:
        walked = min(max(self.speed * (seconds - self.leaves), 0.0), 2 * self.reach)
        x = self.side * (self.reach - walked)
        heading = (float(-self.side), 0.0)
        return Pose(track, self.figure, (x, self.z), heading, 0.0, walked)


@dataclass(frozen=True, slots=True)
class _Company:
    """The people and cars of a stretch.

    Attributes:
        parked, strolls, crossings: Parked cars and people.
        sides: Cars from the side street, each with the time it passes, its lane's z and its speed.
    """

    parked: list[Pose]
    strolls: list[_Stroll]
    crossings: list[_Crossing]
    sides: list[tuple[Vehicle, float, float, float]]


class Cast:
    """All people and cars of a street.

    Cars ahead keep their distance from the camera's car, oncoming ones have one speed, and
    crossings end before the camera's car arrives, so that there are no collisions or jumps.
    """

    def __init__(self, street: Street, ego: Ego, climate: Climate) -> None:
        self._street, self._ego, self._climate = street, ego, climate
        self._amount = _AMOUNT[climate.conditions.traffic]
        rng = np.random.default_rng([*street.seed, 4])
        self._ahead = self._platoon(rng)
        self._oncoming = float(rng.uniform(6, 11))
        self._spacing = float(rng.uniform(26, 40)) / self._amount
        self._on_stretch = lru_cache(maxsize=16)(self._fill)
        self._vehicle = lru_cache(maxsize=32)(self._draw_oncoming)

    def poses(self, seconds: float) -> Iterator[Pose]:
        """All people and cars that may be in view at a time."""
        z = self._ego.z(seconds)
        here = int(z // STRETCH_M)
        for number in range(here - 1, here + 4):
            company = self._on_stretch(number)
            base = 100 * (number + 1000)
            yield from company.parked
            for i, stroll in enumerate(company.strolls):
                yield stroll.pose(_WALKING * _KIND + base + i, seconds)
            for i, crossing in enumerate(company.crossings):
                yield crossing.pose(_CROSSING * _KIND + base + i, seconds)
            for i, (vehicle, passes, lane_z, speed) in enumerate(company.sides):
                x = speed * (seconds - passes)
                if abs(x) < 40:
                    heading = (float(np.sign(speed)), 0.0)
                    yield Pose(_SIDE * _KIND + base + i, vehicle, (x, lane_z), heading, 0.0)
        yield from self._driving(seconds)

    def _driving(self, seconds: float) -> Iterator[Pose]:
        """Cars in the two lanes."""
        z = self._ego.z(seconds)
        for i, (vehicle, gap, phase) in enumerate(self._ahead):
            distance = gap * (1 + 0.15 * float(np.sin(0.35 * seconds + phase)))
            place = (self._ego.lane, z + distance)
            yield Pose(_AHEAD * _KIND + i, vehicle, place, (0.0, 1.0), self._ego.speed(seconds))
        come = self._oncoming * seconds
        first = int((z - 4 + come) // self._spacing)
        for i in range(first, int((z + _FARTHEST_M + come) // self._spacing) + 1):
            other, shift = self._vehicle(i)
            place = (-self._ego.lane, (i + shift) * self._spacing - come)
            if other is not None:
                track = _ONCOMING * _KIND + i + 1000
                yield Pose(track, other, place, (0.0, -1.0), -self._oncoming)

    def _platoon(self, rng: np.random.Generator) -> list[tuple[Vehicle, float, float]]:
        gap, cars = float(rng.uniform(11, 30)), []
        for _ in range(3):
            if rng.random() < 0.45 * self._amount:
                vehicle = draw_vehicle(rng, self._climate, running=True)
                cars.append((vehicle, gap, float(rng.uniform(0, 6.28))))
            gap = gap * 1.4 + float(rng.uniform(10, 20))
        return cars

    def _draw_oncoming(self, number: int) -> tuple[Vehicle | None, float]:
        rng = np.random.default_rng([*self._street.seed, 5, number + 10_000])
        if rng.random() > 0.6:
            return None, 0.0
        vehicle = draw_vehicle(rng, self._climate, running=True)
        return vehicle, float(rng.uniform(0, 0.6))

    def _fill(self, number: int) -> "_Company":
        rng = np.random.default_rng([*self._street.seed, 6, number + 1000])
        stretch = self._street.stretch(number)
        parked = self._park(rng, stretch)
        strolls = [
            s for _ in range(rng.poisson(4.0 * self._amount)) for s in self._group(rng, stretch)
        ]
        crossings = [
            c for _ in range(rng.poisson(2.4 * self._amount)) if (c := self._cross(rng, stretch))
        ]
        sides = []
        if stretch.junction is not None:
            near, far = stretch.junction
            for direction in (-1, 1):
                z = (near + far) / 2 - direction * 1.9
                passes = self._ego.arrival(near - 3) - float(rng.uniform(1.8, 5))
                speed = float(rng.uniform(4, 9)) * direction
                if rng.random() < 0.5 * self._amount:
                    vehicle = draw_vehicle(rng, self._climate, running=True)
                    if self._free(z, -40, 40, passes - 40 / abs(speed), abs(speed)):
                        sides.append((vehicle, passes, z, speed))
        return _Company(parked, strolls, crossings, sides)

    def _park(self, rng: np.random.Generator, stretch: Stretch) -> list[Pose]:
        poses = []
        start = stretch.number * STRETCH_M
        for side in (-1, 1):
            for i, z in enumerate(np.arange(start + float(rng.uniform(3, 5)), start + 37, 6.4)):
                if rng.random() < 0.26 * self._amount and not stretch.in_mouth(z, 4.0):
                    vehicle = draw_vehicle(rng, self._climate, running=False)
                    facing = float(rng.choice([-1, 1], p=(0.2, 0.8))) * side
                    track = _PARKED * _KIND + 100 * (stretch.number + 1000) + i + 20 * (side + 1)
                    place = (side * (self._street.road - 0.95), float(z))
                    poses.append(Pose(track, vehicle, place, (0.0, facing), 0.0))
        return poses

    def _group(self, rng: np.random.Generator, stretch: Stretch) -> Iterator[_Stroll]:
        """One person on a pavement, or two side by side."""
        side = float(rng.choice([-1, 1]))
        x = float(rng.uniform(self._street.road + 0.7, self._street.wall - 0.6))
        z = (stretch.number + float(rng.uniform(0, 1))) * STRETCH_M
        speed = 0.0 if rng.random() < 0.15 else float(rng.uniform(0.9, 1.6))
        reach, start = float(rng.uniform(14, 26)), float(rng.uniform(0, 52))
        for abreast in range(2 if rng.random() < 0.3 else 1):
            inward = max(x - 0.65 * abreast, self._street.road + 0.4)
            outfit = draw_outfit(rng, self._climate)
            yield _Stroll(outfit, side * inward, z + 0.3 * abreast, reach, start, speed)

    def _cross(self, rng: np.random.Generator, stretch: Stretch) -> _Crossing | None:
        """A crossing that ends in time; None if cars are in the way at all tried times."""
        mouth = stretch.junction
        z = (stretch.number + float(rng.uniform(0.1, 0.9))) * STRETCH_M
        if mouth is not None:
            z = mouth[0] - 2.2 + float(rng.uniform(-1, 1))
        reach, side = self._street.road + 0.7, int(rng.choice([-1, 1]))
        speed, outfit = float(rng.uniform(1.1, 1.8)), draw_outfit(rng, self._climate)
        to_clear = reach - side * self._ego.lane + 1.6  # metres until past the camera's lane
        for _ in range(4):
            leaves = self._ego.arrival(z) - float(rng.uniform(1.2, 4.5)) - to_clear / speed
            if self._free(z, -reach, reach, leaves, speed):
                return _Crossing(outfit, z, reach, side, leaves, speed)
        return None

    def _free(self, z: float, low: float, high: float, leaves: float, speed: float) -> bool:
        """Whether no car comes within 5 m of a crossing while it lasts."""
        for seconds in np.arange(leaves, leaves + (high - low) / speed, 0.4):
            if any(abs(pose.place[1] - z) < 5 for pose in self._driving(float(seconds))):
                return False
        return True
