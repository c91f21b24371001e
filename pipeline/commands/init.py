"""`irvis init`: writes a configuration for images, recordings or a data set, after a look."""

import argparse
import json
import re
from collections.abc import Iterable
from pathlib import Path

from common.errors import ConfigError, DataError
from common.files import write_text
from eval.label_report import Counted, counted_text
from eval.presets import preset
from pipeline.commands._opened import Opened, add_inputs, open_paths
from pipeline.commands._terminal import print_lines
from pipeline.config.yaml_file import SHIPPED
from pipeline.frames import BadPair, Dropped, FramePair
from pipeline.interfaces import Source

SCHEMA = SHIPPED / "irvis.schema.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the inputs and the output."""
    add_inputs(parser, "INPUT")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("irvis.yaml"), help="default irvis.yaml"
    )


def run(parsed: argparse.Namespace) -> None:
    """Look at the inputs, write the configuration, and say what to type next."""
    if parsed.output.exists():
        raise ConfigError(f"{parsed.output} exists; name a new file with -o")
    text, said = configuration(open_paths(parsed.inputs, parsed.labels), parsed.output)
    write_text(parsed.output, text)
    print_lines(*said, f"{parsed.output} is written; next: irvis run {parsed.output}")


def configuration(opened: Opened, name: Path) -> tuple[str, list[str]]:
    """The text of a configuration, and what was seen, a line each.

    Args:
        opened: What it is for.
        name: Its file, for the command in its first line.

    Raises:
        errors.IrvisError: The inputs can't be read.
    """
    comments = {"ir_range": "of 98% of the first image's values; the same for all images"}
    scored = UNSCORED
    with opened.source as source:
        pair = _first(source)
        recording = source.frame_rate is not None
        seen = [*filter(None, (opened.title,)), *_seen(source, pair)]
        if (report := source.label_report) is not None:
            classes = None if opened.title else preset("paper-msrs").classes
            counted = Counted.of(report, classes)
            comments["labels"] = counted_text(counted.counted, counted.not_counted)
            seen.append(f"labels: {comments['labels']}")
            scored = SCORED
            if opened.title and counted.counted:
                scored = SCORED.replace("quality", f"classes: {_flow(counted.counted)}, quality", 1)
    kind = "video" if recording else "image_folder"
    source_settings = {"kind": kind, **opened.settings}
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
        scored,
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


def _flow(names: Iterable[str]) -> str:
    return json.dumps(list(names), ensure_ascii=False)


def _line(key: str, value: object, comment: str | None) -> str:
    """One setting of the source; JSON's text is YAML's too."""
    plain = str(value) if isinstance(value, Path) else value
    text = plain if key == "kind" else json.dumps(plain, ensure_ascii=False)
    return f"  {key}: {text}" + (f"  # {comment}" if comment else "")
