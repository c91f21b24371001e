"""Scores of arms as tables, and scoring predictions of any program."""

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from common.errors import ConfigError, shown
from eval.average_precision import STATISTICS
from eval.class_map import Given
from eval.report.tables import MAPS, own_labels_notes, scored_arms
from pipeline.commands import evaluate as command
from pipeline.config.components import suggest

_COCO = ("map50", "map50_95")


class Scores:
    """The scores of one or more arms on the same labelled images.

    In a notebook it shows itself as a table.

    Attributes:
        results: All numbers, as in a run's ``results.json``.
    """

    def __init__(self, results: Mapping[str, Any]) -> None:
        self.results = results

    @property
    def arms(self) -> list[str]:
        """The names of the arms."""
        return list(self.results["arms"])

    @property
    def warnings(self) -> list[str]:
        """What may be wrong with the numbers, a line each."""
        return list(self.results["warnings"])

    @property
    def table(self) -> pd.DataFrame:
        """The scores of each arm; no rows without labels or a detector.

        Returns:
            A row an arm. ``images`` and ``labels`` are counts; ``precision``, ``recall``, ``map50``
            and ``map50_95`` are in [0, 1] by the YOLO convention, each with the ``_low`` and
            ``_high`` end of its 95% interval; ``coco_map50`` and ``coco_map50_95`` by COCO's. NaN
            where a number isn't defined.
        """
        rows = {}
        for arm, part in scored_arms(self.results).items():
            yolo, coco, ci95 = part["yolo"], part["coco"], part["ci95"]
            row = {name: yolo[name] for name in ("images", "labels", *STATISTICS)}
            for name in STATISTICS:
                row[f"{name}_low"], row[f"{name}_high"] = ci95[name] or (None, None)
            rows[arm] = row | {f"coco_{name}": coco[name] for name in _COCO}
        columns = ["images", "labels", *STATISTICS]
        columns += [f"{name}_{end}" for name in STATISTICS for end in ("low", "high")]
        columns += [f"coco_{name}" for name in _COCO]
        frame = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
        counts = {"images": "int64", "labels": "int64"}
        return frame.rename_axis("arm").astype(dict.fromkeys(columns, "float64") | counts)

    def compare(self, arm: str, other: str) -> pd.DataFrame:
        """The differences of two arms on the same images, paired.

        Args:
            arm: The arm in question.
            other: The arm that is subtracted.

        Returns:
            A row each for ``precision``, ``recall``, ``map50`` and ``map50_95``; columns
            ``difference``, ``low`` and ``high``, the ends of its 95% interval (NaN with too few
            images), and ``verdict``: better, worse, or no evidence where the interval has 0.

        Raises:
            ConfigError: There is no such arm, or the arms have no scores.
        """
        compared = self.results["comparisons"]
        for name in (arm, other):
            if name not in self.results["arms"]:
                raise ConfigError(f"there is no arm {shown(name)}; {suggest(name, self.arms)}")
        if arm == other or other not in compared.get(arm, {}):
            raise ConfigError(f"{arm} and {other} are not compared: two arms with scores are")
        return differences(compared[arm][other])

    @property
    def attribution(self) -> pd.DataFrame:
        """How many labelled objects each fused arm finds that infrared and visible find or miss.

        Returns:
            A row for each arm, setting ``at`` (the same ``confidence`` for all arms, or the same
            number of ``false_positives`` an image) and group (``all``, classes, sizes, light); a
            column for each outcome of ``eval.attribution``. No rows without both modalities.
        """
        rows = {
            (arm, setting, group): counts
            for arm, part in self.results["attribution"].items()
            for setting, at in part.items()
            for group, counts in at["counts"].items()
        }
        index = pd.MultiIndex.from_tuples(rows, names=["arm", "at", "group"]) if rows else None
        return pd.DataFrame(list(rows.values()), index)

    def headline(self) -> str:
        """One sentence on the result; empty if there is none."""
        return ""

    def _repr_html_(self) -> str:
        """The headline, the table with intervals, warnings, and whose labels, for a notebook."""
        table = self.table
        cells = pd.DataFrame(index=table.index)
        for name, title in {"precision": "P", "recall": "R", **MAPS}.items():
            ends = table[f"{name}_low"], table[f"{name}_high"]
            cells[title] = [_cell(*values) for values in zip(table[name], *ends, strict=True)]
        lines = [f"Warning: {line}" for line in self.warnings]
        lines += [f"Note: {line}" for line in own_labels_notes(self.results)]
        notes = "".join(f"<p>{html.escape(line)}</p>" for line in lines)
        return f"<p><b>{html.escape(self.headline())}</b></p>{cells.to_html()}{notes}"


def differences(entry: Mapping[str, Any]) -> pd.DataFrame:
    """The table of an entry of ``comparisons``, as ``Scores.compare`` returns it."""
    rows = []
    for name in STATISTICS:
        low, high = entry[name]["ci95"] or (None, None)
        rows.append((entry[name]["difference"], low, high, entry[name]["verdict"]))
    frame = pd.DataFrame(rows, list(STATISTICS), ["difference", "low", "high", "verdict"])
    return frame.astype({"difference": "float64", "low": "float64", "high": "float64"})


def _cell(value: float, low: float, high: float) -> str:
    if pd.isna(value):
        return "–"
    return f"{value:.3f}" + ("" if pd.isna(low) else f" ({low:.3f} to {high:.3f})")


def evaluate(
    predictions: Path | str,
    labels: Path | str,
    *,
    images: Path | str | None = None,
    classes: Sequence[str] | None = None,
    class_names: Mapping[int, str] | None = None,
    class_map: Given | None = None,
    prediction_names: Mapping[int, str] | None = None,
    box_origin: int = 0,
) -> Scores:
    """Score predictions of any program, as `irvis evaluate` does.

    Args:
        predictions: COCO results, a folder of YOLO txt with confidences, or a folder of either for
            each arm; arms called ``ir`` and ``vis`` are the baselines.
        labels: COCO json, or a folder of YOLO txt, VOC xml or KAIST txt.
        images: Folder of the labelled images, for their sizes; needed with a folder of labels.
        classes: Names of the classes that count; None for person and car.
        class_names: Names of the labels' class ids; None for the list beside or above the labels.
        class_map: A class's name by the labels' own name or id; None leaves the class out.
        prediction_names: Names of the predictions' class ids; None to find out.
        box_origin: 1 for VOC boxes whose pixels count from 1.

    Returns:
        The scores; the only arm is called like the file or folder of predictions.

    Raises:
        IrvisError: A file is missing or invalid.
    """
    return Scores(
        command.evaluate(
            Path(predictions),
            Path(labels),
            images=None if images is None else Path(images),
            classes=classes,
            class_names=class_names,
            class_map=class_map,
            prediction_names=prediction_names,
            box_origin=box_origin,
        )
    )
