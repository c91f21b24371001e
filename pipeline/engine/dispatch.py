"""Gives shards to workers: each shard is tried a few times, whoever fails or dies."""

import logging
import secrets
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from common.errors import DeviceError
from pipeline.run_folder.shard_folder import (
    done_numbers,
    read_done,
    remove_shard,
    remove_tries,
    shard_path,
    try_pairs,
    try_path,
)
from pipeline.run_folder.state import Crew, write_crew
from pipeline.shard import Shard

LOOK_S = 1.0  # between two looks at the progress of the workers
TRIES = 3  # of a shard, and of a worker that dies before it is ready
# not below "pipeline", whose warnings belong to the results
log = logging.getLogger("irvis.cluster")


@dataclass(frozen=True, slots=True)
class Event:
    """What became of a worker.

    Attributes:
        slot: Its number, from 0.
        kind: It is ready for its first shard, its shard ended, or it died.
        reason: Why the shard failed or the worker died; empty if the shard is done.
    """

    slot: int
    kind: Literal["ready", "ended", "died"]
    reason: str = ""


class Workers(Protocol):
    """Processes that compute shards, by number from 0; see ``shard_worker.Worker``."""

    @property
    def count(self) -> int:
        """How many there may be at a time; the first access connects to them."""
        ...

    def start(self, slot: int) -> None:
        """Start a worker in place of one that died or never was; ``events`` tells when it can."""
        ...

    def give(self, slot: int, shard: Shard, path: Path, final: Path) -> None:
        """Let a worker that is ready compute a shard."""
        ...

    def events(self, timeout_s: float) -> Sequence[Event]:
        """What happened since the last call; waits for the first event, not longer than this.

        Raises:
            IrvisError: A worker can't do its work on its node.
        """
        ...

    def close(self) -> None:
        """End all workers."""
        ...


class Dispatch:
    """The state of all shards of a run.

    Attributes:
        done: By number of each shard that is done, what its `done.json` tells.
        given_up: By number of each shard that failed each time, the last reason; also of those that
            the interrupted run left out.
        crew: How many workers there are; None as long as none was needed.
    """

    def __init__(self, folder: Path, shards: Sequence[Shard], workers: Workers) -> None:
        """Begin with what an interrupted run left.

        Args:
            folder: The partial run folder, which has the plan.
            shards: The plan.
            workers: Started when there is something to do.
        """
        self._folder, self._shards, self._workers = folder, shards, workers
        self.done: dict[int, dict[str, Any]] = {}
        self.given_up: dict[int, str] = {}
        self.crew: Crew | None = None
        self._failures = 0
        self._tries = Counter[int]()
        self._deaths = Counter[int]()  # of a slot, before it was ready
        self._running: dict[int, tuple[int, Path]] = {}  # by slot: the shard and its folder
        self._started: set[int] = set()
        self._idle: set[int] = set()
        self._pairs = self._running_pairs = 0
        self._looked = 0.0  # when
        self._token = secrets.token_hex(4)  # no try of another driver has the same folder
        remove_tries(folder)
        for number in done_numbers(folder):
            self._accept(number)
        self._waiting = deque(n for n in range(len(shards)) if n not in self.done | self.given_up)

    @property
    def over(self) -> bool:
        """Whether every shard is done or given up."""
        return len(self.done) + len(self.given_up) == len(self._shards)

    def pairs(self) -> int:
        """How many pairs are computed, those of unfinished shards included."""
        now = time.monotonic()
        if now - self._looked > LOOK_S:
            self._running_pairs = sum(try_pairs(path) for _, path in self._running.values())
            self._looked = now
        return self._pairs + self._running_pairs

    def step(self, timeout_s: float) -> None:
        """Give work to whoever is free, and take what is done; waits no longer than this.

        Raises:
            IrvisError: The workers can't be had, or can't work on their nodes.
        """
        if self.over:
            return
        wanted = self._workers.count
        needed = min(wanted, len(self._waiting) + len(self._running))
        for slot in range(needed):
            if slot not in self._started:
                self._started.add(slot)
                self._workers.start(slot)
        while self._idle and self._waiting:
            self._give(self._idle.pop(), self._waiting.popleft())
        for event in self._workers.events(timeout_s):
            self._take(event)
        crew = Crew(len(self._idle) + len(self._running), wanted, self._failures)
        if crew != self.crew:
            self.crew = crew
            write_crew(self._folder, crew)

    def _give(self, slot: int, number: int) -> None:
        self._tries[number] += 1
        path = try_path(self._folder, number, f"{self._token}-{self._tries[number]}")
        self._running[slot] = number, path
        self._workers.give(slot, self._shards[number], path, shard_path(self._folder, number))

    def _take(self, event: Event) -> None:
        if event.kind == "died":
            self._started.discard(event.slot)
            self._idle.discard(event.slot)
        else:
            self._idle.add(event.slot)
        if event.slot in self._running:
            number, _ = self._running.pop(event.slot)
            self._deaths.pop(event.slot, None)
            if not self._accept(number):
                self._failed(number, event.reason or "its files are damaged")
        elif event.kind == "died":
            self._failures += 1
            self._deaths[event.slot] += 1
            if self._deaths[event.slot] >= TRIES:
                raise DeviceError(f"a worker died {TRIES} times while it started: {event.reason}")

    def _accept(self, number: int) -> bool:
        """Whether a shard is done and whole; a damaged one is removed."""
        path = shard_path(self._folder, number)
        about = read_done(path)
        if about is None:
            remove_shard(path)
            return False
        if "left_out" in about:
            self.given_up[number] = about["left_out"]
            return True
        self.done[number] = about
        self._pairs += about["pairs"]
        return True

    def _failed(self, number: int, reason: str) -> None:
        remove_tries(self._folder, number)
        self._failures += 1
        name = f"shard {number} ({self._shards[number].name})"
        if self._tries[number] >= TRIES:
            self.given_up[number] = reason
            log.warning("%s failed %d times: %s", name, TRIES, reason)
            return
        log.warning("%s failed and is tried again: %s", name, reason)
        self._waiting.appendleft(number)
