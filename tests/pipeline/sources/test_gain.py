import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from pipeline.sources import _gain
from pipeline.sources._gain import AutoGain

SIZE = (64, 80)
MOST = 255 * _gain.STEP / (1 - 2 * _gain.STEP) + 1  # levels from one frame to the next, as stated


def scene(rng=None, noise=0.0):
    """A ramp from 20000 to 21000 counts, with noise of this standard deviation."""
    ramp = np.linspace(20_000, 21_000, SIZE[0] * SIZE[1]).reshape(SIZE)
    if noise:
        ramp = ramp + rng.normal(0, noise, SIZE)
    return np.rint(ramp).astype(np.uint16)


def changes(levels, columns=slice(None)):
    """Most that any pixel of some columns differs from the frame before, by frame."""
    frames = np.stack(levels).astype(int)[:, :, columns]
    return np.abs(np.diff(frames, axis=0)).max(axis=(1, 2))


@given(arrays(np.uint16, array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_percentiles_are_those_of_numpy(image):
    expected = [np.percentile(image, 100 * share, method="inverted_cdf") for share in _gain.SHARES]
    assert list(_gain.percentiles(image)) == expected


@given(arrays(np.uint16, (3, 4)), st.floats(0, 65_000), st.floats(1, 65_535))
def test_stretch_is_linear_between_its_ends(image, low, width):
    exact = 255 * (image.astype(float) - low) / width
    levels = _gain.stretch(image, low, low + width)
    assert levels.dtype == np.uint8
    # the counts are subtracted in float32, which has 24 bits
    assert np.abs(levels - np.clip(exact, 0, 255)).max() <= 0.51 + 255 / width / 2**8


def test_the_whole_range_is_used_but_for_the_tails():
    levels = AutoGain()(scene())
    assert levels.shape == SIZE
    assert levels.dtype == np.uint8
    assert (levels == 0).mean() == pytest.approx(0.005, abs=0.004)
    assert (levels == 255).mean() == pytest.approx(0.005, abs=0.004)
    assert levels[SIZE[0] // 2].mean() == pytest.approx(127, abs=3)


def test_a_constant_scene_gives_a_constant_picture():
    automatic = AutoGain()
    assert changes([automatic(scene()) for _ in range(60)]).max() == 0


def test_noise_does_not_flicker():
    rng, automatic = np.random.default_rng(0), AutoGain()
    levels = [automatic(scene(rng, noise=20)) for _ in range(120)]
    means = np.array([level.mean() for level in levels])
    assert np.abs(np.diff(means)).max() < 0.5
    alone = [AutoGain()(scene(rng, noise=20)).mean() for _ in range(120)]
    assert np.diff(means).std() < 0.5 * np.diff(alone).std()


@pytest.mark.parametrize("counts", [0, 12_000, 26_000, 65_535])
def test_an_object_that_enters_and_leaves_does_not_make_the_rest_jump(counts):
    automatic, levels = AutoGain(), []
    for i in range(400):
        image = scene()
        if 60 <= i < 200:
            image[:, :16] = counts  # 20% of the picture
        levels.append(automatic(image))
    assert changes(levels, slice(16, None)).max() <= MOST < 7
    assert changes(levels, slice(16, None))[60:].max() > 0  # it does adapt
    assert np.array_equal(levels[-1], levels[0])  # and comes back


def test_adapts_to_a_scene_that_warms_slowly():
    automatic = AutoGain()
    for i in range(300):
        levels = automatic(scene() + np.uint16(4 * i))
    assert 90 < levels.mean() < 230  # it follows, half a window late
    for _ in range(100):
        levels = automatic(scene() + np.uint16(4 * 299))
    assert np.array_equal(levels, AutoGain()(scene() + np.uint16(4 * 299)))


def test_one_strange_frame_changes_nothing_after_it():
    automatic = AutoGain()
    before = [automatic(scene()) for _ in range(20)][-1]
    strange = scene()
    strange[:, :30] = 60_000
    automatic(strange)
    after = [automatic(scene()) for _ in range(60)]
    assert all(np.array_equal(levels, before) for levels in after)


def test_another_scene_starts_anew():
    automatic = AutoGain()
    for _ in range(60):
        automatic(scene())
    assert np.array_equal(automatic(scene() + np.uint16(9_000)), AutoGain()(scene()))


def test_another_size_starts_anew():
    automatic = AutoGain()
    for _ in range(60):
        automatic(scene())
    other = (scene()[::2] - 20_000) // 2 + 20_200
    assert np.array_equal(automatic(other), AutoGain()(other))


def test_an_even_scene_is_not_stretched_to_noise():
    rng = np.random.default_rng(0)
    even = np.rint(rng.normal(30_000, 2, SIZE)).astype(np.uint16)
    levels = AutoGain()(even)
    assert levels.mean() == pytest.approx(127.5, abs=4)
    assert levels.std() == pytest.approx(2 * 255 / _gain.LEAST, rel=0.1)
    assert set(np.unique(AutoGain()(np.full(SIZE, 65_535, np.uint16)))) <= {127, 128}


def test_eight_bit_images_stay_as_they_are():
    rng = np.random.default_rng(0)
    automatic = AutoGain()
    for image in (rng.integers(0, 255, SIZE, np.uint8), rng.integers(0, 255, (*SIZE, 3), np.uint8)):
        assert automatic(image) is image


def test_the_same_frames_give_the_same_pictures_whatever_comes_later():
    rng = np.random.default_rng(0)
    images = [scene(rng, noise=50) + np.uint16(5 * i) for i in range(30)]
    first, again = AutoGain(), AutoGain()
    whole = [first(image) for image in images]
    part = [again(image) for image in images[:20]]
    assert all(np.array_equal(a, b) for a, b in zip(whole, part, strict=False))


def test_a_given_range_takes_its_place():
    image = scene()
    assert np.array_equal(
        _gain.to_display((20_000, 21_000))(image), _gain.stretch(image, 20_000, 21_000)
    )
    assert np.array_equal(_gain.to_display(None)(image), AutoGain()(image))
