"""The evaluation of a run: turns the log of its results sink into COCO files and scores."""

import math
from array import array
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from common.cells import cell
from common.files import write_json, write_text
from common.modality import CAMERA, Modality
from eval.average_precision import STATISTICS
from eval.class_reading import ENOUGH
from eval.coco_files import ImageEntry
from eval.comparison import judge, warnings
from eval.evaluation import ArmResult, curves_json, table_rows
from eval.fingerprint import fingerprint
from eval.labels import Labels
from eval.quality.summary import correlations, means
from pipeline.engine.mask_evaluation import MaskScores, evaluate_masks
from pipeline.engine.scoring import counted_names, score_arms
from pipeline.interfaces import RunContext, Summary
from pipeline.run_folder.coco_writer import GroundTruthFile
from pipeline.run_folder.misalignment_file import MisalignmentFile
from pipeline.run_folder.names import (
    CURVES,
    MISALIGNMENT,
    PAIR_LOG,
    QUALITY,
    RESULTS,
    RESULTS_TABLE,
    ground_truth_file,
)
from pipeline.run_folder.results_file import SCHEMA
from pipeline.run_folder.sink_files import read_lines
from pipeline.run_folder.summary import labels_json

COLUMNS = (
    "arm", "class", "images", "labels", *STATISTICS, "coco_map50", "coco_map50_95",
    *(f"{name}_{end}" for name in STATISTICS for end in ("low", "high")),
)  # fmt: skip


class _Written(NamedTuple):
    """What the pass over the log yields besides the files that it writes.

    Attributes:
        truths: By the camera whose own labels they hold.
        alignment: The misalignment of all pairs.
        quality: By arm: a row a pair, a column a metric, NaN where it isn't defined.
        detections: By arm, how many each pair has, (pairs,).
        scored: Whether a pair is scored, bool (pairs,).
    """

    truths: dict[Modality | None, GroundTruthFile]
    alignment: MisalignmentFile
    quality: dict[str, pd.DataFrame]
    detections: dict[str, NDArray[np.int64]]
    scored: NDArray[np.bool_]


def evaluate(context: RunContext, summary: Summary) -> None:
    """Write the COCO files of a run, score each arm, and write the results.

    Args:
        context: The run; ``context.folder`` holds the log of its results sink.
        summary: The counts of the run.

    Raises:
        errors.DataError: A file can't be written.
    """
    written = _unpack(context)
    alignment, quality = written.alignment, written.quality
    scored = score_arms(context, written.truths, written.detections, written.scored)
    masks = evaluate_masks(context)
    protocol = _protocol(context, written.truths, masks)
    threads = torch.get_num_threads()  # those of the run
    parts, comparisons, attribution = judge(scored, context.baselines, context.truths, threads)
    results = {
        "schema": SCHEMA,
        "protocol": protocol,
        "arms": {
            arm: {
                "detection": parts.get(arm),
                "quality": means(quality.get(arm)),
                **({} if masks is None else {"segmentation": masks.scores["arms"].get(arm)}),
            }
            for arm in context.arms
        },
        **({} if masks is None else {"segmentation": masks.summary}),
        "comparisons": comparisons,
        "attribution": attribution,
        "quality_correlation": correlations(quality, scored, context.baselines),
        "alignment": alignment.summary(),
        "sync": summary.timing,
        "frames": dict(summary.frames),
        "objects": {"scored": summary.objects, "labelled": summary.labelled_objects},
        "labels": labels_json(summary.classes, summary.labels),
        **({"own_labels": _own_labels(context, summary)} if summary.own_labels else {}),
        "leaked": {name: list(keys) for name, keys in summary.leaked.items() if keys},
        "warnings": [
            *alignment.warnings(),
            *_warnings(context, summary, scored),
            *([] if masks is None else masks.scores["warnings"]),
            *summary.warnings,
        ],
    }
    write_json(context.folder / RESULTS, results, indent=1)
    if scored:
        marked = {"fingerprint": protocol["fingerprint"], **curves_json(scored)}
        write_json(context.folder / CURVES, marked)
    if quality:
        table = pd.concat(quality, names=["arm"]).reset_index()
        _write_csv(context.folder / QUALITY, table)
    rows = [r for arm in scored for r in table_rows(arm, scored[arm], parts[arm]["ci95"])]
    table = pd.DataFrame(rows, columns=list(COLUMNS)) if masks is None else masks.table()
    _write_csv(context.folder / RESULTS_TABLE, table.assign(fingerprint=protocol["fingerprint"]))


