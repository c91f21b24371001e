"""`irvis fuse`: fuses pairs to images or a video."""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from common.device import choose_device
from common.errors import ConfigError, DataError, shown
from pipeline.arms._fuser import build_fuser
from pipeline.commands import _terminal
from pipeline.config import components
from pipeline.config.components import Model
from pipeline.config.overrides import apply_override
from pipeline.config.sections import RegistrationConfig
from pipeline.engine.compute import Compute, batches
from pipeline.frames import BadPair, Dropped, Item
from pipeline.geometry.registration import Register, read
from pipeline.images import SUFFIXES, write_png
from pipeline.interfaces import Source
from pipeline.sinks import video as video_sink
from pipeline.sources import frame_folder, image_folder, video
from pipeline.sources._image_pairs import ImagePairs

BATCH = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add inputs, output and settings of the fuser."""
    parser.add_argument("ir", type=Path, metavar="IR", help="folder, recording or image")
    parser.add_argument("vis", type=Path, metavar="VIS", help="folder, recording or image")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT", help="new folder"
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="key=value",
        help="settings of the fuser: kind=maximum; of the pairs: source.ir_range=[low,high], "
        "source.names.ir=_IR, registration.calibration=FILE",
    )


def run(parsed: argparse.Namespace) -> None:
    """Fuse and print the number of images."""
    with _terminal.progress() as show:
        count = fuse(parsed.ir, parsed.vis, parsed.output, parsed.overrides, show)
    print(f"{count} fused {'image' if count == 1 else 'images'} in {parsed.output}")


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
        vis: Visible folder, recording or image, the same type of input.
        output: A new or empty folder for `<key>.png`, or a new file: `.mp4` for recordings, `.png`
            for two images.
        settings: `key=value` of the fuser, e.g. `kind=laplacian`; `source.KEY=value` as in a run's
            configuration (`ir_range` also without `source.`); `registration.calibration=FILE` warps
            infrared images to the visible grid.
        on_progress: Called with the number of finished pairs and, if known, of all.

    Returns:
        The number of fused pairs.

    Raises:
        errors.IrvisError: The user's input is wrong; finished images are kept.
    """
    chosen: dict[str, Any] = {"kind": "fusionmamba", "weights": "tiny"}
    for setting in settings:
        apply_override(chosen, setting)
    of_source = section(chosen, "source")
    if "ir_range" in chosen:
        of_source["ir_range"] = chosen.pop("ir_range")
    register = _register(section(chosen, "registration"))
    fuser = components.load("arms", chosen, "fuser")
    device = choose_device("auto")
    arm = build_fuser(fuser, device=device, dtype="auto")
    source = open_pairs(ir, vis, of_source)
    as_video, as_file = output.suffix == ".mp4", output.suffix == ".png"
    if output.suffix and not (as_video or as_file or output.is_dir()):
        raise ConfigError(f"{output}: name a .png or .mp4 file, or a folder")
    if output.exists() and (as_video or as_file or not output.is_dir() or any(output.iterdir())):
        raise ConfigError(f"{output} is in use; name a new file or a new or empty folder")
    compute = Compute({"fused": arm}, {}, device=device, batch=BATCH)
    done = 0
    with source:
        source.register = register
        source.check()
        if as_file and source.count != 1:
            raise ConfigError(f"{output}: there is more than one pair; name a folder")
        folder = output.parent if as_video or as_file else output
        folder.mkdir(parents=True, exist_ok=True)
        partial = output.with_name(f"{output.stem}.partial.mp4")
        writer = video_sink.open_video(partial, ("fused",), source.frame_rate) if as_video else None
        try:
            for batch in batches(_items(source, register), BATCH):
                for result in compute(batch, done):
                    if writer:
                        writer.write(result)
                    else:
                        name = output if as_file else output / f"{result.item.pair.key}.png"
                        name.parent.mkdir(parents=True, exist_ok=True)  # keys may hold folders
                        write_png(name, result.image("fused"))
                done += len(batch)
                on_progress(done, source.count)
        finally:
            if writer:
                writer.close()
    if done == 0:
        raise DataError(f"{ir} and {vis}: no frame of one has a partner in the other")
    if as_video:
        partial.rename(output)
    return done


def section(chosen: dict[str, Any], name: str) -> dict[str, Any]:
    """Remove a section from the settings and return it.

    Raises:
        ConfigError: It is a plain value.
    """
    values = chosen.pop(name, None) or {}
    if not isinstance(values, dict):
        raise ConfigError(f"{name}: is a section; set its keys, like {name}.KEY=value")
    return values


def _register(settings: Mapping[str, Any]) -> Register | None:
    if not settings:
        return None
    return Register(
        read(components.validate(RegistrationConfig, settings, "registration").calibration)
    )


def open_pairs(ir: Path, vis: Path, settings: Mapping[str, Any]) -> Source:
    """The pairs of two folders, two recordings or two images.

    Args:
        ir: Infrared folder, recording or image.
        vis: Visible folder, recording or image, the same type of input.
        settings: Settings of the source; its ``kind`` follows from the inputs by default.

    Raises:
        ConfigError: A setting is unknown or wrong.
        DataError: An input is missing, their types differ, or both are the same.
    """
    for path in (ir, vis):
        if not path.exists():
            raise DataError(f"{path}: no such file or folder")
    if ir.is_dir() != vis.is_dir():
        raise DataError(f"{ir} and {vis}: give two folders, two recordings or two images")
    own = {"ir": ir, "vis": vis, **settings}
    still = ir.suffix.lower() in SUFFIXES and not ir.is_dir()
    kind = own.pop("kind", "image_folder" if ir.is_dir() or still else "video")
    if kind == "frame_folder":
        return frame_folder.build(_config(frame_folder.Config, own))
    if kind == "video":
        return video.build(_config(video.Config, own))
    if kind != "image_folder":
        raise ConfigError(f"source.kind: {shown(kind)}; choose image_folder, frame_folder or video")
    config = _config(image_folder.Config, own)
    if not still:
        return image_folder.build(config)
    if ir.samefile(vis):
        raise DataError(f"{ir} and {vis} are the same image; give each camera's own")
    return ImagePairs({vis.stem: ir}, {vis.stem: vis}, None, config.ir_range)


def _config(model: type[Model], settings: Mapping[str, Any]) -> Model:
    return components.validate(model, settings, "source")


def _items(source: Source, register: Register | None) -> Iterator[Item]:
    """The complete pairs; unpaired frames of recordings are left out."""
    for pair in source:
        if isinstance(pair, Dropped):
            continue  # only from live sources
        if isinstance(pair, BadPair):
            if source.frame_rate is None:
                raise DataError(pair.reason)
            continue  # damage of a recording has been logged
        if register is not None:
            pair = register(pair)
        problem = pair.problem()
        if problem is None:
            yield Item(pair, None, {})
        elif pair.ir is not None and pair.vis is not None:
            raise DataError(problem)
