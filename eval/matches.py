"""Which detections hit which labels, in the YOLO convention (yolov5 v7's ``val.py``)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detection.boxes import Detections
from eval.columns import Columns
from eval.labels import Labels
from eval.matching import area

IOU_THRESHOLDS: NDArray[np.float64] = np.linspace(0.5, 0.95, 10)


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """One arm's matched detections: all that the YOLO convention and what builds on it need.

    Attributes:
        hit: bool (n, 10), at each of ``IOU_THRESHOLDS``; n detections, best score first over all
            images, equal scores in the images' order.
        score: float64 (n,).
        class_id: int32 (n,).
        image: int32 (n,), index of the detection's image.
        label_class: int64 (m,), class of each label.
        label_image: int32 (m,), index of its image.
        label_area: float64 (m,), square pixels.
        label_score: float64 (m,), score of the detection that hits it at IoU 0.5; -1 for none. At
            a confidence c the label is found where this is at least c.
        images: How many images there are.
    """

    hit: NDArray[np.bool_]
    score: NDArray[np.float64]
    class_id: NDArray[np.int32]
    image: NDArray[np.int32]
    label_class: NDArray[np.int64]
    label_image: NDArray[np.int32]
    label_area: NDArray[np.float64]
    label_score: NDArray[np.float64]
    images: int

    @property
    def labelled_images(self) -> int:
        """How many images have a label."""
        return len(np.unique(self.label_image))

    def of_images(self, chosen: NDArray[np.bool_]) -> "Matches":
        """The matches of some images alone, those ``chosen`` (images,), numbered anew."""
        number = (np.cumsum(chosen) - 1).astype(np.int32)
        mine, labels = chosen[self.image], chosen[self.label_image]
        return Matches(
            hit=self.hit[mine],
            score=self.score[mine],
            class_id=self.class_id[mine],
            image=number[self.image[mine]],
            label_class=self.label_class[labels],
            label_image=number[self.label_image[labels]],
            label_area=self.label_area[labels],
            label_score=self.label_score[labels],
            images=int(chosen.sum()),
        )


def match_images(detections: Sequence[Detections], labels: Sequence[Labels]) -> Matches:
    """Match every image's detections to its labels, ignored ones dropped.

    Raises:
        ValueError: The lengths differ.
    """
    return match_columns(Columns.of(detections, labels))


def match(
    columns: Columns, thresholds: NDArray[np.float64]
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which label each detection hits, as yolov5 v7's ``val.py`` decides it.

    In each image and at each threshold, of all pairs of equal class with at least that IoU: each
    detection keeps the label of highest IoU (the first of equals), then each label keeps its most
    confident detection. The second step goes by confidence, not by IoU; and a detection whose label
    is taken stays a miss, even where another label was in reach.

    Args:
        columns: n detections and m labels.
        thresholds: IoU thresholds (t,).

    Returns:
        Which detections hit, bool (n, t); and the label that each asks for, int64 (n,), -1 where it
        reaches no threshold. It is the same at every threshold.
    """
    # imported now: numba would delay the first pair of a run with a report
    from eval.match_kernel import match_labels

    found, labels = columns.found, columns.labels
    hit = np.empty((len(found), len(thresholds)), np.bool_)
    label = np.empty(len(found), np.int64)
    match_labels(
        found.xyxy, found.class_id, columns.start, labels.xyxy, labels.class_id, labels.start,
        thresholds, hit, label,
    )  # fmt: skip
    return hit, label


def match_columns(columns: Columns) -> Matches:
    """What ``match_images`` gives, of columns."""
    found, labels = columns.found, columns.labels
    hit, label = match(columns, IOU_THRESHOLDS)
    label_score = np.full(len(labels.class_id), -1.0)
    label_score[label[hit[:, 0]]] = found.score[hit[:, 0]]
    order = np.argsort(-found.score, kind="stable")
    return Matches(
        hit=hit[order],
        score=found.score[order].astype(np.float64),
        class_id=found.class_id[order].astype(np.int32),
        image=columns.image[order],
        label_class=labels.class_id,
        label_image=labels.image,
        label_area=area(labels.xyxy),
        label_score=label_score,
        images=len(labels),
    )
