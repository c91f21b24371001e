"""Fused images and detections as ROS 2 messages, to play beside the recording: `<sink>.mcap`.

Topics are `/irvis/<arm>/image` (`sensor_msgs/Image`), or `/irvis/<arm>/image/compressed`
(`sensor_msgs/CompressedImage`), and `/irvis/<arm>/detections` (`vision_msgs/Detection2DArray`, of
vision_msgs 4). `header.stamp` and log time are the time of the pair's visible frame. Other
characters than ROS allows become `_` in an arm's name.
"""

import importlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from common.component import SinkConfig
from common.errors import ConfigError, DataError
from pipeline.frames import Result
from pipeline.interfaces import RunContext
from pipeline.run_folder.sink_files import Parts
from pipeline.sinks._parts_sink import PartsSink
from pipeline.sinks.images import choose_arms

if TYPE_CHECKING:  # it imports the extra
    from pipeline.sinks._mcap_file import McapFile

LATEST = (1 << 31) * 10**9  # nanoseconds; seconds of a ROS time are int32


class Config(SinkConfig):
    """Which images are written, and how."""

    arms: tuple[str, ...] | None = Field(
        None, min_length=1, description="with images; default: all that have an image"
    )
    images: Literal["png", "jpeg", "raw"] = Field(
        "png", description="png and raw are exact; jpeg of quality 95"
    )

    def shown_arms(self) -> tuple[str, ...]:
        """The arms of the settings."""
        return self.arms or ()


def build(config: Config, context: RunContext, name: str) -> "McapSink":
    """The sink.

    Raises:
        ConfigError: mcap or rosbags isn't installed, the source is no recording, an arm has no
            image, two arms have one topic, or the interrupted run didn't have this sink.
    """
    try:
        for package in ("mcap.writer", "rosbags.typesys"):
            importlib.import_module(package)
    except ImportError as error:
        raise ConfigError(
            f"sinks.{name}: mcap or rosbags is not installed; `.venv/bin/pip install mcap "
            "rosbags`, which irvis[bags] brings too"
        ) from error
    from pipeline.sinks import _mcap_file  # imported now, for it imports the extra

    if context.frame_rate is None:
        raise ConfigError(
            f"sinks.{name}: stills have no times to be played at; this sink is for recordings, "
            "use kind images"
        )
    arms = choose_arms(config.arms, context, name)
    topics: dict[str, str] = {}
    for arm in context.arms:
        topic = topic_of(arm)
        if topic in topics:
            raise ConfigError(
                f"sinks.{name}: arms {topics[topic]} and {arm} would share the topic {topic}; "
                "rename one"
            )
        topics[topic] = arm
    parts = Parts(context.folder / f"{name}.mcap", name, context.done, _mcap_file.check)
    names = None if context.detector is None else context.detector.names
    return McapSink(parts, config.images, arms, names)


def topic_of(arm: str) -> str:
    """The topic of an arm, of letters, digits and `_`, not beginning with a digit."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", arm)
    return f"/irvis/{'arm_' if name[0].isdigit() else ''}{name}"


class McapSink(PartsSink["McapFile"]):
    """Writes images and detections."""

    def __init__(
        self,
        parts: Parts,
        images: Literal["png", "jpeg", "raw"],
        arms: Sequence[str],
        names: Mapping[int, str] | None,
    ) -> None:
        """Begin; ``names`` are the detector's classes, None without one."""
        super().__init__(parts)
        self._images, self._arms, self._names = images, arms, names

    def begin(self, path: Path) -> "McapFile":
        """Begin a part."""
        from pipeline.sinks import _mcap_file

        return _mcap_file.McapFile(path)

    def join(self, parts: Sequence[Path], path: Path) -> None:
        """Write all parts into one file."""
        from pipeline.sinks import _mcap_file

        _mcap_file.join(parts, path)

    def write(self, result: Result) -> None:
        """Append one pair.

        Raises:
            DataError: Its time can't be a ROS time, or the file can't be written.
        """
        from pipeline.sinks import _mcap_file

        file = self.part(result.number)
        pair = result.item.pair.whole()
        time = pair.vis.timestamp_ns
        if time is None or not 0 <= time < LATEST:
            raise DataError(
                f"pair {pair.key}: its time of {time} ns can't be one of ROS (0 to 2^31 s); leave "
                "out the sink of kind mcap"
            )
        for arm in self._arms:
            image, topic = result.image(arm), f"{topic_of(arm)}/image"
            if self._images == "raw":
                message = _mcap_file.raw_image(time, image)
                file.write(topic, _mcap_file.IMAGE, time, message)
            else:
                message = _mcap_file.compressed_image(time, image, self._images)
                file.write(f"{topic}/compressed", _mcap_file.COMPRESSED, time, message)
        if self._names is not None:
            for arm, found in result.detections.items():
                classes = [self._names.get(c, str(c)) for c in found.class_id.tolist()]
                scores = found.score.tolist()
                message = _mcap_file.detection_array(time, found.xyxy, scores, classes)
                topic = f"{topic_of(arm)}/detections"
                file.write(topic, _mcap_file.DETECTIONS, time, message)
