from dataclasses import replace

import numpy as np
import pytest
import torch

from detection import weights
from detection.detectors import yolov5
from eval.labels import Labels
from training import demo_detector
from training.config import ScheduleConfig
from training.demo_detector import Recipe, make_batch, train
from training.demo_scenes import Scenes, arm_image, augment, draw_clip

RECIPE = Recipe(batch=3, save_every=2, schedule=ScheduleConfig(steps=4, warmup=2))


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    images, labels = draw_clip(7, 2)
    return Scenes(images, labels, np.array(["night"] * 2))


def test_arms_show_what_they_should():
    pair = np.zeros((4, 5, 4), np.uint8)
    pair[..., :3] = (100, 50, 200)  # luminance 0.299 * 100 + 0.587 * 50 + 0.114 * 200 = 82.05
    pair[..., 3] = 120
    assert (arm_image(pair, "ir") == 120).all()
    assert (arm_image(pair, "vis") == (100, 50, 200)).all()
    luma = arm_image(pair, "average") @ np.array([0.299, 0.587, 0.114])
    assert luma == pytest.approx((82.05 + 120) / 2, abs=1)


def test_boxes_follow_the_augmented_image():
    # A bright rectangle on black stays what is bright, whatever is done to the image.
    image = np.full((256, 320, 3), 20, np.uint8)
    image[100:160, 120:220] = 235
    labels = Labels(np.array([[120.0, 100.0, 220.0, 160.0]]), np.array([2]), np.zeros((0, 4)))
    rng = np.random.default_rng(5)
    widths = []
    for _ in range(20):
        picture, moved = augment(image, labels, rng)
        assert picture.dtype == np.float32
        assert 0 <= picture.min() <= picture.max() <= 1
        assert len(moved) == 1
        left, top, right, bottom = moved.xyxy[0]
        middle = picture.mean(axis=2)
        inner = middle[int(top) + 4 : int(bottom) - 4, int(left) + 4 : int(right) - 4]
        beside = middle[int(top) + 4 : int(bottom) - 4, max(int(left) - 8, 0) : int(left) - 4]
        assert inner.min() > beside.max()
        widths.append(right - left)
    assert max(widths) > 110
    assert min(widths) < 90


def test_boxes_that_leave_the_image_are_dropped():
    labels = Labels(np.array([[0.0, 0.0, 12.0, 12.0]]), np.array([0]), np.zeros((0, 4)))
    image = np.zeros((256, 320, 3), np.uint8)
    rng = np.random.default_rng(1)
    counts = [len(augment(image, labels, rng)[1]) for _ in range(40)]
    assert set(counts) == {0, 1}


def test_a_batch_is_a_function_of_its_step(scenes):
    one, two = make_batch(scenes, RECIPE, 5), make_batch(scenes, RECIPE, 5)
    assert one["img"].shape == (3, 3, 256, 320)
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert not torch.equal(one["img"], make_batch(scenes, RECIPE, 6)["img"])
    assert one["bboxes"].shape == (len(one["cls"]), 4)
    assert one["bboxes"].min() >= 0
    assert one["bboxes"].max() <= 1


def test_it_goes_on_from_the_shipped_weights():
    path = weights.find("demo")
    assert path is not None
    shipped, _ = yolov5.load_network(path)
    begun = demo_detector._start(RECIPE, path).network
    image = torch.from_numpy(np.random.default_rng(0).random((1, 3, 64, 96), np.float32))
    with torch.no_grad():
        ours, theirs = begun.eval()(image)[0], shipped.eval()(image)[0]
    assert torch.allclose(ours, theirs, atol=1e-3)


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was(scenes, tmp_path, monkeypatch):
    recipe = replace(RECIPE, batch=1)
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    whole = train(scenes, recipe, tmp_path / "whole")

    def killed(scenes, recipe, step):
        if step == 3:
            raise KeyboardInterrupt
        return make_batch(scenes, recipe, step)

    with monkeypatch.context() as patch:
        patch.setattr(demo_detector, "make_batch", killed)
        with pytest.raises(KeyboardInterrupt):
            train(scenes, recipe, tmp_path / "killed")
    resumed = train(scenes, recipe, tmp_path / "killed")
    assert resumed.step == whole.step == 4
    for key, value in whole.average.items():
        assert torch.equal(value, resumed.average[key]), key
