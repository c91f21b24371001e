"""Properties of components that their settings state before they are built.

A kind's `Config` derives from one of these classes if a default doesn't fit it. Any other frozen
pydantic model is a valid `Config` too and gets the defaults.
"""

from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from common.checksums import sha256
from common.modality import Modality


class ComponentConfig(BaseModel):
    """Settings of a component: frozen, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def weights_file(self) -> Path | None:
        """The file of its weights; None if it has no weights, or none from a file.

        Raises:
            errors.WeightsError: The file doesn't exist.
        """
        return None

    def weights_sha256(self) -> str | None:
        """The sha256 of its weights, which identifies them where a file name doesn't.

        Raises:
            errors.WeightsError: The file doesn't exist.
        """
        path = self.weights_file()
        return None if path is None else sha256(path)


class ArmConfig(ComponentConfig):
    """Settings of an arm; by default it fuses.

    Attributes:
        modality: The modality that it shows alone, else None.
        reads_images: Whether it reads ready-made images; then its ``build`` returns an
            ``interfaces.Arm`` with ``check`` and ``read``.
        pointwise: Whether each pixel of its image depends on that pixel of the pair alone; large
            images are fused in bands of rows then.
        channels: Of its image; one of six can't be shown, only given to a detector or segmenter.
    """

    modality: ClassVar[Modality | None] = None
    reads_images: ClassVar[bool] = False
    pointwise: ClassVar[bool] = False
    channels: ClassVar[int] = 3

    def merged_arms(self) -> tuple[str, ...]:
        """The arms whose detections it merges; then its ``build`` returns an arm with ``merge``."""
        return ()

    @property
    def margin(self) -> int | None:
        """Rows beyond a band of rows that its pixels depend on, if bands begin at its multiples.

        0 where each pixel depends on that of the pair alone, None where bands aren't possible.
        """
        return 0 if self.pointwise else None

    @property
    def has_image(self) -> bool:
        """Whether it has an image for the detector; an arm that merges others has none."""
        return not self.merged_arms()

    @property
    def is_shown(self) -> bool:
        """Whether it has an image that can be shown, measured and saved."""
        return self.has_image and self.channels == 3


class OwnConfig(BaseModel):
    """What an arm of a run has of its own besides its image."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    detector: dict[str, Any] | None = Field(
        None, description="settings of a detector of the arm's own, over those of `detector`"
    )
    segmenter: dict[str, Any] | None = Field(
        None, description="likewise of a segmenter, over those of `segmenter`"
    )


class EngineConfig(ComponentConfig):
    """Settings of an engine, which says where the pairs are computed."""

    shard: int = Field(
        64, ge=1, le=1 << 20, description="stills in a shard, rounded up to whole batches"
    )


class SinkConfig(ComponentConfig):
    """Settings of a sink.

    Attributes:
        reads_images: Whether it reads the images of arms: those of ``shown_arms``, or of all.
        reads_frames: Whether it reads the images of the cameras.
        is_scored: Whether it writes the log of pairs that the evaluation scores.
        needs_results: Whether it shows what the evaluation writes.
    """

    reads_images: ClassVar[bool] = True
    reads_frames: ClassVar[bool] = True
    is_scored: ClassVar[bool] = False
    needs_results: ClassVar[bool] = False

    def shown_arms(self) -> tuple[str, ...]:
        """The arms that its settings name, which must exist."""
        return ()
