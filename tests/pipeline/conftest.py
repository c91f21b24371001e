import pytest

from tests.pipeline import toys


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder: `runs/` and relative paths end up in it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def pairs(here):
    return toys.write_pairs(here / "pairs")
