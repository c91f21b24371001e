"""`irvis init`: writes a configuration for images or recordings, after a look at them."""

import argparse
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import ConfigError, DataError, cut
from common.files import write_text
from eval.label_report import Counted, counted_text
from eval.presets import preset
from pipeline.commands._bag_input import open_bag
from pipeline.commands._terminal import print_lines
from pipeline.commands.fuse import open_pairs
from pipeline.config.yaml_file import SHIPPED
from pipeline.frames import BadPair, Dropped, FramePair
from pipeline.images import SUFFIXES, list_images, read_image
from pipeline.interfaces import Source
from pipeline.sources._bag_kinds import is_bag

# what folders and recordings are called, in lower case
INFRARED = ("ir", "infrared", "thermal", "lwir", "tir", "inf")
VISIBLE = ("vi", "vis", "visible", "rgb", "color", "colour")
LABELS = ("labels", "label", "annotations", "annotation")
SCHEMA = SHIPPED / "irvis.schema.json"


@dataclass(frozen=True, slots=True)
class Inputs:
    """The infrared and the visible input, one bag for both, and labels if there are any."""

    ir: Path
    vis: Path
    labels: Path | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the inputs and the output."""
    parser.add_argument(
        "inputs",
        type=Path,
        nargs="+",
        metavar="INPUT",
        help="a folder that holds both cameras' (ir/ vi/ ...), a bag (ROS, MCAP), or infrared and "
        "visible: folders of images, or recordings",
    )
    parser.add_argument("--labels", type=Path, help="folder or file of labels")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("irvis.yaml"), help="default irvis.yaml"
    )


def run(parsed: argparse.Namespace) -> None:
    """Look at the inputs, write the configuration, and say what to type next."""
    if len(parsed.inputs) > 2:
        raise ConfigError("give one folder that holds both cameras', or infrared and visible")
    if parsed.output.exists():
        raise ConfigError(f"{parsed.output} exists; name a new file with -o")
    if len(parsed.inputs) == 1:
        inputs = find(parsed.inputs[0], parsed.labels)
    else:
        inputs = Inputs(parsed.inputs[0], parsed.inputs[1], parsed.labels)
    text, said = configuration(inputs, parsed.output)
    write_text(parsed.output, text)
    print_lines(*said, f"{parsed.output} is written; next: irvis run {parsed.output}")


def find(root: Path, labels: Path | None = None) -> Inputs:
    """Find the inputs in a folder by their names.

    Args:
        root: A folder.
        labels: Labels that are given; None to look for them.

    Raises:
        DataError: It isn't a folder, or there isn't one infrared and one visible input in it.
    """
    if is_bag(root):
        return Inputs(root, root, labels)
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
                f"{root}: {len(named)} {what} inputs (called {', '.join(names)}), there is "
                f"{cut(there, 200)}; name both: irvis init IR VIS"
            )
        cameras.append(named[0])
    if labels is None:
        labels = next((path for path in entries if path.stem.lower() in LABELS), None)
    return Inputs(cameras[0], cameras[1], labels)


def configuration(inputs: Inputs, name: Path) -> tuple[str, list[str]]:
    """The text of a configuration, and what was seen, a line each.

    Args:
        inputs: What it is for.
        name: Its file, for the command in its first line.

    Raises:
        errors.IrvisError: The inputs can't be read.
    """
    settings: dict[str, Any] = {}
    comments = {}
    if inputs.labels is not None:
        settings["labels"] = inputs.labels
    if inputs.ir.is_dir() and not is_bag(inputs.ir) and (limits := _range(inputs.ir)) is not None:
        settings["ir_range"] = limits
        comments["ir_range"] = "of 98% of the first image's values; the same for all images"
    bag = is_bag(inputs.ir)
    if bag:
        opened, settings = open_bag(inputs.ir, settings)
    else:
        opened = open_pairs(inputs.ir, inputs.vis, settings)
        settings = {"ir": inputs.ir, "vis": inputs.vis, **settings}
    with opened as source:
        pair = _first(source)
        recording = source.frame_rate is not None
        seen = _seen(source, pair)
        if (report := source.label_report) is not None:
            counted = Counted.of(report, preset("paper-msrs").classes)
            comments["labels"] = counted_text(counted.counted, counted.not_counted)
            seen.append(f"labels: {comments['labels']}")
    kind = "bag" if bag else "video" if recording else "image_folder"
    source_settings = {"kind": kind, **settings}
    run_name = re.sub(r"[^A-Za-z0-9]+", "-", name.stem).strip("-") or "run"
    unequal = pair.ir is not None and pair.vis is not None and pair.ir.size != pair.vis.size
    lines = [
        f"# irvis run {name}",
        f"# yaml-language-server: $schema={SCHEMA}",
        *(f"# {line}" for line in seen),
        f"run: {{name: {run_name}}}",
        "source:",
        *(_line(key, value, comments.get(key)) for key, value in source_settings.items()),
        *(UNEQUAL if unequal else ()),
        *ARMS,
        UNSCORED if inputs.labels is None else SCORED,
        *(RECORDING if recording else STILLS),
    ]
    if unequal:
        seen.append("the sizes differ: make a calibration, see the comment under registration")
    return "\n".join(lines) + "\n", seen


UNEQUAL = (
    "# The sizes differ: make calibration.json with irvis calibrate IR VIS -o calibration.json",
    "registration: {calibration: calibration.json}",
)
ARMS = (
    "arms:  # what the detector sees; irvis kinds arms lists others",
    "  unet: {kind: gate_unet, weights: gate_unet}",
    "  fused: {kind: fusionmamba, weights: tiny}",
    "  ir: {kind: ir_only}",
    "  vis: {kind: vis_only}",
    "  average: {kind: average}",
    "  late: {kind: late, arms: [ir, vis]}  # two detectors, merged",
    "detector: {kind: yolov5, weights: yolov5s.pt}  # or a file; irvis download yolov5s",
)
SCORED = "evaluation: {preset: paper-msrs, quality: false}  # true: also 14 metrics of the images"
UNSCORED = "evaluation: {preset: detect}  # paper-msrs, once there are labels"
STILLS = (
    "sinks:",
    "  results: {kind: results}",
    "  report: {kind: report}",
    "  fused: {kind: images, arms: [unet]}",
)
RECORDING = (
    "sinks:",
    "  results: {kind: results}",
    "  report: {kind: report}",
    "  side_by_side: {kind: video, arms: [ir, vis, unet]}",
    "  detections: {kind: parquet}",
)


def _range(folder: Path) -> tuple[float, float] | None:
    """The range of most values of the first image if it has more than 8 bit, else None."""
    image = read_image(next(iter(list_images(folder, below=True).values())))
    if image.dtype == np.uint8:
        return None
    finite = image[np.isfinite(image)]
    if not finite.size:
        return None
    low, high = (float(f"{value:.6g}") for value in np.percentile(finite, (1, 99)))
    return (low, high) if low < high else None


def _first(source: Source) -> FramePair:
    """The first pair that can be read.

    Raises:
        DataError: There is none; the text is the reason for the first one.
    """
    reason = "no pair in it"
    for index, item in enumerate(source):
        if isinstance(item, FramePair):
            return item
        if isinstance(item, BadPair) and index == 0:
            reason = item.reason
        assert not isinstance(item, Dropped), "only live cameras drop frames"
    raise DataError(reason)


def _seen(source: Source, pair: FramePair) -> list[str]:
    """What the inputs are."""
    sizes = {
        name: "missing" if frame is None else f"{frame.size[1]}x{frame.size[0]}"
        for name, frame in (("infrared", pair.ir), ("visible", pair.vis))
    }
    text = f"the first: infrared {sizes['infrared']}, visible {sizes['visible']}"
    if source.count is not None:
        text = f"{source.count} pairs; {text}"
    if source.frame_rate is not None:
        text = f"recordings at {float(source.frame_rate):.4g} frames per second; {text}"
    return [text]


def _line(key: str, value: object, comment: str | None) -> str:
    """One setting of the source; JSON's text is YAML's too."""
    plain = str(value) if isinstance(value, Path) else value
    text = plain if key == "kind" else json.dumps(plain, ensure_ascii=False)
    return f"  {key}: {text}" + (f"  # {comment}" if comment else "")
