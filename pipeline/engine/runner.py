"""One run: from a checked configuration to a complete run folder."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from common.device import choose_device
from common.errors import ConfigError, DataError, IrvisError
from common.files import load_json, write_json
from common.threads import computing_in
from detection.detector import Detector
from eval.class_names import COCO_NAMES
from eval.masks import MaskTask
from pipeline.config.config import Config
from pipeline.engine.building import build_arms, build_source
from pipeline.engine.compute import Arms, Clock, Compute
from pipeline.engine.detector import build_detector, build_detectors
from pipeline.engine.flow import CHECKPOINT
from pipeline.engine.interrupts import ended_by_interrupt
from pipeline.engine.protocol import baselines, describe, identities, truths
from pipeline.engine.said import Said, listening
from pipeline.engine.segmenters import build_segmenters, check_masks, mask_task
from pipeline.engine.stream import Engine, Stream, Task
from pipeline.engine.timing import describe_timing
from pipeline.geometry.registration import Register, read
from pipeline.interfaces import RunContext, Sink, Source, Summary
from pipeline.run_folder.folder import RunFolder, open_folder
from pipeline.run_folder.names import RESULTS, TIMING
from segmentation.segmenter import Segmenter

Show = Callable[[Stream, int, int | None], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a run.

    Attributes:
        folder: The complete run folder.
        summary: The counts.
        results: The contents of ``results.json``; None without a sink of kind results.
        timing: The contents of ``timing.json``.
    """

    folder: Path
    summary: Summary
    results: Mapping[str, Any] | None
    timing: Mapping[str, Any]


def run(
    config: Config,
    on_progress: Callable[[int, int | None], None],
    on_workers: Callable[[str], None] | None = None,
) -> Outcome:
    """Run a configuration.

    Checks the input before it makes the run folder. If the run fails later, finished pairs stay in
    the partial folder; an empty one is removed.

    Args:
        config: What to run.
        on_progress: Called after each batch with the finished pairs and, if known, their number.
        on_workers: Called before it with a line on the workers, where there are several.

    Raises:
        errors.IrvisError: An error in the user's input.
    """

    def show(stream: Stream, pairs: int, total: int | None) -> None:
        if on_workers is not None and stream.crew is not None:
            on_workers(str(stream.crew))
        on_progress(stream.progress(pairs), total)

    with computing_in(config.compute.threads), listening() as said:
        return _run(config, show, said)


def _run(config: Config, show: Show, said: Said) -> Outcome:
    start = time.perf_counter()
    device = choose_device(config.compute.device)
    config, detector = build_detector(config, device)
    names = COCO_NAMES if detector is None else detector.names
    detectors = build_detectors(config, detector, device)
    segmenters = build_segmenters(config, device)
    arms = build_arms(config, device)
    registration = config.registration
    register = None if registration is None else Register(read(registration.calibration))
    with build_source(config, names) as source:
        source.register = register
        masks = mask_task(config, source, segmenters)
        policy = config.run.on_bad_pair or ("fail" if source.has_labels or masks else "skip")
        if policy == "fail":
            source.check()
            for arm in arms.values():
                arm.check(source.keys or ())
            if masks is not None:
                check_masks(masks, config, source)
        if config.run.resume and not source.resumable:
            raise ConfigError("run.resume: live cameras can't be resumed; start a new run")
        folder = open_folder(config)
        try:
            said.keep(folder.path)
            job = _Job(
                config, source, arms, detector, detectors, segmenters, masks, device, folder,
                register, said, fail=policy == "fail",
            )  # fmt: skip
            with ended_by_interrupt(source):
                summary, timing = job.work(show, start)
        except IrvisError as error:
            if folder.abandon():
                raise
            raise type(error)(f"{error} (finished pairs are in {folder.path})") from error
        except BaseException:
            folder.abandon()
            raise
    folder.complete()
    path = folder.final / RESULTS
    results: Any = load_json(path) if path.is_file() else None
    return Outcome(folder.final, summary, results, timing)


