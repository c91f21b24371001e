"""One training: the images of an arm, a seed, and the files that it leaves."""

import copy
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from common.checksums import sha256
from common.device import choose_device, choose_dtype
from common.memory import keep_freed_memory
from common.threads import computing_in
from detection import weights
from detection.detectors import yolov5
from fusion.network import checkpoint
from fusion.network.network_fuser import NetworkFuser
from pipeline.arms._fuser import FuserArm
from pipeline.engine.building import build_arm
from pipeline.interfaces import Arm
from training.finetune.batches import Batches
from training.finetune.config import JOINT, Config, JointConfig, of_seed
from training.finetune.images import read_images, write_images
from training.finetune.learner import Learner, build_detector, trainable
from training.finetune.loop import CHECKPOINT, Training
from training.pairs import Pairs

TRAININGS, IMAGES = "trainings", "images"  # folders in that of the fine-tuning
DETECTOR, FUSER = "detector.safetensors", "fuser.safetensors"


def folder_of(folder: Path, arm: str, seed: int) -> Path:
    """The folder of a training in that of the fine-tuning."""
    return folder / TRAININGS / of_seed(arm, seed)


def make_images(config: Config, sources: Mapping[str, Pairs], arm: str, folder: Path) -> None:
    """Write the arm's image of every training pair, where they aren't there.

    Raises:
        errors.IrvisError: The arm can't be built, or an image is missing.
    """
    mine = _images_of(folder, arm)
    if all((mine / name).is_file() for name in sources):
        return
    device, dtype = _place(config)
    _write_images(sources, build_arm(arm, config.arm(arm), device, dtype), arm, mine, device)


def _place(config: Config) -> tuple[torch.device, torch.dtype]:
    """Where the arms' images are made, and the dtype of networks there."""
    device = choose_device(config.scored.compute.device)
    return device, choose_dtype(config.scored.compute.dtype, device)


def _images_of(folder: Path, arm: str) -> Path:
    """The folder of an arm's images, a file a source."""
    return folder / IMAGES / arm


