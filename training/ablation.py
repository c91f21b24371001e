"""An ablation: trains variants of one configuration, and scores them in one run.

All variants have the same seed, pairs and steps unless they change them, and are arms of one run,
so that their scores are paired image by image.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from common.checksums import sha256
from common.device import choose_device
from common.errors import ConfigError, IrvisError
from eval.class_names import COCO_NAMES
from pipeline.config.config import Config as RunSettings
from pipeline.engine import runner
from pipeline.engine.building import build_arms, build_source
from pipeline.engine.detector import build_detector, build_detectors
from pipeline.run_folder.folder import check_same, partial_of
from pipeline.run_folder.group import begun, check_planned, find, reserve
from pipeline.run_folder.names import RESULTS
from pipeline.run_folder.results_file import read_results
from training import loop
from training.ablation_config import SCORED, Config, Variant
from training.ablation_results import summarize, write

Progress = Callable[[str], AbstractContextManager[Callable[[int, int | None], None]]]


@dataclass(frozen=True, slots=True)
class Ablation:
    """The result of an ablation.

    Attributes:
        folder: Folder with a training's folder per variant, the scored run and the tables.
        results: Content of its ``ablation.json``.
    """

    folder: Path
    results: Mapping[str, Any]


def ablate(config: Config, progress: Progress) -> Ablation:
    """Train all variants, score them, and write ``ablation.json`` and ``ablation.csv``.

    With ``run.resume``, finished variants are kept and an unfinished one goes on.

    Args:
        config: What to train and how to score it.
        progress: Returns, for a title, the context of a function of finished and all steps.

    Raises:
        errors.IrvisError: The user's input is wrong. What the scored run needs is checked before
            the first training.
    """
    _check_scoring(config.scored_run(Path()), config.variants)
    folder = _open(config)
    scored = config.scored_run(folder)
    try:
        check_planned(folder, {*config.variants, SCORED}, "ablation")
        for name, variant in config.variants.items():
            for earlier in begun(folder / name):
                check_same(earlier, variant.config)
        for earlier in begun(folder / SCORED):
            check_same(earlier, scored)
        for number, (name, variant) in enumerate(config.variants.items(), 1):
            title = f"{number}/{len(config.variants)} {name}: steps"
            _train(name, variant, folder / name, title, progress)
    finally:
        if not any(folder.iterdir()):
            folder.rmdir()  # the first training failed before it made anything
    results = summarize(config, _score(scored, config, progress), folder / SCORED)
    write(folder, results)
    return Ablation(folder, results)


def _open(config: Config) -> Path:
    """A new folder, or the one to be resumed."""
    if config.run.resume:
        return find(config.run, config.run.name, "ablation", configured=False)
    return reserve(config.run, config.run.name, "ablation")


def _check_scoring(run: RunSettings, variants: Mapping[str, Variant]) -> None:
    """Check that all that the scored run needs is there, but for the variants' weights."""
    device = choose_device(run.compute.device)
    try:
        run, detector = build_detector(run, device)
        others = {name: arm for name, arm in run.arms.items() if name not in variants}
        build_arms(replace(run, arms=others), device)
        build_detectors(replace(run, arms=others), detector, device)
        with build_source(run, COCO_NAMES if detector is None else detector.names) as source:
            source.check()
            is_scored = detector is not None and source.has_labels
    except IrvisError as error:
        raise type(error)(f"scoring: {error}") from error
    if not is_scored and not run.evaluation.quality:
        raise ConfigError(
            "scoring: without labels and detector there are no scores; add them, or measure the "
            "images with scoring.evaluation.quality=true"
        )


def _train(name: str, variant: Variant, final: Path, title: str, progress: Progress) -> None:
    """Train a variant, or go on with it; nothing if it is finished."""
    if (final / loop.WEIGHTS).is_file():
        return
    own = {"name": name, "dir": final, "resume": partial_of(final).is_dir()}
    settings = variant.config.run.model_copy(update=own)
    try:
        with progress(title) as show:
            loop.train(replace(variant.config, run=settings), show)
    except IrvisError as error:
        raise type(error)(f"variants.{name}: {error}") from error


def _score(run: RunSettings, config: Config, progress: Progress) -> Mapping[str, Any]:
    """Content of ``results.json`` of the scored run, made now or earlier."""
    final = run.run.dir
    assert final is not None, "scored_run names the folder"
    if not (final / RESULTS).is_file():
        settings = run.run.model_copy(update={"resume": partial_of(final).is_dir()})
        with progress("scoring: pairs") as show:
            runner.run(replace(run, run=settings), show)
    results = read_results(final)
    arms = results["protocol"]["arms"]
    for name in config.variants:
        weights = final.parent / name / loop.WEIGHTS
        if arms[name].get("weights_sha256") != sha256(weights):
            raise ConfigError(
                f"run.resume: {weights} has changed since {final} was made; remove that folder"
            )
    return results
