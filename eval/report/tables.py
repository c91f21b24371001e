"""The tables of a run, as text, made from its `results.json`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from common.modality import CAMERA
from eval.attribution import SIZES
from eval.average_precision import STATISTICS
from eval.operating_points import CONFIDENCE, FALSE_POSITIVES
from eval.quality.names import METRICS

Json = Mapping[str, Any]

NONE = "–"
MAPS = {"map50": "mAP@.5", "map50_95": "mAP@.5:.95"}
Topic = Literal["scores", "attribution", "errors", "quality", "masks"]

# eval.attribution's outcomes, those that the fused arm finds first
OUTCOMES = {
    "kept_both": "kept both", "kept_ir": "kept IR", "kept_vis": "kept VIS", "rescued": "rescued",
    "lost_both": "lost both", "lost_ir": "lost IR", "lost_vis": "lost VIS",
    "missed_by_all": "missed",
}  # fmt: skip
ERRORS = {  # the short names in TIDE's tables
    "classification": "Cls", "localization": "Loc", "both": "Both", "duplicate": "Dupe",
    "background": "Bkg", "missed": "Miss", "false_positive": "FalsePos",
    "false_negative": "FalseNeg",
}  # fmt: skip
_MOST_CLASSES = 9  # shown in a confusion matrix


@dataclass(frozen=True, slots=True)
class Section:
    """One table.

    Attributes:
        topic: The part of the report that it belongs to.
        title: Its title.
        columns: Column names.
        rows: Cells as text: one or two names, then numbers.
        note: Explanation; may be empty.
        grouped: Whether rows have two names and are grouped by the first.
    """

    topic: Topic
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    grouped: bool = False


def number(value: float | None) -> str:
    """Format with three decimals; a dash for None."""
    return NONE if value is None else f"{value:.3f}"


def fused_arms(protocol: Json, arms: Iterable[str]) -> list[str]:
    """The arms that use both modalities, by the run's protocol."""
    alone = protocol["baselines"].values()
    kinds = {arm: settings.get("kind") for arm, settings in protocol.get("arms", {}).items()}
    return [
        arm for arm in arms if arm not in alone and kinds.get(arm) not in ("ir_only", "vis_only")
    ]


def telling_pairs(results: Json) -> list[tuple[str, str]]:
    """The pairs of arms to show, of those in ``comparisons``.

    Each fused arm minus infrared and visible alone, and the first fused arm minus each other one.
    """
    arms = list(results["comparisons"])
    alone = [arm for arm in results["protocol"]["baselines"].values() if arm in arms]
    tested = fused_arms(results["protocol"], arms) or arms[:1]
    against = [(arm, other) for arm in tested for other in alone if other != arm]
    return against + [(tested[0], other) for other in tested[1:]]


def sections(results: Json) -> Iterator[Section]:
    """All tables that have content, from scores to details."""
    detections = scored_arms(results)
    every = [_scores(detections), _sizes(detections)] if detections else []
    every += _attribution(results["attribution"])
    if detections:
        every += [_operating_points(detections), _errors(detections)]
        every.append(_confusion(detections, results["protocol"]["baselines"]))
    every += _quality(results)
    return (section for section in every if section.rows and len(section.columns) > 1)


def ms_per_pair(times: Mapping[str, Mapping[str, float]], arms: Json, arm: str) -> float:
    """Milliseconds per pair of an arm, including the arms that it merges.

    Args:
        times: ``arms_ms_per_pair`` of ``timing.json``.
        arms: ``protocol.arms`` of ``results.json``, the settings of all arms.
        arm: Name of the arm.
    """
    settings = arms.get(arm) or {}
    merged: Sequence[str] = ()
    if "merge" in times.get(arm, {}):
        merged = settings.get("arms") or ("ir", "vis")  # what late merges where none are given
    return sum(sum(times.get(name, {}).values()) for name in (arm, *merged))


def scored_arms(results: Json) -> dict[str, Json]:
    """Detection scores by arm, without arms that have none."""
    arms = results["arms"].items()
    return {arm: part["detection"] for arm, part in arms if part["detection"] is not None}


