"""Settings of the sources that a training takes its pairs from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from common.component import OwnConfig
from common.errors import ConfigError
from scenes.render import SMALLEST
from training import streets

_Side = Annotated[int, Field(ge=SMALLEST, le=2048)]


class Section(BaseModel):
    """A section of a training configuration: frozen, no unknown keys, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Folders(Section):
    """Two folders of images, paired by file stem."""

    ir: Path = Field(description="folder of infrared images or recordings")
    vis: Path = Field(description="folder of visible images or recordings with the same stems")


class _Source(Section):
    weight: float = Field(1.0, gt=0, description="number of crops relative to other sources")
    detector: str | None = Field(
        None, description="name of the detector of these crops, in detectors; null: no detector"
    )


class FilesConfig(_Source, Folders):
    """Folders of images or of recordings, paired by file stem."""

    labels: Path | None = Field(
        None, description="folder of YOLO txt with COCO ids; a pair without a file is unlabelled"
    )
    size: int | None = Field(
        None,
        ge=32,
        le=4096,
        description="longest side after scaling, pixels; null: not scaled",
    )
    every: int = Field(1, ge=1, description="use each n-th frame of a recording")
    exclude: tuple[str, ...] = Field((), description="stems to leave out")
    exclude_last: int = Field(0, ge=0, description="number of last stems, sorted, to leave out")
    stems_are_ids: bool = Field(
        False,
        description="stems are the ids of the original pairs; the files are compressed copies",
    )


class GeneratedConfig(_Source):
    """Generated streets, one per seed; see ``training.streets``."""

    seed: int = Field(streets.FIRST_SEED, ge=streets.FIRST_SEED, description="of the first street")
    clips: int = Field(200, ge=1, description="number of streets")
    frames: int = Field(4, ge=1, description="pairs per street, 2.1 seconds apart")
    size: tuple[_Side, _Side] = Field(streets.SIZE, description="height, width, pixels")


class LabelledConfig(_Source):
    """Labelled pairs of images, as a run reads them: data sets and folders of any layout."""

    source: dict[str, Any] = Field(description="a run's source, e.g. {kind: dataset, ...}")


SourceConfig = FilesConfig | GeneratedConfig | LabelledConfig
KINDS: Mapping[str, type[FilesConfig] | type[GeneratedConfig] | type[LabelledConfig]] = {
    "files": FilesConfig,
    "generated": GeneratedConfig,
    "labelled": LabelledConfig,
}


def check_own(arms: Mapping[str, Any]) -> None:
    """Check that no arm has a detector or segmenter of its own, which is what is trained.

    Args:
        arms: The section ``arms`` of a fine-tuning.

    Raises:
        ConfigError: One has.
    """
    for name, arm in arms.items():
        for own in OwnConfig.model_fields:
            if isinstance(arm, Mapping) and own in arm:
                raise ConfigError(f"arms.{name}.{own}: all arms begin with the same; remove it")
