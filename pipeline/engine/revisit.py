"""Fuses single pairs of a complete run again, as the run did, without a detector."""

from collections.abc import Collection, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from common.device import choose_device
from common.errors import ConfigError, DataError, shown
from common.files import load_yaml
from eval.class_names import COCO_NAMES
from pipeline.config.components import suggest
from pipeline.config.config import Config, check
from pipeline.engine.building import build_arms, build_source
from pipeline.engine.compute import Arms, Compute
from pipeline.frames import BadPair, FramePair, Item, Result
from pipeline.geometry.perturb import Perturb
from pipeline.geometry.registration import Register, read
from pipeline.run_folder.names import CONFIG

LABELS = ("labels", "labels_ir", "labels_vis", "class_map")  # settings of sources


def revisit(folder: Path, keys: Collection[str]) -> Iterator[Result]:
    """Read pairs of a run again and fuse them, in the order of the source.

    The source is read up to the last of them.

    Args:
        folder: The run folder, whose ``config.yaml`` names the source and the arms.
        keys: The pairs' keys.

    Yields:
        Their results without detections.

    Raises:
        errors.IrvisError: The source or an arm can't be opened any more, it has no such pair, or
            the pair can't be processed.
    """
    config = _without_detector(folder)
    wanted = set(keys)
    with ExitStack() as stack:
        device = choose_device(config.compute.device)
        arms = build_arms(config, device)
        register = None
        if config.registration is not None:
            register = Register(read(config.registration.calibration))
        source = stack.enter_context(build_source(config, COCO_NAMES))
        source.register = register
        perturb = Perturb(config.perturb)
        compute = Compute(arms, {}, device=device, batch=1)
        for pair in source if wanted else ():
            if not isinstance(pair, FramePair | BadPair) or pair.key not in wanted:
                continue
            if isinstance(pair, BadPair):
                raise DataError(pair.reason)
            item = _item(pair, arms, register)
            yield compute([perturb(item) if config.perturb.changes else item], 0)[0]
            wanted.remove(pair.key)
            if not wanted:
                return
        if wanted:
            missing = sorted(wanted)[0]
            raise ConfigError(
                f"the source of {folder} has no pair {shown(missing)}; "
                f"{suggest(missing, list(source.keys or ())[:20])}"
            )


def _without_detector(folder: Path) -> Config:
    """The run's configuration without its detector, the arms that need one, sinks and labels.

    Labels could be mapped to classes that only the detector has.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise DataError(f"{folder}: has no {CONFIG}; give a whole run folder")
    settings: Any = load_yaml(path)
    if not isinstance(settings, dict):
        raise DataError(f"{path}: is no configuration; it was edited")
    whole = check(settings)
    images = {
        name: {key: value for key, value in arm.dump().items() if key != "detector"}
        for name, arm in whole.arms.items()
        if arm.as_arm.is_shown
    }
    known = whole.source.module.Config.model_fields
    optional = {name for name in LABELS if name in known and not known[name].is_required()}
    source = {name: value for name, value in settings["source"].items() if name not in optional}
    return check({**settings, "source": source, "arms": images, "detector": None, "sinks": {}})


def _item(pair: FramePair, arms: Arms, register: Register | None) -> Item:
    if register is not None:
        pair = register(pair)
    if problem := pair.problem():
        raise DataError(problem)
    key, _, vis = pair.whole()
    ready = {name: arm.read(key, vis.size) for name, arm in arms.items() if arm.config.reads_images}
    return Item(pair, None, ready)
