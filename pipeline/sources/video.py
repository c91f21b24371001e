"""Two recordings, one infrared and one visible, paired by presentation time or by listed times."""

import filecmp
import logging
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from common.errors import DataError
from eval.class_names import COCO_NAMES
from pipeline.sources._frame_labels import Labelled
from pipeline.sources._gain import to_display
from pipeline.sources._looks import Looks
from pipeline.sources._recordings import RecordedPairs, Timing
from pipeline.sources._video_file import VideoFile

log = logging.getLogger(__name__)


class Config(Timing, Labelled):
    """Two recordings."""

    ir: Path = Field(description="infrared recording, any container that FFmpeg reads")
    vis: Path = Field(description="visible recording")
    ir_times: Path | None = Field(None, description="csv of infrared times: frame,time_ns")
    vis_times: Path | None = Field(None, description="csv of visible times: frame,time_ns")
    ir_track: int | None = Field(
        None, ge=0, description="which of several video tracks is infrared, from 0; default best"
    )
    vis_track: int | None = Field(None, ge=0, description="likewise the visible one")


def build(config: Config, names: Mapping[int, str] = COCO_NAMES) -> RecordedPairs:
    """The pairs of two recordings; the labels' classes are those of ``names``.

    Raises:
        DataError: A file is missing, holds no video or is both cameras', or a list of times is
            wrong.
    """
    _check_two(config)
    looks = Looks()

    def streams() -> tuple[VideoFile, VideoFile]:
        convert = to_display(config.ir_range)
        ir = VideoFile(
            config.ir,
            "gray",
            times=config.ir_times,
            track=config.ir_track,
            convert=convert,
            looks=looks,
        )
        try:
            vis = VideoFile(
                config.vis, "rgb24", times=config.vis_times, track=config.vis_track, looks=looks
            )
        except BaseException:
            ir.close()
            raise
        return ir, vis

    return RecordedPairs(streams, config, looks=looks, labels=config.open_labels(names))


def _check_two(config: Config) -> None:
    """Refuse one recording as both cameras; warn of two that are equal."""
    ir, vis = config.ir, config.vis
    if not (ir.is_file() and vis.is_file()):
        return  # said when they are opened
    if ir.samefile(vis):
        if config.ir_track == config.vis_track:
            raise DataError(
                f"source.ir and source.vis are the same recording, {ir}; give each camera's own, "
                "or source.ir_track and source.vis_track where one file holds both"
            )
    elif ir.stat().st_size == vis.stat().st_size and filecmp.cmp(ir, vis, shallow=False):
        log.warning(
            "%s and %s are equal byte for byte: is one a copy of the other? see source.ir and "
            "source.vis", ir, vis,
        )  # fmt: skip
