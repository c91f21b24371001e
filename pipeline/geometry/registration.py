"""Registration: the calibration of two cameras, and warping infrared images to the visible grid.

One homography for all pairs is valid if the cameras are fixed to each other and the scene is far
compared with the distance between them. Near objects keep their parallax.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from common.errors import DataError
from common.files import MEGABYTE, load_json, write_json
from eval.labels import Labels
from pipeline.frames import Frame, FramePair, Image

Points = NDArray[np.float64]
Boxes = NDArray[np.float64]
Homography = NDArray[np.float64]

_FLATTEST = 1e-6  # least determinant of a homography between unit squares, of norm 1
_Number = Annotated[float, Field(ge=-1e12, le=1e12, allow_inf_nan=False)]
_Row = tuple[_Number, _Number, _Number]
_Side = Annotated[int, Field(ge=1, le=1 << 15, strict=True)]  # OpenCV's remapping ends there
_Pixels = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=0, strict=True)]


class Residual(BaseModel):
    """Distances of the pairs' own estimates from the common one, in visible pixels.

    The distance of a pair is the mean over the infrared image's four corners.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    median: _Pixels
    p95: _Pixels = Field(description="95th percentile")


class Made(BaseModel):
    """The origin of a calibration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    by: str = Field(description="the program or the person")
    model: Literal["translation", "similarity", "affine", "homography"] = "homography"
    pairs: _Count = Field(0, description="number of pairs read")
    used: _Count = Field(0, description="number of consistent pairs, which were used")
    residual_px: Residual | None = Field(None, description="None with fewer than two used pairs")


class Calibration(BaseModel):
    """The mapping from infrared to visible pixels.

    Integer coordinates are pixel centres, as in OpenCV; (0, 0) is the top left pixel.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_: Literal[1] = Field(alias="schema")
    homography: tuple[_Row, _Row, _Row] = Field(description="infrared (x, y, 1) to visible pixels")
    ir_size: tuple[_Side, _Side] = Field(description="height, width, pixels")
    vis_size: tuple[_Side, _Side] = Field(description="height, width, pixels")
    made: Made | None = None

    @model_validator(mode="after")
    def _possible(self) -> Self:
        for problem in self._problems():
            raise ValueError(problem)
        return self

    @property
    def matrix(self) -> Homography:
        """The homography, float64 [3, 3]."""
        return np.array(self.homography, np.float64)

    def _problems(self) -> Iterator[str]:
        """Reasons why the calibration is impossible, one line each."""
        # between unit squares, to be independent of the sizes and the matrix's scale
        scaled = _from_unit_square(self.vis_size, inverse=True) @ self.matrix
        scaled = scaled @ _from_unit_square(self.ir_size)
        norm = np.linalg.norm(scaled)
        if norm == 0 or abs(np.linalg.det(scaled / norm)) < _FLATTEST:
            yield "homography can't be inverted: it maps the infrared image to a line or a point"
            return
        outward = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
        outer = corners(self.ir_size) + outward  # the corners of the area, [4, 2]
        mapped = np.column_stack([outer, np.ones(4)]) @ self.matrix.T  # [4, 3]
        if mapped[:, 2].min() <= 0 <= mapped[:, 2].max():
            yield "homography turns a part of the infrared image behind the camera"
            return
        x, y = (mapped[:, :2] / mapped[:, 2:]).T
        height, width = self.vis_size
        if x.max() <= 0 or y.max() <= 0 or x.min() >= width or y.min() >= height:
            yield f"homography maps no infrared pixel into the {width}x{height} visible image"


