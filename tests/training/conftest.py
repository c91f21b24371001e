import numpy as np
import pytest
from PIL import Image

from detection.boxes import Detections
from training import targets


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Six pairs of blocks and noise, in an empty working folder."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for kind, channels in (("ir", 1), ("vis", 3)):
        (tmp_path / "pairs" / kind).mkdir(parents=True)
        for number in range(6):
            coarse = rng.integers(20, 236, size=(7, 10, channels))
            image = np.kron(coarse, np.ones((8, 8, 1))) + rng.normal(0, 5, (56, 80, channels))
            picture = np.clip(image, 0, 255).astype(np.uint8).squeeze()
            Image.fromarray(picture).save(tmp_path / "pairs" / kind / f"{number}.png")
    return tmp_path


@pytest.fixture
def nothing_found(monkeypatch):
    """No detector looks at the pairs before a training, which would take seconds."""
    monkeypatch.setattr(targets, "_late_fusion", lambda *_: Detections.empty())
