"""Labels of recordings by the frames of either camera."""

import numpy as np
import pytest

from common.errors import DataError
from pipeline.frames import BadPair, Frame, FramePair
from tests.helpers.numbered import EVERY_40, build, labelled, write


def test_labels_of_the_infrared_frames(here):
    """Infrared has a frame more before the first visible one, so that numbers differ by one."""
    files = labelled(here, range(12))
    write(here / "vis.mp4", EVERY_40[:8])
    more = {"offset_ms": -40, "labels": here / "labels"}
    heights = {}
    for camera in ("ir", "vis"):
        with build(*files, labels_on=camera, **more) as source:
            assert source.labels_on == camera
            pairs = [pair for pair in source if pair.ir is not None and pair.vis is not None]
            heights[camera] = [
                source.labels(source.label_key(pair), (48, 64)).xyxy[0, 3] for pair in pairs
            ]
            assert [len(source.label_classes(source.label_key(pair))) for pair in pairs] == [1] * 8
    assert heights["vis"] == pytest.approx([24 + 1.5 * (i + 1) for i in range(8)])
    assert heights["ir"] == pytest.approx([24 + 1.5 * (i + 2) for i in range(8)])


@pytest.mark.parametrize("camera", ["ir", "vis"])
@pytest.mark.parametrize("form", ["{}", "ir_{:06d}"])
def test_a_frame_alone_has_the_labels_of_its_own_camera(here, camera, form):
    """None is taken by the number of the other camera's frame, nor by the name of its key."""
    files = labelled(here, [form.format(0), form.format(5)])
    with build(*files, labels=here / "labels", labels_on=camera) as source:
        frame, key = Frame(np.zeros((48, 64), np.uint8), 0, 5), "000005"
        keys = {
            "vis": source.label_key(FramePair(key, None, frame)),
            "ir": source.label_key(FramePair(f"ir_{key}", frame, None)),
            "lost vis": source.label_key(BadPair(key, "", "vis")),
            "lost ir": source.label_key(BadPair(f"ir_{key}", "", "ir")),
            "lost end": source.label_key(BadPair(f"{camera}_end", "")),
        }
        found = {name: len(source.label_classes(key)) for name, key in keys.items()}
    assert found == {name: int(name.endswith(camera)) for name in keys}


def test_infrared_labels_are_checked_against_the_infrared_frames(here):
    files = labelled(here, [20, 21])
    with pytest.raises(DataError, match=r"no label belongs to the infrared frames.* like 000000"):
        build(*files, labels=here / "labels", labels_on="ir")
    write(here / "ir.mp4", range(0, 40 * 24, 40))
    with build(*files, labels=here / "labels", labels_on="ir") as source:
        assert source.label_report.warnings == [
            "22 of 24 infrared frames have no labels and count as background"
        ]
