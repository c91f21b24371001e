"""Building the segmenters of a run, and what their masks are scored against."""

from collections.abc import Collection, Mapping
from pathlib import Path

import torch

from common.errors import ConfigError
from eval.mask_files import mask_reader
from eval.masks import LABELS, REGIONS, FindMask, Mask, MaskTask, Regions
from pipeline.config.config import Config
from pipeline.interfaces import Source
from segmentation.segmenter import Segmenter


def build_segmenters(config: Config, device: torch.device) -> dict[str, Segmenter]:
    """The segmenter of each arm; empty where boxes are scored.

    Raises:
        errors.IrvisError: One can't be built, has other classes than the first one, or takes
            another number of channels than the arm's image has.
    """
    built: dict[str, Segmenter] = {}
    for arm, component in config.segmenters.items():
        built[arm] = component.module.build(component.config, device=device)
        first = next(iter(built))
        if dict(built[arm].names) != dict(built[first].names):
            raise ConfigError(
                f"arms.{arm}.segmenter: has other classes than that of {first}; give one with the "
                "same"
            )
        channels, taken = config.arms[arm].as_arm.channels, getattr(built[arm], "channels", 3)
        if taken != channels:
            raise ConfigError(
                f"arms.{arm}: its image has {channels} channels, its segmenter takes {taken}; "
                f"name one that was trained on such images, arms.{arm}.segmenter.weights=FILE"
            )
    return built


def true_masks(source: Source, folder: Path | None) -> FindMask | None:
    """A function that gives the true mask of a pair: of a folder, or the source's own.

    Args:
        source: The pairs.
        folder: Folder of masks called as the pairs; None for those of the source.

    Returns:
        None where there are none.

    Raises:
        errors.DataError: There is no such folder.
    """
    if folder is not None:
        return mask_reader(folder)
    own = source.masks
    return None if own is None else lambda key: Mask(own(key))


def mask_task(
    config: Config, source: Source, segmenters: Mapping[str, Segmenter]
) -> MaskTask | None:
    """What the masks of a run are scored against; None without segmenters.

    Raises:
        ConfigError: The source has no masks, and no folder is given; no segmenter has a region; or
            named regions don't know a label of the segmenters.
        errors.DataError: The folder is missing.
    """
    if not segmenters:
        return None
    truth = true_masks(source, config.evaluation.masks)
    if truth is None:
        raise ConfigError(
            f"source.kind: {config.source.kind} has no masks; give their folder, "
            "evaluation.masks=FOLDER"
        )
    names = next(iter(segmenters.values())).names
    given = config.evaluation.regions
    labels: Collection[int] | None = None
    if given is None:
        regions: Regions = {names[label]: frozenset({label}) for label in sorted(names)}
        labels = names.keys()
    elif isinstance(given, str):
        regions, labels = REGIONS[given], LABELS[given]
    else:
        regions = {name: frozenset(values) for name, values in given.items()}
    task = MaskTask(truth, regions, config.evaluation.ignore, labels)
    _check_regions(task, names, given)
    return task


def check_masks(task: MaskTask, config: Config, source: Source) -> None:
    """Read a folder's masks once, since a run would meet a wrong one only at its end.

    Raises:
        errors.DataError: A pair's mask is missing or damaged, or has other labels.
    """
    if config.evaluation.masks is not None:
        for key in source.keys or ():
            task.check(task.truth(key), key)


def _check_regions(task: MaskTask, names: Mapping[int, str], given: object) -> None:
    """Check that the segmenters' classes, name by label, and the given regions go together."""
    for name, labels in task.regions.items():
        if not labels & names.keys():
            raise ConfigError(
                f"evaluation.regions: no segmenter has a class of {name}, their labels are "
                f"{', '.join(map(str, sorted(names)))}; name the regions that they have, such as "
                "{car: [1]}"
            )
    if task.labels is not None and (lost := sorted(names.keys() - {*task.labels, task.ignore})):
        raise ConfigError(
            f"evaluation.regions: {given} has no label {lost[0]}, which is {names[lost[0]]} of the "
            "segmenters; give regions of your own, {car: [1]}"
        )
