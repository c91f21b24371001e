"""A thread pool for compiled loops that release the GIL."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import torch


def count(work: int, least: int) -> int:
    """The number of threads: as many as torch uses, each with at least ``least`` work."""
    return max(1, min(torch.get_num_threads(), work // least))


def run(threads: int, task: Callable[..., None], calls: Iterable[tuple[Any, ...]]) -> None:
    """Call ``task`` with each of ``calls`` on ``threads`` threads and wait for all."""
    if threads == 1:
        for arguments in calls:
            task(*arguments)
    else:
        pool = _pool(os.getpid(), threads)
        for done in [pool.submit(task, *arguments) for arguments in calls]:
            done.result()


@cache
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """The pool of this process; a forked process inherits the pool but not its threads."""
    return ThreadPoolExecutor(threads, thread_name_prefix=f"scan-{process}")
