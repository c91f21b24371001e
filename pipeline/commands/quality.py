"""`irvis quality`: measures the quality of fused images of any program."""

import argparse
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from rich.table import Table
from torch import Tensor

from common.device import choose_device
from common.errors import DataError
from common.memory import keep_freed_memory
from eval.quality.metrics import quality
from eval.quality.names import METRICS
from eval.report.tables import NONE
from pipeline.commands import _terminal
from pipeline.commands._terminal import console
from pipeline.images import list_images, read_image, to_grey

_log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the infrared, visible and fused images."""
    for name, what in (("ir", "infrared"), ("vis", "visible"), ("fused", "fused")):
        parser.add_argument(name, type=Path, metavar=name.upper(), help=f"{what} folder or image")
    parser.add_argument("-o", "--output", type=Path, help="write one row per image as csv")


def run(parsed: argparse.Namespace) -> None:
    """Measure and print the means."""
    with _terminal.progress("images") as show:
        measured = measure(parsed.ir, parsed.vis, parsed.fused, show)
    if parsed.output:
        write(parsed.output, measured)
    print_report(measured)


def measure(
    ir: Path, vis: Path, fused: Path, on_progress: Callable[[int, int | None], None]
) -> pd.DataFrame:
    """Compare three images, or three folders of images with equal stems.

    Colour images are converted to BT.601 luminance, rounded to 8 bits. Pairs without a fused image
    are left out; their number is logged as a warning.

    Args:
        ir: Infrared image or folder.
        vis: Visible image or folder.
        fused: Fused image or folder.
        on_progress: Called with the number of finished images and of all.

    Returns:
        One row per fused image, by key (its stem); one float64 column per metric, NaN if it is not
        defined.

    Raises:
        DataError: An image is missing, damaged or has 16 bits, or sizes differ.
    """
    names = {"infrared": ir, "visible": vis, "fused": fused}
    for path in names.values():
        if not path.exists():
            raise DataError(f"{path}: no such file or folder")
    folders = [path.is_dir() for path in names.values()]
    if all(folders):
        files = _matched({name: list_images(path) for name, path in names.items()}, names)
    elif any(folders):
        raise DataError(f"{ir}, {vis} and {fused}: give three folders or three images")
    else:
        files = {fused.stem: names}
    keep_freed_memory()
    device = choose_device("auto")
    rows = []
    for done, images in enumerate(files.values(), 1):
        levels = _read(images)
        values = quality(
            ir=levels["infrared"].to(device),
            vis=levels["visible"].to(device),
            fused=levels["fused"].to(device),
        )
        rows.append([value.item() for value in values.values()])
        on_progress(done, len(files))
    index = pd.Index(list(files), name="key")
    return pd.DataFrame(rows, index, [metric.key for metric in METRICS], dtype="float64")


def write(path: Path, measured: pd.DataFrame) -> None:
    """Write one row per image as CSV; an undefined metric is an empty cell.

    Raises:
        DataError: The file cannot be written.
    """
    try:
        measured.to_csv(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error})") from error


def print_report(measured: pd.DataFrame) -> None:
    """Print mean, spread and median of each metric over the images where it is defined."""
    table = Table()
    table.add_column("metric")
    for name in ("better", "mean", "std", "median", "images"):
        table.add_column(name, justify="right")
    table.add_column("unit")
    for metric in METRICS:
        column = measured[metric.key]
        numbers = (column.mean(), column.std(), column.median())
        table.add_row(
            metric.name,
            "↑" if metric.higher_is_better else "↓",
            *(NONE if pd.isna(number) else f"{number:.4f}" for number in numbers),
            str(column.count()),
            metric.unit,
        )
    console().print(table)


def _matched(
    files: Mapping[str, Mapping[str, Path]], folders: Mapping[str, Path]
) -> dict[str, dict[str, Path]]:
    """The three files of each fused image, by key, in the order of the fused folder."""
    fused = files["fused"]
    for key, path in fused.items():
        for name in ("infrared", "visible"):
            if key not in files[name]:
                raise DataError(f"{path}: {folders[name]} has no {name} image named {key}.*")
    left_out = len((files["infrared"].keys() | files["visible"].keys()) - fused.keys())
    if left_out:
        _log.warning(
            "%d of %d pairs have no fused image and are left out", left_out, left_out + len(fused)
        )
    return {key: {name: paths[key] for name, paths in files.items()} for key in fused}


def _read(files: Mapping[str, Path]) -> dict[str, Tensor]:
    """Luminance levels, uint8 [1, 1, H, W] each."""
    levels: dict[str, NDArray[np.uint8]] = {}
    for name, path in files.items():
        image = read_image(path)
        if image.dtype != np.uint8:
            raise DataError(f"{path}: has 16 bit; save it as 8 bit, mapped as for the fusion")
        levels[name] = to_grey(image)
    height, width = levels["fused"].shape
    for name, grey in levels.items():
        if grey.shape != (height, width):
            raise DataError(
                f"{files['fused']}: {width}x{height}, but {files[name]} has "
                f"{grey.shape[1]}x{grey.shape[0]}; save the fused image at its pair's size"
            )
    return {name: torch.tensor(grey)[None, None] for name, grey in levels.items()}
