"""Qabf and Nabf: against a slow reference that goes pixel by pixel, and by their properties."""

import math

import numpy as np
import pytest

BEST = 0.9994 / (1 + math.exp(-7.5)) * 0.9879 / (1 + math.exp(-4.4))


def edge(image, i, j):
    """Strength and orientation of Sobel's sums at a pixel of a padded image."""
    around = [[float(image[i + di][j + dj]) for dj in (-1, 0, 1)] for di in (-1, 0, 1)]
    x = sum(w * (row[2] - row[0]) for w, row in zip((1, 2, 1), around, strict=True))
    y = sum(w * (around[2][k] - around[0][k]) for k, w in enumerate((1, 2, 1)))
    return math.hypot(x, y), math.pi / 2 if x == 0 else math.atan(y / x)


def logistic(x, gain, middle):
    return 1 / (1 + math.exp(-gain * (x - middle)))


def slow_qabf(ir, vis, fused):
    images = [np.pad(image, 1) for image in (ir, vis, fused)]
    kept = total = 0.0
    for i in range(1, ir.shape[0] + 1):
        for j in range(1, ir.shape[1] + 1):
            *sources, (g_f, a_f) = [edge(image, i, j) for image in images]
            for g, a in sources:
                change = min(g, g_f) / max(g, g_f) if max(g, g_f) > 0 else 1
                q = 0.9994 * logistic(change, 15, 0.5)
                q *= 0.9879 * logistic(1 - abs(a - a_f) / (math.pi / 2), 22, 0.8)
                kept += q * g
                total += g
    return kept / total


def slow_nabf(ir, vis, fused):
    images = [np.pad(image, 1, mode="reflect") for image in (ir, vis, fused)]
    added = total = 0.0
    for i in range(1, ir.shape[0] + 1):
        for j in range(1, ir.shape[1] + 1):
            edges = [edge(image, i, j) for image in images]
            *sources, (g_f, a_f) = [(g / 8, a) for g, a in edges]
            strongest = all(g_f > g for g, _ in sources)
            for g, a in sources:
                change = min(g, g_f) / max(g, g_f) if min(g, g_f) > 0 else 0
                turned = abs(abs(a - a_f) - math.pi / 2) / (math.pi / 2)
                q = 0.9999 * logistic(change, 19, 0.5) * 0.9995 * logistic(turned, 22, 0.5)
                weight = g**1.5 if g >= 2 else 0.001
                added += strongest * (1 - math.sqrt(q)) * weight
                total += weight
    return added / total


@pytest.mark.parametrize("levels", [2, 4, 20, 256])
def test_agree_with_the_slow_reference(measure, levels):
    """Few levels: many pixels without an edge, many equal edges."""
    random = np.random.default_rng(levels)
    for _ in range(5):
        images = random.integers(0, levels, (3, 7, 10), dtype=np.uint8)
        result = measure(*images)
        assert result["qabf"] == pytest.approx(slow_qabf(*images), rel=1e-6)
        assert result["nabf"] == pytest.approx(slow_nabf(*images), rel=1e-6, abs=1e-10)


def test_agree_with_the_slow_reference_on_photographs(measure, photos):
    crop = [image[60:100, 60:100] for image in photos]
    result = measure(*crop)
    assert result["qabf"] == pytest.approx(slow_qabf(*crop), rel=1e-6)
    assert result["nabf"] == pytest.approx(slow_nabf(*crop), rel=1e-6, abs=1e-10)


def test_fused_equal_to_both_sources_keeps_all_edges_and_adds_none(measure, photos):
    result = measure(photos[0], photos[0], photos[0])
    assert result["qabf"] == pytest.approx(BEST, rel=1e-6)
    assert result["nabf"] == 0


def test_black_fused_image_keeps_nothing(measure, photos):
    result = measure(photos[0], photos[1], np.zeros_like(photos[0]))
    assert result["qabf"] < 0.001
    assert result["nabf"] == 0


def test_edges_out_of_nothing_are_artifacts(measure, noise):
    flat = np.full((9, 13), 128)
    # All but the corners, which have no edge between mirror images.
    assert measure(flat, flat, noise[0])["nabf"] == pytest.approx((117 - 4) / 117, abs=0.01)
    assert measure(flat, flat, flat)["nabf"] == 0


def test_black_sources_have_no_edges_to_keep(measure, noise):
    black = np.zeros((9, 13))
    assert math.isnan(measure(black, black, noise[0])["qabf"])
