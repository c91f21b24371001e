import pytest

from tests.helpers import toys


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Four training pairs and three other ones to test on, in an empty working folder."""
    monkeypatch.chdir(tmp_path)
    toys.write_pairs(tmp_path / "train", 4, size=(48, 64))
    toys.write_pairs(tmp_path / "all", 7, size=(48, 64))
    for number in range(4):
        for kind in ("ir", "vi", "labels"):
            next((tmp_path / "all" / kind).glob(f"{number:03d}.*")).unlink()
    # drawn anew, since the first pictures of both folders would be the same
    (tmp_path / "all").rename(tmp_path / "test")
    return tmp_path
