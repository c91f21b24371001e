"""What a component says of itself by its settings, before it is built.

A kind's `Config` derives from one of these classes where a default doesn't fit it. Any frozen
pydantic model is a `Config` too; the defaults hold for it.
"""

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from common.checksums import sha256


class ComponentConfig(BaseModel):
    """Settings of a component: frozen, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def weights_file(self) -> Path | None:
        """The file of the weights that it holds; None where it holds none, or none from a file.

        Raises:
            errors.WeightsError: There is no such file.
        """
        return None

    def weights_sha256(self) -> str | None:
        """The fingerprint of its weights: a name could be another file tomorrow.

        Raises:
            errors.WeightsError: There is no such file.
        """
        path = self.weights_file()
        return None if path is None else sha256(path)


class ArmConfig(ComponentConfig):
    """Settings of an arm; by default it fuses.

    Attributes:
        modality: The one that it shows alone, None where it shows more.
        reads_images: Whether its images were made before; its ``build`` gives an
            ``interfaces.Arm`` with ``check`` and ``read``.
        pointwise: Whether each pixel of its image depends on that pixel of the pair alone; large
            images are fused in bands of rows then.
    """

    modality: ClassVar[Literal["ir", "vis"] | None] = None
    reads_images: ClassVar[bool] = False
    pointwise: ClassVar[bool] = False

    def merged_arms(self) -> tuple[str, ...]:
        """The arms whose detections it merges; its ``build`` gives an arm with ``merge`` then."""
        return ()

    @property
    def has_image(self) -> bool:
        """Whether there is an image for the detector; an arm that merges has none."""
        return not self.merged_arms()


class SinkConfig(ComponentConfig):
    """Settings of a sink.

    Attributes:
        is_scored: Whether it writes what the evaluation scores (``run_folder.folder.FRAMES``).
        needs_results: Whether it shows what the evaluation writes.
    """

    is_scored: ClassVar[bool] = False
    needs_results: ClassVar[bool] = False

    def shown_arms(self) -> tuple[str, ...]:
        """The arms that its settings name, which must be there."""
        return ()
