"""An arm's detections of all images as columns, which take a tenth of the memory of entries."""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eval.coco_files import GroundTruth, Prediction, read_predictions
from eval.columns import places

_LARGE = 1 << 23  # bytes of a file that is read block by block


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """n detections in the order of their file.

    Attributes:
        image_id: int64 (n,), id of the image in the ground truth.
        category_id: int64 (n,).
        bbox: float64 (n, 4), left, top, width, height in pixels.
        score: float64 (n,), in [0, 1].
    """

    image_id: NDArray[np.int64]
    category_id: NDArray[np.int64]
    bbox: NDArray[np.float64]
    score: NDArray[np.float64]

    @classmethod
    def of(cls, entries: "Predictions | Iterable[Prediction]") -> "Predictions":
        """From entries, of which one is needed at a time; columns stay as they are."""
        if isinstance(entries, Predictions):
            return entries
        image_id, category_id, bbox, score = array("q"), array("q"), array("d"), array("d")
        for item in entries:
            image_id.append(item["image_id"])
            category_id.append(item["category_id"])
            bbox.extend(item["bbox"])
            score.append(item["score"])
        return cls(
            np.array(image_id, np.int64),
            np.array(category_id, np.int64),
            np.array(bbox, np.float64).reshape(-1, 4),
            np.array(score, np.float64),
        )

    @classmethod
    def concatenate(cls, parts: "Sequence[Predictions]") -> "Predictions":
        """Several sets one after the other."""
        image_id = np.concatenate([np.zeros(0, np.int64), *(part.image_id for part in parts)])
        category_id = np.concatenate([np.zeros(0, np.int64), *(part.category_id for part in parts)])
        bbox = np.concatenate([np.zeros((0, 4)), *(part.bbox for part in parts)])
        score = np.concatenate([np.zeros(0), *(part.score for part in parts)])
        return cls(image_id, category_id, bbox, score)

    def __len__(self) -> int:
        return len(self.score)

    def __getitem__(self, index: NDArray[np.bool_] | NDArray[np.intp]) -> "Predictions":
        """Select by a mask or by indices."""
        return Predictions(
            self.image_id[index], self.category_id[index], self.bbox[index], self.score[index]
        )

    def by_image(self, image_ids: Sequence[int] | NDArray[np.int64]) -> list[NDArray[np.intp]]:
        """Indices of the detections of each image, order kept.

        Raises:
            KeyError: A detection is of none of these images.
        """
        image = places(np.asarray(image_ids, np.int64), self.image_id)
        ends = np.bincount(image, minlength=len(image_ids)).cumsum()
        return np.split(image.argsort(kind="stable"), ends[:-1])


def read_columns(
    path: Path, ground_truth: GroundTruth, *, image_ids: Mapping[str | int, int] | None = None
) -> Predictions:
    """What ``eval.coco_files.read_predictions`` reads, as columns; large files block by block.

    Arguments and errors are the same. Large files that no run wrote take more memory.
    """
    if image_ids is None:
        image_ids = {image["id"]: image["id"] for image in ground_truth["images"]}
    texts = any(isinstance(given, str) for given in image_ids)
    if not texts and path.is_file() and path.stat().st_size >= _LARGE:
        # imported now: pyarrow's JSON would delay the reading of small files
        from eval.prediction_lines import read_prediction_lines

        given, own = (np.array(list(ids), np.int64) for ids in (image_ids, image_ids.values()))
        classes = np.array([entry["id"] for entry in ground_truth["categories"]], np.int64)
        found = read_prediction_lines(path, given, classes)
        if found is not None:
            return replace(found, image_id=own[places(given, found.image_id)])
    return Predictions.of(read_predictions(path, ground_truth, image_ids=image_ids))
