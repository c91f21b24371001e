"""The tables of arms that are scored by masks, made from ``results.json`` or `irvis masks`."""

from collections.abc import Iterator, Mapping
from typing import Any

from eval.masks import MEAN
from eval.report.tables import NONE, Section, fused_arms, number

Json = Mapping[str, Any]

TITLES = {
    "iou": "IoU", "dice": "Dice", "sensitivity": "sensitivity", "image_dice": "Dice by image",
    "hd95": "HD95 ↓",
}  # fmt: skip


def scored_masks(results: Json) -> dict[str, Json]:
    """Scores of masks by arm, without arms that have none."""
    arms = results["arms"].items()
    return {arm: part["segmentation"] for arm, part in arms if part.get("segmentation")}


def mask_sections(results: Json) -> Iterator[Section]:
    """The scores of each region, and the differences of their means; nothing without masks."""
    arms = scored_masks(results)
    if arms:
        yield scores(arms)
    if len(arms) > 1:
        fused = fused_arms(results["protocol"], arms)
        yield differences(results["segmentation"]["comparisons"], fused or list(arms))


def scores(arms: Mapping[str, Json]) -> Section:
    """Every arm's scores by region, the mean with its interval; ``arms`` as of ``judge_masks``."""
    rows = [
        [region, arm, *cells(part[region], interval=region == MEAN)]
        for region in next(iter(arms.values()))
        for arm, part in arms.items()
    ]
    note = (
        "IoU, Dice and sensitivity: of the pixels of all images; Dice by image: mean over images; "
        "HD95: 95% Hausdorff distance, mean over images; missed: images whose mask lacks the region"
    )
    columns = ("region", "arm", *TITLES.values(), "images", "missed")
    return Section("masks", "Scores of masks by region", columns, rows, note, grouped=True)


def cells(values: Json, *, interval: bool) -> list[str]:
    """The numbers of a row, with 95% intervals if these are asked for."""
    row = []
    for key in TITLES:
        text, ci95 = number(values[key]), values["ci95"][key]
        row.append(f"{text} ({ci95[0]:.3f}…{ci95[1]:.3f})" if interval and ci95 else text)
    return [*row, *(str(values.get(key, "")) for key in ("images", "missed"))]


def differences(comparisons: Json, arms: list[str]) -> Section:
    """The differences of the means of some arms from all others, with intervals and verdicts."""
    rows = [
        [arm, other, *(_difference(comparisons[arm][other][MEAN][key]) for key in TITLES)]
        for arm in arms
        for other in comparisons[arm]
    ]
    title = "Differences of the means over the regions, with 95% intervals"
    columns = ("arm", "less", *TITLES.values())
    note = "HD95: of the regions of images that both arms' masks have"
    return Section("masks", title, columns, rows, note, grouped=True)


def _difference(entry: Json) -> str:
    if entry["difference"] is None:
        return NONE
    ci95, verdict = entry["ci95"], entry["verdict"]
    interval = f" ({ci95[0]:+.3f}…{ci95[1]:+.3f})" if ci95 else ""
    said = f" {verdict}" if verdict in ("better", "worse") else ""
    return f"{entry['difference']:+.3f}{interval}{said}"
