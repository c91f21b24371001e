"""One-line summaries of a run's counts and times."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from eval.label_report import Counted, LabelReport, counted_text
from pipeline.run_folder.names import LEDGER


def labels_json(classes: Counted | None, labels: LabelReport | None) -> dict[str, Any] | None:
    """``labels`` of ``results.json``: objects by class, and notes; None without label files."""
    if classes is None or labels is None:
        return None
    return {**asdict(classes), "notes": labels.notes}


def coverage(
    frames: Mapping[str, int],
    objects: Mapping[str, int],
    labels: Mapping[str, Any] | None,
) -> str:
    """The share of the input that was processed.

    Args:
        frames: ``frames`` of ``results.json``.
        objects: ``objects`` of ``results.json``.
        labels: ``labels`` of ``results.json``.
    """
    pairs = frames["paired"]
    text = f"{pairs} of {pairs + frames['failed']} pairs"
    if objects["labelled"]:
        text += f", {objects['scored']} of {objects['labelled']} objects"
    if labels and (by_class := counted_text(labels["counted"], labels["not_counted"])):
        text += f" ({by_class})"
    for count, what in (
        (frames["unpaired"], "frame(s) without a partner"),
        (frames["fallback"], "from one camera alone, not scored"),
        (frames["dropped"], "frame(s) dropped"),
    ):
        if count:
            text += f"; {count} {what}"
    if any(count for name, count in frames.items() if name != "paired"):
        text += f" (reasons in {LEDGER})"
    return text


def bottleneck(timing: Mapping[str, Any]) -> str:
    """The busiest of the parallel stages, and its share of the wall time."""
    workers = timing.get("machine", {}).get("workers") or 1  # each has these stages, but for merge
    stages = {
        name: stage["busy_s"] / (1 if name == "merge" else workers)
        for name, stage in timing["stages"].items()
        if name != "evaluate"
    }
    slowest = max(stages, key=lambda name: stages[name])
    parts = {name: part["busy_s"] for name, part in timing["parts"].items() if " " in name}
    most = f", most of it {max(parts, key=lambda name: parts[name])}" if parts else ""
    share = stages[slowest] / timing["wall_s"]
    detail = most if slowest == "compute" else ""
    return f"Bottleneck: {slowest}, busy {share:.0%} of the time{detail}"