def truth_of(results: Json, arm: str) -> str | None:
    """The camera whose own labels an arm is scored on, None for the pair's labels."""
    own = results.get("own_labels", {}).items()
    return next((camera for camera, part in own if arm in part["arms"]), None)


def own_labels_notes(results: Json) -> Iterator[str]:
    """Which arms are scored on which labels; nothing where it is the same for all."""
    own = results.get("own_labels", {}) if scored_arms(results) else {}
    arms: list[str] = []
    for camera, part in own.items():
        if part["arms"]:
            yield (
                f"{', '.join(part['arms'])}: scored on the labels of {CAMERA[camera]} alone, "
                f"{part['scored']} of {part['labelled']} objects"
            )
        arms += part["arms"]
        yield from (f"the labels of {CAMERA[camera]} alone: {note}" for note in part["notes"])
    if arms:
        rest = ", ".join(arm for arm in results["arms"] if arm not in arms)
        yield (
            (f"{rest}: scored on the pair's labels; " if rest else "")
            + "there are no outcomes of single objects, which need one set of labels"
        )


def _scores(detections: Mapping[str, Json]) -> Section:
    """Scores of all objects, by class and by light."""
    rows = []
    parts = detections.values()
    classes = dict.fromkeys(name for part in parts for name in part["yolo"]["per_class"])
    lights = dict.fromkeys(name for part in parts for name in part["light"])
    for group in ("all", *classes, *lights):
        for arm, part in detections.items():
            yolo, coco = part["yolo"], part["coco"]
            if group in classes and group not in {**yolo["per_class"], **coco["per_class"]}:
                continue  # the arm has other labels
            if group in part["light"]:
                yolo, coco = part["light"][group], {}
            elif group != "all":
                yolo, coco = yolo["per_class"][group], coco["per_class"][group]
            cells = [str(yolo["images"]), str(yolo["labels"])]
            cells += [number(yolo[name]) for name in STATISTICS]
            missed = part["log_average_miss_rate"].get(group)
            rows.append([group, arm, *cells, number(coco.get("map50_95")), number(missed)])
    title = "Detection scores of each arm: all, by class and by light"
    note = (
        "P, R, mAP: YOLO convention; LAMR: log-average miss rate, 0.01 to 1 false positives per "
        "image"
    )
    columns = (
        "group", "arm", "images", "labels", "P", "R", "mAP@.5", "mAP@.5:.95", "COCO AP", "LAMR ↓",
    )  # fmt: skip
    return Section("scores", title, columns, rows, note, grouped=True)


def _sizes(detections: Mapping[str, Json]) -> Section:
    rows = [
        [arm, *(number(part["coco"][f"map_{size}"]) for size in SIZES)]
        for arm, part in detections.items()
    ]
    note = "small: area under 32² pixels; medium: under 96²; large: the others"
    return Section("scores", "COCO AP by the size of the object", ("arm", *SIZES), rows, note)


def _attribution(attribution: Json) -> Iterator[Section]:
    settings = {
        "confidence": f"all arms at confidence {CONFIDENCE}",
        "false_positives": f"each arm at {FALSE_POSITIVES} false positives per image",
    }
    note = (
        "kept IR: found in IR and in the arm, not in VIS; lost IR: found in IR alone; rescued: in "
        "the arm alone; missed: in none"
    )
    for setting, where in settings.items():
        rows = [
            [arm, group, str(sum(counts.values())), *(str(counts[name]) for name in OUTCOMES)]
            for arm, part in attribution.items()
            for group, counts in part[setting]["counts"].items()
        ]
        columns = ("arm", "group", "objects", *OUTCOMES.values())
        title = f"Outcomes of labelled objects, {where}"
        yield Section("attribution", title, columns, rows, note, grouped=True)


