"""One training: the images of an arm, a seed, and the files that it leaves."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.device import choose_device, choose_dtype
from common.threads import computing_in
from detection.detectors import yolov5
from eval.labels import Labels
from fusion.network import checkpoint
from pipeline.engine.building import build_arm
from training.finetune.batches import Batches
from training.finetune.config import JOINT, Config, JointConfig, of_seed
from training.finetune.images import arm_images
from training.finetune.learner import Learner, build_detector, initial_weights, trainable
from training.finetune.loop import CHECKPOINT, Training
from training.pairs import Pairs

TRAININGS, IMAGES = "trainings", "images"  # folders in that of the fine-tuning
DETECTOR, FUSER = "detector.safetensors", "fuser.safetensors"


def folder_of(folder: Path, arm: str, seed: int) -> Path:
    """The folder of a training in that of the fine-tuning."""
    return folder / TRAININGS / of_seed(arm, seed)


def make_images(
    config: Config, sources: Mapping[str, Pairs], arm: str, folder: Path
) -> list[NDArray[np.uint8]]:
    """The arm's image of every training pair, uint8 [H, W, C]; made where they aren't there.

    Raises:
        errors.IrvisError: The arm can't be built, or an image is missing.
    """
    device = choose_device(config.scored.compute.device)
    dtype = choose_dtype(config.scored.compute.dtype, device)
    (folder / IMAGES).mkdir(exist_ok=True)
    built = build_arm(arm, config.arm(arm), device, dtype)
    return [
        image
        for name, pairs in sources.items()
        for image in arm_images(pairs, built, arm, folder / IMAGES / f"{arm}-{name}.bin", device)
    ]


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
        errors.IrvisError: As ``Training.work``, or weights are missing.
    """
    with computing_in(config.scored.compute.threads):
        learner, inputs = _learner(config, arm)
        ids = [pair_id for pairs in sources.values() for pair_id in pairs.ids]
        identity = json.dumps([inputs, seed, ids], sort_keys=True).encode()
        training = Training(
            learner,
            _batches(config, sources, arm, seed, folder),
            config.file.schedule,
            hashlib.sha256(identity).hexdigest(),
            choose_device(config.scored.compute.device),
        )
        path = folder_of(folder, arm, seed)
        path.mkdir(parents=True, exist_ok=True)
        training.work(path, on_progress)
        _write(path, training.average, {**inputs, "seed": seed}, ids)
        (path / CHECKPOINT).unlink(missing_ok=True)


def is_finished(folder: Path, arm: str, seed: int) -> bool:
    """Whether the weights of a training are written."""
    return (folder_of(folder, arm, seed) / DETECTOR).is_file()


def _learner(config: Config, arm: str) -> tuple[Learner, dict[str, Any]]:
    """What is trained, and what identifies it, as JSON values."""
    detector = config.scored.detector
    assert detector is not None, "check() refuses configurations without one"
    start, begun_from = initial_weights(detector.config.weights)
    file = config.file
    inputs = {
        "arm": config.arm(arm).dump(),
        "arm_weights": config.arm(arm).as_component.weights_sha256(),
        "begun_from": begun_from,
        "schedule": file.schedule.model_dump(exclude={"save_every"}),
        "data": file.data.model_dump(mode="json", exclude={"cache", "held_out"}),
    }
    if arm != JOINT or file.joint is None:
        stacked = config.arm(arm).as_arm.channels == 6
        return Learner(build_detector(start, stacked=stacked)), inputs
    fuser = _fuser(config, file.joint)
    component = config.scored.arms[file.joint.arm]
    inputs |= {
        "joint": file.joint.model_dump(),
        "fuser": component.dump(),
        "fuser_weights": component.as_component.weights_sha256(),
    }
    return Learner(build_detector(start, stacked=False), fuser, file.joint.fidelity), inputs


def _fuser(config: Config, joint: JointConfig) -> Any:  # noqa: ANN401
    component = config.scored.arms[joint.arm]
    return trainable(component.module.build(component.config), joint.arm).requires_grad_(True)


def _batches(
    config: Config, sources: Mapping[str, Pairs], arm: str, seed: int, folder: Path
) -> Batches:
    detector, data = config.scored.detector, config.file.data
    assert detector is not None, "check() refuses configurations without one"
    labels = [truth or Labels.empty() for pairs in sources.values() for truth in pairs.truth]
    return Batches(
        make_images(config, sources, arm, folder),
        labels,
        data.augment,
        side=data.crop,
        scaled=detector.config.image_size,
        batch=config.file.schedule.batch,
        seed=seed,
    )


def _write(path: Path, learner: Learner, inputs: Mapping[str, Any], ids: list[str]) -> None:
    """Write the weights; the detector's last, since they say that the training is finished."""
    metadata = {
        "recipe": json.dumps(inputs, sort_keys=True),
        "trained_on": " ".join(sorted(set(ids))),
    }
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
