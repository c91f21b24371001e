"""Kind `scenes`: generated drives, infrared and visible, with exact boxes.

The frames come as clips, each a drive along another street. Seeds 0 to 49999 are for runs; the demo
detector was validated on seeds from 50000 and trained on seeds from 100000.
"""

import gc
from collections.abc import Iterator, Mapping
from fractions import Fraction
from threading import Lock
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from common.errors import DataError
from common.modality import Modality
from eval.class_names import COCO_NAMES
from eval.labels import Labels
from pipeline.frames import BadPair, Frame, FramePair
from pipeline.images import to_eight_bit
from pipeline.interfaces import Source
from pipeline.sources._ir_range import IrRange
from scenes.climate import Conditions, Time, Traffic, Weather
from scenes.faults import Faults
from scenes.render import SMALLEST, Clip, Scene

_Side = Annotated[int, Field(ge=SMALLEST, le=2048)]
_Number = Annotated[float, Field(allow_inf_nan=False)]
_Row = tuple[_Number, _Number, _Number]
_Share = Annotated[float, Field(ge=0, lt=1)]
_SECOND = 1_000_000_000  # in nanoseconds
CLIPS = 4  # in the cache; more than the queues between the stages can span


class Config(BaseModel):
    """Generated drives."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    frames: int = Field(120, ge=1, description="pairs in all")
    seed: int = Field(0, ge=0, description="the same seed gives the same bytes")
    size: tuple[_Side, _Side] = Field((256, 320), description="height, width, pixels")
    frame_rate: float = Field(10.0, ge=0.01, le=1000, description="frames per second")
    time: Time | Literal["both"] | Annotated[tuple[Time, ...], Field(min_length=1)] = Field(
        "both", description="a time, or a list whose clips take turns; both: day and night"
    )
    weather: Weather = Field("clear", description="clear, fog or rain")
    traffic: Traffic = Field("normal", description="sparse, normal or dense")
    clip: int = Field(12, ge=1, description="frames per street")
    ir_homography: tuple[_Row, _Row, _Row] | None = Field(
        None, description="3x3, visible pixels to infrared ones; default none"
    )
    ir_delay_ms: float = Field(
        0.0, allow_inf_nan=False, description="the infrared frame is taken this much later"
    )
    dropped: _Share = Field(0.0, description="share of each camera's frames that are missing")
    frozen: _Share = Field(0.0, description="share that show the picture before once more")
    ir_range: IrRange | None = Field(
        None, description="hundredths of a kelvin -> 0..255; default: the camera's own window"
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        for problem in self._problems():
            raise ValueError(problem)
        return self

    @property
    def times(self) -> tuple[Time, ...]:
        """The times of day of the clips, in turn."""
        if self.time == "both":
            return ("day", "night")
        return (self.time,) if isinstance(self.time, str) else self.time

    def _problems(self) -> Iterator[str]:
        """Impossible settings, one line each."""
        length = self.clip / self.frame_rate
        if self.dropped + self.frozen >= 1:
            yield (
                f"dropped {self.dropped:g} and frozen {self.frozen:g} make up all frames; "
                "together they must stay below 1"
            )
        if abs(self.ir_delay_ms) / 1000 > length:
            yield (
                f"ir_delay_ms {self.ir_delay_ms:g} is longer than a clip, {1000 * length:g} ms "
                f"({self.clip} frames at {self.frame_rate:g} per second)"
            )
        for time in self.times:
            if time.endswith("_to_night") and self.clip < 2:
                yield f"time {time} needs clip of at least 2 frames: one has no change in it"
        if self.ir_homography is not None:
            yield from _homography_problems(np.array(self.ir_homography), self.size)


def _homography_problems(matrix: NDArray[np.float64], size: tuple[int, int]) -> Iterator[str]:
    height, width = size
    corners = np.array([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]])
    mapped = corners @ matrix.T
    if abs(np.linalg.det(matrix)) < 1e-9:
        yield "ir_homography can't be inverted: it maps the picture to a line or a point"
    elif (mapped[:, 2] <= 0).any():
        yield "ir_homography turns a part of the picture behind the camera"
    else:
        x, y = (mapped[:, :2] / mapped[:, 2:]).T
        if x.max() <= 0 or y.max() <= 0 or x.min() >= width or y.min() >= height:
            yield f"ir_homography leaves nothing of the picture inside {width}x{height} pixels"


def build(config: Config, names: Mapping[int, str] = COCO_NAMES) -> "ScenesSource":
    """The source; nothing is drawn before it is iterated.

    Raises:
        DataError: ``names`` has other classes at COCO's ids 0, person, and 2, car.
    """
    if (names.get(0), names.get(2)) != ("person", "car"):
        raise DataError("generated scenes need a detector with COCO's ids 0 person and 2 car")
    return ScenesSource(config)


class ScenesSource(Source):
    """Generated pairs. Keys are like ``000012_night``.

    A dropped frame is missing from its pair; a pair without both is bad. A frozen frame repeats the
    image before it at the new time; labels show the true scene.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._faults = Faults(config.seed, config.dropped, config.frozen)
        self._rate = Fraction(config.frame_rate).limit_denominator(1001)
        self._clips: dict[int, Clip] = {}  # in the order of painting
        self._lock = Lock()
        self._last: tuple[int, Scene] | None = None
        self._last_labels: tuple[int, Labels] | None = None
        self.masks = self._mask

    @property
    def count(self) -> int:
        """Pairs in all."""
        return self._config.frames

    @property
    def frame_rate(self) -> Fraction:
        """Frames per second."""
        return self._rate

    @property
    def has_labels(self) -> bool:
        """Always True."""
        return True

    def labels(self, key: str, size: tuple[int, int]) -> Labels:
        """Exact boxes with COCO's class ids, 0 person and 2 car.

        Args:
            key: The pair's key.
            size: Ignored; it is that of the configuration.
        """
        index = int(key.partition("_")[0])
        if self._last is not None and self._last[0] == index:
            return self._last[1].labels
        if self._last_labels is None or self._last_labels[0] != index:
            number, within = divmod(index, self._config.clip)
            self._last_labels = (index, self._clip(number).labels(within))
        return self._last_labels[1]

    def label_classes(self, key: str) -> NDArray[np.int64]:
        """Class ids of a pair's labels (n,)."""
        return self.labels(key, self._config.size).class_id

    def _mask(self, key: str) -> NDArray[np.uint8]:
        """MSRS's label of each pixel, uint8 [H, W]: 0 background, 1 car, 2 person."""
        number, within = divmod(int(key.partition("_")[0]), self._config.clip)
        return self._clip(number).classes(within)

    def __iter__(self) -> Iterator[FramePair | BadPair]:
        for index in range(self._config.frames):
            key = f"{index:06d}_{self._light(index)}"
            ir, vis = self._frame("ir", index), self._frame("vis", index)
            if ir is None and vis is None:
                yield BadPair(key, f"pair {key}: both cameras dropped frame {index}")
            else:
                yield FramePair(key, ir, vis)

    def __exit__(self, *error: object) -> None:
        self._last = self._last_labels = None
        self._clips.clear()

    def _frame(self, modality: Modality, index: int) -> Frame | None:
        """A frame; None if it is dropped."""
        if self._faults.drops(modality, index):
            return None
        number = index // self._config.clip
        shown = self._faults.shown(modality, index, number * self._config.clip)
        scene = self._scene(shown)
        when = round(index * _SECOND / self._rate)
        if modality == "vis":
            return Frame(scene.vis, when, index)
        limits = self._config.ir_range
        image = scene.ir if limits is None else to_eight_bit(scene.ir16, limits, "scenes")
        return Frame(image, when + round(self._config.ir_delay_ms * 1e6), index)

    def _scene(self, index: int) -> Scene:
        """The scene of a frame; the last one is cached, since both cameras need it."""
        if self._last is None or self._last[0] != index:
            number, within = divmod(index, self._config.clip)
            self._last = (index, self._clip(number).scene(within))
        return self._last[1]

    def _time(self, number: int) -> Time:
        times = self._config.times
        return times[number % len(times)]

    def _light(self, index: int) -> str:
        """Day, afternoon, dusk or night."""
        number, within = divmod(index, self._config.clip)
        time = self._time(number)
        if not time.endswith("_to_night"):
            return time
        clip = self._clip(number)
        height = clip.climate.at(clip.seconds(within)).height
        # Dusk ends with civil twilight, and begins where the sun no longer warms.
        return "night" if height < -6 else "dusk" if height <= 2 else "afternoon"

    def _clip(self, number: int) -> Clip:
        """A clip of the run; the latest ones are cached, since drawing a street is slow.

        Locked: one thread draws frames while another reads the labels of earlier ones.
        """
        with self._lock:
            clip = self._clips.get(number)
            if clip is None:
                if len(self._clips) == CLIPS:
                    del self._clips[next(iter(self._clips))]
                    # Reference cycles keep a clip's hundreds of MB until the next collection, which
                    # may be late, since few objects are made meanwhile.
                    gc.collect()
                self._clips[number] = clip = self._new_clip(number)
            return clip

    def _new_clip(self, number: int) -> Clip:
        config = self._config
        span = float((config.clip - 1) / self._rate) or 1.0
        homography = config.ir_homography
        return Clip(
            config.seed,
            number,
            size=config.size,
            frame_rate=self._rate,
            conditions=Conditions(self._time(number), config.weather, config.traffic, span),
            ir_homography=None if homography is None else np.array(homography),
            ir_delay=config.ir_delay_ms / 1000,
        )
