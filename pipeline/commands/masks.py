"""`irvis masks`: scores segmentation masks of any program."""

import argparse
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from common.errors import ConfigError, DataError, shown
from common.files import write_json
from eval.mask_files import find_masks, read_mask
from eval.mask_scores import score_masks
from eval.masks import LABELS, MEAN, REGIONS, FindMask, MaskTask, Regions
from eval.report.mask_tables import differences, scores
from pipeline.commands import _terminal
from pipeline.commands._sections import print_section
from pipeline.commands._terminal import print_lines


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
        help=f"{', '.join(REGIONS)}, or names with their labels; default msrs",
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
            known=LABELS.get(parsed.regions),
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
    known: Collection[int] | None = None,
    ignore: int | None = None,
    on_progress: Callable[[int, int | None], None],
) -> dict[str, Any]:
    """Score masks against labels: PNG and other images without loss, or NIfTI.

    Args:
        predictions: A folder of masks called as the labels, or one with such a folder for each arm.
        labels: A folder of the true masks.
        regions: Their labels by name.
        known: The labels that masks may have; None for any.
        ignore: Pixels with this true label do not count.
        on_progress: Called with the number of finished masks and of all.

    Returns:
        What ``eval.mask_scores.score_masks`` gives.

    Raises:
        errors.DataError: Masks are missing or damaged, or differ in size, place or labels from
            the true ones.
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
    task = MaskTask(lambda key: read_mask(truths[key]), regions, ignore, known)
    finds = {arm: _reader(files) for arm, files in arms.items()}
    return score_masks(task, list(truths), finds, on_progress)


def _reader(files: Mapping[str, Path]) -> FindMask:
    return lambda key: read_mask(files[key])


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
    arms = results["arms"]
    print_lines(f"{results['images']} images")
    print_section(scores(arms))
    if len(arms) > 1:
        print_section(differences(results["comparisons"], list(arms)))
    print_lines(*(f"warning: {text}" for text in results["warnings"]))


def _arms(predictions: Path) -> dict[str, dict[str, Path]]:
    """The masks of each arm by key; a folder with masks of its own is one arm."""
    own = find_masks(predictions)
    folders = [path for path in sorted(predictions.iterdir()) if path.is_dir()]
    arms = {path.name: find_masks(path) for path in folders}
    arms = {name: files for name, files in arms.items() if files}
    if own and arms:
        raise DataError(
            f"{predictions}: has masks, and folders with masks such as {shown(next(iter(arms)))}; "
            "move one of both away"
        )
    if own:
        return {predictions.resolve().name: own}
    if not arms:
        raise DataError(f"{predictions}: no masks (.png, .nii.gz), nor folders with any")
    return arms
