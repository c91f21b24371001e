"""Running configurations, opening run folders, and comparing runs."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.cells import plain
from common.errors import ConfigError, DataError, shown
from eval.coco_files import (
    AnnotationEntry,
    GroundTruth,
    Prediction,
    read_ground_truth,
    read_predictions,
)
from eval.evaluation import key_of
from eval.report.verdict import verdict
from irvis.scores import Scores, differences
from pipeline.commands import _terminal
from pipeline.commands import compare as compare_command
from pipeline.commands._single_pairs import Order, Row, SinglePairs
from pipeline.config import config as configuration
from pipeline.config.components import suggest
from pipeline.config.overrides import Overrides, apply_overrides, as_yaml
from pipeline.engine import runner
from pipeline.run_folder.names import GROUND_TRUTH, QUALITY, predictions_file
from pipeline.run_folder.results_file import read_results, read_timing

BOX = ["left", "top", "right", "bottom"]


class Run(Scores):
    """A complete run folder.

    Attributes:
        folder: Its path.
        results: The content of its ``results.json``.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(read_results(folder))
        self.folder = folder

    def __repr__(self) -> str:
        return f"<irvis.Run {self.folder}: {self.headline()}>"

    def headline(self) -> str:
        """The verdict: whether the first fused arm beats the better single modality."""
        return verdict(self.results).text

    @property
    def ground_truth(self) -> pd.DataFrame:
        """The labelled objects of the pairs, without labels of one camera's own.

        Returns:
            A row an object, with the ``key`` of its pair, ``class_id``, ``class_name``, ``left``,
            ``top``, ``right`` and ``bottom`` in pixels, and ``ignore``: whether it is a region that
            counts neither way.

        Raises:
            DataError: The run has none, or its file is damaged.
        """
        truth = self._truth()
        table = _boxes(truth, truth["annotations"])
        table["ignore"] = [bool(item["iscrowd"]) for item in truth["annotations"]]
        return table

    def detections(self, arm: str) -> pd.DataFrame:
        """The detections of an arm, as they were scored.

        Returns:
            A row a detection, with the ``key`` of its pair, ``class_id``, ``class_name``, ``score``
            in [0, 1], ``left``, ``top``, ``right`` and ``bottom`` in pixels.

        Raises:
            ConfigError: There is no such arm.
            DataError: The run had no detector, or the file is damaged.
        """
        if arm not in self.arms:
            raise ConfigError(f"there is no arm {shown(arm)}; {suggest(arm, self.arms)}")
        path = self.folder / predictions_file(arm)
        if not path.is_file():
            raise DataError(f"{self.folder}: has no detections of {arm}: it ran without a detector")
        truth = self._truth()
        found = read_predictions(path, truth)
        table = _boxes(truth, found)
        table.insert(
            table.columns.tolist().index("left"), "score", [item["score"] for item in found]
        )
        return table

    @property
    def quality(self) -> pd.DataFrame:
        """The quality of each image.

        Returns:
            A row for each arm and pair, a column for each metric, NaN where it isn't defined.

        Raises:
            DataError: The run measured no quality.
        """
        path = self.folder / QUALITY
        if not path.is_file():
            raise DataError(f"{self.folder}: measured no quality; set evaluation.quality=true")
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        table[["arm", "key"]] = table[["arm", "key"]].map(plain)
        numbers: pd.DataFrame = table.set_index(["arm", "key"]).apply(pd.to_numeric)
        return numbers

    def worst(self, number: int = 10) -> pd.DataFrame:
        """The pairs in which the first fused arm makes most errors, at confidence 0.25.

        Returns:
            A row a pair, by ``key``: ``objects``, ``missed``, ``false`` (detections), ``rescued``
            (found by the arm and by no single modality) and ``lost``. Pairs without errors are left
            out.

        Raises:
            DataError: The run has no detections or no labels.
        """
        return self._ranked("worst", number)

    def rescued(self, number: int = 10) -> pd.DataFrame:
        """The pairs with most objects that the first fused arm finds and no single modality does.

        Returns and raises what ``worst`` does.
        """
        return self._ranked("rescued", number)

    def pair(self, key: str) -> NDArray[np.uint8]:
        """One picture of a pair: every arm's image with labels and detections.

        Args:
            key: The pair's key, as in ``ground_truth`` and ``worst``.

        Returns:
            uint8 (H, W, 3), RGB. Labels are white where the arm finds them, red where it doesn't,
            magenta where it finds what no single modality does.

        Raises:
            IrvisError: There is no such pair, or the run's images are not where they were.
        """
        ((_, picture),) = self._pairs.pictures([key])
        return picture

    def _ranked(self, order: Order, number: int) -> pd.DataFrame:
        rows = [asdict(row) for row in self._pairs.ranked(order, number)]
        names = [field.name for field in fields(Row)]
        return pd.DataFrame(rows, columns=names).set_index("key")

    @cached_property
    def _pairs(self) -> SinglePairs:
        return SinglePairs(self.folder, self.results)

    @property
    def times(self) -> pd.DataFrame:
        """Milliseconds per pair: a row an arm, a column a stage; no rows without a timing file."""
        timing = read_timing(self.folder)
        times = {} if timing is None else timing["arms_ms_per_pair"]
        return pd.DataFrame.from_dict(times, orient="index").rename_axis("arm")

    def _truth(self) -> GroundTruth:
        path = self.folder / GROUND_TRUTH
        if not path.is_file():
            raise DataError(f"{self.folder}: has no labels and no detections")
        return read_ground_truth(path)


