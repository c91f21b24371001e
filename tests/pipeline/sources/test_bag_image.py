"""The images of single ROS messages."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import DataError
from pipeline.sources._bag_image import to_image
from tests.helpers import bags

RGB = np.arange(6 * 5 * 3, dtype=np.uint8).reshape(6, 5, 3) * 2

TYPES = {"mono8": "u1", "8UC1": "u1", "mono16": "u2", "16UC1": "u2", "32FC1": "f4"}


@settings(max_examples=30, deadline=None)
@given(
    kind=st.sampled_from(list(TYPES.items())),
    height=st.integers(1, 7), width=st.integers(1, 9), pad=st.integers(0, 3), big=st.booleans(),
)  # fmt: skip
def test_grey_of_any_size_padding_and_byte_order(kind, height, width, pad, big):
    encoding, dtype = kind
    image = (np.random.default_rng(height).random((height, width)) * 251).astype(dtype)
    found = to_image(bags.raw(0, image, encoding, pad=pad, big=big), "x")
    assert found.dtype == image.dtype
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, image)


@pytest.mark.parametrize("pad", [0, 3])
def test_colour_becomes_rgb(pad):
    alpha = np.full((6, 5, 1), 9, np.uint8)
    kinds = {
        "rgb8": RGB,
        "bgr8": RGB[..., ::-1],
        "rgba8": np.concatenate([RGB, alpha], axis=2),
        "bgra8": np.concatenate([RGB[..., ::-1], alpha], axis=2),
    }
    for encoding, image in kinds.items():
        np.testing.assert_array_equal(to_image(bags.raw(0, image, encoding, pad=pad), "x"), RGB)


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer_of_one_colour_becomes_that_colour(pattern):
    colour = {"r": 200, "g": 120, "b": 40}
    tile = np.array([colour[c] for c in pattern], np.uint8).reshape(2, 2)  # as it is read
    found = to_image(bags.raw(0, np.tile(tile, (4, 4)), f"bayer_{pattern}8", pad=1), "x")
    np.testing.assert_array_equal(found, np.broadcast_to([200, 120, 40], (8, 8, 3)))


def broken(**fields):
    message = bags.raw(0, RGB, "rgb8")
    for name, value in fields.items():
        setattr(message, name, value)
    return message


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (broken(data=np.zeros(89, np.uint8)), "x: 89 bytes of data, where 5x6 rgb8 in rows of 15"),
        (broken(step=14), "x: rows of 14 bytes (field step), where 5x6 rgb8 needs 15"),
        (broken(width=0, step=0), "x: an empty image (0x6 rgb8)"),
        (broken(encoding="8UC3"), "x: encoding '8UC3', where mono8, 8UC1, "),
        (broken(encoding="bayer_rggb8", height=2), "x: 5x2 is too small for bayer_rggb8"),
        (bags.compressed(0, b"none", "jpeg"), "x: not an image that can be read"),
        (bags.compressed(0, b"", "16UC1; compressedDepth png"), "x: format '16UC1; compressedDept"),
    ],
)
def test_what_cannot_be_decoded_says_why(message, reason):
    with pytest.raises(DataError) as raised:
        to_image(message, "x")
    assert str(raised.value).startswith(reason)
