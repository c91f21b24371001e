"""`irvis show`: what a run's results say beyond the two tables that it printed when it ended."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from eval.attribution import SIZES
from eval.bootstrap import STATISTICS
from eval.coco_files import load_json
from eval.fingerprint import fingerprint
from eval.operating_points import CONFIDENCE, FALSE_POSITIVES
from eval.quality.metrics import METRICS
from pipeline.results_file import NAME, read_results, unlike
from pipeline.terminal import NONE, console, number, say, score_tables, time_table

Json = Mapping[str, Any]

# eval.attribution's outcomes in a reader's order: first what the fused arm finds
_OUTCOMES = {
    "kept_both": "kept both", "kept_ir": "kept IR", "kept_vis": "kept VIS", "rescued": "rescued",
    "lost_both": "lost both", "lost_ir": "lost IR", "lost_vis": "lost VIS",
    "missed_by_all": "missed",
}  # fmt: skip
_ERRORS = {  # the short names that TIDE's tables have
    "classification": "Cls", "localization": "Loc", "both": "Both", "duplicate": "Dupe",
    "background": "Bkg", "missed": "Miss", "false_positive": "FalsePos",
    "false_negative": "FalseNeg",
}  # fmt: skip
_MOST_CLASSES = 9  # that a confusion matrix has room for


@dataclass(frozen=True, slots=True)
class Section:
    """One table.

    Attributes:
        title: What it shows.
        columns: Their heads.
        rows: Cells as text: what the row is about, then numbers.
        note: How to read it; may be empty.
        grouped: Whether two cells say what a row is about, and rows with the first one in common
            stand together.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    grouped: bool = False


def report(folder: Path) -> None:
    """Print all tables of a run.

    Raises:
        errors.DataError: What ``read_results`` raises, or a table lacks numbers in its file.
    """
    results = read_results(folder)
    with _legible(folder / NAME):
        lines, parts = list(introduction(results)), list(_printed(results))
    timing = folder / "timing.json"
    if not _detections(results) and timing.is_file():
        with _legible(timing):
            times: Any = load_json(timing)
            parts.insert(0, time_table(times["arms_ms_per_pair"]))
    say(*lines)
    for part in parts:
        console().print(part)


@contextmanager
def _legible(path: Path) -> Iterator[None]:
    """Says of which file it is that a table lacks a number or finds something else in its place."""
    try:
        yield
    except KeyError as error:
        raise unlike(path, f"has no {error.args[0]}") from error
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise unlike(path, f"holds something else than irvis writes ({error})") from error


def _printed(results: Json) -> Iterator[RenderableType]:
    """What stands below the introduction."""
    if _detections(results):
        yield from score_tables(results, {})
    for section in sections(results):
        yield from ("", Text(section.title, "bold"), _table(section))
        if section.note:
            yield Text(section.note, "dim")


def introduction(results: Json) -> Iterator[str]:
    """Warnings, and what the tables speak of."""
    for warning in results["warnings"]:
        yield f"Warning: {warning}"
    protocol, frames, objects = results["protocol"], results["frames"], results["objects"]
    text = f"{frames['paired']} of {frames['paired'] + frames['failed']} pairs"
    if objects["labelled"]:
        text += f", {objects['scored']} of {objects['labelled']} objects"
    yield f"{text}; fingerprint {fingerprint(protocol)}"
    if protocol["perturb"]:
        yield f"Perturbed: {json.dumps(protocol['perturb'])}"
    if protocol["detector"] is None:
        yield "The run had no detector: no scores."
        return
    yield f"Detector: {detector_text(protocol['detector'])}"
    if not _detections(results):
        yield "The source has no labels: no scores."


def detector_text(detector: Json) -> str:
    """A detector and its thresholds in a line, by a protocol's entry."""
    return (
        f"{detector['network']} ({detector['head']}, weights {detector['weights_sha256'][:12]}), "
        f"conf {detector['conf']}, NMS IoU {detector['iou']}"
    )


