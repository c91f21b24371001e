"""Two topics of a ROS 1 or ROS 2 bag, one infrared and one visible, paired by time.

A bag is a `.bag` (ROS 1), a ROS 2 folder with `metadata.yaml`, or a single `.mcap` or `.db3` file.
"""

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from common.errors import ConfigError
from eval.class_names import COCO_NAMES
from pipeline.sources._frame_labels import FrameLabels, Labelled
from pipeline.sources._gain import to_display
from pipeline.sources._plausibility import Plausibility
from pipeline.sources._recordings import RecordedPairs, Timing
from pipeline.sources._stream import Stream


class Config(Timing, Labelled):
    """Two topics of a bag."""

    bag: Path = Field(description="a .bag, .mcap or .db3 file, or a ROS 2 bag's folder")
    ir: str | None = Field(
        None, description="infrared topic; default: one of the two with images, if it is plain"
    )
    vis: str | None = Field(None, description="visible topic; likewise")
    times: Literal["header", "log"] = Field(
        "header", description="of the frames: header.stamp, or log: when they were recorded"
    )


def build(config: Config, names: Mapping[int, str] = COCO_NAMES) -> "BagPairs":
    """The pairs of two topics; the labels' classes are those of ``names``.

    Raises:
        ConfigError: rosbags isn't installed.
        DataError: The bag can't be read, or its topics have to be named.
    """
    try:
        importlib.import_module("rosbags.rosbag2")
    except ImportError as error:
        raise ConfigError(
            "source.kind=bag: rosbags is not installed; `.venv/bin/pip install rosbags`, which "
            "irvis[bags] brings too"
        ) from error
    # imported now, for they import rosbags
    from pipeline.sources._bag_choice import choose
    from pipeline.sources._bag_topic import BagTopic

    chosen = choose(config.bag, config.ir, config.vis)
    checks = Plausibility()

    def streams() -> tuple[BagTopic, BagTopic]:
        convert = to_display(config.ir_range)
        ir = BagTopic(config.bag, chosen[0], "ir", config.times, convert=convert, checks=checks)
        try:
            vis = BagTopic(config.bag, chosen[1], "vis", config.times, checks=checks)
        except BaseException:
            ir.close()
            raise
        return ir, vis

    return BagPairs(streams, config, chosen, checks, config.open_labels(names))


class BagPairs(RecordedPairs):
    """Pairs of two topics.

    Attributes:
        topics: The infrared and the visible one.
    """

    def __init__(
        self,
        open_streams: Callable[[], tuple[Stream, Stream]],
        config: Config,
        topics: tuple[str, str],
        checks: Plausibility,
        labels: FrameLabels | None,
    ) -> None:
        """As ``RecordedPairs``."""
        super().__init__(open_streams, config, checks=checks, labels=labels)
        self.topics, self._times = topics, config.times

    def timing(self) -> dict[str, Any]:
        """As ``RecordedPairs.timing``, with what the times are: `header.stamp` or `log`."""
        times = "header.stamp" if self._times == "header" else "log"
        return {**super().timing(), "times": times}
