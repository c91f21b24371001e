"""The results of shards that other processes compute, joined in the order of the source."""

import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from common.errors import DataError
from common.files import load_json
from pipeline.engine.admission import Admission
from pipeline.engine.dispatch import Dispatch, Workers
from pipeline.engine.flow import DECODE, Done
from pipeline.engine.ledger import Ledger
from pipeline.engine.shard_log import IMAGES, Kept, has_images, read_log
from pipeline.engine.shard_worker import OUTCOME
from pipeline.engine.stream import Stream, Task
from pipeline.frames import BadPair
from pipeline.interfaces import Summary
from pipeline.run_folder.names import LEDGER
from pipeline.run_folder.shard_folder import (
    done_numbers,
    leave_out,
    remove_shard,
    shard_pairs,
    shard_path,
    write_plan,
)
from pipeline.run_folder.state import Crew
from pipeline.shard import Shard

WAIT_S = 0.5  # between two looks at what the workers do


class Sharded(Stream):
    """Reads the results of each shard as soon as it and those before it are done."""

    def __init__(self, task: Task, workers: Workers, kept: Kept) -> None:
        """Write the plan, or compare it with that of the interrupted run.

        Raises:
            IrvisError: The source has changed, or a file can't be written.
        """
        self._task, self._kept = task, kept
        self._folder = task.folder.path
        self._shards = task.source.shards(task.shard)
        write_plan(self._folder, self._shards)
        self._remove_without_images()
        self._processes = workers
        self._dispatch = Dispatch(self._folder, self._shards, workers)
        self._ledger = Ledger(self._folder / LEDGER)
        # counts what no worker could finish, and what the label files hold
        self._admission = Admission(
            task.config, task.source, {}, self._ledger, fail=False, register=task.register
        )
        self._merged = _Merged()
        self._observed: list[Any] = []
        self._ends: dict[int, int] = {}  # by shard that was handed out: the number after its last

    def _remove_without_images(self) -> None:
        """Remove shards that sinks need but that were done for others, or whose images are gone."""
        end = 0
        for number in done_numbers(self._folder):
            path, pairs = shard_path(self._folder, number), shard_pairs(self._folder, number)
            end += pairs
            if pairs and end > self._task.folder.done and not has_images(path, self._kept):
                remove_shard(path)

    def __iter__(self) -> Iterator[Done]:
        pairs = 0
        for number, shard in enumerate(self._shards):
            while number not in self._dispatch.done and number not in self._dispatch.given_up:
                self._dispatch.step(WAIT_S)
                yield Done(pairs, [])
            if number in self._dispatch.given_up:
                yield from self._give_up(number, shard, pairs)
            else:
                path = shard_path(self._folder, number)
                for done in read_log(path, pairs, self._task.folder.done, self._kept):
                    pairs = done.pairs
                    yield done
                    self._dispatch.step(0)
                self._add(path)
                self._ends[number] = pairs
            self._conclude(number)
        if pairs < self._task.folder.done:
            raise DataError("run.resume: the source has fewer pairs than before; start a new run")

    def _add(self, path: Path) -> None:
        outcome: Any = load_json(path / OUTCOME)
        self._merged.add(outcome)
        if outcome["observed"] is not None:
            self._observed.append(outcome["observed"])
        self._ledger.append(path / LEDGER, outcome["frames"])
        self._task.said.add((thread, text) for thread, text in outcome["said"])

    def _conclude(self, number: int) -> None:
        """After the last shard of a recording or folder: let it warn, as its decoding would."""
        of_next = [shard.recording for shard in self._shards[number + 1 : number + 2]]
        if self._shards[number].recording not in of_next:
            with self._task.said.speaking_as(DECODE):
                self._task.source.conclude(self._observed)
            self._observed.clear()

    def _give_up(self, number: int, shard: Shard, pairs: int) -> Iterator[Done]:
        """Leave a shard out, or end the run when all others are done.

        Raises:
            DataError: ``run.on_bad_shard`` is `fail`.
        """
        reason = f"{shard.name}: no worker could finish them: {self._dispatch.given_up[number]}"
        left_out = shard_path(self._folder, number).is_dir()  # by the interrupted run
        if self._task.config.run.on_bad_shard == "fail" and not left_out:
            while not self._dispatch.over:
                self._dispatch.step(WAIT_S)
                yield Done(pairs, [])
            raise DataError(
                f"{reason}; all other shards are done: run.resume=true tries this one again, with "
                "run.on_bad_shard=skip it is left out"
            )
        if not left_out:
            leave_out(self._folder, number, self._dispatch.given_up[number])
        keys = self._task.source.shard(shard).keys
        bad = (BadPair(key, reason) for key in ([shard.name] if keys is None else keys))
        list(self._admission.admit(bad))
        self._task.said.add([("", f"left out: {reason}")])

    def written(self, pairs: int) -> None:
        """Remove the images of shards that all sinks have written."""
        for number in [number for number, end in self._ends.items() if end <= pairs]:
            del self._ends[number]
            shutil.rmtree(shard_path(self._folder, number) / IMAGES, ignore_errors=True)

    def progress(self, pairs: int) -> int:
        """Pairs that the workers have computed."""
        return max(pairs, self._dispatch.pairs())

    @property
    def crew(self) -> Crew | None:
        """The workers; None if all shards were done before."""
        return self._dispatch.crew

    @property
    def first_reason(self) -> str:
        """Why the first bad pair was left out."""
        return self._merged.first_reason or self._admission.first_reason

    def summary(self) -> Summary:
        """All counts."""
        return self._merged.summary(self._admission.summary())

    @property
    def busy(self) -> Mapping[str, float]:
        """Busy seconds by part, of all workers together."""
        return self._merged.busy

    def ms_per_pair(self) -> dict[str, dict[str, float]]:
        """Milliseconds per pair of each arm in a worker, by stage."""
        return self._merged.ms_per_pair()

    def times(self, write_s: float) -> dict[str, dict[str, float]]:
        """Busy and waiting seconds of the stages of all workers, and of the merge here."""
        return {**self._merged.stages, "merge": {"busy_s": write_s, "wait_s": 0.0}}

    def __exit__(self, *error: object) -> None:
        try:
            self._processes.close()
        finally:
            self._ledger.__exit__(*error)


