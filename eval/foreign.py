"""Predictions of other programs, brought to the images and classes of a ground truth."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np

from common.errors import DataError
from eval.class_names import NameTable
from eval.class_reading import ENOUGH, SAY_IT, ClassId, Reading, choose, doubts
from eval.coco_files import GroundTruth
from eval.overlap import overlapping
from eval.prediction_files import ForeignPredictions, read_arm
from eval.predictions import Predictions

_CONFIDENT = 0.25  # detectors write many uncertain boxes of many classes


@dataclass(frozen=True, slots=True)
class FoundArms:
    """Predictions by arm with their own classes, and what was left out of the files."""

    arms: dict[str, ForeignPredictions]
    warnings: list[str]


@dataclass(frozen=True, slots=True)
class Classified:
    """Predictions by arm with the ground truth's classes, and what may make them wrong."""

    predictions: dict[str, Predictions]
    warnings: list[str]


def read_arms(
    files: Mapping[str, Path], ground_truth: GroundTruth, *, image_ids: bool
) -> FoundArms:
    """Read every arm; see ``eval.prediction_files.read_arm``.

    Raises:
        errors.DataError: A file is malformed, or of images that aren't there.
    """
    arms, warnings = {}, []
    for arm, path in files.items():
        arms[arm], more = read_arm(path, ground_truth, ids=image_ids)
        warnings += more
    return FoundArms(arms, warnings)


def classify(
    arms: Mapping[str, ForeignPredictions],
    ground_truth: GroundTruth,
    ways: Sequence[Reading],
    counted: Collection[int],
) -> Classified:
    """Give predictions the classes of the ground truth; those of other classes are left out.

    One reading serves all arms: they are of one detector.

    Args:
        arms: Predictions by arm.
        ground_truth: What they are of.
        ways: How their ids may be read, see ``eval.class_reading.readings``.
        counted: The classes that count.

    Raises:
        errors.DataError: No prediction at all is of a class of the labels.
    """
    pairs = {arm: _met(ground_truth, mine) for arm, mine in arms.items()}
    seen = sum((Counter(mine.counts()) for mine in arms.values()), Counter[ClassId]())
    reading, warnings = choose(ways, chain.from_iterable(pairs.values()), seen)
    table = NameTable({entry["id"]: entry["name"] for entry in ground_truth["categories"]})
    ids: dict[ClassId, int | None] = {
        given: table.find(given) if isinstance(given, str) and given not in reading.ids
        else reading.ids.get(given)
        for given in seen
    }  # fmt: skip
    if seen and not any(class_id is not None for class_id in ids.values()):
        raise DataError(
            f"no prediction is of a class of the labels: their ids are {_some(seen)}, read as "
            f"{reading.about}; say what they mean with irvis evaluate {SAY_IT}"
        )
    names = {c["id"]: c["name"] for c in ground_truth["categories"] if c["id"] in counted}
    reading = Reading(reading.about, {g: i for g, i in ids.items() if i is not None})  # and names
    predictions = {}
    for arm, mine in arms.items():
        warnings += [f"{arm}: {text}" for text in doubts(reading, pairs[arm], names)]
        met = sum(class_id in names for _, class_id in pairs[arm])
        warnings += _unmet(arm, mine.found, ground_truth, names, met)
        warnings += _uncounted(arm, mine, ids, counted)
        predictions[arm] = _with_classes(mine, reading.ids)
    return Classified(predictions, warnings)


def _met(ground_truth: GroundTruth, arm: ForeignPredictions) -> list[tuple[ClassId, int]]:
    """Class of the best prediction on each label that has one, and the label's."""
    place = arm.found.category_id
    found = overlapping(ground_truth, arm.found)
    return [(arm.classes[place[row]], class_id) for row, class_id in found]


def _with_classes(arm: ForeignPredictions, ids: Mapping[ClassId, int]) -> Predictions:
    """The predictions of the classes of ``ids``, by these ids."""
    known = np.array([given in ids for given in arm.classes], np.bool_)  # (c,)
    by_place = np.array([ids.get(given, 0) for given in arm.classes], np.int64)  # (c,)
    kept = arm.found[known[arm.found.category_id]]
    return replace(kept, category_id=by_place[kept.category_id])


def _unmet(
    arm: str, found: Predictions, ground_truth: GroundTruth, counted: Collection[int], met: int
) -> list[str]:
    """A warning where most labelled images have no prediction, or hardly a label has one on it.

    Args:
        arm: Its name.
        found: Its predictions.
        ground_truth: What they are of.
        counted: The classes that count.
        met: How many labels of them have a prediction on them.
    """
    labelled = [
        item["image_id"]
        for item in ground_truth["annotations"]
        if item["category_id"] in counted and not item["iscrowd"]
    ]
    images = set(labelled)
    missing = len(images.difference(np.unique(found.image_id).tolist()))
    if 2 * missing > len(images):
        return [
            f"{arm}: {missing} of {len(images)} labelled images have no prediction, so their "
            "objects count as missed; if the predictions are of a part of the images, give the "
            "labels of that part"
        ]
    if len(labelled) >= ENOUGH and 10 * met < len(labelled):
        return [
            f"{arm}: only {met} of {len(labelled)} labels have a prediction on them, whatever its "
            "class; are the predictions of these images, with boxes as left, top, width, height in "
            "pixels of the original?"
        ]
    return []


def _uncounted(
    arm: str,
    mine: ForeignPredictions,
    ids: Mapping[ClassId, int | None],
    counted: Collection[int],
) -> list[str]:
    """A warning where most predictions don't count, the confident ones too."""

    def count(numbers: Mapping[ClassId, int]) -> tuple[int, int, Counter[ClassId]]:
        left = Counter({g: n for g, n in numbers.items() if ids[g] not in counted})
        return left.total(), sum(numbers.values()), left

    left, total, by_class = count(mine.counts())
    sure_left, sure, _ = count(mine.counts(mine.found.score >= _CONFIDENT))
    if not left or 2 * left <= total or (sure and 2 * sure_left <= sure):
        return []
    return [
        f"{arm}: {left} of {total} predictions are of classes that don't count (ids "
        f"{_some(by_class)}): say what ids mean with {SAY_IT}, or "
        "which classes count with --classes"
    ]


def _some(ids: Counter[ClassId]) -> str:
    most = ", ".join(str(class_id)[:40] for class_id, _ in ids.most_common(8))
    return most + (", ..." if len(ids) > 8 else "")