def sections(results: Json) -> Iterator[Section]:
    """The tables, from how good the arms are to the details; only those with something in them."""
    detections = _detections(results)
    every = [_scores(detections), _sizes(detections)] if detections else []
    every += _attribution(results["attribution"])
    if detections:
        every += [_operating_points(detections), _errors(detections)]
        every.append(_confusion(detections, results["protocol"]["baselines"]))
    every += _quality(results)
    return (section for section in every if section.rows and len(section.columns) > 1)


def _detections(results: Json) -> dict[str, Json]:
    """The arms that have scores."""
    arms = results["arms"].items()
    return {arm: part["detection"] for arm, part in arms if part["detection"] is not None}


def _table(section: Section) -> Table:
    """A section as it is printed; what rows have in common stands in the first of them."""
    words = 2 if section.grouped else 1
    table = Table()
    for place, name in enumerate(section.columns):
        table.add_column(Text(name), justify="left" if place < words else "right")
    for _, rows in groupby(section.rows, itemgetter(0)):
        for place, (first, *rest) in enumerate(rows):
            # as plain text: rich would take [ir,vis] for a style
            table.add_row(*map(Text, ["" if place else first, *rest]))
        if section.grouped:
            table.add_section()
    return table


def _scores(detections: Mapping[str, Json]) -> Section:
    """Of all, by class and by light."""
    rows = []
    first = next(iter(detections.values()))  # the labels are the same for all arms
    for group in ("all", *first["yolo"]["per_class"], *first["light"]):
        for arm, part in detections.items():
            yolo, coco = part["yolo"], part["coco"]
            if group in part["light"]:
                yolo, coco = part["light"][group], {}
            elif group != "all":
                yolo, coco = yolo["per_class"][group], coco["per_class"][group]
            cells = [str(yolo["images"]), str(yolo["labels"])]
            cells += [number(yolo[name]) for name in STATISTICS]
            missed = part["log_average_miss_rate"].get(group)
            rows.append([group, arm, *cells, number(coco.get("map50_95")), number(missed)])
    title = "How well each arm detects: everything, by class and by light"
    note = (
        "P, R, mAP: YOLO convention; LAMR: log-average miss rate, 0.01 to 1 false alarms an image"
    )
    columns = (
        "group", "arm", "images", "labels", "P", "R", "mAP@.5", "mAP@.5:.95", "COCO AP", "LAMR ↓",
    )  # fmt: skip
    return Section(title, columns, rows, note, grouped=True)


def _sizes(detections: Mapping[str, Json]) -> Section:
    rows = [
        [arm, *(number(part["coco"][f"map_{size}"]) for size in SIZES)]
        for arm, part in detections.items()
    ]
    note = "small: area under 32² pixels; medium: under 96²; large: the others"
    return Section("COCO AP by the size of the object", ("arm", *SIZES), rows, note)


def _attribution(attribution: Json) -> Iterator[Section]:
    settings = {
        "confidence": f"all arms at confidence {CONFIDENCE}",
        "false_positives": f"each arm where it has {FALSE_POSITIVES} false positives an image",
    }
    note = (
        "lost IR: found in IR, but neither in VIS nor in the arm, and so on; rescued: found in the "
        "arm alone; missed: nowhere"
    )
    for setting, where in settings.items():
        rows = [
            [arm, group, str(sum(counts.values())), *(str(counts[name]) for name in _OUTCOMES)]
            for arm, part in attribution.items()
            for group, counts in part[setting]["counts"].items()
        ]
        columns = ("arm", "group", "objects", *_OUTCOMES.values())
        title = f"What fusion did for each labelled object, {where}"
        yield Section(title, columns, rows, note, grouped=True)


