"""`irvis masks`: scores segmentation masks of any program."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from common.errors import ConfigError, DataError, shown
from common.files import write_json
from eval.mask_files import find_masks, read_mask
from eval.report.tables import NONE
from eval.segmentation import REGIONS, STATISTICS, RegionCounts, Regions, count
from eval.segmentation_comparison import MEAN, judge_masks, warnings
from pipeline.commands import _terminal
from pipeline.commands._terminal import console, print_lines

_NAMES = {"iou": "IoU", "dice": "Dice", "sensitivity": "sensitivity", "image_dice": "Dice by image",
          "hd95": "HD95"}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add masks, labels, and the regions."""
    parser.add_argument(
        "predictions",
        type=Path,
        metavar="MASKS",
        help="folder of masks, or one with a folder an arm",
    )
    parser.add_argument("labels", type=Path, metavar="LABELS", help="folder of the true masks")
    parser.add_argument(
        "--regions",
        default="msrs",
        metavar="NAME|A=1,B=1+2",
        help=f"{' or '.join(REGIONS)}, or names with their labels; default msrs",
    )
    parser.add_argument("--ignore", type=int, metavar="LABEL", help="pixels that do not count")
    parser.add_argument("-o", "--output", type=Path, help="write the numbers as json")


def run(parsed: argparse.Namespace) -> None:
    """Score and print the tables."""
    with _terminal.progress("masks") as show:
        results = score(
            parsed.predictions,
            parsed.labels,
            regions=parse_regions(parsed.regions),
            ignore=parsed.ignore,
            on_progress=show,
        )
    if parsed.output:
        write_json(parsed.output, results, indent=1)
    print_report(results)


def score(
    predictions: Path,
    labels: Path,
    *,
    regions: Regions,
    ignore: int | None = None,
    on_progress: Callable[[int, int | None], None],
) -> dict[str, Any]:
    """Score masks against labels: PNG and other images without loss, or NIfTI.

    Args:
        predictions: A folder of masks called as the labels, or one with such a folder for each arm.
        labels: A folder of the true masks.
        regions: Their labels by name.
        ignore: Pixels with this true label do not count.
        on_progress: Called with the number of finished masks and of all.

    Returns:
        ``images``, ``regions``, ``arms`` and ``comparisons`` as ``eval.segmentation_comparison``
        gives them, and ``warnings``. Distances are in pixels, of NIfTI in its unit, millimetres.

    Raises:
        errors.DataError: Masks are missing or damaged, or differ in size from their labels.
    """
    truths = find_masks(labels)
    if not truths:
        raise DataError(f"{labels}: no masks (.png, .nii.gz)")
    arms = _arms(predictions)
    for arm, files in arms.items():
        if missing := [key for key in truths if key not in files]:
            raise DataError(
                f"{arm}: {len(missing)} of {len(truths)} labels have no mask of their name, such "
                f"as {shown(missing[0])}"
            )
    rows: dict[str, list[RegionCounts]] = {arm: [] for arm in arms}
    for done, (key, path) in enumerate(truths.items()):
        truth = read_mask(path)
        for number, (arm, files) in enumerate(arms.items(), 1):
            found = read_mask(files[key])
            if found.labels.shape != truth.labels.shape:
                raise DataError(
                    f"{files[key]}: {_size(found.labels.shape)}, but {path} has "
                    f"{_size(truth.labels.shape)}"
                )
            one = [(found.labels, truth.labels)]
            rows[arm].append(count(one, regions, ignore=ignore, spacing=[truth.spacing]))
            on_progress(done * len(arms) + number, len(truths) * len(arms))
    counts = {arm: RegionCounts.joined(parts) for arm, parts in rows.items()}
    parts, comparisons = judge_masks(counts, list(regions))
    return {
        "images": len(truths),
        "regions": {name: sorted(values) for name, values in regions.items()},
        "arms": parts,
        "comparisons": comparisons,
        "warnings": warnings(counts, list(regions)),
    }


def parse_regions(text: str) -> Regions:
    """The regions of a name, or of ``A=1,B=1+2``.

    Raises:
        ConfigError: It is neither.
    """
    if text in REGIONS:
        return REGIONS[text]
    regions: dict[str, frozenset[int]] = {}
    for part in text.split(","):
        name, _, values = part.partition("=")
        try:
            labels = frozenset(int(value) for value in values.split("+"))
        except ValueError as error:
            raise ConfigError(
                f"--regions {shown(text)}: give {', '.join(REGIONS)}, or names with labels such as "
                "road=1,vehicle=2+3"
            ) from error
        if not name or name == MEAN or name in regions:
            raise ConfigError(
                f"--regions {shown(text)}: {shown(name)} is no name, or is there twice"
            )
        regions[name] = labels
    return regions


def print_report(results: Mapping[str, Any]) -> None:
    """Print each arm's regions and mean, the differences of the means, and warnings."""
    table = Table(title=f"{results['images']} images")
    table.add_column("arm")
    table.add_column("region")
    for name in (*_NAMES.values(), "images", "missed"):
        table.add_column(name, justify="right")
    for arm, part in results["arms"].items():
        for region, values in part.items():
            cells = [_cell(values[key], values["ci95"][key], region) for key in STATISTICS]
            table.add_row(
                arm, region, *cells, *(str(values.get(k, "")) for k in ("images", "missed"))
            )
    console().print(table)
    if len(results["arms"]) > 1:
        differences = Table(title="differences of the means, 95% intervals")
        for name in ("arm", "less", *_NAMES.values()):
            differences.add_column(name)
        for arm, others in results["comparisons"].items():
            for other, by_region in others.items():
                entries = by_region[MEAN]
                differences.add_row(arm, other, *(_difference(entries[key]) for key in STATISTICS))
        console().print(differences)
    print_lines(*(f"warning: {text}" for text in results["warnings"]))


def _arms(predictions: Path) -> dict[str, dict[str, Path]]:
    """The masks of each arm by key; a folder with masks of its own is one arm."""
    own = find_masks(predictions)
    if own:
        return {predictions.resolve().name: own}
    folders = [path for path in sorted(predictions.iterdir()) if path.is_dir()]
    arms = {path.name: find_masks(path) for path in folders}
    arms = {name: files for name, files in arms.items() if files}
    if not arms:
        raise DataError(f"{predictions}: no masks (.png, .nii.gz), nor folders with any")
    return arms


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _cell(value: float | None, ci95: list[float] | None, region: str) -> str:
    if value is None:
        return NONE
    interval = f" ({ci95[0]:.3f} to {ci95[1]:.3f})" if ci95 and region == MEAN else ""
    return f"{value:.3f}{interval}"


def _difference(entry: Mapping[str, Any]) -> str:
    if entry["difference"] is None:
        return NONE
    ci95, verdict = entry["ci95"], entry["verdict"]
    interval = f" ({ci95[0]:+.3f} to {ci95[1]:+.3f})" if ci95 else ""
    said = f" {verdict}" if verdict in ("better", "worse") else ""
    return f"{entry['difference']:+.3f}{interval}{said}"
