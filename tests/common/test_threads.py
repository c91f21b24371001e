import logging
import os

import cv2
import pytest
import torch

from common import threads
from common.threads import computing_in
from pipeline.config import config
from pipeline.engine import runner
from pipeline.engine.compute import Compute
from tests.helpers import toys


@pytest.fixture
def fresh(monkeypatch):
    """Nothing was warned of yet, and the processor has two cores."""
    threads._warn_of_others.cache_clear()
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1})
    yield
    threads._warn_of_others.cache_clear()


def busy(monkeypatch, tmp_path, *, load, tasks):
    (tmp_path / "loadavg").write_text(f"{load} 1.00 1.00 {tasks}/900 4711\n")
    monkeypatch.setattr(threads, "_TASKS", tmp_path / "loadavg")
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 1.0, 1.0))


def test_threads_are_those_of_before_after_the_block():
    before = torch.get_num_threads(), cv2.getNumThreads()
    with computing_in(3):
        assert (torch.get_num_threads(), cv2.getNumThreads()) == (3, 3)
    assert (torch.get_num_threads(), cv2.getNumThreads()) == before
    with computing_in(None):
        assert (torch.get_num_threads(), cv2.getNumThreads()) == before


@pytest.mark.parametrize(
    ("load", "tasks", "computing", "warns"),
    [
        (3.5, 4, 2, True),
        (3.5, 4, 1, False),  # one thread waits for no other
        (1.5, 4, 2, False),
        (3.5, 2, 2, False),  # the load was that of a run that has ended
    ],
)
def test_a_busy_processor_is_warned_of_once(
    fresh, monkeypatch, tmp_path, caplog, load, tasks, computing, warns
):
    busy(monkeypatch, tmp_path, load=load, tasks=tasks)
    for _ in range(2):
        with caplog.at_level(logging.WARNING), computing_in(computing):
            pass
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == warns
    assert all("load 3.5 on 2 cores" in line and "compute.threads=1" in line for line in lines)


def test_a_run_computes_in_its_threads_and_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(threads, "_warn_of_others", lambda: None)
    seen, run = [], Compute.run
    monkeypatch.setattr(
        Compute, "run", lambda *args: seen.append(torch.get_num_threads()) or run(*args)
    )
    settings = toys.settings(toys.write_pairs(tmp_path / "pairs", 2))
    settings["compute"]["threads"] = 2
    outcome = runner.run(config.check(settings), lambda done, total: None)
    assert seen == [2]  # in a thread of the run's own
    assert outcome.timing["machine"]["threads"] == 2
    assert outcome.results["protocol"]["compute"]["threads"] == 2
    assert torch.get_num_threads() == 1
