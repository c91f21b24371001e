"""The sections of a configuration that are not components."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from common.device import Dtype
from common.files import ELSEWHERE, expand, is_address
from eval.masks import MEAN, REGIONS
from pipeline.run_folder.names import PARTIAL_SUFFIX

NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"  # safe as a file name


class Section(BaseModel):
    """A frozen section without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class RunConfig(Section):
    """Name and folder of the run, and how it handles bad pairs."""

    name: str = Field("run", pattern=NAME, description="the run folder is runs/<name>")
    dir: Path | None = Field(None, description="the run folder itself: new or empty")

    @field_validator("name")
    @classmethod
    def _not_partial(cls, name: str) -> str:
        if name.endswith(PARTIAL_SUFFIX):
            raise ValueError(f"must not end with {PARTIAL_SUFFIX}, which marks unfinished runs")
        return name

    @field_validator("dir")
    @classmethod
    def _expanded(cls, path: Path | None) -> Path | None:
        if path is None:
            return None
        if is_address(path):
            raise ValueError(ELSEWHERE)
        path = expand(path)
        try:
            path = path.resolve() if path.is_symlink() else path
        except OSError as error:  # the name is too long
            raise ValueError(f"can be no folder ({error.strerror})") from error
        if path.name in ("", "..") or "\0" in str(path):
            raise ValueError("must name a folder for the run")
        return path

    on_bad_shard: Literal["fail", "skip"] = Field(
        "fail", description="a part of the source that no worker could finish, see docs/cluster.md"
    )
    on_bad_pair: Literal["fail", "skip"] | None = Field(
        None, description="default: fail if there are labels or masks, else skip"
    )
    resume: bool = Field(False, description="continue the unfinished run folder")


class EvaluationConfig(Section):
    """How detections or masks are scored."""

    task: Literal["detection", "segmentation"] = Field(
        "detection", description="whether boxes of the detector or masks of segmenters are scored"
    )
    masks: Path | None = Field(
        None, description="folder of true masks, called as the pairs; default the source's own"
    )
    regions: str | dict[str, tuple[int, ...]] | None = Field(
        None,
        description="msrs, brats, brats2023, or labels by name; default the segmenters' classes",
    )
    ignore: int | None = Field(None, ge=0, description="true label of pixels that do not count")

    @field_validator("regions")
    @classmethod
    def _known(
        cls, given: str | dict[str, tuple[int, ...]] | None
    ) -> str | dict[str, tuple[int, ...]] | None:
        if isinstance(given, str) and given not in REGIONS:
            raise ValueError(f"must be {', '.join(REGIONS)}, or labels by name: {{WT: [1, 2]}}")
        if isinstance(given, dict) and (not given or MEAN in given):
            raise ValueError(f"must name regions, none of them {MEAN}")
        return given

    preset: str = Field("paper-msrs", description="protocol; see eval/presets.py")
    classes: tuple[int | str, ...] | None = Field(
        None, min_length=1, description="classes that count, by the detector's names or ids"
    )
    quality: bool = Field(False, description="measure the images too; see eval/quality")


class ComputeConfig(Section):
    """Device, batch size, threads and dtype of the computation."""

    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
        description="auto (a GPU if there is one), cpu, cuda or cuda:1",
    )
    batch: int = Field(4, ge=1, le=1024, description="pairs per batch")
    threads: int | None = Field(
        None, ge=1, le=1024, description="of the processor; default: one for each core"
    )
    dtype: Dtype = Field("auto", description="of the fusers")
    engine: dict[str, Any] = Field(
        {"kind": "local"}, description="where the pairs are computed: see `irvis kinds engine`"
    )


_Pixels = Annotated[float, Field(ge=-10_000, le=10_000)]
_Sigma = Annotated[float, Field(ge=0, le=100)]


class PerturbConfig(Section):
    """Perturbations of all pairs, the same for all arms; see ``pipeline.geometry.perturb``."""

    model_config = ConfigDict(allow_inf_nan=False)

    shift: tuple[_Pixels, _Pixels] = Field((0.0, 0.0), description="IR right, IR down, pixels")
    rotation: float = Field(0.0, ge=-180, le=180, description="IR, degrees counter-clockwise")
    ir_noise: float = Field(0.0, ge=0, le=255, description="standard deviation, grey levels")
    ir_blur: _Sigma = Field(0.0, description="standard deviation of the Gaussian, pixels")
    vis_exposure: float = Field(0.0, ge=-10, le=10, description="stops: light is times 2^stops")
    vis_gamma: float = Field(1.0, ge=0.1, le=10, description="exponent; over 1 darkens")
    vis_blur: _Sigma = Field(0.0, description="standard deviation of the Gaussian, pixels")

    @property
    def changes(self) -> dict[str, Any]:
        """The settings that are not at their defaults, as plain values."""
        return self.model_dump(mode="json", exclude_defaults=True)


class RegistrationConfig(Section):
    """Warps infrared images to the visible grid; see ``pipeline.geometry.registration``."""

    calibration: Path = Field(description="file written by irvis calibrate")
