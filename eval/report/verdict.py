"""The one sentence that a reader of a run wants first: did fusion help, by how much, how surely?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from eval.report.tables import MAPS, fused_arms, scored_arms

STATISTIC = "map50_95"  # that the verdict is on, whatever the others say

Tone = Literal["better", "worse", "no evidence", "none"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a run says.

    Attributes:
        tone: Of the difference that it is about; "none" where there is none.
        answer: In three words or so.
        sentence: With the numbers.
        arm: The fused arm that it speaks of, None where there is none.
        other: What it is compared with, None likewise.
    """

    tone: Tone
    answer: str
    sentence: str
    arm: str | None = None
    other: str | None = None


def verdict(results: Mapping[str, Any]) -> Verdict:
    """Judge the first fused arm against the better of the arms that show one camera alone.

    The better one is that of the higher mAP@.5:.95, and the verdict is on that number: fixed before
    any is known, so that nothing can be picked.

    Args:
        results: The contents of ``results.json``.
    """
    frames = results["frames"]["paired"]
    if results["protocol"]["detector"] is None:
        return Verdict("none", "Fused, not judged.", f"{frames} pairs were fused; no detector ran.")
    scored = scored_arms(results)
    if not scored:
        text = f"{frames} pairs without labels: what each arm detects is below, but not how well."
        return Verdict("none", "No labels, no verdict.", text)
    if not results["comparisons"]:
        return Verdict("none", "No verdict.", _why_none(results, scored))
    alone = [arm for arm in results["protocol"]["baselines"].values() if arm in scored]
    fused = fused_arms(results["protocol"], scored)
    if not alone or not fused:
        missing = "that shows one camera alone" if not alone else "that fuses"
        return Verdict("none", "No verdict.", f"The run has no arm {missing} to compare with.")
    best = max(alone, key=lambda arm: scored[arm]["yolo"][STATISTIC])
    entry = results["comparisons"][fused[0]][best][STATISTIC]
    whom = f"the better single camera, {best}" if len(alone) > 1 else f"the single camera {best}"
    return _judged(entry, fused[0], best, whom)


def _judged(entry: Mapping[str, Any], arm: str, other: str, whom: str) -> Verdict:
    value, interval, name = entry["difference"], entry["ci95"], MAPS[STATISTIC]
    if interval is None:
        text = f"{arm} less {whom}: {signed(value)} {name}; too few images for an interval."
        return Verdict("none", "No verdict.", text, arm, other)
    ends = f"95% interval {signed(interval[0])} to {signed(interval[1])}"
    if entry["verdict"] == "better":
        text = f"{arm} beats {whom}, by {value:.3f} {name} ({ends})."
        return Verdict("better", "Fusion helped.", text, arm, other)
    if entry["verdict"] == "worse":
        text = f"{arm} is behind {whom}, by {-value:.3f} {name} ({ends})."
        return Verdict("worse", "Fusion hurt.", text, arm, other)
    text = f"{arm} less {whom}: {signed(value)} {name}, but the {ends} includes zero."
    return Verdict("no evidence", "No evidence that fusion helped.", text, arm, other)


def signed(value: float) -> str:
    """Three digits with a sign, the minus as typesetters have it."""
    return f"{value:+.3f}".replace("-", "−")


def _why_none(results: Mapping[str, Any], scored: Mapping[str, Any]) -> str:
    if len(scored) == 1:
        return f"{next(iter(scored))} is the only arm: there is nothing to compare it with."
    return "No object of the classes that count is labelled."
