"""Arms against each other: intervals, differences with verdicts, and each object's fate."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.modality import Modality
from eval.attribution import attribute, size_groups
from eval.average_precision import STATISTICS, YoloResult
from eval.bootstrap import FEW_IMAGES, Bootstrap, bootstrap
from eval.evaluation import ArmResult, to_json
from eval.operating_points import CONFIDENCE

Json = dict[str, Any]


def judge(
    results: Mapping[str, ArmResult],
    baselines: Mapping[str, str | None],
    truths: Mapping[str, Modality] | None = None,
    threads: int | None = None,
) -> tuple[dict[str, Json], Json, Json]:
    """All that the arms' detections say, alone and against each other.

    Args:
        results: Every arm, scored on the same images.
        baselines: Names of the arms that show ``ir`` alone and ``vis`` alone, None for none.
        truths: By arm, the camera whose own labels it was scored on; arms that aren't in it were
            scored on the pair's.
        threads: As for ``bootstrap``.

    Returns:
        The ``detection`` part of each arm, which no other arm changes; ``comparisons``; and
        ``attribution`` of each arm that is no baseline, as in ``results.json``; empty where arms
        were scored on labels of their own, whose objects can't be told to be the same.

    Raises:
        ValueError: The arms weren't scored on the same images.
    """
    if not results:
        return {}, {}, {}
    matches = {arm: result.matches for arm, result in results.items()}
    draws = bootstrap(matches, threads=threads)
    parts = {}
    for arm, result in results.items():
        ci95 = {name: _list(draws.interval(arm, name)) for name in STATISTICS}
        parts[arm] = {**to_json(result), "ci95": ci95}
    ir, vis = (results.get(baselines[modality] or "") for modality in ("ir", "vis"))
    attribution = {}
    if ir is not None and vis is not None and not truths:
        others = {arm: result for arm, result in results.items() if result not in (ir, vis)}
        attribution = {arm: _attribution(ir, vis, result) for arm, result in others.items()}
    return parts, _differences(results, draws), attribution


def warnings(
    results: Mapping[str, ArmResult], truths: Mapping[str, Modality] | None = None
) -> list[str]:
    """What a reader of the numbers must know; nothing without results.

    Args:
        results: As for ``judge``.
        truths: Likewise.
    """
    alike: dict[Modality | None, list[str]] = {}  # the arms by the labels that they share
    for arm in results:
        alike.setdefault((truths or {}).get(arm), []).append(arm)
    found = []
    for arms in alike.values():
        if text := _few(results[arms[0]].matches.labelled_images):
            found.append(text if len(alike) == 1 else f"{', '.join(arms)}: {text}")
    return [*found, *_other_classes([(arms, results[arms[0]]) for arms in alike.values()])]


def _few(labelled: int) -> str:
    """What few images with labels mean; empty where they are enough."""
    if labelled == 0:
        return "no object of the classes that count is labelled: no score is defined"
    if labelled == 1:
        return "a single image with labels gives no intervals"
    if labelled < FEW_IMAGES:
        return f"{labelled} images with labels are few: 95% intervals are too narrow"
    return ""


def _other_classes(truths: Sequence[tuple[Sequence[str], ArmResult]]) -> Iterator[str]:
    """A warning where the labels of some arms lack classes that those of others have."""
    labelled = [set(result.yolo.per_class) for _, result in truths]
    for (arms, result), mine in zip(truths, labelled, strict=True):
        if mine and (missing := sorted(set().union(*labelled) - mine)):
            yield (
                f"the labels of {', '.join(arms)} have no "
                f"{', '.join(result.names[i] for i in missing)}, those of other arms have: the "
                "means are over different classes, compare class by class"
            )


def _differences(results: Mapping[str, ArmResult], draws: Bootstrap) -> Json:
    """By arm, other arm and statistic: arm less other arm, where both have labels."""
    table: Json = {}
    for arm, mine in results.items():
        for other, theirs in results.items():
            if arm != other and mine.yolo.labels > 0 and theirs.yolo.labels > 0:
                scores = {arm: mine.yolo, other: theirs.yolo}
                table.setdefault(arm, {})[other] = difference(scores, draws, arm, other)
    return table


def difference(scores: Mapping[str, YoloResult], draws: Bootstrap, arm: str, other: str) -> Json:
    """By statistic, with ``ci95`` and ``verdict``: one of the scores less another.

    Args:
        scores: On all images; there are labels.
        draws: Of the same.
        arm: What they are of.
        other: What is subtracted.
    """
    entry = {}
    for name in STATISTICS:
        value = getattr(scores[arm], name) - getattr(scores[other], name)
        found = draws.difference(arm, other, name, value)
        entry[name] = {
            "difference": value, "ci95": _list(found.ci95), "verdict": found.verdict
        }  # fmt: skip
    return entry


def _attribution(ir: ArmResult, vis: ArmResult, fused: ArmResult) -> Json:
    """What a fused arm did for each object, at one confidence and at equal false positives."""
    groups = _groups(fused)

    def count(confidences: tuple[float, float, float]) -> Json:
        counted = attribute(ir.matches, vis.matches, fused.matches, confidences, groups)
        named = dict(zip(("ir", "vis", "fused"), confidences, strict=True))
        return {"confidences": named, "counts": dict(counted.counts)}

    equal = [arm.operating_points[1].confidence for arm in (ir, vis, fused)]
    return {
        "confidence": count((CONFIDENCE, CONFIDENCE, CONFIDENCE)),
        "false_positives": count((equal[0], equal[1], equal[2])),
    }


def _groups(result: ArmResult) -> dict[str, NDArray[np.bool_]]:
    """Which labels are of each class, size and light."""
    matches = result.matches
    groups = {name: matches.label_class == class_id for class_id, name in result.names.items()}
    light = np.array(result.label_light, object)
    return {**groups, **size_groups(matches), "day": light == "day", "night": light == "night"}


def _list(interval: Sequence[float] | None) -> list[float] | None:
    return None if interval is None else list(interval)
