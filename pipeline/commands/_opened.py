"""What `irvis init` and `irvis inspect` look at: a source, and the settings that open it again."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from common.errors import ConfigError, DataError, cut
from pipeline.commands._bag_input import open_bag
from pipeline.commands.fuse import open_pairs
from pipeline.config import components
from pipeline.frames import Image
from pipeline.images import SUFFIXES, list_images, read_image
from pipeline.interfaces import Source
from pipeline.sources import dataset, flir
from pipeline.sources._bag_kinds import is_bag
from pipeline.sources._flir_file import is_radiometric

# what folders and recordings are called, in lower case
INFRARED = ("ir", "infrared", "thermal", "lwir", "tir", "inf")
VISIBLE = ("vi", "vis", "visible", "rgb", "color", "colour")
LABELS = ("labels", "label", "annotations", "annotation")


def add_inputs(parser: argparse.ArgumentParser, metavar: str) -> None:
    """Add what is to be opened."""
    parser.add_argument(
        "inputs",
        type=Path,
        nargs="+",
        metavar=metavar,
        help="a folder that holds both cameras' (ir/ vi/ ...), a data set or its data.yaml, a bag "
        "(ROS, MCAP), FLIR's radiometric JPEGs, or infrared and visible: folders of images, or "
        "recordings",
    )
    parser.add_argument("--labels", type=Path, help="folder or file of labels")


@dataclass(frozen=True, slots=True)
class Inputs:
    """The infrared and the visible input, and labels if there are any."""

    ir: Path
    vis: Path
    labels: Path | None


class Opened(NamedTuple):
    """A source.

    Attributes:
        source: The source, not iterated yet.
        settings: Those of the source; its ``kind`` where it doesn't follow from the inputs.
        title: What the data set calls itself; empty for other inputs.
    """

    source: Source
    settings: Mapping[str, Any]
    title: str = ""


def open_paths(paths: Sequence[Path], labels: Path | None) -> Opened:
    """Open what a user gave: a bag, a data set, a folder of FLIR JPEGs, or two inputs.

    Args:
        paths: A bag, a data set, a folder of FLIR JPEGs or one that holds both cameras', or
            infrared and visible.
        labels: Labels that are given; None to look for them.

    Raises:
        errors.IrvisError: There are more, or they can't be read.
    """
    if len(paths) > 2:
        raise ConfigError("give one folder that holds both cameras', or infrared and visible")
    if len(paths) == 1 and is_bag(paths[0]):
        return Opened(*open_bag(paths[0], labels))
    if len(paths) == 1:
        opened = open_dataset(paths[0]) if labels is None else None
        opened = opened or open_flir(paths[0], labels)
        return opened or open_inputs(find(paths[0], labels))
    return open_inputs(Inputs(paths[0], paths[1], labels))


def open_dataset(root: Path) -> Opened | None:
    """Open a folder, or a data.yaml, of a known layout; None if it isn't of any.

    Raises:
        errors.DataError: It is there in part, or its labels can't be read.
    """
    layout = dataset.recognise(root)
    if layout is None:
        return None
    settings: dict[str, Any] = {"layout": layout, "root": root}
    source = dataset.build(components.validate(dataset.Config, settings, "source"))
    files = map(source.files, source.keys)
    if limits := range_of(source.image(next(each["ir"] for each in files if "ir" in each), "ir")):
        settings.update(limits)
        source = dataset.build(components.validate(dataset.Config, settings, "source"))
    return Opened(source, {"kind": "dataset", **settings}, source.title)


def open_flir(root: Path, labels: Path | None) -> Opened | None:
    """Open a folder of FLIR radiometric JPEGs; None if it isn't one, or has folders of cameras.

    Raises:
        errors.IrvisError: They can't be read, or flyr isn't installed.
    """
    if not root.is_dir():
        return None
    entries = sorted(root.iterdir())
    if any(path.is_dir() and path.name.lower() in INFRARED + VISIBLE for path in entries):
        return None
    jpegs = (path for path in entries if path.suffix.lower() in (".jpg", ".jpeg"))
    first = next(filter(is_radiometric, jpegs), None)
    if first is None:
        return None
    settings: dict[str, Any] = {"root": root}
    if labels is not None:
        settings["labels"] = labels
    source = flir.build(components.validate(flir.Config, settings, "source"))
    settings.update(range_of(source.image(first, "ir")))
    source = flir.build(components.validate(flir.Config, settings, "source"))
    return Opened(source, {"kind": "flir", **settings})


def find(root: Path, labels: Path | None = None) -> Inputs:
    """Find the inputs in a folder by their names.

    Args:
        root: A folder.
        labels: Labels that are given; None to look for them.

    Raises:
        DataError: It isn't a folder, or there isn't one infrared and one visible input in it.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; give a folder, or infrared and visible")
    entries = [path for path in sorted(root.iterdir()) if not path.name.startswith(".")]
    inputs = [path for path in entries if path.is_dir() or path.suffix.lower() not in SUFFIXES]
    cameras = []
    for what, names in (("infrared", INFRARED), ("visible", VISIBLE)):
        named = [path for path in inputs if path.stem.lower() in names]
        if len(named) != 1:
            there = ", ".join(path.name for path in entries) or "nothing"
            raise DataError(
                dataset.nearly(root)
                or f"{root}: {len(named)} {what} inputs (called {', '.join(names)}), there is "
                f"{cut(there, 200)}; name both: IR VIS"
            )
        cameras.append(named[0])
    if labels is None:
        labels = next((path for path in entries if path.stem.lower() in LABELS), None)
    return Inputs(cameras[0], cameras[1], labels)


def open_inputs(inputs: Inputs) -> Opened:
    """Open two inputs.

    Raises:
        errors.IrvisError: They can't be read.
    """
    settings: dict[str, Any] = {}
    if inputs.labels is not None:
        settings["labels"] = inputs.labels
    if inputs.ir.is_dir():
        first = next(iter(list_images(inputs.ir, below=True).values()))
        settings.update(range_of(read_image(first)))
    source = open_pairs(inputs.ir, inputs.vis, settings)
    return Opened(source, {"ir": inputs.ir, "vis": inputs.vis, **settings})


def range_of(image: Image) -> dict[str, tuple[float, float]]:
    """``ir_range`` for the range of most values of an infrared image with more than 8 bit."""
    if image.dtype == np.uint8:
        return {}
    finite = image[np.isfinite(image)]
    if not finite.size:
        return {}
    low, high = (float(f"{value:.6g}") for value in np.percentile(finite, (1, 99)))
    return {"ir_range": (low, high)} if low < high else {}
