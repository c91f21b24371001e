"""Crops: a function of their step, the pixels of a window, and boxes that lie where objects are."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.helpers.recipes import files
from training import config
from training.config import AugmentConfig
from training.crops import Sampler, Window, cut, cut_targets, darken, window_of
from training.pairs import open_sources

PLAIN = AugmentConfig(shifted=0, shift=0, darkened=0)
SIZE = (48, 56)


def write(root, name, seed):
    """A pair of images of noise."""
    rng = np.random.default_rng(seed)
    for folder, shape in (("ir", SIZE), ("vis", (*SIZE, 3))):
        (root / folder).mkdir(parents=True, exist_ok=True)
        image = rng.integers(256, size=shape, dtype=np.uint8)
        Image.fromarray(image).save(root / folder / f"{name}.png")


def settings(tmp_path, sources, **augment):
    return config.check(
        {
            "data": {
                "cache": str(tmp_path / "cache"),
                "crop": 32,
                "sources": sources,
                "augment": {**PLAIN.model_dump(), **augment},
            },
            "detectors": {"demo": {"weights": "demo"}},
            "compute": {"batch": 4},
        }
    )


@pytest.fixture
def folder(tmp_path):
    for number in range(5):
        write(tmp_path / "a", f"p{number}", seed=number)
    return tmp_path / "a"


def opened(tmp_path, folder, **augment):
    made = settings(tmp_path, {"a": files(folder)}, **augment)
    return made, open_sources(made)


def test_a_batch_is_a_function_of_its_step(tmp_path, folder):
    made, sources = opened(tmp_path, folder, shifted=0.5, shift=4, darkened=0.5, zoomed=1.5)
    late, fresh = Sampler(made, sources, {}), Sampler(made, sources, {})
    for step in range(5):
        late(step)
    one, two, next_one = late(5), fresh(5), fresh(6)
    for name in ("ir_input", "ir", "vis"):
        assert torch.equal(getattr(one, name), getattr(two, name))
        assert not torch.equal(getattr(one, name), getattr(next_one, name))
    assert (one.ir_input.shape, one.ir.shape, one.vis.shape) == (
        (4, 1, 32, 32), (4, 1, 32, 32), (4, 3, 32, 32),
    )  # fmt: skip
    assert one.vis.dtype == torch.uint8
    assert one.detectors == (None,) * 4
    schedule = made.schedule.model_copy(update={"seed": 1})
    other = Sampler(replace(made, schedule=schedule), sources, {})
    assert not torch.equal(other(5).vis, one.vis)


def test_crops_are_windows_turned_and_flipped(tmp_path, folder):
    made, sources = opened(tmp_path, folder)
    places = {}
    for planes in (sources["a"][i] for i in range(5)):
        for top in range(SIZE[0] - 32 + 1):
            for left in range(SIZE[1] - 32 + 1):
                window = planes[top : top + 32, left : left + 32]
                for turns in range(4):
                    for mirrored in (False, True):
                        shown = window[:, ::-1] if mirrored else window
                        places[np.rot90(shown, turns).tobytes()] = (turns, mirrored)
    met = set()
    sample = Sampler(made, sources, {})
    for step in range(30):
        batch = sample(step)
        assert torch.equal(batch.ir_input, batch.ir)
        crops = torch.cat((batch.vis, batch.ir), dim=1).permute(0, 2, 3, 1).numpy()
        met |= {places[np.ascontiguousarray(crop).tobytes()] for crop in crops}
    assert len(met) == 8


def test_sources_are_drawn_by_weight(tmp_path, folder):
    write(tmp_path / "b", "white", seed=0)
    for name, mode in (("ir", "L"), ("vis", "RGB")):
        Image.new(mode, SIZE[::-1], "white").save(tmp_path / "b" / name / "white.png")
    sources = {
        "a": files(folder, weight=1),
        "b": files(tmp_path / "b", weight=3, detector="demo"),
    }
    made = settings(tmp_path, sources)
    sample = Sampler(made, open_sources(made), {"b": [np.zeros((0, 6), np.float32)]})
    white = []
    for step in range(100):
        batch = sample(step)
        levels = batch.ir.amin(dim=(1, 2, 3)) == 255
        assert [name == "demo" for name in batch.detectors] == levels.tolist()
        white.append(levels)
    assert torch.cat(white).float().mean() == pytest.approx(0.75, abs=0.09)  # 4 sigma are 0.087


@pytest.mark.parametrize("turned", [False, True])
def test_targets_move_with_the_pixels(tmp_path, turned):
    """Each target is a white rectangle in the visible image: its mean level in a crop is white."""
    rng = np.random.default_rng(0)
    root, targets = tmp_path / "a", []
    for number in range(4):
        top, left = rng.integers(0, 20, 2)
        height, width = rng.integers(12, 24, 2)
        image = np.zeros((*SIZE, 3), np.uint8)
        image[top : top + height, left : left + width] = 255
        write(root, f"p{number}", seed=number)
        Image.fromarray(image).save(root / "vis" / f"p{number}.png")
        box = [left, top, left + width, top + height, 2, 0.7]
        targets.append(np.array([box], np.float32))
    made = settings(tmp_path, {"a": files(root, detector="demo")}, turned=turned, zoomed=1.2)
    sample, seen = Sampler(made, open_sources(made), {"a": targets}), 0
    for step in range(20):
        batch = sample(step)
        for image, boxes in zip(batch.vis[:, 0].numpy(), batch.targets, strict=True):
            assert boxes.dtype == torch.float32
            for x1, y1, x2, y2, class_id, weight in boxes.tolist():
                if min(x2 - x1, y2 - y1) > 5:
                    inside = image[round(y1) + 2 : round(y2) - 2, round(x1) + 2 : round(x2) - 2]
                    assert inside.min() > 250
                outside = (
                    image.astype(int).sum()
                    - image[
                        max(round(y1) - 2, 0) : round(y2) + 2, max(round(x1) - 2, 0) : round(x2) + 2
                    ]
                    .astype(int)
                    .sum()
                )
                assert outside == 0
                assert class_id == 2
                assert weight in (0, pytest.approx(0.7))
                seen += 1
    assert seen > 60


def test_crops_are_centred_on_objects(tmp_path, folder):
    target = np.array([[40, 4, 44, 8, 0, 1]], np.float32)
    made = settings(tmp_path, {"a": files(folder, detector="demo")}, centred=1)
    sample = Sampler(made, open_sources(made), {"a": [target] * 5})
    for step in range(20):
        assert all((boxes[:, 5] > 0).all() and len(boxes) == 1 for boxes in sample(step).targets)


def places(height, width):
    """Red and infrared say the column, green the row."""
    y, x = np.mgrid[:height, :width].astype(np.uint8)
    return np.dstack((x, y, 0 * x, x))


def test_only_the_infrared_that_is_seen_is_shifted():
    rng, planes = np.random.default_rng(0), places(100, 120)
    always, shifts = AugmentConfig(shifted=1, shift=3), set()
    for _ in range(200):
        crop = cut(planes, Window(30, 40, 32), 32, rng, always).astype(int)
        assert np.array_equal(crop[..., 3], crop[..., 0])
        moved = crop[..., 4] - crop[..., 3]
        assert moved.min() == moved.max()
        shifts.add(moved[0, 0])
    assert shifts == set(range(-3, 4))
    rarely = AugmentConfig(shifted=0.25, shift=3)
    cuts = [cut(planes, Window(30, 40, 32), 32, rng, rarely) for _ in range(400)]
    still = np.mean([np.array_equal(crop[..., 4], crop[..., 3]) for crop in cuts])
    assert still == pytest.approx(0.75 + 0.25 / 7, abs=0.09)


def test_a_larger_window_is_shrunk_by_area():
    planes = np.random.default_rng(0).integers(256, size=(64, 64, 4), dtype=np.uint8)
    crop = cut(planes, Window(0, 0, 64), 32, np.random.default_rng(1), PLAIN)
    expected = planes.reshape(32, 2, 32, 2, 4).mean(axis=(1, 3))
    assert np.abs(crop[..., :4] - expected).max() <= 0.5
    assert np.array_equal(crop[..., 4], crop[..., 3])


def test_a_smaller_window_is_enlarged_linearly():
    planes = np.random.default_rng(0).integers(256, size=(64, 64, 4), dtype=np.uint8)
    crop = cut(planes, Window(8, 16, 24), 32, np.random.default_rng(1), PLAIN)
    window = planes[8:32, 16:40]
    for channel in range(4):
        whole = cv2.resize(window[..., channel].astype(np.float32), (32, 32))
        assert np.abs(crop[..., channel] - whole).max() <= 1


@given(
    st.tuples(st.integers(32, 90), st.integers(32, 90)),
    st.floats(1, 4),
    st.none() | st.tuples(st.floats(0, 1), st.floats(0, 1)),
    st.integers(0, 99),
)
def test_windows_lie_inside_the_image(size, zoomed, middle, seed):
    augment = AugmentConfig(zoomed=zoomed)
    at = None if middle is None else (middle[0] * size[0], middle[1] * size[1])
    window = window_of(size, 32, np.random.default_rng(seed), augment, at)
    assert 32 / zoomed - 1 <= window.side <= 32 * zoomed + 1
    assert 0 <= window.top <= size[0] - window.side
    assert 0 <= window.left <= size[1] - window.side
    if at is not None:  # what is asked for is in the window, unless that would leave the image
        assert window.top <= at[0] + 1
        assert at[0] <= window.top + window.side + 1


def test_what_is_left_of_targets_in_a_crop():
    targets = np.array(
        [
            [10, 10, 20, 20, 0, 0.8],  # all of it
            [36, 10, 46, 20, 2, 0.6],  # its left 4 of 10 columns: just enough
            [37, 10, 47, 20, 2, 0.6],  # 3 of 10 columns
            [50, 10, 60, 20, 0, 1.0],  # nothing
            [0, 0, 100, 100, 0, 0.0],  # a region
        ],
        np.float32,
    )
    left = cut_targets(targets, Window(0, 0, 40), 80)
    assert left.tolist() == [
        pytest.approx(row)
        for row in (
            [20, 20, 40, 40, 0, 0.8],
            [72, 20, 80, 40, 2, 0.6],
            [74, 20, 80, 40, 2, 0.0],
            [0, 0, 80, 80, 0, 0.0],
        )
    ]


def test_darkening_keeps_the_order_of_levels():
    levels = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    rng = np.random.default_rng(0)
    for _ in range(50):
        dark = darken(levels, rng).astype(int)
        assert (np.diff(dark[:, 0]) >= 0).all()
        assert (dark <= levels).all()
        assert 64 <= dark[255, 0] <= 255