class _Job:
    """The loop of one run."""

    def __init__(
        self,
        config: Config,
        source: Source,
        arms: Arms,
        detector: Detector | None,
        detectors: Mapping[str, Detector],
        segmenters: Mapping[str, Segmenter],
        masks: MaskTask | None,
        device: torch.device,
        folder: RunFolder,
        register: Register | None,
        said: Said,
        *,
        fail: bool,
    ) -> None:
        self._said = said
        self._config, self._source, self._arms = config, source, arms
        self._detector, self._folder, self._fail = detector, folder, fail
        self._compute = Compute(
            arms,
            detectors,
            device=device,
            batch=config.compute.batch,
            quality=config.evaluation.quality,
            segmenters=segmenters,
        )
        self._masks = masks
        self._register = register
        self._calibration = None if register is None else register.calibration
        self._device = device
        self._identities = identities(config, detectors, segmenters)
        self._stages: dict[str, dict[str, float]] = {}

    def work(self, show: Show, start: float) -> tuple[Summary, dict[str, Any]]:
        """Process all pairs, evaluate and write ``timing.json``; returns the counts and the times.

        Args:
            show: Called after each batch with the finished pairs.
            start: ``time.perf_counter`` at the start of the run.
        """
        self._folder.check_inputs(self._inputs())
        with ExitStack() as stack:
            context = self._context()
            sinks = [stack.enter_context(sink) for sink in self._build_sinks(context)]
            engine: Engine = self._config.engine.module.build(self._config.engine.config)
            stream = stack.enter_context(engine.open(self._task()))
            number = self._write(stream, sinks, show)
            if number == 0:
                raise DataError(f"no pair could be processed; the first: {stream.first_reason}")
            summary = replace(stream.summary(), warnings=self._said.texts())
            evaluation = Clock(self._device)
            with evaluation.measure("evaluate"):
                for sink in sinks:
                    sink.finish(summary)
                if self._config.is_scored:
                    # imported now: pandas and numba would delay the first pair by a second
                    from pipeline.engine.evaluation import evaluate

                    evaluate(context, summary)
            pairs = summary.frames["paired"] + summary.frames["fallback"] - self._folder.done
            timing = describe_timing(
                stream,
                self._stages,
                evaluate_s=evaluation.busy["evaluate"],
                pairs=pairs,
                wall_s=time.perf_counter() - start,
                device=self._device,
            )
            write_json(self._folder.path / TIMING, timing, indent=1)
            for sink in sinks:
                sink.publish(self._folder.final.name)
        return summary, timing

    def _write(self, stream: Stream, sinks: Sequence[Sink], show: Show) -> int:
        """Pass every result to every sink, with checkpoints; the number of pairs."""
        number, written = 0, Clock(torch.device("cpu"))
        begun = False
        batch = 0
        for pairs, results in stream:
            batch += pairs > number  # an engine that waits gives nothing new
            number = pairs
            with written.measure("write"):
                for result in results:
                    for sink in sinks:
                        sink.write(result)
                if results and not begun:
                    self._folder.record(self._folder.done)  # keeps the folder after an error
                    begun = True
                if results and batch % CHECKPOINT == 0:
                    self._checkpoint(sinks, number)
                    stream.written(number)
            show(stream, number, self._source.count)
        with written.measure("write"):
            if number > self._folder.done:
                self._checkpoint(sinks, number)
        self._stages = stream.times(written.busy["write"])
        return number

    def _task(self) -> Task:
        return Task(
            self._config,
            self._source,
            self._arms,
            self._detector,
            self._compute,
            self._register,
            self._folder,
            self._said,
            fail=self._fail,
            shard=self._config.shard,
        )

    def _checkpoint(self, sinks: Sequence[Sink], number: int) -> None:
        for sink in sinks:
            sink.flush()
        self._folder.record(number)

    def _inputs(self) -> dict[str, Any]:
        """Hashes of the weights, and the calibration."""
        hashes = {arm: part.get("weights_sha256") for arm, part in self._identities.items()}
        inputs: dict[str, Any] = {"arms": hashes}
        if self._detector is not None:
            inputs["detector"] = self._detector.fingerprint.get("weights_sha256")
        for name in ("detector", "segmenter"):
            own = {arm: part[name] for arm, part in self._identities.items() if name in part}
            if own:
                inputs[f"{name}s"] = {a: mine.get("weights_sha256") for a, mine in own.items()}
        if self._calibration is not None:
            inputs["registration"] = [list(row) for row in self._calibration.homography]
        return inputs

    def _context(self) -> RunContext:
        """The run's data for sinks and evaluation."""
        images = [name for name, arm in self._arms.items() if arm.config.is_shown]
        return RunContext(
            folder=self._folder.path,
            arms=tuple(self._arms),
            image_arms=tuple(images),
            detector=self._detector,
            frame_rate=self._source.frame_rate,
            labelled=self._source.has_labels,
            protocol={
                **describe(self._config, self._identities, self._calibration, self._device),
                **self._source.label_protocol,
            },
            classes=self._config.classes,
            done=self._folder.done,
            baselines=baselines(self._config),
            own_labels=tuple(self._source.own_labels),
            truths=truths(self._config, self._source.own_labels),
            masks=self._masks,
        )

    def _build_sinks(self, context: RunContext) -> Iterator[Sink]:
        """Build one sink at a time, so that the caller closes the earlier ones after an error."""
        for name, sink in self._config.sinks.items():
            built = sink.module.build(sink.config, context, name)
            if not isinstance(built, Sink):
                what = "builds no pipeline.interfaces.Sink"
                raise ConfigError(f"sinks.{name}.kind: {sink.kind} {what}")
            yield built
