"""The pairs of a run one by one: which are worth a look, and a picture of each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from common.errors import ConfigError, DataError, shown
from detection.boxes import Detections
from eval.coco import detections_of, labels_of
from eval.coco_files import GroundTruth, read_ground_truth
from eval.evaluation import key_of
from eval.labels import Labels
from eval.operating_points import CONFIDENCE
from eval.predictions import read_columns
from eval.report.tables import fused_arms, scored_arms, truth_of
from eval.single_pairs import Finds, finds, lost, rescued
from pipeline.config.components import suggest
from pipeline.engine.revisit import revisit
from pipeline.frames import Result
from pipeline.images import to_rgb
from pipeline.run_folder.names import ground_truth_file, predictions_file
from pipeline.sinks.video import draw_boxes, draw_text

Order = Literal["worst", "rescued"]

COLUMNS = 3  # panels side by side
TITLE = 24  # pixels of the bar over a panel
SMALL = 640  # pixels; narrower images are enlarged twice, so that boxes can be told apart
FOUND, MISSED, RESCUED, WHITE = (255, 255, 255), (255, 0, 0), (255, 0, 255), (255, 255, 255)


@dataclass(frozen=True, slots=True)
class Row:
    """A pair in the table: its key, its objects, and counts of the arm in question."""

    key: str
    objects: int
    missed: int
    false: int
    rescued: int
    lost: int


class SinglePairs:
    """The labels and detections of a run's pairs.

    Attributes:
        keys: Of the pairs, in the order of the run.
        arm: The arm in question: the first fused one, else the first one with detections.
    """

    def __init__(self, folder: Path, results: Mapping[str, Any]) -> None:
        """Read labels and detections.

        Args:
            folder: The run folder.
            results: The content of its ``results.json``.

        Raises:
            DataError: The run had no detector, or a file is missing or damaged.
        """
        if results["protocol"]["detector"] is None:
            raise DataError(f"{folder}: had no detector: no detections to look at")
        self._folder, self._results = folder, results
        self._truths: dict[str | None, GroundTruth] = {}
        self._labels_of: dict[str | None, list[Labels]] = {}
        self.keys = [key_of(image) for image in self._truth(None)["images"]]
        self._numbers = {key: number for number, key in enumerate(self.keys)}
        self.arm = [*fused_arms(results["protocol"], results["arms"]), *results["arms"]][0]
        self._detections = {arm: self._read(arm) for arm in results["arms"]}
        scored = scored_arms(results)
        self._finds: dict[str, list[Finds]] = {
            arm: finds(self._detections[arm], self._labels(arm)) for arm in scored
        }

    def ranked(self, order: Order, number: int) -> list[Row]:
        """The pairs that are worth a look.

        Args:
            order: worst: most missed objects and false detections of the arm in question first;
                rescued: most objects first that it finds and no single modality does.
            number: How many, at most. Pairs without any error or rescued object are left out.

        Raises:
            DataError: The run has no labels; or no arms of single modalities, or other labels for
                them, which ``rescued`` compares with.
        """
        if self.arm not in self._finds:
            raise DataError(f"{self._folder}: has no labels, by which pairs could be ranked")
        if order == "rescued" and not self._alone:
            raise DataError(
                f"{self._folder}: has no infrared and visible arms that are scored on the same "
                f"labels as {self.arm}, so nothing can be rescued"
            )
        rows = [self._row(index) for index in range(len(self.keys))]
        values = [row.missed + row.false if order == "worst" else row.rescued for row in rows]
        best = sorted(range(len(rows)), key=lambda index: -values[index])
        return [rows[index] for index in best if values[index] > 0][:number]

    def check(self, keys: Sequence[str]) -> None:
        """Check that there are such pairs.

        Raises:
            ConfigError: There is none of a key.
        """
        for key in keys:
            if key not in self._numbers:
                near = suggest(key, self.keys[:20])
                raise ConfigError(f"{self._folder}: has no pair {shown(key)}; {near}")

    def pictures(self, keys: Sequence[str]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
        """The key and the picture of each pair, HWC RGB: every arm with labels and detections.

        Labels are white where the arm finds them, red where it doesn't, magenta where it finds
        what no single modality does; detections are drawn as in the videos, over ``CONFIDENCE``.

        Raises:
            errors.IrvisError: As for ``check`` and ``pipeline.engine.revisit.revisit``.
        """
        self.check(keys)
        for result in revisit(self._folder, keys):
            yield result.item.pair.key, self._picture(result)

    @cached_property
    def _alone(self) -> dict[str, list[Finds]]:
        """What the arms of single modalities find; empty unless there are both."""
        names = [name for name in self._results["protocol"]["baselines"].values() if name]
        shared = truth_of(self._results, self.arm)
        comparable = all(truth_of(self._results, name) == shared for name in names)
        if len(names) < 2 or not comparable or not self._finds.keys() >= set(names):
            return {}
        return {name: self._finds[name] for name in names}

    def _row(self, index: int) -> Row:
        mine = self._finds[self.arm][index]
        alone = {name: found[index] for name, found in self._alone.items()}
        return Row(
            self.keys[index],
            len(mine.found),
            int((~mine.found).sum()),
            mine.false,
            int(rescued(mine, alone).sum()) if alone else 0,
            int(lost(mine, alone).sum()) if alone else 0,
        )

    def _truth(self, camera: str | None) -> GroundTruth:
        if camera not in self._truths:
            self._truths[camera] = read_ground_truth(self._folder / ground_truth_file(camera))
        return self._truths[camera]

    def _labels(self, arm: str) -> list[Labels]:
        camera = truth_of(self._results, arm)
        if camera not in self._labels_of:
            self._labels_of[camera] = labels_of(self._truth(camera))
        return self._labels_of[camera]

    def _read(self, arm: str) -> list[Detections]:
        truth = self._truth(truth_of(self._results, arm))
        return detections_of(truth, read_columns(self._folder / predictions_file(arm), truth))

    def _picture(self, result: Result) -> NDArray[np.uint8]:
        index = self._numbers[result.item.pair.key]
        names = {entry["id"]: entry["name"] for entry in self._truth(None)["categories"]}
        shown_alone = {name for name in self._results["protocol"]["baselines"].values() if name}
        pair = result.item.pair.whole()
        panels = []
        if not shown_alone & result.images.keys():
            panels = [
                _titled(_enlarged(to_rgb(pair.ir.image)), "infrared"),
                _titled(_enlarged(to_rgb(pair.vis.image)), "visible"),
            ]
        for arm in sorted(result.images, key=lambda arm: arm not in shown_alone):
            image = _enlarged(result.image(arm))
            scale, found = image.shape[1] // result.item.size[1], self._detections[arm][index]
            boxes = replace(found, xyxy=found.xyxy * np.float32(scale))
            draw_boxes(image, boxes, names, CONFIDENCE)
            title = arm
            if arm in self._finds:
                title += self._draw_labels(image, scale, arm, index)
            panels.append(_titled(image, title))
        panels += [np.zeros_like(panels[0])] * (-len(panels) % COLUMNS)
        rows = [np.hstack(panels[i : i + COLUMNS]) for i in range(0, len(panels), COLUMNS)]
        return np.vstack(rows)

    def _draw_labels(self, image: NDArray[np.uint8], scale: int, arm: str, index: int) -> str:
        """Draw the labels on an arm's enlarged image; the arm's counts for its title."""
        mine = self._finds[arm][index]
        alone = {name: found[index] for name, found in self._alone.items()}
        fused = bool(alone) and arm not in alone
        saved = rescued(mine, alone) if fused else np.zeros(len(mine.found), np.bool_)
        boxes = self._labels(arm)[index].xyxy
        for box, is_found, is_saved in zip(boxes, mine.found, saved, strict=True):
            left, top, right, bottom = (round(scale * float(value)) for value in box)
            colour = RESCUED if is_saved else FOUND if is_found else MISSED
            cv2.rectangle(image, (left - 2, top - 2), (right + 2, bottom + 2), colour, 1)
        text = f": {mine.found.sum()} of {len(mine.found)} found, {mine.false} false"
        if fused:
            text += f", {saved.sum()} rescued, {lost(mine, alone).sum()} lost"
        return text


def _enlarged(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A copy of an HWC RGB image, twice as large if it is small."""
    height, width = image.shape[:2]
    if width >= SMALL:
        return image.copy()
    return np.asarray(cv2.resize(image, (2 * width, 2 * height), interpolation=cv2.INTER_CUBIC))


def _titled(image: NDArray[np.uint8], text: str) -> NDArray[np.uint8]:
    """The image below a bar with a text."""
    bar = np.zeros((TITLE, image.shape[1], 3), np.uint8)
    draw_text(bar, text, (8, 17), WHITE)
    return np.vstack((bar, image))
