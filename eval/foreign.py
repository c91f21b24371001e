"""Predictions of other programs, brought to the images and classes of a ground truth."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, cast

from common.errors import DataError
from eval.class_names import NameTable
from eval.class_reading import ENOUGH, SAY_IT, Reading, choose, doubts
from eval.coco_files import GroundTruth, Prediction
from eval.overlap import overlapping
from eval.prediction_files import Entries, read_entries

_CONFIDENT = 0.25  # detectors write many uncertain boxes of many classes


@dataclass(frozen=True, slots=True)
class FoundArms:
    """Predictions by arm with their own class ids, and what was left out of the files."""

    entries: dict[str, Entries]
    warnings: list[str]


@dataclass(frozen=True, slots=True)
class Classified:
    """Predictions by arm with the ground truth's classes, and what may make them wrong."""

    predictions: dict[str, list[Prediction]]
    warnings: list[str]


def read_arms(
    files: Mapping[str, Path], ground_truth: GroundTruth, *, image_ids: bool
) -> FoundArms:
    """Read every arm; see ``eval.prediction_files.read_entries``.

    Raises:
        errors.DataError: A file is malformed, or of images that aren't there.
    """
    entries, warnings = {}, []
    for arm, path in files.items():
        entries[arm], more = read_entries(path, ground_truth, ids=image_ids)
        warnings += more
    return FoundArms(entries, warnings)


def classify(
    arms: Mapping[str, Entries],
    ground_truth: GroundTruth,
    ways: Sequence[Reading],
    counted: Collection[int],
) -> Classified:
    """Give predictions the classes of the ground truth; those of other classes are left out.

    One reading serves all arms: they are of one detector.

    Args:
        arms: Predictions by arm; their class ids are replaced.
        ground_truth: What they are of.
        ways: How their ids may be read, see ``eval.class_reading.readings``.
        counted: The classes that count.

    Raises:
        errors.DataError: No prediction at all is of a class of the labels.
    """
    pairs = {arm: overlapping(ground_truth, mine) for arm, mine in arms.items()}
    seen = Counter(item["category_id"] for mine in arms.values() for item in mine)
    reading, warnings = choose(ways, chain.from_iterable(pairs.values()), seen)
    table = NameTable({entry["id"]: entry["name"] for entry in ground_truth["categories"]})
    ids: dict[int | str, int | None] = {
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
        warnings += _unmet(arm, mine, ground_truth, names, met)
        warnings += _uncounted(arm, mine, ids, counted)
        kept: list[dict[str, Any]] = []
        for item in mine:
            class_id = ids[item["category_id"]]
            if class_id is not None:
                item["category_id"] = class_id
                kept.append(item)
        predictions[arm] = cast("list[Prediction]", kept)
    return Classified(predictions, warnings)


def _unmet(
    arm: str, entries: Entries, ground_truth: GroundTruth, counted: Collection[int], met: int
) -> list[str]:
    """A warning where most labelled images have no prediction, or hardly a label has one on it.

    Args:
        arm: Its name.
        entries: Its predictions.
        ground_truth: What they are of.
        counted: The classes that count.
        met: How many labels of them have a prediction on them.
    """
    labelled = [
        item["image_id"]
        for item in ground_truth["annotations"]
        if item["category_id"] in counted and not item["iscrowd"]
    ]
    images, predicted = set(labelled), {item["image_id"] for item in entries}
    missing = len(images - predicted)
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
    arm: str, entries: Entries, ids: Mapping[int | str, int | None], counted: Collection[int]
) -> list[str]:
    """A warning where most predictions don't count, the confident ones too."""
    others = [item for item in entries if ids[item["category_id"]] not in counted]
    sure = sum(item["score"] >= _CONFIDENT for item in entries)
    others_sure = sum(item["score"] >= _CONFIDENT for item in others)
    if not others or 2 * len(others) <= len(entries) or (sure and 2 * others_sure <= sure):
        return []
    ids_left = _some(Counter(item["category_id"] for item in others))
    return [
        f"{arm}: {len(others)} of {len(entries)} predictions are of classes that don't count (ids "
        f"{ids_left}): say what ids mean with {SAY_IT}, or "
        "which classes count with --classes"
    ]


def _some(ids: Counter[int | str]) -> str:
    most = ", ".join(str(class_id)[:40] for class_id, _ in ids.most_common(8))
    return most + (", ..." if len(ids) > 8 else "")
