"""All fourteen at once: what holds for any images."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.quality.metrics import quality
from eval.quality.names import METRICS

KEYS = [metric.key for metric in METRICS]


def batch(*images):
    return [torch.tensor(np.stack(stack)[:, None]) for stack in images]


@st.composite
def triples(draw):
    """Three images of one size, from 1x1 up: random, of few levels, constant, or equal."""
    height, width = draw(st.integers(1, 48)), draw(st.integers(1, 48))
    random = np.random.default_rng(draw(st.integers(0, 1000)))
    images = []
    for _ in range(3):
        kind = draw(st.sampled_from(["noise", "two levels", "constant", "same", "brighter"]))
        low = draw(st.sampled_from([0, 3, 100, 254]))
        if kind in ("same", "brighter") and images:
            change = 1 if kind == "brighter" else 0
            image = np.minimum(images[0], 254) + change
        else:
            high = {"noise": 256, "two levels": low + 2}.get(kind, low + 1)
            image = random.integers(low, high, (height, width))
        images.append(image.astype(np.uint8))
    return images


def test_names():
    image = torch.zeros(1, 1, 20, 20, dtype=torch.uint8)
    assert [metric.key for metric in METRICS] == KEYS
    assert list(quality(ir=image, vis=image, fused=image)) == KEYS
    assert [metric.key for metric in METRICS if not metric.higher_is_better] == ["nabf"]


@settings(max_examples=30, deadline=None)
@given(images=triples())
def test_values_are_in_range_or_not_defined(images):
    ir, vis, fused = batch(*([image] for image in images))
    result = quality(ir=ir, vis=vis, fused=fused)
    for metric in METRICS:
        value = result[metric.key]
        assert value.dtype == torch.float64
        assert value.shape == (1,)
        if not value.isnan():
            assert math.isfinite(value.item())
            assert metric.low - 1e-9 <= value.item() <= metric.high + 1e-9, metric.name


@settings(max_examples=30, deadline=None)
@given(images=triples())
def test_sources_are_interchangeable(images):
    ir, vis, fused = batch(*([image] for image in images))
    one = quality(ir=ir, vis=vis, fused=fused)
    other = quality(ir=vis, vis=ir, fused=fused)
    for key in KEYS:
        torch.testing.assert_close(one[key], other[key], rtol=1e-6, atol=1e-7, equal_nan=True)


@settings(max_examples=30, deadline=None)
@given(images=triples(), seed=st.integers(0, 1000))
def test_statistics_do_not_depend_on_the_pixels_order(images, seed):
    order = np.random.default_rng(seed).permutation(images[0].size)
    ir, vis, fused = batch(
        *([image, image.ravel()[order].reshape(image.shape)] for image in images)
    )
    result = quality(ir=ir, vis=vis, fused=fused)
    for key in ("en", "sd", "mi", "scd", "cc", "psnr"):
        a, b = result[key]
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9, equal_nan=True)


def test_batch_is_what_the_images_are_one_by_one(photos):
    flat = np.full_like(photos[0], 7)
    ir, vis, fused = batch(
        [photos[0], photos[1], flat, flat],
        [photos[1], photos[0][::-1], photos[0], flat],
        [photos[2], photos[2][:, ::-1], photos[1], flat],
    )
    together = quality(ir=ir, vis=vis, fused=fused)
    for i in range(4):
        alone = quality(ir=ir[i : i + 1], vis=vis[i : i + 1], fused=fused[i : i + 1])
        for key in KEYS:
            torch.testing.assert_close(
                together[key][i : i + 1], alone[key], rtol=1e-6, atol=1e-9, equal_nan=True
            )


def test_better_fusion_is_better(measure, photos):
    """A noisy mean of the sources loses to the mean wherever noise isn't what is measured."""
    ir, vis, fused = photos
    random = np.random.default_rng(0)
    noisy = np.clip(fused + random.normal(0, 25, fused.shape), 0, 255).astype(np.uint8)
    clean, worse = measure(ir, vis, fused), measure(ir, vis, noisy)
    for metric in METRICS:
        if metric.key not in ("en", "sd", "sf", "ag"):
            is_higher = clean[metric.key] > worse[metric.key]
            assert is_higher == metric.higher_is_better, metric.name


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (torch.zeros(1, 1, 4, 4), "vis must be uint8"),
        (torch.zeros(1, 3, 4, 4, dtype=torch.uint8), "vis must be uint8"),
        (torch.zeros(4, 4, dtype=torch.uint8), "vis must be uint8"),
        (torch.zeros(1, 1, 4, 5, dtype=torch.uint8), r"vis is \[1, 1, 4, 5\], ir is"),
        (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), r"vis is \[2, 1, 4, 4\], ir is"),
    ],
)
def test_other_tensors_are_refused(image, message):
    right = torch.zeros(1, 1, 4, 4, dtype=torch.uint8)
    with pytest.raises(ValueError, match=message):
        quality(ir=right, vis=image, fused=right)


def test_empty_batch_is_refused():
    nothing = torch.zeros(0, 1, 4, 4, dtype=torch.uint8)
    with pytest.raises(ValueError, match=r"\[0, 1, 4, 4\]"):
        quality(ir=nothing, vis=nothing, fused=nothing)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_same_on_the_gpu(photos):
    images = batch(*([image, image[::-1]] for image in photos))
    here = quality(ir=images[0], vis=images[1], fused=images[2])
    there = quality(ir=images[0].cuda(), vis=images[1].cuda(), fused=images[2].cuda())
    for key in KEYS:
        assert there[key].is_cuda
        torch.testing.assert_close(there[key].cpu(), here[key], rtol=1e-5, atol=1e-6)
