"""The images of the data set of ``dialects``."""

import numpy as np
import pytest
from PIL import Image

from tests.pipeline.commands.evaluate.dialects import H, W


@pytest.fixture
def here(tmp_path):
    (tmp_path / "images").mkdir()
    for k in range(3):
        Image.fromarray(np.zeros((H, W), np.uint8)).save(tmp_path / f"images/{k:03d}D.png")
    return tmp_path