def _operating_points(detections: Mapping[str, Json]) -> Section:
    settings = {"confidence": f"conf {CONFIDENCE}", "false_positives": f"FPPI {FALSE_POSITIVES}"}
    names = ("confidence", "precision", "recall", "f1", "false_positives")
    rows = [
        [where, arm, *(number(part["operating_points"][setting][name]) for name in names)]
        for setting, where in settings.items()
        for arm, part in detections.items()
    ]
    title = "What a user of the detector gets at one confidence, all classes together"
    columns = ("at", "arm", "confidence", "P", "R", "F1", "FPPI")
    note = f"FPPI: false positives an image; {FALSE_POSITIVES}: the most that are allowed"
    return Section(title, columns, rows, note, grouped=True)


def _errors(detections: Mapping[str, Json]) -> Section:
    rows = [
        [what, arm, number(part["errors"]["ap"]) if what == "gain" else ""]
        + [form(part["errors"][kind][what]) for kind in _ERRORS]
        for what, form in (("gain", number), ("count", str))
        for arm, part in detections.items()
    ]
    title = "What errors cost: gain in AP@.5 if all of a kind were mended, and how many there are"
    note = (
        "TIDE's kinds: wrong class, badly placed, both, found twice, nothing there, not found; "
        "then all false alarms, all misses"
    )
    columns = ("", "arm", "AP@.5", *_ERRORS.values())
    return Section(title, columns, rows, note, grouped=True)


def _confusion(detections: Mapping[str, Json], baselines: Json) -> Section:
    """That of the first fused arm and of the baselines; rare classes of many are taken together."""
    alone = [arm for arm in baselines.values() if arm in detections]
    shown = [arm for arm in detections if arm not in alone][:1] + alone
    matrices = {arm: np.array(detections[arm]["confusion"]["matrix"]) for arm in shown}
    groups = _groups(detections[shown[0]]["confusion"]["classes"], list(matrices.values()))
    rows = [
        [arm, name, *(str(matrix[np.ix_(mine, other)].sum()) for other in groups.values())]
        for arm, matrix in matrices.items()
        for name, mine in groups.items()
    ]
    title = f"What objects are taken for at confidence over {CONFIDENCE}: a column a labelled class"
    note = "row background: missed objects; column background: false alarms"
    return Section(title, ("arm", "detected as", *groups), rows, note, grouped=True)


def _groups(names: Sequence[str], matrices: Sequence[NDArray[np.int64]]) -> dict[str, list[int]]:
    """Rows of the matrices to show: classes that occur, the rarest together; then background."""
    total = np.sum(matrices, axis=0)  # (c + 1, c + 1)
    often = (total.sum(axis=0) + total.sum(axis=1))[:-1]
    order = np.argsort(-often, kind="stable")[: np.count_nonzero(often)].tolist()
    groups = {names[i]: [i] for i in sorted(order[:_MOST_CLASSES])}
    if len(order) > _MOST_CLASSES:
        groups["others"] = order[_MOST_CLASSES:]
    return {**groups, names[-1]: [len(names) - 1]}


def _quality(results: Json) -> Iterator[Section]:
    """The means of the metrics, and how they go with detection."""
    arms = results["arms"].items()
    measured = {arm: part["quality"] for arm, part in arms if part["quality"]}
    rows = [
        [
            f"{metric.name} {'↑' if metric.higher_is_better else '↓'} {metric.unit}",
            *(number(means[metric.key]) for means in measured.values()),
        ]
        for metric in METRICS
    ]
    title = "Quality of the images, mean over all (↑ higher is better, ↓ lower)"
    yield Section(title, ("metric", *measured), rows)
    related = results.get("quality_correlation", {})
    rows = [[m.name, *(_rho(mine[m.key]) for mine in related.values())] for m in METRICS]
    title = "Do better images detect better? Rank correlation of metrics with fusion's gain in F1"
    note = "* the 95% interval leaves out 0; where nothing is related, one in twenty does so too"
    yield Section(title, ("metric", *related), rows, note)


def _rho(correlation: Json) -> str:
    if correlation["rho"] is None:
        return NONE
    low, high = correlation["ci95"]
    return f"{correlation['rho']:+.2f}{' ' if low <= 0 <= high else '*'}"
