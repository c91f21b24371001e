"""`irvis fuse`: settings of the pairs, and cameras of two sizes."""

import json

import numpy as np
import pytest
from PIL import Image

from common.errors import ConfigError, DataError
from pipeline.commands.fuse import fuse
from pipeline.images import read_image


def silent(done, total):
    pass


def pair(here):
    """Infrared 24x16 and visible 48x32; visible (2x + 0.5, 2y + 0.5) shows infrared (x, y)."""
    for name in ("ir", "vis"):
        (here / name).mkdir()
    ir = np.zeros((16, 24), np.uint8)
    ir[4:12, 6:18] = 200
    Image.fromarray(ir).save(here / "ir/a_IR.png")
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (32, 48, 3), np.uint8)).save(here / "vis/a_RGB.png")
    homography = [[2, 0, 0.5], [0, 2, 0.5], [0, 0, 1]]
    content = {"schema": 1, "homography": homography, "ir_size": [16, 24], "vis_size": [32, 48]}
    (here / "cameras.json").write_text(json.dumps(content))
    return here / "ir", here / "vis"


NAMES = ["source.names.ir=_IR", "source.names.vis=*_RGB"]


def test_a_calibration_puts_infrared_on_the_visible_grid(here):
    settings = ["kind=ir_only", *NAMES, f"registration.calibration={here / 'cameras.json'}"]
    assert fuse(*pair(here), here / "out", settings, silent) == 1
    image = read_image(here / "out/a.png")
    assert image.shape == (32, 48, 3)
    assert (image[10:22, 14:34] == 200).all()  # inside of the doubled rectangle
    assert (image[:7] == 0).all()


def test_without_it_the_sizes_are_refused(here):
    with pytest.raises(DataError, match="sizes differ, infrared 24x16 and visible 48x32"):
        fuse(*pair(here), here / "out", ["kind=ir_only", *NAMES], silent)


def test_settings_that_are_wrong(here):
    folders = pair(here)
    with pytest.raises(ConfigError, match=r"source\.names\.x"):
        fuse(*folders, here / "out", ["kind=ir_only", "source.names.x=1"], silent)
    with pytest.raises(DataError, match="are the same folder"):
        fuse(folders[0], folders[0], here / "out", ["kind=ir_only"], silent)
    image = folders[0] / "a_IR.png"
    with pytest.raises(DataError, match="are the same image"):
        fuse(image, image, here / "out.png", ["kind=ir_only"], silent)