class Register:
    """Warps the infrared image of pairs to the visible image's pixel grid, bilinear.

    Pixels outside the infrared image are black, which means cold and does not affect a maximum.
    Repeating border pixels would draw stripes that fusion and detector take for measurements.

    Attributes:
        calibration: Of the two cameras.
        covered: Mask of the visible pixels inside the infrared image, bool [H, W].
    """

    def __init__(self, calibration: Calibration) -> None:
        self.calibration = calibration
        valid = np.full(calibration.ir_size, 255, np.uint8)
        self._mask = self._warp(valid, cv2.INTER_NEAREST, cv2.BORDER_CONSTANT)
        self.covered = self._mask > 0

    def __call__(self, pair: FramePair) -> FramePair:
        """Warp the infrared frame to the visible size; missing frames stay missing.

        Raises:
            DataError: The size of a frame differs from the calibration's.
        """
        calibration = self.calibration
        for what, frame, size in (
            ("infrared", pair.ir, calibration.ir_size),
            ("visible", pair.vis, calibration.vis_size),
        ):
            if frame is not None:
                _check_size(pair.key, what, frame, size)
        if pair.ir is None:
            return pair
        # border pixels are repeated, then masked, so that they do not fade to black
        image = self._warp(pair.ir.image, cv2.INTER_LINEAR, cv2.BORDER_REPLICATE)
        image = np.asarray(cv2.copyTo(image, self._mask))
        return replace(pair, ir=replace(pair.ir, image=image))

    def labels(self, labels: Labels) -> Labels:
        """Carry labels of the infrared image to the visible grid.

        A box becomes the upright box round its four mapped corners, clipped to the visible image.
        An object that is outside of it is in no image that a detector sees, and left out.
        """
        xyxy, ignore = self._boxes(labels.xyxy), self._boxes(labels.ignore)
        seen = _has_area(xyxy)
        return Labels(xyxy[seen], labels.class_id[seen], ignore[_has_area(ignore)])

    def _boxes(self, xyxy: Boxes) -> Boxes:
        """Map boxes (n, 4), left, top, right, bottom, whose integers are edges of pixels."""
        height, width = self.calibration.vis_size
        points = xyxy[:, [[0, 1], [2, 1], [2, 3], [0, 3]]].reshape(-1, 2)  # [4 n, 2]
        mapped = project(self.calibration.matrix, points - 0.5) + 0.5  # [4 n, 2]
        around = mapped.reshape(-1, 4, 2)
        boxes = np.hstack([around.min(1), around.max(1)])  # [n, 4]
        return np.asarray(np.clip(boxes, 0.0, [width, height, width, height]))

    def _warp(self, image: Image, between: int, border: int) -> Image:
        """Warp an infrared image, uint8 or uint16 [h, w] or [h, w, 3], to [H, W] or [H, W, 3]."""
        height, width = self.calibration.vis_size
        return np.asarray(
            cv2.warpPerspective(
                image, self.calibration.matrix, (width, height), flags=between, borderMode=border
            )
        )


def corners(size: tuple[int, int]) -> Points:
    """Centres of the corner pixels of an image of (height, width), clockwise, float64 [4, 2]."""
    bottom, right = size[0] - 1, size[1] - 1
    return np.array([[0, 0], [right, 0], [right, bottom], [0, bottom]], np.float64)


def project(homography: Homography, points: Points) -> Points:
    """Map points (x, y) by a homography, float64 [n, 2]."""
    mapped = np.column_stack([points, np.ones(len(points))]) @ homography.T  # [n, 3]
    return np.asarray(mapped[:, :2] / mapped[:, 2:])


def read(path: Path) -> Calibration:
    """Read a calibration file.

    Raises:
        DataError: The file is missing, is not JSON, or is not a possible calibration.
    """
    if not path.exists():
        raise DataError(f"{path}: no such calibration; irvis calibrate makes one")
    try:
        content = load_json(path, MEGABYTE)
    except DataError as error:
        raise DataError(f"{error}; irvis calibrate makes one") from error
    try:
        return Calibration.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        reason = first["msg"].removeprefix("Value error, ")
        text = f"{where}: {reason}" if where else reason
        raise DataError(f"{path}: not a calibration ({text}); irvis calibrate makes one") from error


def write(path: Path, calibration: Calibration) -> None:
    """Write a calibration file.

    Raises:
        DataError: The file can't be written.
    """
    content = calibration.model_dump(mode="json", by_alias=True)
    write_json(path, content, indent=1)


def _has_area(xyxy: Boxes) -> NDArray[np.bool_]:
    """Which boxes (n, 4) have an area: (n,)."""
    return np.asarray((xyxy[:, 2:] > xyxy[:, :2]).all(axis=1))


def _check_size(key: str, what: str, frame: Frame, size: tuple[int, int]) -> None:
    if frame.size != size:
        raise DataError(
            f"pair {key}: the {what} image has {frame.size[1]}x{frame.size[0]}, its calibration "
            f"is for {size[1]}x{size[0]}; calibrate at the size that is used"
        )


def _from_unit_square(size: tuple[int, int], *, inverse: bool = False) -> Homography:
    sides = np.array([size[1], size[0], 1.0])
    return np.diag(1 / sides if inverse else sides)
