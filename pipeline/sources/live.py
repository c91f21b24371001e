"""Two live cameras: RTSP and other network streams, V4L2 devices, or files played in real time.

Frames are paired by their arrival time at this machine, counted from the start of the run. Set
``offset_ms`` to minus the extra latency of the infrared camera. A live run can't be resumed or
repeated.
"""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import astuple
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from common.errors import DataError, mask
from common.modality import MODALITIES, Modality
from eval.class_names import COCO_NAMES
from pipeline.frames import BadPair, Dropped, Frame, FramePair
from pipeline.interfaces import Source
from pipeline.sources._cameras import Camera, Clock, Opener, Policy, Reading, open_camera
from pipeline.sources._gain import to_display
from pipeline.sources._ir_range import IrRange
from pipeline.sync.clock_model import ClockModel, Skew, timing_of
from pipeline.sync.pairing import Match, Matcher

# Errors and the settings in the run folder mask passwords.
Address = Annotated[str, Field(min_length=1, repr=False), PlainSerializer(mask)]
LOOK_AHEAD = 8  # frames that one camera may be behind before the other's are left unpaired
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Config(BaseModel):
    """Two live cameras."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ir: Address = Field(description="infrared camera: rtsp://..., /dev/video0, or a file")
    vis: Address = Field(description="visible camera, likewise")
    realtime: bool = Field(False, description="play files at their own speed")
    frame_rate: _Positive = Field(25.0, description="frames per second of each camera")
    policy: Policy = Field(
        "drop_oldest",
        description="what a full buffer does: block lets the camera wait, drop_oldest takes the "
        "newest frame, drop_newest keeps what it has",
    )
    buffer: int = Field(8, ge=1, le=1024, description="frames held of each camera")
    tolerance_ms: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="most difference in a pair; default half a frame",
    )
    offset_ms: float = Field(0.0, allow_inf_nan=False, description="added to infrared times")
    timeout_s: _Positive = Field(5.0, description="longest wait for a camera's answer or data")
    reconnect_s: float = Field(
        30.0, ge=0, allow_inf_nan=False, description="without connection, then it has stopped"
    )
    duration_s: _Positive | None = Field(None, description="end after this long")
    frames: int | None = Field(None, ge=1, description="end after this many pairs")
    ir_range: IrRange | None = Field(
        None, description="counts of 16-bit IR -> 0..255; default automatic gain"
    )


def build(config: Config, names: Mapping[int, str] = COCO_NAMES) -> "LivePairs":
    """The pairs of two cameras; ``names`` is unused, since they have no labels.

    Raises:
        DataError: An address is a file that isn't to be played in real time.
    """
    for name, address in (("ir", config.ir), ("vis", config.vis)):
        if Path(address).is_file() and not config.realtime:
            raise DataError(
                f"source.{name}: {address} is a recording; use kind video, or play it as a camera "
                "with source.realtime=true"
            )
    openers: dict[Modality, Opener] = {
        "ir": open_camera("gray", config.timeout_s, realtime=config.realtime),
        "vis": open_camera("rgb24", config.timeout_s, realtime=config.realtime),
    }
    return LivePairs(config, openers, Clock())


class LivePairs(Source):
    """Pairs of two cameras.

    Every decoded frame is yielded once: in a pair, unpaired, as ``BadPair`` if it is damaged, or as
    ``Dropped``. With the policy `block` a camera waits while its buffer is full; frames that its
    driver or the network drop meanwhile can't be counted. Keys are those of recordings.

    A camera without connection for ``reconnect_s`` has stopped, and the other one continues alone;
    one that never connects is an error. The iteration ends when both cameras end, or after
    ``duration_s`` or ``frames``.

    Attributes:
        skew: Time differences within pairs.
        clock: The configured offset of the infrared camera's times.
    """

    resumable = False

    def __init__(self, config: Config, openers: Mapping[Modality, Opener], clock: Clock) -> None:
        """Begin; the iteration connects the cameras.

        Args:
            config: The settings.
            openers: Connects to each camera.
            clock: The clock of the times.
        """
        self._config, self._clock = config, clock
        self.skew = Skew()
        self.clock = ClockModel(round(config.offset_ms * 1e6))
        self._changed = threading.Condition()
        reading = Reading(config.policy, config.buffer, config.reconnect_s, config.duration_s)
        self._cameras: dict[Modality, Camera] = {
            name: Camera(
                name,
                address,
                reading,
                opener=openers[name],
                convert=to_display(config.ir_range) if name == "ir" else None,
                changed=self._changed,
                clock=clock,
                ends=Path(address).is_file(),
            )
            for name, address in zip(MODALITIES, (config.ir, config.vis), strict=True)
        }

    @property
    def count(self) -> int | None:
        """Pairs, where a limit was given."""
        return self._config.frames

    @property
    def frame_rate(self) -> Fraction:
        """Frames per second, as configured."""
        return Fraction(self._config.frame_rate).limit_denominator(1001)

    def __iter__(self) -> Iterator[FramePair | BadPair | Dropped]:
        left = self._config.frames
        now = self._clock.now()
        for camera in self._cameras.values():
            camera.start(now)
        try:
            for item in self._matched():
                if isinstance(item, BadPair | Dropped):
                    yield item
                elif left == 0:  # decoded frames must be counted
                    for name, frame in zip(MODALITIES, item, strict=True):
                        if frame is not None:
                            yield Dropped(name, frame.index, "came after the last pair")
                else:
                    pair = _pair(*item)
                    yield pair
                    if left is not None and pair.ir is not None and pair.vis is not None:
                        left -= 1
                    if left == 0:
                        self.stop()
        finally:
            self.close()

    def timing(self) -> dict[str, Any]:
        """The infrared camera's clock, and the time differences within pairs."""
        return timing_of(self.clock, self.skew)

    def stop(self) -> None:
        """End the iteration soon, after the frames taken so far; from any thread."""
        for camera in self._cameras.values():
            camera.stop()

    def close(self) -> None:
        """Disconnect; waits for the threads, at most ``timeout_s`` seconds. May be called again."""
        self.stop()
        for camera in self._cameras.values():
            camera.join()

    def __exit__(self, *error: object) -> None:
        self.close()

    def _matched(self) -> Iterator[Match | BadPair | Dropped]:
        """The cameras' items, frames matched by time."""
        config = self._config
        tolerance = config.tolerance_ms
        matcher = Matcher(
            round(500_000_000 / config.frame_rate if tolerance is None else tolerance * 1e6),
            clock=self.clock,
            skew=self.skew,
            look_ahead=LOOK_AHEAD,
            reorder=0,
        )
        ended: set[Modality] = set()
        while len(ended) < len(self._cameras):
            name, item = self._next(ended)
            if isinstance(item, Frame):
                yield from matcher.push(name, item)
            elif item is None:
                ended.add(name)
                yield from matcher.end(name)
            else:
                yield item

    def _next(self, ended: set[Modality]) -> tuple[Modality, Frame | BadPair | Dropped | None]:
        """Wait for the next item of the cameras that have not ended; None for the end of one.

        Dropped and damaged frames come first, then the earliest frame.
        """
        active = {name: c.buffer for name, c in self._cameras.items() if name not in ended}
        with self._changed:
            while True:
                for name, buffer in active.items():
                    if buffer.error is not None:
                        raise buffer.error
                    if buffer.dropped:
                        why = f"the buffer was full (source.policy={self._config.policy})"
                        return name, Dropped(name, buffer.dropped.popleft(), why)
                    if buffer.lost:
                        index, reason = astuple(buffer.lost.popleft())
                        key = f"{name}_end" if index is None else _key(name, index)
                        return name, BadPair(key, reason)
                ready = [name for name, buffer in active.items() if buffer.frames]
                if ready:
                    name = min(ready, key=lambda n: active[n].frames[0].timestamp_ns or 0)
                    frame = active[name].frames.popleft()
                    self._changed.notify_all()
                    return name, frame
                for name, buffer in active.items():
                    if buffer.ended:
                        return name, None
                self._changed.wait()


def _pair(ir: Frame | None, vis: Frame | None) -> FramePair:
    if vis is not None:
        return FramePair(_key("vis", vis.index), ir, vis)
    assert ir is not None, "a match has a frame"
    return FramePair(_key("ir", ir.index), ir, vis)


def _key(modality: Modality, index: int) -> str:
    return f"{index:06d}" if modality == "vis" else f"ir_{index:06d}"
