"""The charts of a report as matplotlib figures, for the page and as PDF."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from eval.agreement import CountsOverTime
from eval.quality.names import METRICS
from eval.report.tables import ERRORS, MAPS, OUTCOMES, ms_per_pair, scored_arms

Json = Mapping[str, Any]
_Values = Sequence[float] | NDArray[np.float64]

# Okabe and Ito's colours for colour-blind readers, some darkened for a white background.
SERIES = (
    "#d55e00", "#0072b2", "#009e73", "#cc79a7", "#b8860b", "#56b4e9", "#7f5fbf", "#8c564b",
)  # fmt: skip
INK, RULE = "#1b1e23", "#c9ced6"
_DASHES = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))
_MARKERS = "osD^vPX*"
# Green for what fusion finds, red for what it loses.
OUTCOME_COLOURS = {
    "kept_both": "#4f6d7a", "kept_ir": "#337199", "kept_vis": "#3d7385", "rescued": "#14763d",
    "lost_both": "#7f0000", "lost_ir": "#c02a18", "lost_vis": "#a8481a", "missed_by_all": "#656a73",
}  # fmt: skip
_MOST_CLASSES = 6  # with a plot of their own


@contextmanager
def style() -> Iterator[None]:
    """Matplotlib settings for making and saving the figures, reproducible to the byte."""
    settings: dict[Any, Any] = {
        "svg.fonttype": "none",  # text stays text, for screen readers, search and styles
        "svg.hashsalt": "irvis",
        "pdf.fonttype": 42,
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "text.parse_math": False,  # a class may be called $
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": RULE,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 9.5,
        "axes.titlelocation": "left",
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": RULE,
        "grid.linewidth": 0.5,
        "xtick.color": INK,
        "ytick.color": INK,
        "legend.frameon": False,
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "savefig.facecolor": "none",
    }
    with mpl.rc_context(settings):
        yield


def charts(
    results: Json, curves: Json | None, timing: Json | None, counts: CountsOverTime | None
) -> Iterator[tuple[str, str, Figure]]:
    """All charts for which a run has data: name, caption, figure.

    Args:
        results: Content of ``results.json``.
        curves: Content of ``curves.json``, None if missing.
        timing: Content of ``timing.json``, None if missing.
        counts: Detections over the run, for runs without labels.
    """
    scored = scored_arms(results)
    colours = colours_of(list(results["arms"]))
    if scored and curves is not None and any(curves["arms"].values()):
        labels: dict[str, Json] = {}
        for part in scored.values():  # they may have labels of their own
            labels = {**part["yolo"]["per_class"], **labels}
        names = sorted(labels, key=lambda name: -labels[name]["labels"])[:_MOST_CLASSES]
        which = "each class" if len(names) == len(labels) else f"the {len(names)} commonest classes"
        text = f"Precision over recall at IoU 0.5 for {which}, one line per arm."
        yield "precision-recall", text, _precision_recall(curves, names, colours)
    for setting, part in _attributed(results).items():
        text = "Outcomes of the labelled objects in each arm, as shares of all objects."
        yield f"attribution-{setting}", text, _attribution(part)
    if scored and any(part["yolo"]["labels"] for part in scored.values()):
        text = "AP at IoU 0.5 lost by each kind of error, one bar per arm."
        yield "errors", text, _errors(scored, colours)
        times = (timing or {}).get("arms_ms_per_pair", {})
        if set(scored) <= set(times):
            text = "mAP@.5:.95 with its 95% interval over milliseconds per pair, one point per arm."
            yield "accuracy-time", text, _accuracy_time(results, times, colours)
    related = results.get("quality_correlation") or {}
    if any(_defined(by_metric) for by_metric in related.values()):
        text = "Rank correlation of each image metric with the gain by fusion, with 95% intervals."
        yield "quality", text, _quality(related, colours)
    if counts is not None and counts.counts:
        text = "Detections per image over the run, one line per arm."
        yield "counts", text, _counts(counts, colours)


def colours_of(arms: Sequence[str]) -> dict[str, str]:
    """The colour of each arm, by its index among all arms."""
    return {arm: SERIES[index % len(SERIES)] for index, arm in enumerate(arms)}


def sweep(rows: Sequence[Json], key: str, arms: Sequence[str]) -> Figure:
    """Both mAPs over the values of a swept key, with their 95% intervals.

    Args:
        rows: Rows of `sweep.csv`: numbers or None, and the swept value as text under ``key``.
        key: The swept key.
        arms: The arms to draw.
    """
    figure = Figure((7.2, 2.9), layout="constrained")
    values = list(dict.fromkeys(str(row[key]) for row in rows))
    colours = colours_of(arms)
    for place, (name, title) in enumerate(MAPS.items(), 1):
        axes = figure.add_subplot(1, 2, place, title=title)
        for number, arm in enumerate(arms):
            of_arm = [row for row in rows if row["arm"] == arm and row[name] is not None]
            x = [values.index(str(row[key])) + 0.06 * (number - len(arms) / 2) for row in of_arm]
            score = np.array([row[name] for row in of_arm], float)
            low, high = (
                np.array([row[f"{name}_{end}"] if row[f"{name}_{end}"] is not None else row[name]
                          for row in of_arm], float)
                for end in ("low", "high")
            )  # fmt: skip
            axes.errorbar(
                x, score, _error_bars(score, low, high), label=arm,
                color=colours[arm], marker=_MARKERS[number % 8], markersize=4, linewidth=1.3,
                elinewidth=0.7, linestyle=_DASHES[number % 4],
            )  # fmt: skip
        axes.set_xticks(range(len(values)), values)
        axes.set_xlabel(key)
    _legend(figure, axes)
    return figure


def _precision_recall(curves: Json, classes: Sequence[str], colours: Mapping[str, str]) -> Figure:
    columns = min(3, len(classes))
    rows = -(-len(classes) // columns)
    figure = Figure((7.2, 0.4 + 2.5 * rows), layout="constrained")
    for place, name in enumerate(classes, 1):
        axes = figure.add_subplot(rows, columns, place, title=name)
        for number, (arm, parts) in enumerate(curves["arms"].items()):
            if name not in parts:
                continue  # the arm has other labels
            axes.plot(
                curves["recall"], parts[name]["precision"], label=arm, color=colours[arm],
                linewidth=1.4, linestyle=_DASHES[number % 4],
            )  # fmt: skip
        axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
    _legend(figure, axes)
    return figure


def _attributed(results: Json) -> dict[str, dict[str, Json]]:
    """Number of objects with each outcome, by setting and arm; without arms that have none."""
    by_setting: dict[str, dict[str, Json]] = {}
    for arm, part in results["attribution"].items():
        for setting in ("confidence", "false_positives"):
            counts = part[setting]["counts"].get("all", {})
            if sum(counts.values()):
                by_setting.setdefault(setting, {})[arm] = counts
    return by_setting


def _attribution(part: Mapping[str, Json]) -> Figure:
    figure = Figure((7.2, 0.9 + 0.42 * len(part)), layout="constrained")
    axes = figure.add_subplot()
    arms, left = list(part), np.zeros(len(part))
    total = np.array([sum(part[arm].values()) for arm in arms])
    for outcome, label in OUTCOMES.items():
        share = np.array([part[arm][outcome] for arm in arms]) / total
        axes.barh(arms, share, left=left, label=label, color=OUTCOME_COLOURS[outcome], height=0.62)
        for place, width in enumerate(share):
            if width > 0.035:  # wide enough for the number
                count = str(part[arms[place]][outcome])
                middle = left[place] + width / 2
                axes.text(
                    middle, place, count, ha="center", va="center", color="white", fontsize=7.5
                )
        left += share
    axes.set(xlim=(0, 1), ylim=(len(arms) - 0.4, -0.6), xlabel="share of the labelled objects")
    axes.grid(visible=False)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=4)
    return figure


def _errors(scored: Mapping[str, Json], colours: Mapping[str, str]) -> Figure:
    figure = Figure((7.2, 2.7), layout="constrained")
    axes = figure.add_subplot(ylabel="AP@.5 lost")
    bar = 0.8 / len(scored)
    for number, (arm, part) in enumerate(scored.items()):
        values = [part["errors"][kind]["gain"] or 0 for kind in ERRORS]
        x = np.arange(len(ERRORS)) + bar * (number - (len(scored) - 1) / 2)
        axes.bar(x, values, bar * 0.92, label=arm, color=colours[arm])
    axes.set_xticks(range(len(ERRORS)), list(ERRORS.values()))
    axes.grid(visible=False, axis="x")
    _legend(figure, axes)
    return figure


def _accuracy_time(
    results: Json, times: Mapping[str, Mapping[str, float]], colours: Mapping[str, str]
) -> Figure:
    figure = Figure((4.6, 2.9), layout="constrained")
    axes = figure.add_subplot(xlabel="ms per pair, fuse and detect", ylabel=MAPS["map50_95"])
    for number, (arm, part) in enumerate(scored_arms(results).items()):
        score, interval = part["yolo"]["map50_95"], part["ci95"]["map50_95"]
        if score is None:
            continue
        bars = None if interval is None else _error_bars([score], *([end] for end in interval))
        axes.errorbar(
            ms_per_pair(times, results["protocol"]["arms"], arm), score, bars, color=colours[arm],
            marker=_MARKERS[number % 8], markersize=6, linestyle="none", elinewidth=1, label=arm,
        )  # fmt: skip
    axes.set_xlim(left=0)
    _legend(figure, axes)
    return figure


def _defined(correlations: Json) -> list[tuple[str, Json]]:
    """Names and correlations of the metrics whose rho is defined."""
    return [
        (metric.name, correlations[metric.key])
        for metric in METRICS
        if correlations.get(metric.key, {}).get("rho") is not None
    ]


def _quality(related: Json, colours: Mapping[str, str]) -> Figure:
    names = [metric.name for metric in METRICS]
    figure = Figure((7.2, 2.8), layout="constrained")
    axes = figure.add_subplot(ylabel="rank correlation")
    for number, (arm, by_metric) in enumerate(related.items()):
        defined = _defined(by_metric)
        if not defined:
            continue
        x = [
            names.index(name) + 0.7 * (number / max(1, len(related) - 1) - 0.5) * (len(related) > 1)
            for name, _ in defined
        ]
        rho = np.array([entry["rho"] for _, entry in defined])
        ends = np.array([entry["ci95"] or [entry["rho"]] * 2 for _, entry in defined]).T
        axes.errorbar(
            x, rho, _error_bars(rho, *ends), label=arm, color=colours.get(arm, INK), markersize=3.5,
            marker=_MARKERS[number % 8], linestyle="none", elinewidth=0.9,
        )  # fmt: skip
    axes.axhline(0, color=INK, linewidth=0.6)
    axes.set_xticks(range(len(names)), names, rotation=35, ha="right", rotation_mode="anchor")
    axes.set(xlim=(-0.6, len(names) - 0.4), ylim=(-1.03, 1.03))
    _legend(figure, axes)
    return figure


def _counts(counts: CountsOverTime, colours: Mapping[str, str]) -> Figure:
    figure = Figure((7.2, 2.5), layout="constrained")
    axes = figure.add_subplot(xlabel="pair", ylabel="detections per pair")
    edges = counts.edges
    for number, (arm, values) in enumerate(counts.counts.items()):
        axes.stairs(values, edges, label=arm, color=colours[arm], linewidth=1.2,
                    linestyle=_DASHES[number % 4], baseline=None)  # fmt: skip
    axes.set_xlim(0, edges[-1])
    axes.set_ylim(bottom=0)
    _legend(figure, axes)
    return figure


def _error_bars(value: _Values, low: _Values, high: _Values) -> NDArray[np.float64]:
    """Lengths of the error bars down and up, (2, n); 0 if the interval excludes the value."""
    middle = np.asarray(value, float)
    return np.stack([middle - np.asarray(low), np.asarray(high) - middle]).clip(0)


def _legend(figure: Figure, axes: Axes) -> None:
    """Add one legend for all axes, with as many columns as fit."""
    handles, labels = axes.get_legend_handles_labels()
    columns = min(int(figure.get_figwidth() / 1.2), max(1, len(labels)))
    figure.legend(handles, labels, loc="outside upper left", ncols=columns)
