"""Two recordings, one infrared and one visible, paired by presentation time or by listed times."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from eval.class_names import COCO_NAMES
from pipeline.sources._gain import to_display
from pipeline.sources._recordings import RecordedPairs, Timing
from pipeline.sources._video_file import VideoFile


class Config(Timing):
    """Two recordings."""

    ir: Path = Field(description="infrared recording, any container that FFmpeg reads")
    vis: Path = Field(description="visible recording")
    ir_times: Path | None = Field(None, description="csv of infrared times: frame,time_ns")
    vis_times: Path | None = Field(None, description="csv of visible times: frame,time_ns")


def build(config: Config, names: Mapping[int, str] = COCO_NAMES) -> RecordedPairs:
    """The pairs of two recordings; they have no labels, so ``names`` names nothing.

    Raises:
        DataError: A file is missing or holds no video, or a list of times is wrong.
    """

    def streams() -> tuple[VideoFile, VideoFile]:
        convert = to_display(config.ir_range)
        ir = VideoFile(config.ir, "gray", times=config.ir_times, convert=convert)
        return ir, VideoFile(config.vis, "rgb24", times=config.vis_times)

    return RecordedPairs(streams, config)
