"""What a frozen detector makes of the fused image: zero for its teacher, and a useful gradient."""

import pytest
import torch

from detection.detectors import yolov5
from fusion.fusers import average, ir_only
from training.config import DetectorConfig
from training.data import Batch
from training.detector_loss import DetectorLoss, _divergence, _iou

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def loss():
    """The demo's detector: person 0, bicycle 1, car 2."""
    return DetectorLoss(DetectorConfig(weights="demo", classes=(0, 2)), CPU)


@pytest.fixture(scope="module")
def batch():
    generator = torch.Generator().manual_seed(0)
    ir = torch.randint(0, 256, (2, 1, 64, 64), generator=generator, dtype=torch.uint8)
    vis = torch.randint(0, 256, (2, 3, 64, 64), generator=generator, dtype=torch.uint8)
    return Batch(ir, ir, vis)


def test_iou_by_hand():
    """10 x 10 boxes, one moved by half its width: 50 of 150; equal; apart."""
    a = torch.tensor([[[5.0, 5, 10, 10], [5, 5, 10, 10], [5, 5, 10, 10]]])
    b = torch.tensor([[[10.0, 5, 10, 10], [5, 5, 10, 10], [50, 5, 10, 10]]])
    assert torch.allclose(_iou(a, b), torch.tensor([[1 / 3, 1.0, 0.0]]))


def test_divergence_by_hand():
    """0.5 (log 0.5 - log 0.25) + 0.5 (log 0.5 - log 0.75) = 0.143841."""
    value = _divergence(torch.tensor([0.5, 0.3, 0.0]), torch.tensor([0.25, 0.3, 0.0]))
    assert torch.allclose(value, torch.tensor([0.143841, 0.0, 0.0]), atol=1e-6)


def test_nothing_is_missed_where_all_sources_are_what_is_seen(loss):
    """Infrared, visible and mean are the same grey picture, and so is the fused one."""
    grey = torch.randint(0, 256, (1, 1, 64, 64), dtype=torch.uint8)
    same = Batch(grey, grey, grey.repeat(1, 3, 1, 1))
    fused = ir_only.build(ir_only.Config())(ir=grey.float() / 255, vis=same.vis.float() / 255)
    assert loss(fused, same).item() == pytest.approx(0, abs=1e-5)


def test_teacher_is_the_surest_source_place_by_place(loss, batch):
    boxes, scores = loss._teacher(batch)
    ir, vis = batch.ir.float() / 255, batch.vis.float() / 255
    images = [ir.repeat(1, 3, 1, 1), vis, average.build(average.Config())(ir=ir, vis=vis)]
    detector = yolov5.build(yolov5.Config(weights="demo"), device=CPU)
    with torch.no_grad():
        seen = [detector.raw(image) for image in images]  # [B, 7, N] each
    for image in range(2):
        for place in range(0, scores.shape[1], 7):
            best = max(seen, key=lambda raw: raw[image, [4, 6], place].max().item())
            assert torch.equal(scores[image, place], best[image, [4, 6], place])
            assert torch.equal(boxes[image, place], best[image, :4, place])


def test_gradient_descends(loss, batch):
    """Following the gradient makes the fused image look more like the teacher to the detector."""
    ir, vis = batch.ir.float() / 255, batch.vis.float() / 255
    fused = ((ir + vis) / 2).requires_grad_()
    first = loss(fused, batch)
    first.backward()
    assert torch.isfinite(fused.grad).all()
    assert all(p.grad is None for p in loss._detector.network.parameters())
    step = 1e-3 / fused.grad.abs().max()
    after = loss((fused - step * fused.grad).detach(), batch)
    assert 0 < after.item() < first.item()
