"""How many threads compute, and whether other programs are in their way."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import cv2
import torch

log = logging.getLogger(__name__)

_TASKS = Path("/proc/loadavg")  # its fourth field: tasks that run or could run, of all


@contextmanager
def computing_in(threads: int | None) -> Iterator[None]:
    """Within the block, torch, the compiled loops and OpenCV compute in this many threads.

    Those that start in the block do so too; None leaves torch's and OpenCV's own choice. The first
    block of a process warns where other programs keep all cores busy.
    """
    before = torch.get_num_threads(), cv2.getNumThreads()
    if threads is not None:
        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)
    try:
        if torch.get_num_threads() > 1:
            _warn_of_others()
        yield
    finally:
        if threads is not None:
            torch.set_num_threads(before[0])
            cv2.setNumThreads(before[1])


@cache
def _warn_of_others() -> None:
    """Warn once of other programs: threads of OpenMP spin while they wait for one another."""
    load, cores = os.getloadavg()[0], len(os.sched_getaffinity(0))
    if load > cores and _others() >= cores:
        log.warning(
            "other programs keep the processor busy (load %.1f on %d cores), which can slow the "
            "computing threads down several times, since they spin while they wait for one "
            "another; set compute.threads=1, or GOMP_SPINCOUNT=1000 in the environment",
            load,
            cores,
        )


def _others() -> float:
    """Other tasks that run or wait for a core now; infinite where the system doesn't say.

    The load alone is also high after a run of one's own that has just ended.
    """
    try:
        return int(_TASKS.read_text(encoding="ascii").split()[3].split("/")[0]) - 1
    except OSError:
        return float("inf")
