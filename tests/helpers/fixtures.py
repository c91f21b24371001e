"""Fixtures shared by all tests."""

import sys
from pathlib import Path

import cv2
import pytest
import torch

from pipeline.engine import runner
from tests.helpers import threads, toys
from tests.helpers.runs import execute, few_draws, plugins_once
from tests.helpers.shared import SHARED

torch.set_num_threads(1)
cv2.setNumThreads(1)
few_draws()
plugins_once()


@pytest.fixture(autouse=True)
def _path():
    """Folders of tests, in which a run looks for the user's own modules, don't stay."""
    before = sys.path.copy()
    yield
    sys.path[:] = before


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
