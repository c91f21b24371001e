"""Settings of the sources that a training takes its pairs from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from scenes.render import SMALLEST
from training import streets

_Side = Annotated[int, Field(ge=SMALLEST, le=2048)]


class Section(BaseModel):
    """A section of a training configuration: frozen, no unknown keys, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Folders(Section):
    """Two folders of images, paired by file stem."""

    ir: Path = Field(description="folder of infrared images or recordings")
    vis: Path = Field(description="folder of visible ones with the same stems")


class _Source(Section):
    weight: float = Field(1.0, gt=0, description="crops from here, relative to other sources")
    detector: str | None = Field(
        None, description="name in detectors of the one that judges these crops; null: none does"
    )


class FilesConfig(_Source, Folders):
    """Folders of images or of recordings, paired by file stem."""

    labels: Path | None = Field(
        None, description="folder of YOLO txt, COCO ids; a pair without a file there is unlabelled"
    )
    size: int | None = Field(
        None,
        ge=32,
        le=4096,
        description="pixels that the longest side is scaled to; null: as it is",
    )
    every: int = Field(1, ge=1, description="takes each n-th frame of a recording")
    exclude: tuple[str, ...] = Field((), description="stems that are left out")
    exclude_last: int = Field(0, ge=0, description="so many of the sorted stems are left out too")
    stems_are_ids: bool = Field(
        False, description="stems are the ids of the pairs that these are compressed copies of"
    )


class GeneratedConfig(_Source):
    """Generated streets, a seed each; ``training.streets`` says what each is like."""

    seed: int = Field(streets.FIRST_SEED, ge=streets.FIRST_SEED, description="of the first street")
    clips: int = Field(200, ge=1, description="streets")
    frames: int = Field(4, ge=1, description="pairs a street, about two seconds apart")
    size: tuple[_Side, _Side] = Field(streets.SIZE, description="height, width, pixels")


SourceConfig = FilesConfig | GeneratedConfig
KINDS: Mapping[str, type[FilesConfig] | type[GeneratedConfig]] = {
    "files": FilesConfig,
    "generated": GeneratedConfig,
}
