"""Generated slices of a brain: seeded, with exact masks and the contrasts that they state."""

import numpy as np
import pytest
from scipy.ndimage import binary_erosion

from scenes.phantoms import NAMES, TISSUES, draw

SLICES = [draw(0, number, (128, 128)) for number in range(12)]


def test_the_same_seed_and_number_give_the_same_pixels():
    again, other = draw(0, 3, (128, 128)), draw(1, 3, (128, 128))
    for name in ("flair", "t2", "labels"):
        first = getattr(SLICES[3], name)
        assert (first.dtype, first.shape) == (np.uint8, (128, 128))
        assert np.array_equal(first, getattr(again, name))
        assert not np.array_equal(first, getattr(other, name))
        assert not np.array_equal(first, getattr(SLICES[4], name))


@pytest.mark.parametrize("size", [(32, 32), (96, 160), (200, 64)])
def test_other_sizes(size):
    slice_ = draw(0, 3, size)
    assert slice_.flair.shape == slice_.t2.shape == slice_.labels.shape == size
    assert slice_.labels.any()


def test_labels_are_those_of_brats_and_most_slices_have_a_tumour():
    with_tumour = [s for s in SLICES if s.labels.any()]
    assert 9 <= len(with_tumour) <= 12
    assert set(np.unique([s.labels for s in SLICES])) == set(NAMES)
    for slice_ in with_tumour:
        share = np.mean(slice_.labels > 0)
        assert 0.002 < share < 0.2


@pytest.mark.parametrize("modality", ["flair", "t2"])
def test_each_part_of_the_tumour_has_its_stated_grey_value(modality):
    """Inside a part, away from its blurred edge, and over slices, whose contrasts differ."""
    column = ("flair", "t2").index(modality)
    for label, tissue in ((1, "core"), (2, "oedema"), (4, "enhancing")):
        inside = [binary_erosion(s.labels == label) for s in SLICES]
        means = [
            getattr(s, modality)[pixels].mean() / 255
            for s, pixels in zip(SLICES, inside, strict=True)
            if pixels.any()
        ]
        assert np.mean(means) == pytest.approx(TISSUES[tissue][column], abs=0.05), tissue
