"""The homography between the cameras, found from textures whose own is known."""

import numpy as np
import pytest

from pipeline.geometry.alignment import Alignment, _strength, agreement, align, choose
from tests.helpers.textures import corner_error, textures


@pytest.mark.parametrize(
    ("model", "homography", "most"),
    [
        ("translation", [[1, 0, 7], [0, 1, -4], [0, 0, 1]], 0.1),
        ("similarity", [[1.1, 0.05, -9], [-0.05, 1.1, 6], [0, 0, 1]], 0.2),
        ("affine", [[1.1, 0.05, -9], [-0.04, 1.08, 6], [0, 0, 1]], 0.2),
        ("homography", [[1.1, 0.05, -9], [-0.04, 1.08, 6], [1e-4, -2e-4, 1]], 0.4),
    ],
)
def test_textures_with_known_homographies(model, homography, most):
    pairs = textures(np.array(homography), 3)
    found = align(pairs, model, lambda done: None)
    assert corner_error(found.homography, np.array(homography), pairs[0][0].shape) < most
    assert found.distances.max() < 2 * most
    if model != "homography":
        assert found.homography[2] == pytest.approx([0, 0, 1], abs=1e-12)
    if model == "similarity":
        (a, b), (c, d) = found.homography[:2, :2]
        assert (a, b) == pytest.approx((d, -c))
    if model == "translation":
        assert found.homography[:2, :2] == pytest.approx(np.eye(2), abs=1e-12)


@pytest.mark.parametrize(
    ("homography", "count", "wanted"),
    [
        ([[1, 0, 7], [0, 1, -4], [0, 0, 1]], 4, "translation"),
        ([[1.1, 0.05, -9], [-0.05, 1.1, 6], [0, 0, 1]], 4, "similarity"),
        ([[1.1, 0.05, -9], [-0.04, 1.08, 6], [4e-4, -3e-4, 1]], 4, "homography"),
        ([[1.1, 0.05, -9], [-0.04, 1.08, 6], [4e-4, -3e-4, 1]], 3, "similarity"),
    ],
)
def test_the_simplest_model_that_agrees_is_chosen(homography, count, wanted):
    steps = []
    model, found = choose(textures(np.array(homography), count), steps.append)
    assert model == wanted
    assert steps == list(range(1, len(steps) + 1))
    assert isinstance(found, Alignment)


def test_edges_in_one_place_alone_do_not_bend_the_rest():
    rng = np.random.default_rng(0)
    pairs = []
    for ir, vis in textures(np.eye(3), 4):
        noisy = [rng.normal(90, 3, vis.shape).astype(np.uint8) for _ in range(2)]
        noisy[0][40:110, 30:100], noisy[1][40:110, 30:100] = ir[40:110, 30:100], vis[40:110, 30:100]
        pairs.append((noisy[0], noisy[1]))
    model, found = choose(pairs, lambda done: None)
    assert model == "translation"
    assert corner_error(found.homography, np.eye(3), pairs[0][0].shape) < 0.3


def test_agreement_falls_with_the_distance():
    pairs = textures(np.eye(3), 2)
    shifts = [np.array([[1, 0, x], [0, 1, 0], [0, 0, 1.0]]) for x in (0, 1, 2, 40)]
    values = [agreement(pairs, shift) for shift in shifts]
    assert values[0] == pytest.approx(1, abs=0.01)
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.1


def test_wrong_pairs_do_not_move_the_estimate():
    homography = np.array([[1.05, 0, 4], [0, 1.05, -3], [0, 0, 1]])
    pairs = textures(homography, 5)
    wrong = [(pairs[0][0][::-1].copy(), pairs[1][1]), (np.zeros_like(pairs[0][0]), pairs[2][1])]
    found = align(pairs + wrong, "homography", lambda done: None)
    assert corner_error(found.homography, homography, pairs[0][0].shape) < 0.4
    assert np.isnan(found.distances[-1])
    assert (found.distances[:5] < 1).all()


def test_gradient_strength_does_not_depend_on_where_in_memory_an_image_lies():
    size = (128, 160)  # OpenCV takes another way for some
    image = np.random.default_rng(0).random(size, np.float32) * 200
    found = set()
    for start in range(16):
        memory = np.empty(image.size + 16, np.float32)
        moved = memory[start : start + image.size].reshape(size)
        moved[...] = image
        held = [np.empty(size, np.float32) for _ in range(start % 3)]  # moves what is made inside
        found.add(_strength(moved).tobytes())
        del held
    assert len(found) == 1