def _operating_points(detections: Mapping[str, Json]) -> Section:
    settings = {"confidence": f"conf {CONFIDENCE}", "false_positives": f"FPPI {FALSE_POSITIVES}"}
    names = ("confidence", "precision", "recall", "f1", "false_positives")
    rows = [
        [where, arm, *(number(part["operating_points"][setting][name]) for name in names)]
        for setting, where in settings.items()
        for arm, part in detections.items()
    ]
    title = "Operating points at one confidence, all classes together"
    columns = ("at", "arm", "confidence", "P", "R", "F1", "FPPI")
    note = f"FPPI: false positives per image, at most {FALSE_POSITIVES} in the rows FPPI"
    return Section("scores", title, columns, rows, note, grouped=True)


def _errors(detections: Mapping[str, Json]) -> Section:
    rows = [
        [quantity, arm, number(part["errors"]["ap"]) if quantity == "gain" else ""]
        + [form(part["errors"][kind][quantity]) for kind in ERRORS]
        for quantity, form in (("gain", number), ("count", str))
        for arm, part in detections.items()
    ]
    title = "Errors: gain in AP@.5 if all errors of a kind were corrected, and their number"
    note = (
        "TIDE's kinds: wrong class, bad localization, both, duplicate, background, missed; then "
        "all FP, all FN"
    )
    columns = ("", "arm", "AP@.5", *ERRORS.values())
    return Section("errors", title, columns, rows, note, grouped=True)


def _confusion(detections: Mapping[str, Json], baselines: Json) -> Section:
    """Confusion of the first fused arm and the baselines; the rarest of many classes are merged."""
    alone = [arm for arm in baselines.values() if arm in detections]
    shown = [arm for arm in detections if arm not in alone][:1] + alone
    matrices = {arm: np.array(detections[arm]["confusion"]["matrix"]) for arm in shown}
    groups = _groups(detections[shown[0]]["confusion"]["classes"], list(matrices.values()))
    rows = [
        [arm, name, *(str(matrix[np.ix_(row, column)].sum()) for column in groups.values())]
        for arm, matrix in matrices.items()
        for name, row in groups.items()
    ]
    title = f"Confusion at confidence over {CONFIDENCE}: one column per labelled class"
    note = "row background: missed objects; column background: false positives"
    return Section("errors", title, ("arm", "detected as", *groups), rows, note, grouped=True)


def _groups(names: Sequence[str], matrices: Sequence[NDArray[np.int64]]) -> dict[str, list[int]]:
    """Indices of the matrices by shown name: classes that occur, the rarest merged; background."""
    total = np.sum(matrices, axis=0)  # (c + 1, c + 1)
    frequency = (total.sum(axis=0) + total.sum(axis=1))[:-1]
    order = np.argsort(-frequency, kind="stable")[: np.count_nonzero(frequency)].tolist()
    groups = {names[i]: [i] for i in sorted(order[:_MOST_CLASSES])}
    if len(order) > _MOST_CLASSES:
        groups["others"] = order[_MOST_CLASSES:]
    return {**groups, names[-1]: [len(names) - 1]}


def _quality(results: Json) -> Iterator[Section]:
    """The means of the metrics, and their correlation with the gain by fusion."""
    arms = results["arms"].items()
    measured = {arm: part["quality"] for arm, part in arms if part["quality"]}
    rows = [
        [
            f"{metric.name} {'↑' if metric.higher_is_better else '↓'} {metric.unit}",
            *(number(means[metric.key]) for means in measured.values()),
        ]
        for metric in METRICS
    ]
    title = "Image quality, mean over all images (↑ higher is better, ↓ lower)"
    yield Section("quality", title, ("metric", *measured), rows)
    related = results.get("quality_correlation", {})
    rows = [[m.name, *(_rho(by_key[m.key]) for by_key in related.values())] for m in METRICS]
    title = "Rank correlation of image quality with the gain in F1 by fusion"
    note = "* the 95% interval excludes 0; without any correlation, one in twenty does so by chance"
    yield Section("quality", title, ("metric", *related), rows, note)


def _rho(correlation: Json) -> str:
    if correlation["rho"] is None:
        return NONE
    if correlation["ci95"] is None:  # rho is 1 or -1
        return f"{correlation['rho']:+.2f} "
    low, high = correlation["ci95"]
    return f"{correlation['rho']:+.2f}{' ' if low <= 0 <= high else '*'}"
