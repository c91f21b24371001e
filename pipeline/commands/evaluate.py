"""`irvis evaluate`: scores COCO predictions of any program."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common.errors import ConfigError, DataError
from common.files import write_json
from eval.class_names import COCO_NAMES
from eval.coco import ground_truth_json
from eval.coco_files import GroundTruth, ImageEntry, read_ground_truth, read_predictions
from eval.comparison import judge, warnings
from eval.evaluation import content_hash, evaluate_arm
from eval.fingerprint import fingerprint
from eval.labels import LabelSet
from pipeline.commands._terminal import console, print_lines, score_tables
from pipeline.images import list_images, read_image

DEFAULT_CLASSES = ("person", "car")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add predictions and labels."""
    parser.add_argument(
        "predictions", type=Path, metavar="PREDICTIONS", help="COCO results json, or dir"
    )
    parser.add_argument("labels", type=Path, metavar="LABELS", help="COCO json, YOLO or VOC dir")
    parser.add_argument("--images", type=Path, help="the images, for labels that are a folder")
    parser.add_argument(
        "--classes", help="names of the evaluated classes, default person,car if labelled"
    )
    parser.add_argument("-o", "--output", type=Path, help="write the numbers as json")


def run(parsed: argparse.Namespace) -> None:
    """Score and print the tables."""
    results = evaluate(
        parsed.predictions,
        parsed.labels,
        images=parsed.images,
        classes=parsed.classes.split(",") if parsed.classes else None,
    )
    if parsed.output:
        write_json(parsed.output, results, indent=1)
    print_report(results)


def evaluate(
    predictions: Path, labels: Path, *, images: Path | None, classes: Sequence[str] | None
) -> dict[str, Any]:
    """Score predictions against labels in both conventions.

    Args:
        predictions: COCO results, or a folder of them: each file is an arm, and arms called ``ir``
            and ``vis`` are the baselines. Image ids are those of the COCO file of labels or, for a
            folder of labels, image names without suffix (`"00123"`, or the number 123 as written by
            yolov5).
        labels: COCO json, such as a run's ``ground_truth.json``, or a folder of YOLO txt or VOC
            xml.
        images: The labelled images, for their sizes; needed with a folder of labels.
        classes: Names of the evaluated classes in the labels. None for those of
            ``DEFAULT_CLASSES`` that the labels have.

    Returns:
        ``arms``, ``comparisons``, ``attribution`` and ``warnings`` as in ``results.json``, and the
        ``protocol``.

    Raises:
        errors.IrvisError: A file is missing or invalid.
    """
    files = _prediction_files(predictions)
    ground_truth = _from_folder(labels, images) if labels.is_dir() else read_ground_truth(labels)
    counted = _ids(ground_truth, classes)
    ids = _ids_by_name(ground_truth) if labels.is_dir() else None
    results = {
        arm: evaluate_arm(
            ground_truth, read_predictions(path, ground_truth, image_ids=ids), counted
        )
        for arm, path in files.items()
    }
    baselines = {name: name if name in files else None for name in ("ir", "vis")}
    parts, comparisons, attribution = judge(results, baselines)
    protocol = {
        "classes": counted,
        "baselines": baselines,
        "images": len(ground_truth["images"]),
        "ground_truth_sha256": content_hash(ground_truth),
    }
    return {
        "protocol": {**protocol, "fingerprint": fingerprint(protocol)},
        "arms": {arm: {"detection": part} for arm, part in parts.items()},
        "comparisons": comparisons,
        "attribution": attribution,
        "warnings": warnings(results),
    }


def print_report(results: Mapping[str, Any]) -> None:
    """Print the tables of scores, the warnings and the evaluated classes."""
    out = console()
    for table in score_tables(results, {}):
        out.print(table)
    print_lines(*(f"Warning: {warning}" for warning in results["warnings"]))
    classes = next(iter(results["arms"].values()))["detection"]["yolo"]["per_class"]
    out.print(f"Counted: {', '.join(classes) or 'no labels'}", highlight=False, markup=False)


def _from_folder(labels: Path, images: Path | None) -> GroundTruth:
    """Read a folder of labels as a COCO data set; image ids are 1, 2, ... in order."""
    if images is None:
        raise ConfigError(
            "--images is missing: a folder of labels has no image sizes; give the images' folder"
        )
    label_set = LabelSet.open(labels, names=COCO_NAMES)
    files = list_images(images)
    label_set.check_keys(files)
    entries: list[ImageEntry] = []
    parts = []
    for number, (key, path) in enumerate(files.items(), 1):
        height, width = read_image(path).shape[:2]
        entries.append(
            {"id": number, "key": key, "file_name": path.name, "width": width, "height": height}
        )
        parts.append(label_set.get(key, (height, width)))
    return ground_truth_json(entries, parts, COCO_NAMES)


def _ids(ground_truth: GroundTruth, classes: Sequence[str] | None) -> tuple[int, ...]:
    """The ids of the given classes in the ground truth."""
    exact = {entry["name"]: entry["id"] for entry in ground_truth["categories"]}
    known = {name.casefold(): class_id for name, class_id in exact.items()} | exact
    wanted = [name.strip() for name in classes or DEFAULT_CLASSES]
    ids = {name: known.get(name, known.get(name.casefold())) for name in wanted}
    labelled = tuple(dict.fromkeys(class_id for class_id in ids.values() if class_id is not None))
    missing = [name for name, class_id in ids.items() if class_id is None]
    if not labelled or (classes is not None and missing):
        raise ConfigError(
            f"--classes: the labels have no {' and no '.join(missing)}; theirs are "
            f"{', '.join(exact) or 'none'}"
        )
    return labelled


def _prediction_files(predictions: Path) -> dict[str, Path]:
    """The prediction files by arm."""
    files = sorted(predictions.glob("*.json")) if predictions.is_dir() else [predictions]
    if not files or not files[0].is_file():
        raise DataError(
            f"{predictions}: no prediction file; give a run's predictions/<arm>.json, or the folder"
        )
    return {path.stem: path for path in files}


def _ids_by_name(ground_truth: GroundTruth) -> dict[str | int, int]:
    """Image ids by the images' names, and by the number if the name is one."""
    ids: dict[str | int, int] = {}
    for image in ground_truth["images"]:
        key = image.get("key", "")
        ids[key] = image["id"]
        if key.isdecimal() and ids.setdefault(int(key), image["id"]) != image["id"]:
            raise DataError(
                f"{image['file_name']}: other images' names are the number {int(key)} too; write "
                "names in quotes"
            )
    return ids
