"""Timing in turns, which other programs on the machine disturb equally."""

import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds of the clock, and of the processor (user and system, all threads)."""

    wall: float
    cpu: float


def call(function):
    """The time of a call in this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    return Spent(time.perf_counter() - wall, time.process_time() - cpu)


def process(arguments, folder=None):
    """The time of a whole process of Python, from its working folder.

    Raises:
        RuntimeError: It failed.
    """
    # Python may keep what it compiled, as on a user's machine
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    child = subprocess.Popen(  # noqa: S603
        [sys.executable, *map(str, arguments)],
        cwd=folder,
        env=inherited,
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"exit code {child.returncode}: {' '.join(map(str, arguments))[:200]}")
    return Spent(time.perf_counter() - start, usage.ru_utime + usage.ru_stime)


def in_turns(rounds, work):
    """The times of each work, round after round; one more round at first warms up.

    Args:
        rounds: Number of rounds.
        work: By name, a function that returns the time it took.
    """
    times = {name: [] for name in work}
    for number in range(rounds + 1):
        for name, measure in work.items():
            spent = measure()
            if number:
                times[name].append(spent)
    return times


def median(times, clock):
    """The median of the seconds by a clock, "wall" or "cpu"."""
    return statistics.median(getattr(spent, clock) for spent in times)


def ratio(times, others, clock):
    """The median over the rounds of the ratio of two works' times in one round."""
    pairs = zip(times, others, strict=True)
    return statistics.median(getattr(a, clock) / getattr(b, clock) for a, b in pairs)


def load():
    """The load of the machine, for a line of output."""
    return ", ".join(f"{value:.2f}" for value in os.getloadavg())
