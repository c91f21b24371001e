"""Fixtures shared by all tests."""

import os
from collections import Counter
from pathlib import Path

import cv2
import pytest
import torch

from pipeline.engine import runner
from tests.helpers import threads, toys
from tests.helpers.runs import execute, few_draws

# Two processes on two cores: further threads would only wait. Also for the processes of tests.
os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1)
cv2.setNumThreads(1)
few_draws()

ROOT = Path(__file__).parent.parent
SHARED = Path(os.environ.get("IRVIS_SHARED", ROOT.parent / "shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared data; the test is skipped where it is absent."""
    if not (SHARED / "data").is_dir():
        pytest.skip(f"needs the shared data in {SHARED} (IRVIS_SHARED names another place)")
    return SHARED


@pytest.fixture(scope="session")
def cpu() -> torch.device:
    return torch.device("cpu")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder: `runs/` and relative paths end up in it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def pairs(here):
    return toys.write_pairs(here / "pairs")


@pytest.fixture(scope="session")
def toy_run(tmp_path_factory):
    """The outcome of a cheap run on six pairs; tests only read its folder."""
    folder = tmp_path_factory.mktemp("toy_run")
    settings = toys.settings(toys.write_pairs(folder / "pairs"))
    return execute({**settings, "run": {"dir": str(folder / "run")}})


@pytest.fixture
def prompt():
    """The test ends within 10 seconds, and leaves no thread behind."""
    with threads.prompt():
        yield


@pytest.fixture
def frequent_checkpoints(monkeypatch):
    """A checkpoint after every batch."""
    monkeypatch.setattr(runner, "CHECKPOINT", 1)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    from tests.helpers.scheduling import ByFile  # pytest also runs without xdist

    return ByFile(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_collection_modifyitems(config, items):
    """Begin with the files that have most slow tests: a long one at the end would run alone."""
    if hasattr(config, "workerinput"):  # in a process of xdist
        slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
        items.sort(key=lambda item: slow[item.path], reverse=True)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter):
    """Say how many tests were skipped for want of the shared data."""
    skipped = [
        report
        for report in terminalreporter.stats.get("skipped", [])
        if "needs the shared data" in str(report.longrepr)
    ]
    if skipped:
        terminalreporter.write_line(f"{len(skipped)} skipped: the shared data is not in {SHARED}")
