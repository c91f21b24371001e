import sys
import threading
import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import DataError
from pipeline.engine import flow
from pipeline.engine.flow import BATCHES, PAIRS, Flow
from pipeline.frames import Frame, FramePair, Item
from pipeline.interfaces import Source
from pipeline.sources._prefetch import Prefetch
from tests.helpers.threads import wait_until

pytestmark = [pytest.mark.realtime, pytest.mark.usefixtures("prompt")]

STAGES = ["source", "admit", "upload", "run"]


def pair(number, width=4):
    return FramePair(f"{number:06d}", *[Frame(np.zeros((2, width), np.uint8), None, number)] * 2)


class Stages(Source):
    """All stages in one: what is done goes to a log, and one step may fail."""

    threads = {}  # a test may give it some

    def __init__(self, count, *, fail=None, at=0, widths=None):
        self.log, self._count, self._fail, self._at = [], count, fail, at
        self._widths = widths or [4] * count

    def _step(self, stage, number):
        self.log.append((stage, number))
        if (stage, number) == (self._fail, self._at):
            raise DataError(f"{stage} {number}")

    def __iter__(self):
        for number in range(self._count):
            self._step("source", number)
            yield pair(number, self._widths[number])

    def admit(self, pairs):
        for one in pairs:
            self._step("admit", int(one.key))
            yield Item(one, None, {})

    def __call__(self, item):
        """The preparation."""
        return item

    def upload(self, items):
        self._step("upload", int(items[0].pair.key))
        return [item.pair.key for item in items]

    def run(self, items, batch, first):
        self._step("run", int(items[0].pair.key))
        assert batch == [item.pair.key for item in items]
        return [(first + i, item.pair.key) for i, item in enumerate(items)]

    def flow(self, batch=4, done=0):
        return Flow(self, self, self, self, batch=batch, done=done)

    def steps(self, stage):
        return [number for name, number in self.log if name == stage]


def wait_until_full(stages):
    """All queues are full, so all threads wait for room."""
    steps = -1
    while steps < len(stages.log):
        steps = len(stages.log)
        time.sleep(0.1)
    assert len(stages.steps("source")) >= PAIRS + 4 * 2 * BATCHES


@settings(deadline=None, max_examples=40)
@given(st.lists(st.sampled_from([4, 6]), max_size=20), st.integers(1, 5), st.data())
def test_every_pair_comes_once_in_order_in_batches_of_one_size(widths, batch, data):
    whole = list(Stages(len(widths), widths=widths).flow(batch))
    numbers = [number for done in whole for number, _ in done.results]
    assert numbers == list(range(len(widths)))
    assert [key for done in whole for _, key in done.results] == [f"{n:06d}" for n in numbers]
    ends = [0, *(done.pairs for done in whole)]
    for begin, end in pairwise(ends):
        assert 0 < end - begin <= batch
        assert len(set(widths[begin:end])) == 1
    # a resumed run leaves out what was done, and nothing else changes
    part = data.draw(st.integers(0, len(whole)))
    resumed = list(Stages(len(widths), widths=widths).flow(batch, done=ends[part]))
    assert [done.pairs for done in resumed] == ends[1:]
    assert [done.results for done in resumed] == [[]] * part + [d.results for d in whole[part:]]


def test_what_was_done_is_not_computed_again():
    stages = Stages(12)
    with stages.flow(done=8) as pairs:
        assert [done.pairs for done in pairs] == [4, 8, 12]
    assert (stages.steps("upload"), stages.steps("run")) == ([8], [8])
    assert stages.steps("admit") == list(range(12))  # the ledger is written anew


@pytest.mark.parametrize("count", [6, 9, 12])
def test_a_source_that_has_grown_or_shrunk_since_is_no_source_to_go_on_with(count):
    """After 11 pairs, of which the last batch had 3: the fourth of it would never be computed."""
    with pytest.raises(DataError, match="start a new run"), Stages(count).flow(done=11) as pairs:
        list(pairs)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("at", [0, 8])
