"""The detector's input images as PNG files: `<sink>/<arm>/<key>.png`."""

from pathlib import Path

from pydantic import Field

from common.component import SinkConfig
from common.errors import ConfigError, shown
from common.files import writing
from pipeline.frames import Result
from pipeline.images import write_png
from pipeline.interfaces import RunContext, Sink
from pipeline.run_folder.sink_files import joined_late


class Config(SinkConfig):
    """Which arms' images are written."""

    reads_frames = False

    arms: tuple[str, ...] | None = Field(
        None, min_length=1, description="default: all that have an image"
    )

    def shown_arms(self) -> tuple[str, ...]:
        """The arms of the settings."""
        return self.arms or ()


def build(config: Config, context: RunContext, name: str) -> "ImagesSink":
    """The sink, which writes to the subfolder ``name`` of the run folder.

    Raises:
        ConfigError: An arm has no image, or the interrupted run didn't have this sink.
    """
    sink = ImagesSink(context.folder / name, choose_arms(config.arms, context, name))
    if sink.least_images() < context.done:
        raise joined_late(name, context.done)
    return sink


def choose_arms(wanted: tuple[str, ...] | None, context: RunContext, name: str) -> tuple[str, ...]:
    """The arms that a sink shows.

    Raises:
        ConfigError: One of them has no image.
    """
    for arm in wanted or ():
        if arm not in context.image_arms:
            raise ConfigError(
                f"sinks.{name}.arms: arm {shown(arm)} merges detections, it has no image"
            )
    return wanted or context.image_arms


class ImagesSink(Sink):
    """Writes PNG files.

    A resumed run overwrites those after the last checkpoint.
    """

    def __init__(self, folder: Path, arms: tuple[str, ...]) -> None:
        self._folders = {arm: folder / arm for arm in arms}
        for path in self._folders.values():
            with writing(path):
                path.mkdir(parents=True, exist_ok=True)

    def least_images(self) -> int:
        """The number of images of the arm that has the fewest."""
        return min(sum(1 for _ in path.rglob("*.png")) for path in self._folders.values())

    def write(self, result: Result) -> None:
        """Write one pair's images."""
        for arm, folder in self._folders.items():
            path = folder / f"{result.item.pair.key}.png"
            path.parent.mkdir(parents=True, exist_ok=True)  # a key may contain folders
            with writing(path):
                write_png(path, result.image(arm))
