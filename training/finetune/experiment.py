"""Trains every arm's detector with every seed, and scores all of them in one run."""

import hashlib
import multiprocessing
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from common.checksums import sha256
from common.errors import ConfigError, DataError
from common.files import remove_drafts, write_json, write_text
from detection.detectors import yolov5
from eval.class_names import COCO_NAMES
from pipeline.config import config as run_config
from pipeline.engine import runner
from pipeline.engine.building import build_source
from pipeline.frames import BadPair, FramePair
from pipeline.images import pair_id, to_grey, to_rgb
from pipeline.run_folder.folder import RunFolder, check_same, lock_folder, partial_of
from pipeline.run_folder.group import find, reserve
from pipeline.run_folder.names import CONFIG, INPUTS, LOCK
from training.finetune import config as finetune_config
from training.finetune import job
from training.finetune.config import JOINT, Config, of_seed
from training.finetune.summary import csv_text, summarize
from training.pairs import Pairs, check_held_out, decoded_sources

SCORED = "scored"  # folder of the run that scores all detectors
SUMMARY, TABLE = "finetune.json", "finetune.csv"
Report = Callable[[int, int | None], None]
Progress = Callable[[str], AbstractContextManager[Report]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a fine-tuning.

    Attributes:
        folder: Its folder.
        summary: Content of ``finetune.json``.
    """

    folder: Path
    summary: Mapping[str, Any]


def finetune(config: Config, progress: Progress) -> Outcome:
    """Train all detectors, score them, and summarise over the seeds.

    With ``run.resume`` what is finished is kept, and interrupted trainings go on.

    Args:
        config: What to train and to score.
        progress: Returns, for a title, the context of a function that shows progress.

    Raises:
        errors.IrvisError: The user's input is wrong, or a loss is not finite.
    """
    sources = _training_pairs(config)
    if config.file.joint is not None:
        job.joint_fuser(config, config.file.joint)  # raises now, not after all other trainings
    folder = _open(config)
    lock = lock_folder(folder)
    try:
        RunFolder(folder, folder, lock).check_inputs(_inputs(config, sources))
        for arm in config.trained:
            with progress(f"images of {arm}"):
                job.make_images(config, sources, arm, folder)
        _train(config, sources, folder, progress)
        run = _score(config, folder, progress)
        summary = summarize(run, config.trained + config.merging, config.file.seeds)
        write_text(folder / TABLE, csv_text(summary))
        write_json(folder / SUMMARY, summary, indent=1)
        shutil.rmtree(folder / job.IMAGES)
        for training in config.trainings:
            job.tidy(folder, *training)
    finally:
        lock.release()
    for name in (LOCK, INPUTS):
        (folder / name).unlink()
    return Outcome(folder, summary)


def _open(config: Config) -> Path:
    """The new folder, or that of the fine-tuning to be resumed."""
    run, what = config.run, "fine-tuning"
    if run.resume:
        folder = find(run, run.name, what, configured=True)
        check_same(folder, config)
        remove_drafts(folder)
        return folder
    folder = reserve(run, run.name, what)
    text = yaml.safe_dump(config.dump(), sort_keys=False, allow_unicode=True)
    write_text(folder / CONFIG, text)
    return folder


def _inputs(config: Config, sources: Mapping[str, Pairs]) -> dict[str, Any]:
    """What a resumed fine-tuning must find as it was: weights, and the training pairs."""
    arms = {name: arm.as_component.weights_sha256() for name, arm in config.scored.arms.items()}
    pairs = {name: _digest(mine) for name, mine in sources.items()}
    return {"detector": sha256(job.start_of(config)), "arms": arms, "data": pairs}


def _digest(pairs: Pairs) -> str:
    """A hash of the pairs and their labels."""
    digest = hashlib.sha256(" ".join(pairs.ids).encode())
    for truth in pairs.truth:
        assert truth is not None, "the pairs are the labelled ones"
        for part in (truth.xyxy, truth.class_id, truth.ignore):
            digest.update(f"{part.shape}".encode() + part.tobytes())
    return digest.hexdigest()


def _training_pairs(config: Config) -> dict[str, Pairs]:
    """The labelled pairs of each source.

    Raises:
        ConfigError: Labels' classes aren't the detector's.
        DataError: A source has none, or has a pair that is held out or tested on.
    """
    sources = {}
    for name, pairs in decoded_sources(config.sources, config.file.data.cache).items():
        sources[name] = labelled = pairs.labelled()
        if not labelled.ids:
            raise DataError(f"data.sources.{name}: has no labelled pair; set its labels")
        if not any(len(truth) for truth in labelled.truth if truth is not None):
            raise DataError(f"data.sources.{name}: its labels have no object of a known class")
    check_held_out(sources, config.held_out)
    _check_tested(config, sources)
    _check_classes(config, sources)
    return sources


def _check_tested(config: Config, sources: Mapping[str, Pairs]) -> None:
    """Check that test pairs have labels, and by their pixels that none is trained on."""
    with build_source(config.scored, COCO_NAMES) as tested:
        if not tested.has_labels:
            raise DataError("source: the test pairs have no labels; give them, source.labels=DIR")
        classes, objects = config.scored.classes, 0
        for pair in tested:
            if isinstance(pair, BadPair):
                raise DataError(pair.reason)
            if not isinstance(pair, FramePair):
                continue
            ids = tested.label_classes(tested.label_key(pair)).tolist()
            objects += sum(classes is None or class_id in classes for class_id in ids)
            if pair.problem() is not None:
                continue  # the run that scores says what is wrong
            key, ir, vis = pair.whole()
            content = pair_id(to_grey(ir.image), to_rgb(vis.image))
            for name, pairs in sources.items():
                if content in pairs.ids:
                    raise DataError(
                        f"data.sources.{name}: contains {key} of source, which is tested on; "
                        "leave it out of one of them"
                    )
        if not objects:
            raise DataError("source: the labels of the test pairs have no object that is scored")


def _check_classes(config: Config, sources: Mapping[str, Pairs]) -> None:
    """Check that the labels' classes, which have COCO's ids, are those of the detector."""
    detector = config.scored.detector
    assert detector is not None, "check() refuses configurations without one"
    if detector.module is not yolov5:
        raise ConfigError(f"detector.kind: {detector.kind} can't be trained here; use yolov5")
    path = job.start_of(config)
    names = yolov5.class_names(path)
    for name, pairs in sources.items():
        found = {int(i) for truth in pairs.truth if truth is not None for i in truth.class_id}
        for class_id in sorted(found):
            if names.get(class_id) != COCO_NAMES[class_id]:
                raise ConfigError(
                    f"data.sources.{name}: has the class {COCO_NAMES[class_id]}, which "
                    f"{path.name} doesn't have under COCO's id {class_id}"
                )


def _train(config: Config, sources: Mapping[str, Pairs], folder: Path, progress: Progress) -> None:
    """Run all trainings that aren't finished, ``workers`` at a time."""
    missing = [t for t in config.trainings if not job.is_finished(folder, *t)]
    if config.file.workers == 1:
        for number, (arm, seed) in enumerate(missing, 1):
            with progress(f"{number}/{len(missing)} {arm}, seed {seed}: steps") as show:
                job.train(config, sources, arm, seed, folder, show)
        return
    context, others = multiprocessing.get_context("spawn"), multiprocessing.active_children()
    pool = ProcessPoolExecutor(config.file.workers, mp_context=context)
    try:
        settings = dict(config.settings)
        running = [pool.submit(train_alone, settings, *t, folder) for t in missing]
        with progress("trainings") as show:
            show(0, len(missing))
            for done, future in enumerate(as_completed(running), 1):
                future.result()
                show(done, len(missing))
    except BaseException as error:
        for process in multiprocessing.active_children():
            if process not in others:
                process.terminate()  # otherwise its training would be waited for
        if isinstance(error, BrokenProcessPool):
            raise DataError(
                "workers: a training's process was killed, maybe for want of memory; lower workers "
                "and go on with run.resume=true"
            ) from error
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def train_alone(settings: Mapping[str, Any], arm: str, seed: int, folder: Path) -> None:
    """One training in a process of its own."""
    config = finetune_config.check(settings)
    pairs = decoded_sources(config.sources, config.file.data.cache)
    labelled = {name: mine.labelled() for name, mine in pairs.items()}
    job.train(config, labelled, arm, seed, folder, lambda done, total: None)


def _score(config: Config, folder: Path, progress: Progress) -> Path:
    """The folder of the run that scores all arms before and after training."""
    final = folder / SCORED
    if final.is_dir():
        return final
    settings = {**config.scored.dump(), "arms": _scored_arms(config, folder)}
    settings["run"] = {"name": config.run.name, "dir": str(final),
                       "resume": partial_of(final).is_dir()}  # fmt: skip
    with progress("scored pairs") as show:
        return runner.run(run_config.check(settings), show).folder


def _scored_arms(config: Config, folder: Path) -> dict[str, Any]:
    """The arms with the common detector, then each with its own one, by seed."""
    given = {name: arm.dump() for name, arm in config.scored.arms.items()}
    # those whose image, or all whose merged arms' images, the common detector can take
    taken = {name for name, arm in config.scored.arms.items() if arm.as_arm.channels == 3}
    arms = {
        name: given[name]
        for name, arm in config.scored.arms.items()
        if name in taken and taken.issuperset(arm.as_arm.merged_arms())
    }
    for seed in range(1, config.file.seeds + 1):
        for name in config.trained:
            path = job.folder_of(folder, name, seed)
            joint = config.file.joint
            if name == JOINT and joint is not None:
                mine = {**given[joint.arm], "weights": str(path / job.FUSER)}
            else:
                mine = given[name]
            arms[of_seed(name, seed)] = {**mine, "detector": {"weights": str(path / job.DETECTOR)}}
        for name in config.merging:
            merged = config.scored.arms[name].as_arm.merged_arms()
            arms[of_seed(name, seed)] = {
                **given[name], "arms": [of_seed(arm, seed) for arm in merged]
            }  # fmt: skip
    return arms
