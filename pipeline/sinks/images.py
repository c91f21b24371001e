"""What the detector saw, as PNG files: `<sink>/<arm>/<key>.png`."""

from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from errors import ConfigError
from pipeline.frames import Result
from pipeline.images import write_png
from pipeline.interfaces import RunContext, Summary


class Config(BaseModel):
    """Which arms' images are written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    arms: tuple[str, ...] | None = Field(
        None, min_length=1, description="default: all that have an image"
    )


def build(config: Config, context: RunContext, name: str) -> "ImagesSink":
    """The sink, writing below the run folder's folder ``name``."""
    return ImagesSink(context.folder / name, choose_arms(config.arms, context, name))


def choose_arms(wanted: tuple[str, ...] | None, context: RunContext, name: str) -> tuple[str, ...]:
    """The arms that a sink shows.

    Raises:
        ConfigError: One of them has no image.
    """
    for arm in wanted or ():
        if arm not in context.image_arms:
            raise ConfigError(f"sinks.{name}.arms: arm {arm!r} merges detections, it has no image")
    return wanted or context.image_arms


class ImagesSink:
    """Writes PNG files; see ``interfaces.Sink``."""

    def __init__(self, folder: Path, arms: tuple[str, ...]) -> None:
        self._folders = {arm: folder / arm for arm in arms}
        for path in self._folders.values():
            path.mkdir(parents=True, exist_ok=True)

    def write(self, result: Result) -> None:
        """Write one pair's images."""
        for arm, folder in self._folders.items():
            write_png(folder / f"{result.item.pair.key}.png", result.image(arm))

    def flush(self) -> None:
        """Nothing is held back."""

    def finish(self, summary: Summary) -> None:
        """Nothing is left to do."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
