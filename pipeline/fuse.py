"""`irvis fuse`: pairs in, fused images or a fused video out, and nothing else."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from errors import ConfigError, DataError
from pipeline import components
from pipeline.config import apply_override
from pipeline.frames import BadPair, Item
from pipeline.images import SUFFIXES, write_png
from pipeline.interfaces import Source
from pipeline.sinks import video as video_sink
from pipeline.sources import image_folder, video
from pipeline.stages import Compute, FuserArm, batches, choose_device

BATCH = 4


def fuse(
    ir: Path,
    vis: Path,
    output: Path,
    settings: Sequence[str],
    on_progress: Callable[[int, int | None], None],
) -> int:
    """Fuse two folders, two recordings or two images at their own size.

    Args:
        ir: Infrared folder, recording or image.
        vis: The visible one, of the same sort.
        output: A new or empty folder for `<key>.png`, or a new file: `.mp4` for recordings, `.png`
            for two images.
        settings: `key=value` of the fuser, e.g. `kind=laplacian`.
        on_progress: Called with the pairs done and, where known, their number.

    Returns:
        How many pairs were fused.

    Raises:
        errors.IrvisError: The user's mistake; images that were finished stay.
    """
    arm = _arm(settings)
    source = _source(ir, vis)
    as_video, as_file = output.suffix == ".mp4", output.suffix == ".png"
    if output.exists() and (as_video or as_file or not output.is_dir() or any(output.iterdir())):
        raise ConfigError(f"{output} is in use; name a new file or a new or empty folder")
    compute = Compute({"fused": arm}, None, device=choose_device("auto"), batch=BATCH)
    done = 0
    with source:
        source.check()
        if as_file and source.count != 1:
            raise ConfigError(f"{output}: there is more than one pair; name a folder")
        folder = output.parent if as_video or as_file else output
        folder.mkdir(parents=True, exist_ok=True)
        writer = video_sink.open_video(output, ("fused",), source.frame_rate) if as_video else None
        try:
            for batch in batches(_items(source), BATCH):
                for result in compute(batch, done):
                    if writer:
                        writer.write(result)
                    else:
                        name = output if as_file else output / f"{result.item.pair.key}.png"
                        write_png(name, result.image("fused"))
                done += len(batch)
                on_progress(done, source.count)
        finally:
            if writer:
                writer.close()
    return done


def _arm(settings: Sequence[str]) -> FuserArm:
    chosen: dict[str, Any] = {"kind": "average"}
    for setting in settings:
        apply_override(chosen, setting)
    component = components.load("arms", chosen, "fuser")
    if component.module.__name__.startswith("pipeline.arms."):
        raise ConfigError(f"kind: {component.kind} makes no image from a pair")
    fuser = component.module.build(component.config)
    return FuserArm(fuser, device=choose_device("auto"), dtype=torch.float32)


def _source(ir: Path, vis: Path) -> Source:
    for path in (ir, vis):
        if not path.exists():
            raise DataError(f"{path}: no such file or folder")
    if ir.is_dir() != vis.is_dir():
        raise DataError(f"{ir} and {vis}: give two folders, two recordings or two images")
    if ir.is_dir():
        return image_folder.build(image_folder.Config(ir=ir, vis=vis))
    if ir.suffix.lower() in SUFFIXES:
        return image_folder.ImagePairs({vis.stem: ir}, {vis.stem: vis}, None, None)
    return video.build(video.Config(ir=ir, vis=vis))


def _items(source: Source) -> Iterator[Item]:
    """The whole pairs; unpaired frames of recordings are left out."""
    for pair in source:
        if isinstance(pair, BadPair):
            raise DataError(pair.reason)
        problem = pair.problem()
        if problem is None:
            yield Item(pair, None, {})
        elif pair.ir is not None and pair.vis is not None:
            raise DataError(problem)
