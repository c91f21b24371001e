"""The car that carries the cameras: its position and vibration."""

import numpy as np

from scenes.drawing import SUPERSAMPLING, Camera
from scenes.street import Street


class Ego:
    """A drive in the right-hand lane, in closed form as a function of time.

    Attributes:
        lane: x of the lane's middle, in metres.
        cruise: Mean speed in m/s.
    """

    def __init__(self, street: Street, size: tuple[int, int]) -> None:
        rng = np.random.default_rng([*street.seed, 3])
        self.lane = 0.36 * street.road
        self.cruise = float(rng.uniform(5.0, 10.0))
        self._surge = float(rng.uniform(0.1, 0.35)) * self.cruise
        self._beat, self._phase = float(rng.uniform(0.25, 0.5)), float(rng.uniform(0, 6.28))
        self._sway = rng.uniform(0, 6.28, 4)
        self._start = float(rng.uniform(2, 12))
        height, width = (side * SUPERSAMPLING for side in size)
        self._canvas = (height, width)
        self._focal = width * float(rng.uniform(0.95, 1.3))
        self._centre = width * float(rng.uniform(0.45, 0.55))
        self._horizon = height * float(rng.uniform(0.4, 0.48))
        self._height = float(rng.uniform(1.3, 1.9))

    def z(self, seconds: float) -> float:
        """Position along the street in metres."""
        wave = np.sin(self._beat * seconds + self._phase) - np.sin(self._phase)
        return float(self._start + self.cruise * seconds + self._surge / self._beat * wave)

    def speed(self, seconds: float) -> float:
        """Speed in m/s."""
        return float(self.cruise + self._surge * np.cos(self._beat * seconds + self._phase))

    def arrival(self, z: float) -> float:
        """Time in seconds at which the car reaches z; negative for places before the start."""
        low = high = (z - self._start) / self.cruise
        spread = 2 * self._surge / self._beat / self.cruise + 1
        low, high = low - spread, high + spread
        for _ in range(30):  # bisection: z increases with time
            middle = (low + high) / 2
            low, high = (middle, high) if self.z(middle) < z else (low, middle)
        return (low + high) / 2

    def camera(self, seconds: float) -> Camera:
        """The cameras' position and direction, with small vibrations."""
        a, b, c, d = self._sway
        pitch = 0.0022 * np.sin(8.2 * seconds + a) + 0.0014 * np.sin(13.1 * seconds + b)
        yaw = 0.008 * np.sin(0.45 * seconds + c)
        return Camera(
            canvas=self._canvas,
            focal=self._focal,
            centre_x=self._centre + self._focal * float(yaw),
            horizon=self._horizon + self._focal * float(pitch),
            x=self.lane + 0.12 * float(np.sin(0.6 * seconds + d)),
            height=self._height,
            z=self.z(seconds),
        )