def _unpack(context: RunContext) -> _Written:
    """Read the log once and write ground truth and misalignment to their files."""
    names = counted_names(context)
    keys: list[str] = []
    columns: dict[str, dict[str, array[float]]] = {}  # 8 bytes a value, by arm and metric
    arms = context.arms if context.detector is not None else ()
    counts, scored = {arm: array("q") for arm in arms}, array("b")
    with ExitStack() as stack:
        truths: dict[Modality | None, GroundTruthFile] = {
            camera: stack.enter_context(
                GroundTruthFile(context.folder / ground_truth_file(camera), names)
            )
            for camera in (None, *context.own_labels)
        }
        alignment = stack.enter_context(MisalignmentFile(context.folder / MISALIGNMENT))
        for number, line in enumerate(read_lines(context.folder / PAIR_LOG), 1):
            alignment.add(line["key"], line["dead"], line["shift"])
            for arm, count in counts.items():
                count.append(line["detections"].get(arm, 0))
            scored.append(not (line["dead"] and context.labelled))
            if not scored[-1]:
                continue  # fallback pairs are not scored
            for camera, truth in truths.items():
                labels = line if camera is None else line["own_labels"][camera]
                truth.add(_image(number, line), _labels(labels))
            if line["quality"]:
                keys.append(line["key"])
            for arm, row in line["quality"].items():
                metrics = columns.setdefault(arm, {name: array("d") for name in row})
                for name, value in row.items():
                    metrics[name].append(math.nan if value is None else value)
    index = pd.Index(keys, name="key")
    quality = {
        arm: pd.DataFrame({name: np.array(c) for name, c in metrics.items()}, index, dtype=float)
        for arm, metrics in columns.items()
    }
    detections = {arm: np.array(count, np.int64) for arm, count in counts.items()}
    return _Written(truths, alignment, quality, detections, np.array(scored, np.bool_))


def _warnings(context: RunContext, summary: Summary, scored: Mapping[str, ArmResult]) -> list[str]:
    """Warnings about the numbers, one line each."""
    frames = summary.frames
    leaks = [
        f"{name} was trained on {len(keys)} of these {frames['paired']} pairs "
        f"({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''}): its numbers say nothing "
        "about new images"
        for name, keys in summary.leaked.items()
        if keys
    ]
    notes = warnings(scored, context.truths)
    advice = "name those that are to count in evaluation.classes, or map source.class_map"
    if summary.labels is not None and summary.classes is not None:
        notes += [*summary.labels.warnings, *summary.classes.warnings(advice)]
    for camera, own in summary.own_labels.items():
        if camera not in context.truths.values():
            notes.append(f"no arm shows {CAMERA[camera]} alone: its own labels judge nothing")
        texts = [*own.labels.warnings, *own.classes.warnings(advice)]
        notes += [f"the labels of {CAMERA[camera]} alone: {text}" for text in texts]
    notes += _confused(scored)
    if not frames["paired"]:
        notes.append(
            "no frame of one camera has a partner in the other: are both times of one clock? "
            "(source.offset_ms)"
        )
    if scored and context.frame_rate is not None:
        notes.append("the frames of a recording resemble one another: 95% intervals are too narrow")
    return leaks + notes


def _confused(scored: Mapping[str, ArmResult]) -> list[str]:
    """A warning for each class whose labels every arm takes for other classes alone."""
    if not scored:
        return []
    names = list(next(iter(scored.values())).names.values())
    matrix = sum((result.confusion for result in scored.values()), np.zeros((), np.int64))
    found = matrix[:-1, :-1]  # row: detected class, column: labelled class
    return [
        f"all {int(column.sum())} detections over 0.25 on labels of {name} are of other classes, "
        f"most of {names[int(column.argmax())]}: do the labels' ids mean these names? "
        "(source.class_names, source.class_map)"
        for index, (name, column) in enumerate(zip(names, found.T, strict=True))
        if column.sum() >= ENOUGH and column[index] == 0
    ]


def _protocol(
    context: RunContext,
    truths: Mapping[Modality | None, GroundTruthFile],
    masks: MaskScores | None,
) -> dict[str, Any]:
    """The ``protocol`` of ``results.json``: all that the numbers depend on."""
    detector, truth = context.detector, truths[None]
    own = {camera: truths[camera].content_hash() for camera in context.own_labels}
    sizes = sorted(truth.sizes)
    protocol = {
        **context.protocol,
        "detector": None
        if detector is None
        else {**detector.fingerprint, "input_shapes": [detector.input_shape(s) for s in sizes]},
        "images": truth.images,
        "ground_truth_sha256": truth.content_hash(),
        **({"own_labels": own} if own else {}),
        **({} if masks is None else masks.protocol),
    }
    return {**protocol, "fingerprint": fingerprint(protocol)}


def _own_labels(context: RunContext, summary: Summary) -> dict[str, Any]:
    """``own_labels`` of ``results.json``: what they hold, and the arms that are scored on them."""
    return {
        camera: {
            "arms": [arm for arm, mine in context.truths.items() if mine == camera],
            "scored": own.objects,
            "labelled": own.labelled_objects,
            **(labels_json(own.classes, own.labels) or {}),
        }
        for camera, own in summary.own_labels.items()
    }


def _image(number: int, line: Mapping[str, Any]) -> ImageEntry:
    """A logged pair's entry in the ground truth."""
    key, (height, width) = line["key"], line["size"]
    entry: ImageEntry = {
        "id": number, "key": key, "file_name": f"{key}.png", "width": width, "height": height
    }  # fmt: skip
    if line["light"]:
        entry["light"] = line["light"]
    return entry


def _labels(line: Mapping[str, Any]) -> Labels:
    """A logged pair's labels, or those of one camera."""
    return Labels(
        np.array(line["xyxy"], np.float64).reshape(-1, 4),
        np.array(line["class_id"], np.int64),
        np.array(line["ignore"], np.float64).reshape(-1, 4),
    )


def _write_csv(path: Path, table: pd.DataFrame) -> None:
    write_text(path, table.map(cell).to_csv(index=False))
