"""Against ultralytics and torchvision, which aren't imported by the code itself."""

import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from detection import nms as nms_module
from detection.detectors import yolov5  # tells ultralytics to stay offline
from detection.nms import best_boxes, class_wise, nms


def boxes(generator, n, side=100.0):
    corner = torch.rand(n, 2, generator=generator) * side  # [n, 2]
    return torch.cat((corner, corner + 1 + torch.rand(n, 2, generator=generator) * side), 1)


def drawn(seed):
    return torch.Generator().manual_seed(seed)


def ultralytics_nms(raw, **settings):
    import torchvision
    from ultralytics.utils.nms import non_max_suppression

    assert yolov5.ultralytics.__version__
    assert sys.modules["torchvision"] is torchvision  # else it would use a kernel of its own
    return non_max_suppression(raw.clone(), max_time_img=1e6, **settings)


@given(st.integers(0, 60), st.floats(0.05, 1), st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_it_keeps_what_torchvision_keeps(n, iou, seed):
    import torchvision

    generator = drawn(seed)
    given_boxes, scores = boxes(generator, n), torch.rand(n, generator=generator)
    classes = torch.randint(0, 3, (n,), generator=generator)
    expected = torchvision.ops.nms(given_boxes, scores, iou)
    assert nms(given_boxes, scores, iou).tolist() == expected.tolist()
    expected = torchvision.ops.batched_nms(given_boxes, scores, classes, iou)
    assert class_wise(given_boxes, scores, classes, iou).tolist() == expected.tolist()


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize(("classes", "count"), [(1, 300), (4, 300), (80, 50), (3, 0)])
def test_the_best_boxes_are_those_of_ultralytics(classes, count, multi_label):
    generator = drawn(classes)
    corners = boxes(generator, 2 * 400)
    centre, size = (corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]
    scores = torch.rand(800, classes, generator=generator)
    scores[count:400] = 0  # the first image has `count` candidates, the second all
    raw = torch.cat((centre, size, scores), 1).view(2, 400, -1).mT.contiguous()  # [2, 4 + K, 400]
    chosen = {"multi_label": multi_label, "max_det": 30}
    ours = best_boxes(raw, conf=0.3, iou=0.5, **chosen)
    theirs = ultralytics_nms(raw, conf_thres=0.3, iou_thres=0.5, **chosen)
    assert [len(rows) for rows in ours] == [min(count, 30), 30]
    for rows, expected in zip(ours, theirs, strict=True):
        assert torch.equal(rows, expected)


def test_only_the_best_of_very_many_boxes_are_looked_at(monkeypatch):
    assert nms_module.MOST == 30_000  # as ultralytics has it
    monkeypatch.setattr(nms_module, "MOST", 300)
    n = 310
    raw = torch.zeros(1, 5, n)
    raw[0, 0] = 10 * torch.arange(n)  # far apart
    raw[0, 2:4] = 1
    raw[0, 4] = torch.linspace(0.5, 1, n)
    (rows,) = best_boxes(raw, conf=0.1, iou=0.5, multi_label=False, max_det=n)
    (expected,) = ultralytics_nms(raw, conf_thres=0.1, iou_thres=0.5, max_det=n, max_nms=300)
    assert len(rows) == 300
    assert torch.equal(rows, expected)


def test_it_works_where_the_package_has_no_library_of_that_name(monkeypatch):
    imported = []
    monkeypatch.setattr(nms_module, "find_spec", lambda name: None)
    monkeypatch.setattr(nms_module, "import_module", imported.append)
    nms_module._load_kernel.__wrapped__()
    assert imported == ["torchvision"]
