"""Batches: which images a step has, and that labels stay on what they label."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.labels import Labels
from training.finetune.batches import AugmentConfig, Batches

SIDE, SCALED = 96, 120


def pictures(count=5, channels=3):
    """Grey images of several sizes with one object each, of the value 200 + its number."""
    images, labels = [], []
    for number in range(count):
        height, width = 60 + 7 * number, 90 - 5 * number
        image = np.full((height, width, channels), 100, np.uint8)
        box = np.array([[20, 15, 50, 45]], np.float64)
        image[15:45, 20:50] = 200 + number
        images.append(image)
        labels.append(Labels(box, np.array([number]), np.array([[0.0, 0, 6, 6]])))
    return images, labels


def made(augment=None, *, batch=2, seed=3, channels=3):
    still = AugmentConfig(zoomed=1, mosaic=0, brightness=0)
    return Batches(
        *pictures(channels=channels), augment or still,
        side=SIDE, scaled=SCALED, batch=batch, seed=seed,
    )  # fmt: skip


def same(a, b):
    return all(
        torch.equal(x, y)
        for x, y in ((a.images, b.images), (a.objects, b.objects), (a.regions, b.regions))
    )


def test_an_epoch_has_every_image_and_fills_its_last_batch():
    batches = made()
    assert batches.in_epoch == 3
    classes = torch.cat([batches(step).objects[:, 1].int() for step in range(3)]).tolist()
    assert sorted(classes[:5]) == [0, 1, 2, 3, 4]
    assert len(classes) == 6


def test_a_batch_depends_on_seed_and_step_alone():
    batches = made(AugmentConfig())
    fifth = batches(5)
    batches(1)
    assert same(batches(5), fifth)
    assert same(made(AugmentConfig())(5), fifth)
    assert not same(made(AugmentConfig(), seed=4)(5), fifth)


def test_all_arms_get_the_same_crops():
    three, six = made(AugmentConfig()), made(AugmentConfig(), channels=6)
    for step in range(4):
        a, b = three(step), six(step)
        assert torch.equal(b.images, torch.cat((a.images, a.images), 1))
        assert torch.equal(a.objects, b.objects)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), mosaic=st.sampled_from([0.0, 1.0]), zoomed=st.floats(1, 3))
def test_boxes_stay_on_their_objects(seed, mosaic, zoomed):
    batches = made(AugmentConfig(mosaic=mosaic, zoomed=zoomed, brightness=0), seed=seed)
    batch = batches(0)
    assert batch.images.shape == (2, 3, SIDE, SIDE)
    for image, kind, *box in batch.objects.tolist():
        left, top, right, bottom = box
        assert 0 <= left < right <= SIDE
        assert 0 <= top < bottom <= SIDE
        plane = batch.images[int(image), 0].numpy()
        rows, columns = slice(round(top), round(bottom)), slice(round(left), round(right))
        inside = plane[rows, columns]
        # all but the interpolated border has the object's value
        assert (inside == 200 + int(kind)).mean() > 0.7
        around = plane.copy()
        around[max(0, round(top) - 2) : round(bottom) + 2,
               max(0, round(left) - 2) : round(right) + 2] = 0  # fmt: skip
        if not mosaic:  # which may show the same image twice
            assert not (around == 200 + int(kind)).any()


def test_without_change_a_crop_is_the_scaled_image():
    """At scale 1 an image of exactly the longest side is shifted by whole pixels only if..."""
    image = np.random.default_rng(0).integers(256, size=(96, 120, 3), dtype=np.uint8)
    labels = Labels(np.array([[10.0, 10, 60, 60]]), np.array([1]), np.zeros((0, 4)))
    still = AugmentConfig(zoomed=1, mosaic=0, brightness=0)
    batch = Batches([image], [labels], still, side=120, scaled=120, batch=1, seed=0)(0)
    left, top, right, bottom = batch.objects[0, 2:].tolist()
    assert (right - left, bottom - top) == pytest.approx((50, 50))
    assert left in (pytest.approx(10), pytest.approx(60))  # mirrored: 120 - 60
    assert 10 <= top <= 34
    shown = batch.images[0].permute(1, 2, 0).numpy()
    assert (shown[0] == 114).all() or (shown[-1] == 114).all()


def test_an_object_of_which_little_is_left_is_to_be_ignored():
    image = np.zeros((100, 100, 3), np.uint8)
    labels = Labels(np.array([[0.0, 0, 100, 100]]), np.array([1]), np.zeros((0, 4)))
    still = AugmentConfig(zoomed=1, mosaic=0, brightness=0)
    batch = Batches([image], [labels], still, side=32, scaled=100, batch=1, seed=0)(0)
    assert len(batch.objects) == 0
    assert batch.regions.tolist() == [[0, 0, 0, 32, 32]]


def test_brightness_changes_levels_and_no_place():
    plain = made(AugmentConfig(zoomed=1, mosaic=0, brightness=0))(0)
    bright = made(AugmentConfig(zoomed=1, mosaic=0, brightness=0.9))(0)
    assert torch.equal(plain.objects, bright.objects)
    assert not torch.equal(plain.images, bright.images)
    for a, b in zip(plain.images, bright.images, strict=True):
        assert len(torch.unique(torch.stack((a.flatten(), b.flatten())), dim=1).T) == len(
            torch.unique(a)
        )  # one new level for each old one
