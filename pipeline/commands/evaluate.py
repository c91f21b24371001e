"""`irvis evaluate`: scores predictions of any program."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import ConfigError
from common.files import write_json
from eval.class_lists import class_names
from eval.class_map import Given
from eval.class_reading import readings
from eval.comparison import judge, warnings
from eval.evaluation import content_hash, evaluate_arm
from eval.fingerprint import fingerprint
from eval.foreign import classify, read_arms
from eval.label_report import Counted, counted_text
from eval.prediction_files import find_arms
from eval.predictions import Predictions
from eval.truth_classes import objects_by_name
from pipeline.commands._terminal import console, print_lines, score_tables
from pipeline.commands._truth import Truth, read_truth


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add predictions and labels, and what their classes are."""
    parser.add_argument(
        "predictions",
        type=Path,
        metavar="PREDICTIONS",
        help="COCO results json; dir of YOLO txt with confidences; dir with either for each arm",
    )
    parser.add_argument(
        "labels", type=Path, metavar="LABELS", help="COCO json; dir of YOLO, VOC or KAIST labels"
    )
    parser.add_argument("--images", type=Path, help="the images, for labels that are a folder")
    parser.add_argument(
        "--classes", help="names of the evaluated classes, default person,car if labelled"
    )
    parser.add_argument(
        "--class-names",
        type=Path,
        metavar="FILE|A,B",
        help="names of the labels' ids, default: a list beside or above the labels, else COCO's",
    )
    parser.add_argument(
        "--class-map",
        action="append",
        metavar="CLASS=NAME",
        help="what a class of the labels, a name or an id, is taken for; null leaves it out",
    )
    parser.add_argument(
        "--prediction-names",
        type=Path,
        metavar="FILE|A,B",
        help="names of the predictions' ids, default: the labels' or COCO's, as they agree",
    )
    parser.add_argument(
        "--box-origin",
        type=int,
        choices=(0, 1),
        default=0,
        help="VOC: 1 where pixels count from 1 and both ends belong to a box; default 0",
    )
    parser.add_argument("-o", "--output", type=Path, help="write the numbers as json")


def run(parsed: argparse.Namespace) -> None:
    """Score and print the tables."""
    results = evaluate(
        parsed.predictions,
        parsed.labels,
        images=parsed.images,
        classes=parsed.classes.split(",") if parsed.classes else None,
        class_names=class_names(parsed.class_names),
        class_map=_class_map(parsed.class_map),
        prediction_names=class_names(parsed.prediction_names),
        box_origin=parsed.box_origin,
    )
    if parsed.output:
        write_json(parsed.output, results, indent=1)
    print_report(results)