def _write_images(
    sources: Mapping[str, Pairs], built: Arm, arm: str, folder: Path, device: torch.device
) -> None:
    """Write the files that aren't there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, pairs in sources.items():
        if not (folder / name).is_file():
            write_images(pairs, built, arm, folder / name, device)


def train(
    config: Config,
    sources: Mapping[str, Pairs],
    arm: str,
    seed: int,
    folder: Path,
    on_progress: Callable[[int, int | None], None],
) -> None:
    """Train one detector, going on from its checkpoint, and write its weights.

    Args:
        config: The fine-tuning.
        sources: The labelled training pairs by source.
        arm: Whose images it sees.
        seed: Of the augmentation.
        folder: Of the fine-tuning.
        on_progress: Called after each step with the finished steps and all steps.

    Raises:
        errors.IrvisError: As ``Training.work``, or weights or a checkpoint are missing or damaged.
    """
    keep_freed_memory()
    torch.manual_seed(seed)  # for a joint fuser that has no weights yet
    joint, path = config.file.joint, folder_of(folder, arm, seed)
    channels = config.arm(arm).as_arm.channels
    with computing_in(config.scored.compute.threads):
        training = Training(
            _learner(config, arm),
            _batches(config, sources, channels, seed, _images_of(folder, arm)),
            config.file.schedule,
            choose_device(config.scored.compute.device),
        )
        path.mkdir(parents=True, exist_ok=True)
        if (path / CHECKPOINT).is_file():
            training.restore(path / CHECKPOINT)
        if arm == JOINT and joint is not None and joint.epochs < config.file.schedule.epochs:
            _learn_jointly(config, joint, sources, seed, training, path, on_progress)
        training.work(path, on_progress)
        _write(path, training.average, _metadata(config, sources, arm, seed))
    tidy(folder, arm, seed)


def tidy(folder: Path, arm: str, seed: int) -> None:
    """Remove what a finished training no longer needs."""
    path = folder_of(folder, arm, seed)
    (path / CHECKPOINT).unlink(missing_ok=True)
    shutil.rmtree(path / IMAGES, ignore_errors=True)


def _learn_jointly(
    config: Config,
    joint: JointConfig,
    sources: Mapping[str, Pairs],
    seed: int,
    training: Training,
    path: Path,
    on_progress: Callable[[int, int | None], None],
) -> None:
    """The epochs in which the fuser learns too, and the images of the other epochs."""
    training.work(path, on_progress, training.steps * joint.epochs // config.file.schedule.epochs)
    device, dtype = _place(config)
    fuser = copy.deepcopy(training.average.fuser)  # the arm may change its layout and precision
    assert fuser is not None, "of a joint training"
    arm = FuserArm(fuser, device=device, dtype=dtype, config=config.scored.arms[joint.arm].as_arm)
    _write_images(sources, arm, JOINT, path / IMAGES, device)
    training.settle_fuser(_batches(config, sources, arm.config.channels, seed, path / IMAGES))


def is_finished(folder: Path, arm: str, seed: int) -> bool:
    """Whether the weights of a training are written."""
    return (folder_of(folder, arm, seed) / DETECTOR).is_file()


def start_of(config: Config) -> Path:
    """The file of the weights that all detectors begin with.

    Raises:
        errors.WeightsError: It isn't there, or can't be had.
    """
    detector = config.scored.detector
    assert detector is not None, "check() refuses configurations without one"
    return weights.resolve(detector.config.weights)


def joint_fuser(config: Config, joint: JointConfig) -> NetworkFuser:
    """The fuser that learns with its detector, as it begins.

    Raises:
        ConfigError: It has no network that learns.
        errors.WeightsError: Its weights are missing or damaged.
    """
    component = config.scored.arms[joint.arm]
    fuser = trainable(component.module.build(component.config), joint.arm)
    return fuser.requires_grad_(True)


def _learner(config: Config, arm: str) -> Learner:
    start, joint = start_of(config), config.file.joint
    if arm != JOINT or joint is None:
        return Learner(build_detector(start, stacked=config.arm(arm).as_arm.channels == 6))
    detector = build_detector(start, stacked=False)
    return Learner(detector, joint_fuser(config, joint), joint.fidelity)


def _metadata(config: Config, sources: Mapping[str, Pairs], arm: str, seed: int) -> dict[str, str]:
    """The recipe, and the pairs that the weights were trained on, those of earlier weights too."""
    start, file, joint = start_of(config), config.file, config.file.joint
    component = config.arm(arm)
    if arm == JOINT and joint is not None:
        component = config.scored.arms[joint.arm]
    recipe = {
        "arm": component.dump(),
        "begun_from": sha256(start),
        "data": file.data.model_dump(mode="json", exclude={"cache", "held_out"}),
        "joint": None if arm != JOINT or joint is None else joint.model_dump(),
        "schedule": file.schedule.model_dump(exclude={"save_every"}),
        "seed": seed,
    }
    ids = {pair_id for pairs in sources.values() for pair_id in pairs.ids}
    earlier = (start, component.as_component.weights_file())
    ids = ids.union(*(checkpoint.trained_on(path) for path in earlier if path is not None))
    return {"recipe": json.dumps(recipe, sort_keys=True), "trained_on": " ".join(sorted(ids))}


def _batches(
    config: Config, sources: Mapping[str, Pairs], channels: int, seed: int, folder: Path
) -> Batches:
    """Of the images with this many channels in a folder."""
    detector, data = config.scored.detector, config.file.data
    assert detector is not None, "check() refuses configurations without one"
    images = [
        image
        for name, pairs in sources.items()
        for image in read_images(pairs, channels, folder / name)
    ]
    truths = (truth for pairs in sources.values() for truth in pairs.truth)
    return Batches(
        images,
        [truth for truth in truths if truth is not None],  # the pairs are the labelled ones
        data.augment,
        side=data.crop,
        scaled=detector.config.image_size,
        batch=config.file.schedule.batch,
        seed=seed,
    )


def _write(path: Path, learner: Learner, metadata: Mapping[str, str]) -> None:
    """Write the weights; the detector's last, since they say that the training is finished."""
    if learner.fuser is not None:
        network = learner.fuser.network
        assert isinstance(network, checkpoint.Network), "of trainable()"
        checkpoint.save(path / FUSER, network, half=True, metadata=metadata)
    draft = path / f"draft-{DETECTOR}"
    detector: Any = learner.detector
    yolov5.save_network(
        draft,
        detector,
        model=detector.yaml["yaml_file"],
        names=detector.names,
        metadata=metadata,
    )
    draft.replace(path / DETECTOR)