def test_an_error_comes_in_its_place_and_loses_nothing_before_it(stage, at):
    stages = Stages(40, fail=stage, at=at)
    seen = []
    with pytest.raises(DataError, match=f"{stage} {at}") as caught, stages.flow() as pairs:
        seen.extend(done.pairs for done in pairs)
    assert seen == [4, 8][: at // 4]
    functions = {entry.name for entry in caught.traceback}
    assert "_step" in functions  # the traceback is that of the stage


@pytest.mark.parametrize("stage", STAGES)
def test_a_bug_is_raised_as_it_is(stage, monkeypatch):
    bug = KeyError("a bug")

    def step(self, name, number):
        if name == stage:
            raise bug

    monkeypatch.setattr(Stages, "_step", step)
    with pytest.raises(KeyError) as caught, Stages(9).flow() as pairs:
        list(pairs)
    assert caught.value is bug


@pytest.mark.parametrize("taken", [0, 1, 5])
def test_leaving_early_ends_all_threads(taken):
    """Before anything runs, while all queues fill, and when all are full and wait for room."""
    stages = Stages(400)
    with stages.flow() as pairs:
        for _, _ in zip(range(taken), pairs, strict=False):
            pass
        if taken == 5:
            wait_until_full(stages)
    assert len(stages.steps("source")) < 100


def test_an_exception_of_the_consumer_ends_all_threads():
    stages = Stages(400)

    def stop():
        with stages.flow() as pairs:
            next(iter(pairs))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()


def test_leaving_twice_and_after_the_end():
    stages = Stages(5)
    with stages.flow() as pairs:
        assert [done.pairs for done in pairs] == [4, 5]
        assert list(pairs) == []
        pairs.__exit__(None, None, None)


def test_a_second_ctrl_c_while_it_ends_leaves_no_thread_waiting(monkeypatch):
    """It interrupts the wait for the first thread; the others must be told to end all the same."""
    close, interrupted = Prefetch.close, []

    def impatient(self):
        close(self)
        if not interrupted:
            interrupted.append(True)
            raise KeyboardInterrupt

    monkeypatch.setattr(Prefetch, "close", impatient)
    stages, before = Stages(400), set(threading.enumerate())

    def leave():
        with stages.flow() as pairs:
            next(iter(pairs))
            wait_until_full(stages)

    with pytest.raises(KeyboardInterrupt):
        leave()
    wait_until(lambda: set(threading.enumerate()) <= before)


def test_memory_is_bounded_however_slow_the_consumer():
    stages = Stages(400)
    with stages.flow() as pairs:
        next(iter(pairs))
        time.sleep(0.1)
        # batches: taken 1, computed 2, prepared 2, one in the making; then single pairs
        assert len(stages.steps("source")) <= 4 * (1 + 2 * (BATCHES + 1) + 1) + PAIRS + 1


@pytest.mark.parametrize(("pairs", "batches"), [(1, 1), (3, 1), (50, 10)])
def test_queues_of_any_length_give_the_same(monkeypatch, pairs, batches):
    expected = list(Stages(30).flow())
    monkeypatch.setattr(flow, "PAIRS", pairs)
    monkeypatch.setattr(flow, "BATCHES", batches)
    with Stages(30).flow() as found:
        assert list(found) == expected


class Slow(Stages):
    """Where a stage takes a while for each of its steps."""

    def __init__(self, count, slow):
        super().__init__(count)
        self._slow = slow

    def _step(self, stage, number):
        if stage == self._slow:
            time.sleep(0.02)


@pytest.mark.parametrize(("slow", "name", "steps"), [
    ("source", "decode", 12), ("admit", "prepare", 12), ("upload", "prepare", 3),
    ("run", "compute", 3),
])  # fmt: skip
def test_times_say_which_stage_is_slow(slow, name, steps):
    start = time.perf_counter()
    with Slow(12, slow).flow() as pairs:
        assert len(list(pairs)) == 3
        wall = time.perf_counter() - start
        times = pairs.times(0.0)
    assert list(times) == ["decode", "prepare", "compute", "write"]
    busy = {stage: part["busy_s"] for stage, part in times.items()}
    assert max(busy, key=busy.get) == name
    assert busy[name] >= 0.02 * steps
    for part in times.values():
        assert part["busy_s"] >= -1e-3
        assert 0 <= part["busy_s"] + part["wait_s"] <= wall + 1e-3


def test_times_of_a_slow_consumer():
    with Stages(40).flow() as pairs:
        for _ in pairs:
            time.sleep(0.01)
        times = pairs.times(0.1)
    assert times["write"]["busy_s"] == 0.1
    assert times["compute"]["wait_s"] > 0.02  # it waited for room
    assert times["compute"]["busy_s"] < times["compute"]["wait_s"]


def test_a_source_with_threads_has_their_times():
    stages = Stages(8)
    camera = Prefetch(iter(range(3)), length=1, name="decode ir")
    stages.threads = {"ir": camera}
    with camera:
        assert list(camera) == [0, 1, 2]
    with stages.flow() as pairs:
        list(pairs)
        assert list(pairs.times(0.0)) == ["decode ir", "decode", "prepare", "compute", "write"]


def test_closing_stops_a_source_that_waits_for_a_camera():
    """`stop` ends the wait; without it the thread would be waited for without end."""
    stopped = threading.Event()

    class Silent(Stages):
        def __iter__(self):
            yield pair(0)
            stopped.wait()

        def stop(self):
            stopped.set()

    with Silent(1).flow(batch=1) as pairs:
        next(iter(pairs))


def test_nothing_is_kept_of_results_that_were_taken():
    stages = Stages(3)
    with stages.flow(batch=1) as pairs:
        done = next(iter(pairs))
        wait_until(lambda: len(stages.steps("run")) == 3)
        time.sleep(0.02)
        assert sys.getrefcount(done) == 2
