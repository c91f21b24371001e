"""The presets are the protocols that were measured."""

import dataclasses

import pytest

from common.errors import ConfigError
from eval.presets import preset


@pytest.mark.parametrize(
    ("name", "pad", "resize", "conf", "iou", "multi_label", "classes", "dtype"),
    [
        ("paper-msrs", 0.5, "val", 0.001, 0.6, True, (0, 2), "float32"),
        ("detect", 0.0, "detect", 0.25, 0.45, False, None, "auto"),
    ],
)
def test_settings(name, pad, resize, conf, iou, multi_label, classes, dtype):
    found = dataclasses.asdict(preset(name))
    assert found.pop("notes")
    assert found == {
        **{"name": name, "image_size": 640, "pad": pad, "resize": resize},
        **{"conf": conf, "iou": iou, "multi_label": multi_label, "max_det": 300},
        **{"classes": classes, "dtype": dtype},
    }


def test_unknown_preset_names_the_choices():
    with pytest.raises(ConfigError, match="'papr' is unknown; choose one of paper-msrs, detect"):
        preset("papr")
