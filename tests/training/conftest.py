import pytest

from detection.boxes import Detections
from tests.helpers.recipes import write_pairs
from training import targets


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Six pairs, in an empty working folder."""
    monkeypatch.chdir(tmp_path)
    return write_pairs(tmp_path)


@pytest.fixture
def nothing_found(monkeypatch):
    """No detector looks at the pairs before a training, which would take seconds."""
    monkeypatch.setattr(targets, "_late_fusion", lambda *_: Detections.empty())
