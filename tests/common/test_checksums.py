import hashlib

import pytest

from common.checksums import check_card, sha256
from common.errors import WeightsError
from detection import weights
from fusion.network import checkpoint

CONTENT = b"some weights"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.safetensors"
    path.write_bytes(CONTENT)
    return path


def test_a_file_that_is_what_its_card_says(file):
    check_card(file)  # no card
    file.with_suffix(".md").write_text("A card that says nothing of it.")
    check_card(file)
    file.with_suffix(".md").write_text(f"16-bit safetensors, 5 MB, sha256 `{DIGEST}`.")
    check_card(file)
    assert sha256(file) == DIGEST


@pytest.mark.parametrize("read", [checkpoint.read, lambda path: weights.resolve(str(path))])
def test_another_file_is_refused(file, read):
    file.with_suffix(".md").write_text(f"sha256 `{64 * 'a'}`")
    with pytest.raises(WeightsError, match=rf"mine.safetensors: has sha256 {DIGEST}, .*mine.md"):
        read(file)


@pytest.mark.parametrize("folder", [checkpoint.SHIPPED, weights.SHIPPED])
def test_shipped_weights_are_small_and_have_a_card_that_fits(folder):
    files = sorted(folder.glob("*.safetensors"))
    assert files
    for path in files:
        assert path.stat().st_size <= 20e6
        assert f"sha256 `{sha256(path)}`" in path.with_suffix(".md").read_text(encoding="utf-8")
