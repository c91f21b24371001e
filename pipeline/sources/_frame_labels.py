"""Ground truth of recordings: assigns labels to frames by key or number."""

import logging
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from common.errors import DataError
from common.modality import CAMERA, Modality
from eval.label_report import LabelReport
from eval.labels import Labels, LabelSet
from pipeline.sources._labels import BoxOrigin, ClassMapping, ClassNames, open_labels

log = logging.getLogger(__name__)
_NUMBER = re.compile(r"[0-9]+$")


class Labelled(BaseModel):
    """Settings of the ground truth of recordings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    labels: Path | None = Field(
        None, description="YOLO txt, VOC xml or COCO json, by the frame's number or key"
    )
    labels_on: Modality = Field(
        "vis", description="the frames that they are drawn on; ir: carried by the calibration"
    )
    labels_from: int | None = Field(
        None, ge=0, description="the labels' number of that camera's first frame; default 0"
    )
    class_names: ClassNames = None
    class_map: ClassMapping = None
    box_origin: BoxOrigin = 0
    ignore: Path | None = Field(None, description="json of regions that count neither way")

    def open_labels(self, names: Mapping[int, str]) -> "FrameLabels | None":
        """Read the labels, whose classes are those of ``names``; None where there are none.

        Raises:
            DataError: They can't be read.
        """
        if self.labels is None:
            return None
        labels = open_labels(self.labels, self, names, None, self.ignore)
        return FrameLabels(labels, self.labels, self.labels_from, self.labels_on)


class FrameLabels:
    """Labels by the key of a frame: labels of that name, or of a name that ends with that number.

    A key `000012` has the labels `000012`, else those of the one name that ends with the number
    12: `12`, `frame_0012`, `video/000012`.

    Attributes:
        drawn_on: The camera whose frames these are.
    """

    def __init__(
        self, labels: LabelSet, path: Path, first: int | None, drawn_on: Modality = "vis"
    ) -> None:
        """Begin; ``first`` is the number of frame 0 in the labels, None for the default 0."""
        self._labels, self._path, self._first = labels, path, first
        self.drawn_on = drawn_on
        self._names = frozenset(labels.keys())
        self._numbers: dict[int, str | None] = {}  # None: several names end with that number
        self._stems: dict[str, str | None] = {}  # None: several folders have that name
        for name in sorted(self._names):
            stem = PurePosixPath(name).name
            self._stems[stem] = None if stem in self._stems else name
            if match := _NUMBER.search(PurePosixPath(name).name):
                number = int(match[0])
                self._numbers[number] = None if number in self._numbers else name

    @property
    def report(self) -> LabelReport:
        """As ``LabelSet.report``."""
        return self._labels.report

    @property
    def protocol(self) -> Mapping[str, Any]:
        """As ``LabelSet.protocol``."""
        return self._labels.protocol

    def get(self, key: str, size: tuple[int, int]) -> Labels:
        """As ``LabelSet.get``."""
        return self._labels.get(self._name(key) or key, size)

    def class_ids(self, key: str) -> NDArray[np.int64]:
        """As ``LabelSet.class_ids``."""
        return self._labels.class_ids(self._name(key) or key)

    def check_start(self, key: str) -> None:
        """Warn of labels that may count from 1; needs only the key of the camera's first frame."""
        from_0 = key.isdecimal() and int(key) == 0
        if self._first is None and from_0 and 1 in self._numbers and 0 not in self._numbers:
            self._labels.report.warnings.append(
                "the labels have frame 1 and no frame 0, and are taken to count from 0; give "
                "source.labels_from=1 if they count from 1, or 0 if they don't"
            )

    def check(self, keys: Iterable[str]) -> None:
        """Check that the labels belong to existing frames; warn of what doesn't fit.

        Args:
            keys: Keys of all frames of the camera, in order.

        Raises:
            DataError: No label belongs to a frame, or they seem to count from another number.
        """
        frames, camera = list(keys), CAMERA[self.drawn_on]
        found = [self._name(key) for key in frames]
        self._labels.check_ignore([*frames, *filter(None, found)])
        assigned = {name for name in found if name}
        if not self._names:
            return
        last = self._numbers.get(len(frames))
        if self._first is None and last and last not in assigned and 0 not in self._numbers:
            raise DataError(
                f"{self._path}: has labels of frame {len(frames)} and none of 0, where the frames "
                f"count from 0 to {len(frames) - 1}; give source.labels_from=1 if the labels count "
                "from 1, or 0 if they don't"
            )
        if not assigned:
            raise DataError(
                f"{self._path}: no label belongs to the {camera} frames; they need names that end "
                f"with a frame's number, from {self._first or 0} on, or its key, like "
                f"{frames[0] if frames else 0}"
            )
        if without := found.count(None):
            report, most = self._labels.report, 2 * without > len(frames)
            (report.warnings if most else report.notes).append(
                f"{without} of {len(frames)} {camera} frames have no labels and count as background"
            )
        if rest := sorted(self._names - assigned):
            log.warning(
                "%s: %d of %d labelled images are no frames and left out, the first is %s",
                self._path, len(rest), len(self._names), rest[0],
            )  # fmt: skip

    def _name(self, key: str) -> str | None:
        """The name under which the labels list a frame; None if they don't."""
        if key in self._names and not self._first:
            return key
        if key.isdecimal():
            return self._numbers.get(int(key) + (self._first or 0))
        return self._stems.get(key)
