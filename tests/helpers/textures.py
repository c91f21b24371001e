"""Image pairs of a known homography, and how far off a found one is."""

import cv2
import numpy as np

from pipeline.geometry.registration import (
    corners,
    project,
)


def corner_error(found, truth, ir_size):
    """Mean distance of the infrared corners, visible pixels."""
    apart = project(np.asarray(found), corners(ir_size)) - project(truth, corners(ir_size))
    return np.linalg.norm(apart, axis=1).mean()


def textures(homography, count, size=(200, 260)):
    """Pairs of a texture, its negative seen through the inverse of the homography."""
    pairs = []
    for seed in range(count):
        noise = np.random.default_rng(seed).standard_normal(size, np.float32)
        rough = cv2.GaussianBlur(noise, (0, 0), 4)
        image = np.clip(128 + 50 * rough / rough.std(), 0, 255).astype(np.uint8)
        there = cv2.warpPerspective(
            255 - image, np.linalg.inv(homography), size[::-1], borderMode=cv2.BORDER_REFLECT
        )
        pairs.append((there, image))
    return pairs
