"""Many recordings or folders of images as one source, listed in a table with their settings.

The table is CSV, a row each, or YAML, a list of maps. `name` is the first part of the keys of its
pairs; all other columns are settings of their source as in a configuration, `kind` first, with dots
where one is inside another (`names.pairs`). Empty cells of CSV are left out. A path that isn't
absolute counts from the table's folder.

Each is read as if it were alone: the automatic gain, the clock, dead cameras, tracks and batches
begin anew.
"""

import copy
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from common.component import ComponentConfig
from common.errors import DataError, IrvisError, shown
from common.modality import Modality
from eval.class_names import COCO_NAMES
from eval.label_report import LabelReport
from eval.labels import Labels
from pipeline.config.components import Component
from pipeline.frames import BadPair, Dropped, FramePair
from pipeline.interfaces import Source, Thread
from pipeline.shard import Shard
from pipeline.sources._facts import Facts, Seconds
from pipeline.sources._table import read_table

LATEST = 32  # sources whose labels are at hand; more than the pairs between the stages


class Config(ComponentConfig):
    """A table of recordings or folders."""

    table: Path = Field(description="CSV or YAML: name, kind and the settings of each source")


def build(config: Config, names: Mapping[int, str] = COCO_NAMES) -> "Collection":
    """The pairs of all sources, one after the other; each is opened once to see that it can be.

    Raises:
        DataError: The table is wrong, or a source can't be opened; the text names its row.
    """
    entries = list(read_table(config.table))
    if not entries:
        raise DataError(f"{config.table}: lists nothing; give name, kind and settings of sources")
    repeated = [name for name, times in Counter(name for name, _ in entries).items() if times > 1]
    if repeated:
        raise DataError(f"{config.table}: the name {shown(repeated[0])} occurs twice; rename one")
    return Collection(config.table, entries, names)