def run(
    config: Path | str | Mapping[str, Any],
    overrides: Overrides = (),
    *,
    progress: bool = True,
) -> Run:
    """Run a configuration, as `irvis run` does.

    Args:
        config: A YAML file, the name of a shipped configuration ("msrs"), or its sections as
            nested dictionaries.
        overrides: Values by dotted key, such as ``{"source.root": folder, "arms.late": None}``;
            None removes an arm, a sink or the detector. Or texts as on the command line.
        progress: Whether to show a progress bar on a terminal or in a notebook.

    Returns:
        The complete run; its folder is new.

    Raises:
        IrvisError: An error in the input, or the configuration has no sink of kind results.
    """
    if isinstance(config, Mapping):
        checked = configuration.check(apply_overrides(as_yaml(config), overrides))
    else:
        checked = configuration.load(Path(config), overrides)
    if not checked.is_scored:
        raise ConfigError("the run would leave no results to open; add sinks.results.kind=results")
    with _terminal.progress() if progress else nullcontext(_terminal.Bar(_silent)) as show:
        return Run(runner.run(checked, show, show.note).folder)


def open_run(folder: Path | str) -> Run:
    """Open a complete run folder.

    Raises:
        DataError: It is none, or is of another version of irvis.
    """
    return Run(Path(folder))


def compare(*runs: Run | Path | str) -> pd.DataFrame:
    """Compare runs on the same images, as `irvis compare` does.

    Args:
        runs: Two or more runs or run folders; differences are of later runs minus the first run
            that has the arm.

    Returns:
        A row for each ``arm``, ``run``, run that is subtracted (``less``) and ``statistic``; the
        columns of ``Scores.compare``.

    Raises:
        ConfigError: The runs are not comparable, or there is only one.
        DataError: A folder is not a complete run with scores.
    """
    folders = [each.folder if isinstance(each, Run) else Path(each) for each in runs]
    entries = compare_command.compare(folders)["differences"]
    names = ["arm", "run", "less"]
    tables = {tuple(entry[name] for name in names): differences(entry) for entry in entries}
    if not tables:
        raise ConfigError(
            "no two of the runs have an arm of the same name; there is nothing to compare"
        )
    table: pd.DataFrame = pd.concat(tables, names=[*names, "statistic"])
    return table


def _silent(done: int, total: int | None, note: str) -> None:
    """No progress bar."""


def _boxes(
    truth: GroundTruth, entries: Sequence[AnnotationEntry] | Sequence[Prediction]
) -> pd.DataFrame:
    """A row an entry: the key of its pair, its class, and the edges of its box."""
    keys = {image["id"]: key_of(image) for image in truth["images"]}
    names = {entry["id"]: entry["name"] for entry in truth["categories"]}
    rows = []
    for item in entries:
        left, top, width, height = item["bbox"]
        class_id = item["category_id"]
        edges = left, top, left + width, top + height
        rows.append((keys[item["image_id"]], class_id, names[class_id], *edges))
    return pd.DataFrame(rows, columns=["key", "class_id", "class_name", *BOX])
