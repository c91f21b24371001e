"""The source of generated brain phantoms."""

import numpy as np

from pipeline.sources.phantoms import Config, build
from scenes.phantoms import draw


def test_pairs_and_masks_are_those_of_the_drawing():
    with build(Config(slices=3, seed=7, size=(40, 48))) as source:
        pairs = list(source)
        masks = [source.masks(pair.key) for pair in pairs]
        assert source.count == 3
        assert source.keys == [pair.key for pair in pairs] == ["000000", "000001", "000002"]
    for number, (pair, mask) in enumerate(zip(pairs, masks, strict=True)):
        expected = draw(7, number, (40, 48))
        assert np.array_equal(pair.ir.image, expected.flair)
        assert np.array_equal(pair.vis.image, expected.t2)
        assert np.array_equal(mask, expected.labels)
        assert pair.problem() is None
    assert not source.has_labels