class Collection(Source):
    """Several sources, one after the other; keys are `<name>/<key>`."""

    def __init__(
        self, table: Path, entries: Sequence[tuple[str, Component]], names: Mapping[int, str]
    ) -> None:
        """Begin; nothing is opened yet.

        Args:
            table: For messages.
            entries: Name and source.
            names: The detector's classes.
        """
        self._table, self._entries, self._names = table, entries, names
        self._order = range(len(entries))  # those that are iterated
        self._part: Shard | None = None  # of the only one
        self._latest: OrderedDict[str, Source] = OrderedDict()
        self._timing: dict[str, Any] = {}
        self._threads: dict[str, Seconds] = {}
        self._current: Source | None = None

    @cached_property
    def _facts(self) -> Mapping[int, Facts]:
        """What opening each source once tells, by number.

        Raises:
            DataError: One can't be opened, or they don't go together.
        """
        found = {number: self._look(number) for number in self._order}
        if len({facts.labels_on for facts in found.values()}) > 1:
            raise DataError(
                f"{self._table}: all must have labels or none, drawn on images of the same camera; "
                "make two tables"
            )
        return found

    def _look(self, number: int) -> Facts:
        with self._open(number) as source:
            if source.own_labels:
                raise self._refused(number, "labels of one camera alone can't be in a collection")
            if not source.resumable:
                raise self._refused(number, "a live camera can't be in a collection")
            return Facts.of(source)

    def _open(self, number: int) -> Source:
        component = self._entries[number][1]
        try:
            source = component.module.build(component.config, self._names)
        except IrvisError as error:
            raise self._refused(number, str(error)) from error
        if not isinstance(source, Source):
            raise self._refused(number, f"{component.kind} builds no pipeline.interfaces.Source")
        source.register = self.register
        return source if self._part is None else source.shard(self._part)

    def _refused(self, number: int, reason: str) -> DataError:
        return DataError(f"{self._table}: {self._entries[number][0]}: {reason}")

    @property
    def count(self) -> int | None:
        """The number of items, None if a recording doesn't state it."""
        counts = [facts.count for facts in self._mine()]
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None

    @property
    def keys(self) -> Sequence[str] | None:
        """All keys; None with a recording."""
        found = []
        for number in self._order:
            keys = self._facts[number].keys
            if keys is None:
                return None
            mine = keys if self._part is None else keys[self._part.start : self._part.stop]
            found += [f"{self._entries[number][0]}/{key}" for key in mine]
        return found

    @property
    def frame_rate(self) -> Fraction | None:
        """The lowest of all recordings; None without any."""
        rates = [facts.frame_rate for facts in self._mine()]
        return min((rate for rate in rates if rate is not None), default=None)

    @property
    def has_labels(self) -> bool:
        """Whether they have ground truth."""
        return self._mine()[0].labels_on is not None

    @property
    def labels_on(self) -> Modality:  # type: ignore[override]
        """The modality whose images all labels are drawn on."""
        return self._mine()[0].labels_on or "vis"

    def _mine(self) -> list[Facts]:
        return [self._facts[number] for number in self._order]

    @property
    def label_report(self) -> LabelReport | None:
        """Which labels of all label files count; None without any."""
        opened = {self._entries[number][0]: self._facts[number] for number in self._order}
        reports = {name: facts.report for name, facts in opened.items() if facts.report}
        if not reports:
            return None
        return LabelReport(
            next(iter(reports.values())).names,
            sum((report.objects for report in reports.values()), Counter()),
            sum((report.others for report in reports.values()), Counter()),
            [f"{name}: {note}" for name, report in reports.items() for note in report.notes],
            [f"{name}: {text}" for name, report in reports.items() for text in report.warnings],
        )

    @property
    def label_protocol(self) -> Mapping[str, Any]:
        """The settings of all labels."""
        return {name: v for facts in self._mine() for name, v in facts.protocol.items()}

    @property
    def threads(self) -> Mapping[str, Thread]:
        """The decoding threads' times, summed over all recordings."""
        return self._threads

    def timing(self) -> Mapping[str, Any] | None:
        """How the pairs of each recording were timed, by name; None without any."""
        return self._timing or None

    def check(self) -> None:
        """Check the files of all.

        Raises:
            DataError: A file is missing or wrong; the text names the source.
        """
        for number in self._order:
            with self._open(number) as source:
                try:
                    source.check()
                except DataError as error:
                    raise self._refused(number, str(error)) from error

    def stop(self) -> None:
        """End the estimation of a recording's clock."""
        if self._current is not None:
            self._current.stop()

    def label_key(self, pair: FramePair | BadPair) -> str:
        """The name and the key by which the source finds the labels."""
        name, _, key = pair.key.partition("/")
        return f"{name}/{self._of(name).label_key(replace(pair, key=key))}"

    def labels(self, key: str, size: tuple[int, int]) -> Labels:
        """Ground truth of a pair."""
        name, _, rest = key.partition("/")
        return self._of(name).labels(rest, size)

    def label_classes(self, key: str) -> NDArray[np.int64]:
        """Class ids of a pair's labels (n,)."""
        name, _, rest = key.partition("/")
        return self._of(name).label_classes(rest)

    def _of(self, name: str) -> Source:
        """The source of a name, which is closed if its pairs were iterated."""
        if name not in self._latest:
            number = [entry for entry, _ in self._entries].index(name)
            with self._open(number) as source:
                self._keep(name, source)
        return self._latest[name]

    def _keep(self, name: str, source: Source) -> None:
        self._latest[name] = source
        while len(self._latest) > LATEST:
            self._latest.popitem(last=False)

    def observed(self) -> Any:  # noqa: ANN401
        """Of a shard: the number of its source, and what that one observed."""
        return self._current and (self._order[0], self._current.observed())

    def conclude(self, observed: Sequence[Any]) -> None:
        """Let each source conclude from its own shards."""
        mine: dict[int, list[Any]] = {}
        for number, seen in filter(None, observed):
            mine.setdefault(number, []).append(seen)
        for number, every in mine.items():
            if any(every):
                with self._open(number) as source:
                    source.conclude(every)

    def shards(self, pairs: int) -> Sequence[Shard]:
        """Those of each source; a recording is whole."""
        found = []
        for number, (name, _) in enumerate(self._entries):
            with self._open(number) as source:
                for shard in source.shards(pairs):
                    what = name if shard.stop is None else f"{name}: {shard.name}"
                    found.append(replace(shard, recording=number, name=what))
        return found

    def shard(self, shard: Shard) -> "Collection":
        """The pairs of one shard."""
        part = copy.copy(self)
        part._order = range(shard.recording, shard.recording + 1)
        part._part = None if shard.stop is None else shard
        part._latest, part._timing, part._threads = OrderedDict(), {}, {}
        return part

    def __iter__(self) -> Iterator[FramePair | BadPair | Dropped]:
        for number in self._order:
            name = self._entries[number][0]
            with self._open(number) as source:
                self._current = source
                self._keep(name, source)
                for pair in source:
                    yield _renamed(pair, name, number)
                self._add(name, source)

    def _add(self, name: str, source: Source) -> None:
        """Keep the times of a source whose pairs were iterated."""
        if (timing := source.timing()) is not None:
            self._timing[name] = timing
        for modality, thread in source.threads.items():
            self._threads.setdefault(modality, Seconds()).add(thread)

    def __exit__(self, *error: object) -> None:
        if self._current is not None:  # of an iteration that was abandoned
            self._current.__exit__(*error)


def _renamed(
    pair: FramePair | BadPair | Dropped, name: str, recording: int
) -> FramePair | BadPair | Dropped:
    if isinstance(pair, Dropped):
        return pair
    if isinstance(pair, BadPair):
        return replace(pair, key=f"{name}/{pair.key}")
    return replace(pair, key=f"{name}/{pair.key}", recording=recording)
