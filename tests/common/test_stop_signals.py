import signal
import subprocess
import sys

import pytest

from common import stop_signals
from common.stop_signals import Terminated, raised_once


@pytest.fixture(autouse=True)
def _not_ignored():
    """A shell ignores Ctrl-C for a job in the background, as the tests may be."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("sent", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]
)
def test_the_first_signal_is_raised_and_the_next_ones_are_ignored(sent, raised):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    closed = []

    def work():
        with raised_once():
            try:
                signal.raise_signal(sent)
            finally:
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGTERM)
                closed.append("all")

    with pytest.raises(raised):
        work()
    assert closed == ["all"]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_an_ignored_signal_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with raised_once():
        signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_a_process_that_does_not_end_is_ended_by_a_later_signal():
    code = (
        "import signal, time\n"
        "from common import stop_signals\n"
        "stop_signals.PATIENCE_S = 0.01\n"
        "with stop_signals.raised_once():\n"
        "    try:\n"
        "        signal.raise_signal(signal.SIGTERM)\n"
        "    finally:\n"
        "        time.sleep(0.02)\n"
        "        signal.raise_signal(signal.SIGTERM)\n"
        "        time.sleep(60)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (143, f"{stop_signals.STOPPED}\n")
