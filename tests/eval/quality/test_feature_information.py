"""FMI: against a slow reference that goes window by window, and by hand."""

import math

import numpy as np
import pytest


def slow_edges(image):
    """Sobel, over four times the mean of the squared strength, thinned; none at the border."""
    height, width = image.shape
    padded = np.pad(image.astype(int), 1, mode="edge")
    strength, xs, ys = (np.zeros((height, width)) for _ in range(3))
    for i in range(height):
        for j in range(width):
            part = padded[i : i + 3, j : j + 3]
            xs[i, j] = abs((part[:, 2] - part[:, 0]) @ [1, 2, 1]) / 8
            ys[i, j] = abs((part[2] - part[0]) @ [1, 2, 1]) / 8
            strength[i, j] = xs[i, j] ** 2 + ys[i, j] ** 2
    edges = np.zeros((height, width), int)
    for i in range(1, height - 1):
        for j in range(1, width - 1):
            s = strength[i, j]
            across = xs[i, j] >= ys[i, j] and strength[i, j - 1] <= s > strength[i, j + 1]
            down = ys[i, j] >= xs[i, j] and strength[i - 1, j] <= s > strength[i + 1, j]
            edges[i, j] = s > 4 * strength.mean() and (across or down)
    return edges


def entropy(masses):
    return -sum(p * math.log2(p) for p in masses if p > 0)


def deviation(p):
    mean = sum(k * mass for k, mass in enumerate(p))
    return math.sqrt(max(sum((k - mean) ** 2 * mass for k, mass in enumerate(p)), 0))


def bound(p, q, *, upper):
    """Fréchet's largest or least joint distribution function, (10, 10) with zeros first."""
    F, G = np.append(0, np.cumsum(p)), np.append(0, np.cumsum(q))
    if upper:
        return np.minimum.outer(F, G)
    return np.maximum(np.add.outer(F, G) - 1, 0)


def slow_window(a, f):
    """Normalized information of two windows of zeros and ones."""
    if (a == f).all():
        return 1.0
    p, q = (w.T.ravel() / w.sum() if w.any() else np.full(9, 1 / 9) for w in (a.astype(float), f))
    dp, dq = p - p.mean(), q - q.mean()
    scale = math.sqrt((dp @ dp) * (dq @ dq))
    r = dp @ dq / scale if scale > 1e-12 else 0.0
    if abs(r) < 1e-12 or deviation(p) * deviation(q) < 1e-12:
        joint = np.outer(p, q)
    else:
        extreme = bound(p, q, upper=r > 0)
        product = np.outer(np.cumsum(p), np.cumsum(q))
        covariance = (extreme[1:, 1:] - product).sum()
        share = min(r / (covariance / (deviation(p) * deviation(q))), 1)
        joint = share * np.diff(np.diff(extreme, axis=0), axis=1) + (1 - share) * np.outer(p, q)
    both = entropy(p) + entropy(q)
    return 2 * (both - entropy(joint.ravel())) / both if both > 0 else 0.0


def slow_fmi(*images):
    ir, vis, fused = (slow_edges(image) for image in images)
    values = []
    for i in range(ir.shape[0] - 2):
        for j in range(ir.shape[1] - 2):
            window = np.s_[i : i + 3, j : j + 3]
            values += [slow_window(s[window], fused[window]) for s in (ir, vis)]
    return np.mean(values)


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_the_slow_reference(measure, seed):
    """Blocks with some noise: edges in all windows."""
    random = np.random.default_rng(seed)
    blocks = random.integers(0, 200, (3, 6, 8)).repeat(3, axis=1).repeat(3, axis=2)
    images = (blocks + random.integers(0, 30, blocks.shape)).astype(np.uint8)
    assert 0.2 < slow_fmi(*images) < 0.9
    assert measure(*images)["fmi"] == pytest.approx(slow_fmi(*images), abs=1e-9)


def test_agrees_with_the_slow_reference_on_photographs(measure, photos):
    crop = [image[60:110, 60:110] for image in photos]
    assert measure(*crop)["fmi"] == pytest.approx(slow_fmi(*crop), abs=1e-9)


def test_equal_edges_are_one(measure, photos):
    ir = photos[0] // 2
    assert measure(ir, ir, ir)["fmi"] == 1
    # Another brightness and contrast: the same edges.
    assert measure(ir, ir, ir * 2 + 1)["fmi"] == 1


def test_line_that_one_source_lacks(measure):
    """A bright half gives one column of edges, seen by 3 of 7 columns of windows."""
    half = np.zeros((9, 9))
    half[:, 4:] = 200
    flat = np.zeros((9, 9))
    # Those windows are uniform in one image and a line in the other: nothing in common.
    assert measure(half, flat, half)["fmi"] == pytest.approx((1 + 4 / 7) / 2)
    assert measure(flat, flat, half)["fmi"] == pytest.approx(4 / 7)
