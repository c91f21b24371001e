"""Measures a configuration on this machine: what limits it, and what changes would bring."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.table import Table
from rich.text import Text

from common.device import choose_device, choose_dtype
from common.errors import ConfigError, IrvisError, shown
from pipeline.commands._terminal import console, print_lines, time_table
from pipeline.config import config as configuration
from pipeline.config.config import Config
from pipeline.engine.building import build_arms
from pipeline.engine.compute import Compute
from pipeline.engine.detector import build_detector, build_detectors
from pipeline.frames import Frame, FramePair, Item

RUNS = 3  # of a batch, after one to warm up
LARGEST = 8192  # pixels along an axis


@dataclass(frozen=True, slots=True)
class Speed:
    """Milliseconds per pair.

    Attributes:
        arms: Of each arm by stage.
        total: Of all arms together, with the upload.
    """

    arms: Mapping[str, Mapping[str, float]]
    total: float

    @property
    def slowest(self) -> tuple[str, str, float]:
        """The arm and the stage that take longest, and its milliseconds."""
        stages = [
            (arm, stage, value) for arm, of in self.arms.items() for stage, value in of.items()
        ]
        return max(stages, key=lambda entry: entry[2])


def frame_size(text: str) -> tuple[int, int]:
    """Height and width of `480x640`.

    Raises:
        ConfigError: It is no size.
    """
    parts = text.split("x")
    if len(parts) != 2 or not all(part.isdecimal() and len(part) < 6 for part in parts):
        raise ConfigError(f"--frame {shown(text)}: write HEIGHTxWIDTH, such as 480x640")
    height, width = map(int, parts)
    if not (1 <= height <= LARGEST and 1 <= width <= LARGEST):
        raise ConfigError(f"--frame {shown(text)}: give 1 to {LARGEST} pixels along each axis")
    return height, width


def measure(config: Config, size: tuple[int, int]) -> Speed:
    """The speed of a configuration's arms and detector on noise; its source is not opened.

    Args:
        config: What to measure.
        size: Height and width of the frames.

    Raises:
        errors.IrvisError: An arm or the detector can't be built, or an arm reads its images.
    """
    for name, arm in config.arms.items():
        if arm.as_arm.reads_images:
            raise ConfigError(f"arms.{name}: reads its images; leave it out with arms.{name}=null")
    device = choose_device(config.compute.device)
    config, detector = build_detector(config, device)
    arms = build_arms(config, device)
    detectors = build_detectors(config, detector, device)
    compute = Compute(arms, detectors, device=device, batch=config.compute.batch)
    items = list(_noise(config.compute.batch, size))
    compute(items, 0)
    start = time.perf_counter()
    for number in range(1, RUNS + 1):
        compute(items, number * len(items))
    seconds = time.perf_counter() - start
    return Speed(compute.ms_per_pair(), 1e3 * seconds / (RUNS * len(items)))


def print_report(path: Path, overrides: Sequence[str], size: tuple[int, int]) -> None:
    """Print the times of a configuration, what limits it, and changes that were measured.

    Raises:
        errors.IrvisError: As for ``measure``, or the configuration is wrong.
    """
    given = [*overrides, "sinks={}"]  # they could name an arm that is left out
    config = configuration.load(path, given)
    now = measure(config, size)
    console().print(time_table(now.arms))
    arm, stage, ms = now.slowest
    print_lines(
        f"{size[0]}x{size[1]}: {now.total:.0f} ms a pair, {1e3 / now.total:.2f} pairs/s; most of "
        f"it {stage} {arm}, {ms / now.total:.0%}"
    )
    table = Table()
    for name in ("change", "ms/pair", "as fast", "the numbers"):
        table.add_column(name, justify="left" if name in ("change", "the numbers") else "right")
    for change, effect in changes(config, now):
        try:
            then = measure(configuration.load(path, [*given, *change]), size)
        except IrvisError as error:
            print_lines(f"{' '.join(change)}: not measured ({error})")
            continue
        ratio = f"{now.total / then.total:.2f}x"
        table.add_row(Text(" ".join(change)), f"{then.total:.0f}", ratio, effect)
    console().print(table)


def changes(config: Config, now: Speed) -> Iterator[tuple[list[str], str]]:
    """Overrides that may make a run faster, and what they do to its numbers."""
    merged = {arm for component in config.arms.values() for arm in component.as_arm.merged_arms()}
    arm, stage, _ = now.slowest
    if stage == "fuse" and config.arms[arm].kind == "fusionmamba":
        yield [f"arms.{arm}.kind=gate_unet", f"arms.{arm}.weights=gate_unet"], "another fuser"
    if stage == "fuse":
        yield [f"arms.{arm}.kind=average"], "another fuser"
    for name in config.arms:
        if name not in merged and len(config.arms) > 1 and sum(now.arms[name].values()) > 0:
            yield [f"arms.{name}=null"], "an arm less"
    if config.detector is not None and hasattr(config.detector.config, "image_size"):
        side = max(32, config.detector.config.image_size // 64 * 32)
        yield [f"detector.image_size={side}"], "small objects are missed"
    if choose_dtype("auto", choose_device(config.compute.device)) is torch.bfloat16:
        yield ["compute.dtype=bfloat16", "detector.dtype=bfloat16"], "the last digits"
    for batch in (1, 2 * config.compute.batch):
        if batch != config.compute.batch and batch <= 64:
            yield [f"compute.batch={batch}"], "the same, to rounding"


def _noise(count: int, size: tuple[int, int]) -> Iterator[Item]:
    """Pairs of noise, always the same; the time doesn't depend on the content, but for NMS."""
    random = np.random.default_rng(0)
    for number in range(count):
        ir = random.integers(256, size=size, dtype=np.uint8)
        vis = random.integers(256, size=(*size, 3), dtype=np.uint8)
        yield Item(FramePair(f"{number}", Frame(ir, None, 0), Frame(vis, None, 0)), None, {})
