"""The threads on which compiled loops run that leave the interpreter's lock to others."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import torch


def count(work: int, least: int) -> int:
    """As many threads as torch uses, but none with less than ``least`` of the ``work``."""
    return max(1, min(torch.get_num_threads(), work // least))


def run(threads: int, task: Callable[..., None], calls: Iterable[tuple[Any, ...]]) -> None:
    """Call ``task`` with each of ``calls`` on so many threads and wait for all of them."""
    if threads == 1:
        for arguments in calls:
            task(*arguments)
    else:
        pool = _pool(os.getpid(), threads)
        for done in [pool.submit(task, *arguments) for arguments in calls]:
            done.result()


@cache
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """Threads of this process: a forked one inherits none, though it inherits the pool."""
    return ThreadPoolExecutor(threads, thread_name_prefix=f"scan-{process}")
