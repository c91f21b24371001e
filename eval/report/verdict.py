"""The verdict of a run: whether fusion helped, by how much, and with which interval."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from eval.masks import MEAN
from eval.report.tables import MAPS, fused_arms, scored_arms

STATISTIC = "map50_95"  # the statistic of the verdict
OF_MASKS = "dice"  # likewise where masks are scored: its mean over the regions

Tone = Literal["better", "worse", "no evidence", "none"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict of a run.

    Attributes:
        tone: Verdict on the difference; "none" without a comparison.
        answer: The verdict in a few words.
        sentence: The verdict with its numbers.
        arm: The compared fused arm, None without a comparison.
        other: The arm it is compared with, None without a comparison.
    """

    tone: Tone
    answer: str
    sentence: str
    arm: str | None = None
    other: str | None = None

    @property
    def text(self) -> str:
        """Answer and sentence, in one line."""
        return f"{self.answer} {self.sentence}"


def verdict(results: Mapping[str, Any]) -> Verdict:
    """Compare the first fused arm with the better arm of a single modality.

    The better one has the higher mAP@.5:.95, which is also the statistic of the verdict; where
    masks are scored, the higher mean Dice. The choice is fixed in advance, so that the statistic
    cannot be picked by its result.

    Args:
        results: Content of ``results.json``.
    """
    frames = results["frames"]["paired"]
    if "segmentation" in results:
        return _of_masks(results)
    if results["protocol"]["detector"] is None:
        text = f"{frames} pairs were fused; no detector ran."
        return Verdict("none", "Fused, not evaluated.", text)
    scored = scored_arms(results)
    if not scored:
        text = f"{frames} pairs without labels: detections are shown below, but no scores."
        return Verdict("none", "No labels, no verdict.", text)
    if not results["comparisons"]:
        return Verdict("none", "No verdict.", _why_none(results, scored))
    compared = _labelled(scored)
    alone = [arm for arm in results["protocol"]["baselines"].values() if arm in compared]
    fused = fused_arms(results["protocol"], compared)
    if not alone or not fused:
        missing = "of a single modality" if not alone else "that fuses"
        return Verdict("none", "No verdict.", f"The run has no arm {missing} to compare with.")
    best = max(alone, key=lambda arm: scored[arm]["yolo"][STATISTIC])
    entry = results["comparisons"][fused[0]][best][STATISTIC]
    return _compared(entry, fused[0], best, _better(alone) + best, MAPS[STATISTIC])


def _of_masks(results: Mapping[str, Any]) -> Verdict:
    arms = {
        arm: part["segmentation"][MEAN][OF_MASKS]
        for arm, part in results["arms"].items()
        if part["segmentation"] is not None and part["segmentation"][MEAN][OF_MASKS] is not None
    }
    alone = [arm for arm in results["protocol"]["baselines"].values() if arm in arms]
    fused = fused_arms(results["protocol"], arms)
    if not alone or not fused:
        text = "There are no regions in the true masks, or no arms of one modality and that fuse."
        return Verdict("none", "No verdict.", text)
    best = max(alone, key=lambda arm: arms[arm])
    entry = results["segmentation"]["comparisons"][fused[0]][best][MEAN][OF_MASKS]
    return _compared(entry, fused[0], best, _better(alone) + best, "mean Dice")


def _better(alone: Sequence[str]) -> str:
    return "the better single modality, " if len(alone) > 1 else "the single modality "


def _compared(entry: Mapping[str, Any], arm: str, other: str, baseline: str, name: str) -> Verdict:
    value, interval = entry["difference"], entry["ci95"]
    if interval is None:
        text = f"{arm} less {baseline}: {signed(value)} {name}; too few images for an interval."
        return Verdict("none", "No verdict.", text, arm, other)
    ends = f"95% interval {signed(interval[0])} to {signed(interval[1])}"
    if entry["verdict"] == "better":
        text = f"{arm} beats {baseline}, by {value:.3f} {name} ({ends})."
        return Verdict("better", "Fusion helped.", text, arm, other)
    if entry["verdict"] == "worse":
        text = f"{arm} is behind {baseline}, by {-value:.3f} {name} ({ends})."
        return Verdict("worse", "Fusion hurt.", text, arm, other)
    text = f"{arm} less {baseline}: {signed(value)} {name}, but the {ends} includes zero."
    return Verdict("no evidence", "No evidence that fusion helped.", text, arm, other)


def signed(value: float) -> str:
    """Format with sign and three decimals, with a typographic minus."""
    return f"{value:+.3f}".replace("-", "−")


def _why_none(results: Mapping[str, Any], scored: Mapping[str, Any]) -> str:
    if len(scored) == 1:
        return f"{next(iter(scored))} is the only arm; add another one to compare it with."
    if len(labelled := _labelled(scored)) == 1:
        return f"Objects of the evaluated classes are labelled for {labelled[0]} alone."
    return "No object of the evaluated classes is labelled."


def _labelled(scored: Mapping[str, Any]) -> list[str]:
    """The arms that have labelled objects, which may be their camera's own."""
    return [arm for arm, part in scored.items() if part["yolo"][STATISTIC] is not None]
