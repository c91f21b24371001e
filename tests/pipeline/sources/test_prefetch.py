import itertools
import signal
import sys
import threading
import time
import traceback

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.sources._prefetch import Prefetch
from tests.helpers.threads import wait_until

pytestmark = [pytest.mark.realtime, pytest.mark.usefixtures("prompt")]


def made(count, log, *, fail_at=None):
    """0, 1, ..., with what happens written to a log."""
    try:
        for i in range(count):
            if i == fail_at:
                raise ValueError(f"item {i}")
            log.append(i)
            yield i
    finally:
        log.append("closed")


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(), max_size=30), st.integers(1, 5))
def test_gives_the_items_in_order(items, length):
    with Prefetch(items, length=length, name="test") as ahead:
        assert list(ahead) == items
        assert list(ahead) == []


def test_makes_items_ahead_but_no_more_than_the_queue_holds():
    log = []
    with Prefetch(made(9, log), length=3, name="test") as ahead:
        assert log == []  # lazy: nothing runs before it is asked for
        assert next(ahead) == 0
        wait_until(lambda: len(log) == 4)
        time.sleep(0.02)
        assert log == [0, 1, 2, 3]
        assert next(ahead) == 1
        wait_until(lambda: len(log) == 5)
    assert log == [0, 1, 2, 3, 4, "closed"]


def test_runs_in_a_thread_of_its_own_name():
    def names():
        yield threading.current_thread().name

    with Prefetch(names(), length=1, name="decode ir") as ahead:
        assert list(ahead) == ["decode ir"]


def test_an_exception_comes_at_its_place_with_its_traceback():
    log = []
    with Prefetch(made(5, log, fail_at=2), length=5, name="test") as ahead:
        assert [next(ahead), next(ahead)] == [0, 1]
        with pytest.raises(ValueError, match="item 2") as caught:
            next(ahead)
        assert "made" in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
        assert list(ahead) == []
    assert log == [0, 1, "closed"]


def test_a_producer_that_fails_at_once():
    class Broken:
        def __iter__(self):
            raise OSError("no such camera")

    with Prefetch(Broken(), length=2, name="test") as ahead, pytest.raises(OSError, match="camera"):
        next(ahead)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_no_exception_is_lost_in_the_thread(error):
    def items():
        raise error
        yield

    with Prefetch(items(), length=2, name="test") as ahead, pytest.raises(error):
        next(ahead)


def test_close_ends_a_thread_that_waits_for_room():
    log = []
    ahead = Prefetch(made(100, log), length=1, name="test")
    assert next(ahead) == 0
    wait_until(lambda: len(log) == 2)
    start = time.perf_counter()
    ahead.close()
    assert time.perf_counter() - start < 1
    assert log == [0, 1, "closed"]
    assert list(ahead) == []
    ahead.close()


def test_close_before_the_first_item():
    log = []
    ahead = Prefetch(made(3, log), length=1, name="test")
    ahead.close()
    assert list(ahead) == []
    assert log == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_exception_of_the_consumer_passes_and_ends_the_thread(error):
    log = []

    def consume():
        with Prefetch(made(100, log), length=2, name="test") as ahead:
            for item in ahead:
                if item == 3:
                    raise error

    with pytest.raises(error):
        consume()
    assert log[-1] == "closed"


def test_ctrl_c_ends_the_wait_for_an_item():
    waiting, release = threading.Event(), threading.Event()

    def slow():
        waiting.set()
        release.wait()
        yield 1

    def interrupt(*_):
        release.set()
        raise KeyboardInterrupt

    def send():
        waiting.wait()
        signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)

    old = signal.signal(signal.SIGUSR1, interrupt)
    sender = threading.Thread(target=send)
    sender.start()
    try:
        with Prefetch(slow(), length=1, name="test") as ahead, pytest.raises(KeyboardInterrupt):
            next(ahead)
    finally:
        signal.signal(signal.SIGUSR1, old)
        sender.join()


def test_close_from_another_thread_ends_the_wait_for_an_item():
    waiting, release = threading.Event(), threading.Event()

    def slow():
        waiting.set()
        release.wait()
        yield 1

    ahead = Prefetch(slow(), length=1, name="test")

    def close():
        waiting.wait()
        closing = threading.Thread(target=ahead.close)
        closing.start()
        wait_until(lambda: ahead._closed)
        release.set()
        closing.join()

    other = threading.Thread(target=close)
    other.start()
    assert list(ahead) == []
    other.join()


def test_close_stops_an_item_that_would_take_for_ever():
    waiting, release = threading.Event(), threading.Event()

    def silent():
        yield 0
        waiting.set()
        release.wait()

    with Prefetch(silent(), length=2, name="test", stop=release.set) as ahead:
        assert next(ahead) == 0
        waiting.wait()


def test_an_error_that_nobody_waits_for_is_logged(caplog):
    caplog.set_level("INFO")
    log = []
    with Prefetch(made(5, log, fail_at=1), length=5, name="decode ir") as ahead:
        assert next(ahead) == 0
        wait_until(lambda: "closed" in log)
    assert "decode ir: ValueError('item 1'), after its consumer had stopped" in caplog.text


def test_stages_one_after_another():
    log = []
    with (
        Prefetch(made(50, log), length=2, name="first") as first,
        Prefetch((10 * i for i in first), length=2, name="second") as second,
    ):
        assert [next(second) for _ in range(3)] == [0, 10, 20]
    assert log[-1] == "closed"
    assert len(log) <= 3 + 2 + 2 + 1
    log.clear()
    with (
        Prefetch(made(50, log, fail_at=4), length=2, name="first") as first,
        Prefetch((10 * i for i in first), length=2, name="second") as second,
    ):
        assert [next(second) for _ in range(4)] == [0, 10, 20, 30]
        with pytest.raises(ValueError, match="item 4"):
            next(second)


def test_measures_who_waits_for_whom():
    def slow():
        for i in range(4):
            time.sleep(0.02)
            yield i

    with Prefetch(slow(), length=2, name="test") as ahead:
        list(ahead)
    assert ahead.busy_s >= 0.08
    assert ahead.consumer_wait_s >= 0.06
    assert ahead.wait_s < ahead.busy_s
    with Prefetch(range(6), length=2, name="test") as ahead:
        for _ in ahead:
            time.sleep(0.02)
    assert ahead.wait_s >= 0.04
    assert ahead.busy_s < ahead.wait_s


def test_a_queue_has_room_for_one_at_least():
    with pytest.raises(ValueError, match="length 0"):
        Prefetch([], length=0, name="test")


def interrupted_at(number, consume):
    """Raise KeyboardInterrupt at a call, line or return of a function, by number; whether it was.

    Counts those of everything that it calls, as a signal's exception comes anywhere. Python's own
    threads are left out: no signal comes within their `with` of a lock, where a line begins.
    """
    left = number

    def trace(frame, event, argument):
        nonlocal left
        if isinstance(frame.f_locals.get("self"), threading.Thread):
            return None
        left -= 1
        if left == 0:
            raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        consume()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(None)
    return False


def test_an_exception_at_any_point_of_the_consumer_leaves_no_lock_taken():
    """As of Ctrl-C; all is closed afterwards, and the thread ends."""
    for number in itertools.count(1):
        log = []
        ahead = Prefetch(made(100, log), length=2, name="test")
        assert next(ahead) == 0

        def consume(ahead=ahead):
            next(ahead)
            ahead.close()

        found = interrupted_at(number, consume)
        ahead.close()
        assert list(ahead) == []
        assert log[-1] == "closed"
        if not found:
            break
    assert number > 30