def evaluate(
    predictions: Path,
    labels: Path,
    *,
    images: Path | None = None,
    classes: Sequence[str] | None = None,
    class_names: Mapping[int, str] | None = None,
    class_map: Given | None = None,
    prediction_names: Mapping[int, str] | None = None,
    box_origin: int = 0,
) -> dict[str, Any]:
    """Score predictions against labels in both conventions.

    Args:
        predictions: COCO results, a folder of YOLO txt with confidences, or a folder of either for
            each arm; arms called ``ir`` and ``vis`` are the baselines. Images go by the ids of the
            COCO file that the labels are, or by their names (`"00123"`, or the number 123 as yolov5
            writes it).
        labels: COCO json, such as a run's ``ground_truth.json``, or a folder of YOLO txt, VOC xml
            or KAIST txt.
        images: The labelled images, for their sizes; needed with a folder of labels, and with json
            that lacks them.
        classes: Names of the classes that count; None for person and car, as far as the labels have
            them.
        class_names: Names of the labels' class ids; None for the list beside or above the labels.
        class_map: A class's name by the labels' own name or id; None leaves the class out.
        prediction_names: Names of the predictions' class ids; None to find out, see
            ``eval.class_reading``.
        box_origin: Of VOC boxes, see ``eval.voc_files.read_voc``.

    Returns:
        ``arms``, ``comparisons`` and ``warnings`` as in ``results.json``, what they were computed
        from, and ``objects`` by class: those that count and those that don't.

    Raises:
        errors.IrvisError: A file is missing or invalid.
    """
    inputs = read_inputs(
        predictions,
        labels,
        images=images,
        classes=classes,
        class_names=class_names,
        class_map=class_map,
        prediction_names=prediction_names,
        box_origin=box_origin,
    )
    truth, counted = inputs.truth, inputs.counted
    results = {
        arm: evaluate_arm(truth.ground_truth, mine, counted)
        for arm, mine in inputs.predictions.items()
    }
    baselines = {name: name if name in results else None for name in ("ir", "vis")}
    parts, comparisons, attribution = judge(results, baselines)
    protocol = {
        "classes": counted,
        "baselines": baselines,
        "images": len(truth.ground_truth["images"]),
        "ground_truth_sha256": content_hash(truth.ground_truth),
        **truth.protocol,
    }
    objects = Counted.of_names(*objects_by_name(truth.ground_truth, counted), truth.left_out)
    return {
        "protocol": {**protocol, "fingerprint": fingerprint(protocol)},
        "arms": {arm: {"detection": part} for arm, part in parts.items()},
        "comparisons": comparisons,
        "attribution": attribution,
        "objects": {"counted": objects.counted, "not_counted": objects.not_counted},
        "notes": inputs.notes,
        "warnings": [
            *warnings(results),
            *truth.warnings,
            *objects.warnings("name those that are to count with --classes"),
            *inputs.warnings,
        ],
    }


@dataclass(frozen=True, slots=True)
class Inputs:
    """What is scored: labels, the ids of the classes that count, predictions by arm."""

    truth: Truth
    counted: tuple[int, ...]
    predictions: dict[str, Predictions]
    notes: list[str]
    warnings: list[str]


def read_inputs(
    predictions: Path,
    labels: Path,
    *,
    images: Path | None = None,
    classes: Sequence[str] | None = None,
    class_names: Mapping[int, str] | None = None,
    class_map: Given | None = None,
    prediction_names: Mapping[int, str] | None = None,
    box_origin: int = 0,
) -> Inputs:
    """Read labels and predictions and bring them to the same images and classes.

    Args and errors are those of ``evaluate``.
    """
    files = find_arms(predictions)
    truth = read_truth(
        labels, images, class_names=class_names, class_map=class_map, box_origin=box_origin
    )
    counted = truth.ids(classes)
    found = read_arms(files, truth.ground_truth, image_ids=truth.image_ids)
    ways = readings(truth.ground_truth, own_ids=truth.class_ids, given=prediction_names)
    classified = classify(found.arms, truth.ground_truth, ways, counted)
    return Inputs(
        truth,
        counted,
        classified.predictions,
        truth.notes,
        [*found.warnings, *classified.warnings],
    )


def print_report(results: Mapping[str, Any]) -> None:
    """Print the tables of scores, the warnings, and the evaluated classes."""
    out = console()
    for table in score_tables(results, {}):
        out.print(table)
    objects = results["objects"]
    counted = counted_text(objects["counted"], objects["not_counted"])
    print_lines(
        *(f"Warning: {warning}" for warning in results["warnings"]),
        *(f"Note: {note}" for note in results["notes"]),
        f"Counted: {counted or 'no labels'}",
    )


def _class_map(given: Sequence[str] | None) -> Given | None:
    """From the arguments `CLASS=NAME`."""
    if given is None:
        return None
    pairs = [text.rpartition("=") for text in given]
    if wrong := [text for text, (source, _, target) in zip(given, pairs, strict=True)
                 if not source or not target]:  # fmt: skip
        raise ConfigError(f"--class-map: {wrong[0][:80]!r} is no map; write CLASS=NAME")
    return {source: None if target == "null" else target for source, _, target in pairs}
