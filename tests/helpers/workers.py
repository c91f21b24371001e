"""Workers in this process, which fail and die as they are told: an engine of the user's own.

It is `compute.engine.kind: tests.helpers.workers`. Which shards fail, and how, is in ``SCRIPT``.
"""

import logging
from collections import defaultdict, deque
from contextlib import contextmanager
from pathlib import Path

from common.component import EngineConfig
from pipeline.engine.dispatch import Event
from pipeline.engine.order import order_of
from pipeline.engine.shard_worker import Worker
from pipeline.engine.sharded import Sharded

# By number of a shard, what becomes of its tries, one after the other: "dies before", "dies after"
# (when its folder has its name), "fails"; what isn't listed is computed.
SCRIPT = defaultdict(deque)
COMPUTED = []  # numbers of the shards whose folders got their names, in order


class Config(EngineConfig):
    """How many workers there are."""

    workers: int = 2


def build(config):
    return Engine(config)


@contextmanager
def unheard():
    """Keep warnings from the run, as in another process."""
    logger = logging.getLogger("pipeline")
    handlers, logger.handlers = logger.handlers, []
    try:
        yield
    finally:
        logger.handlers = handlers


class Engine:
    def __init__(self, config):
        self._config = config

    def open(self, task):
        order = order_of(task)
        return Sharded(task, Hands(order, self._config.workers), order.kept)


class Hands:
    def __init__(self, order, count):
        self.count, self._order = count, order
        self._workers, self._events = {}, deque()

    def start(self, slot):
        self._workers[slot] = Worker(self._order)
        with unheard():
            assert self._workers[slot].prepare()["problem"] == ""
        self._events.append(Event(slot, "ready"))

    def give(self, slot, shard, path, final):
        number = int(Path(final).name)
        plan = SCRIPT[number].popleft() if SCRIPT[number] else ""
        if plan == "fails":
            self._events.append(Event(slot, "ended", "it was told to fail"))
            return
        if plan == "dies before":
            path.mkdir(parents=True)
            (path / "results.arrow").write_bytes(b"half a file")
            self._die(slot)
            return
        with unheard():
            reason = self._workers[slot].work(shard, str(path), str(final))
        if not reason:
            COMPUTED.append(number)
        if plan == "dies after":
            self._die(slot)
        else:
            self._events.append(Event(slot, "ended", reason))

    def _die(self, slot):
        del self._workers[slot]
        self._events.append(Event(slot, "died", "its worker died"))

    def events(self, timeout_s):
        return [self._events.popleft()] if self._events else []

    def close(self):
        pass