class _Merged:
    """Counts and times of all shards."""

    def __init__(self) -> None:
        self.first_reason = ""
        self.busy: Counter[str] = Counter()
        self.stages: dict[str, dict[str, float]] = {}
        self._pairs = self._objects = self._labelled = 0
        self._leaked: dict[str, list[str]] = defaultdict(list)
        self._timing: dict[str, Any] = {}
        self._own: dict[str, Counter[str]] = defaultdict(Counter)
        self._ms: dict[str, Counter[str]] = {}  # times the pairs

    def add(self, outcome: Mapping[str, Any]) -> None:
        """Add a shard's; they come in order."""
        self.first_reason = self.first_reason or outcome["first_reason"]
        self._pairs += outcome["pairs"]
        self._objects += outcome["objects"]
        self._labelled += outcome["labelled_objects"]
        self._timing |= outcome["timing"] or {}
        self.busy.update(outcome["busy"])
        for name, keys in outcome["leaked"].items():
            self._leaked[name] += keys
        for camera, counts in outcome["own"].items():
            self._own[camera].update(counts)
        for name, seconds in outcome["stages"].items():
            mine = self.stages.setdefault(name, {"busy_s": 0.0, "wait_s": 0.0})
            for key, value in seconds.items():
                mine[key] += value
        for arm, stages in outcome["ms_per_pair"].items():
            sums = self._ms.setdefault(arm, Counter())
            for stage, value in stages.items():
                sums[stage] += value * outcome["pairs"]

    def summary(self, rest: Summary) -> Summary:
        """All counts; ``rest`` has those of the pairs that are in no shard that is done."""
        return replace(
            rest,
            objects=rest.objects + self._objects,
            labelled_objects=rest.labelled_objects + self._labelled,
            leaked={name: [*self._leaked[name], *keys] for name, keys in rest.leaked.items()},
            timing=self._timing or None,
            own_labels={
                camera: replace(
                    own,
                    objects=own.objects + self._own[camera]["objects"],
                    labelled_objects=own.labelled_objects + self._own[camera]["labelled_objects"],
                )
                for camera, own in rest.own_labels.items()
            },
        )

    def ms_per_pair(self) -> dict[str, dict[str, float]]:
        """The means over all pairs."""
        pairs = max(1, self._pairs)
        return {
            arm: {stage: value / pairs for stage, value in sums.items()}
            for arm, sums in self._ms.items()
        }
