"""The one homography that fits pairs of two fixed cameras best, from the images alone.

First the zoom and the shift by correlating gradient directions, summed over all pairs; then ECC
(Evangelidis and Psarakis, PAMI 2008) on gradient strength, coarse to fine: every pair gives an own
estimate, their median is the next common one. A median bears pairs that are dark, empty or wrong,
and each pair is of one moment, so nothing is blurred where the scene moves.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from pipeline.geometry.misalignment import best, orientation, reduce, unit, well_inside
from pipeline.geometry.registration import Homography, Points, corners, project

Model = Literal["translation", "similarity", "affine", "homography"]
Pair = tuple[NDArray[np.uint8], NDArray[np.uint8]]  # infrared [h, w], visible luminance [H, W]
Size = tuple[int, int]  # height, width
_Floats = NDArray[np.float32]
_Image = NDArray[Any]  # uint8 or float32 [h, w]

LADDER: tuple[Model, ...] = ("translation", "similarity", "homography")  # from the simplest on
ROUNDS = (160, 160, 320, 320, 640)  # the visible image's longer side, pixels
LEAST_CORRELATION = 0.12  # of a pair's gradient strength once aligned
_COARSE = 160  # the visible image's longer side in the search for the zoom
_ZOOMS = 1.04 ** np.arange(-17, 18)  # 0.51 to 1.95; half a step is 1.6 of 160 pixels at the sides
_NEARLY = 0.92  # of the best model's agreement is enough for a simpler one
_MANY = 4  # pairs, below which a homography is left to whoever asks for it
_JUDGED = 640  # the visible image's longer side when models are compared
_MARGIN = 1.25  # padding against shifts that wrap around
_BLUR, _AROUND, _NOISE = 1.0, 8.0, 2.0  # pixels, pixels, grey levels per pixel
_STOP = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 30, 1e-4)
_MOTION = {
    "translation": cv2.MOTION_TRANSLATION,
    "similarity": cv2.MOTION_AFFINE,  # OpenCV has none; what it finds is fitted
    "affine": cv2.MOTION_AFFINE,
    "homography": cv2.MOTION_HOMOGRAPHY,
}


@dataclass(frozen=True, slots=True, eq=False)
class Alignment:
    """What the pairs say together, and each alone.

    Attributes:
        homography: Infrared to visible pixels, float64 [3, 3].
        distances: Mean distance of the infrared corners under a pair's own estimate from those
            under the common one, visible pixels, float64 (n,); NaN where a pair gave none.
    """

    homography: Homography
    distances: NDArray[np.float64]


def align(pairs: Sequence[Pair], model: Model, on_step: Callable[[int], None]) -> Alignment:
    """Estimate the homography from infrared to visible pixels.

    Args:
        pairs: n pairs of the same two sizes.
        model: ``translation`` keeps the scale between the two sizes, ``similarity`` angles and
            ``affine`` parallels.
        on_step: Called with the estimates made so far, of ``n * len(ROUNDS)``.

    Returns:
        The estimate, whether it is good or not: that shows in the distances.
    """
    start = corners(_size(pairs[0][0]))
    common = _zoom_and_shift(pairs, model)
    for number, side in enumerate(ROUNDS):
        own = np.full((len(pairs), 4, 2), np.nan)  # the corners by each pair's estimate
        for index, pair in enumerate(pairs):
            estimate = _refine(pair, side, common, model)
            if estimate is not None:
                moved = project(estimate, start)
                own[index] = project(_fit(model, start, moved, common), start)
            on_step(number * len(pairs) + index + 1)
        known = ~np.isnan(own[:, 0, 0])
        if known.any():
            common = _fit(model, start, np.median(own[known], axis=0), common)
    distances = np.linalg.norm(own - project(common, start), axis=2).mean(axis=1)
    return Alignment(common, distances)


def choose(pairs: Sequence[Pair], on_step: Callable[[int], None]) -> tuple[Model, Alignment]:
    """Align by the simplest of the ``candidates`` that the pairs agree with nearly as well.

    Pairs whose edges lie in a part of the image let a homography bend the rest of it at will, and
    do so alike, so that their residual is small. How well gradient directions agree tells more, as
    the estimates use gradient strength; and a simple model has less to bend where no edge is.

    Args:
        pairs: n pairs of the same two sizes.
        on_step: Called with the estimates made so far, of ``n * len(ROUNDS)`` for each candidate.
    """
    found: list[Alignment] = []
    models = candidates(len(pairs))
    for model in models:
        step = _after(len(found) * len(pairs) * len(ROUNDS), on_step)
        found.append(align(pairs, model, step))
    agreements = [agreement(pairs, alignment.homography) for alignment in found]
    least = _NEARLY * max(agreements)
    index = next(i for i, value in enumerate(agreements) if value >= least)
    return models[index], found[index]


def candidates(count: int) -> tuple[Model, ...]:
    """The models that so many pairs can tell apart, from the simplest on."""
    return LADDER if count >= _MANY else LADDER[:-1]


def agreement(pairs: Sequence[Pair], homography: Homography) -> float:
    """How well gradient directions agree under a homography, in [0, 1], the mean of all pairs.

    The orientation correlation of `pipeline.geometry.misalignment` without a shift. It falls within
    two pixels and counts what the infrared image leaves uncovered as no agreement.
    """
    vis_size = _size(pairs[0][1])
    small = _shrunk(vis_size, min(1.0, _JUDGED / max(vis_size)))[::-1]
    seen = _warp(np.full(_size(pairs[0][0]), 255, np.uint8), homography, vis_size)
    inside = well_inside(seen == 255, small)
    values = []
    for ir, vis in pairs:
        there = unit(orientation(reduce(_warp(ir, homography, vis_size), small)) * inside)
        here = unit(orientation(reduce(vis, small)))
        values.append(float(np.sum(there * here.conj()).real))
    return max(0.0, float(np.mean(values)))


def scaling(x: float, y: float) -> Homography:
    """From the pixel centres of an image to those of the same image resized by x and y."""
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])


def _after(before: int, on_step: Callable[[int], None]) -> Callable[[int], None]:
    return lambda done: on_step(before + done)


def _zoom_and_shift(pairs: Sequence[Pair], model: Model) -> Homography:
    """The scale and the shift at which most gradient directions of all pairs agree."""
    ir_size, vis_size = _size(pairs[0][0]), _size(pairs[0][1])
    small = _shrunk(vis_size, min(1.0, _COARSE / max(vis_size)))
    to_small = _between(vis_size, small)
    padded = tuple(fft.next_fast_len(int(side * _MARGIN)) for side in small)
    maps = (orientation(reduce(vis, small[::-1])) for _, vis in pairs)
    visible = [fft.fft2(unit(field), padded).conj() for field in maps]  # each [P, Q]

    candidates = []
    for scale in _scales(ir_size, vis_size, model):
        to_visible = _between(vis_size, small) @ _centred(scale, ir_size, vis_size)
        near = _shrunk(ir_size, min(1.0, _scale_of(to_visible)))
        infrared = [reduce(ir, near[::-1]) for ir, _ in pairs]
        for zoom in (1.0,) if model == "translation" else _ZOOMS:
            guess = _centred((scale[0] * zoom, scale[1] * zoom), ir_size, vis_size)
            shift, lead = _shift(
                infrared, visible, to_small @ guess @ _between(near, ir_size), small
            )
            candidates.append((lead, np.linalg.inv(to_small) @ shift @ to_small @ guess))
    return max(candidates, key=lambda candidate: candidate[0])[1]


def _shift(
    infrared: Sequence[_Floats],
    visible: Sequence[NDArray[np.complex64]],
    guess: Homography,
    size: Size,
) -> tuple[Homography, float]:
    """What moves the infrared images onto the visible ones after a guess, and their correlation.

    Args:
        infrared: Images [h, w].
        visible: Conjugate spectra [P, Q] of the visible images' directions.
        guess: Infrared to visible pixels.
        size: Of the visible images.
    """
    seen = _warp(np.full(infrared[0].shape, 255, np.uint8), guess, size)
    inside = well_inside(seen == 255, size[::-1])
    padded = visible[0].shape
    total = np.zeros(padded, np.complex64)
    for image, spectrum in zip(infrared, visible, strict=True):
        total += fft.fft2(unit(orientation(_warp(image, guess, size)) * inside), padded) * spectrum
    surface = np.asarray(fft.ifft2(total).real / len(infrared), np.float32)
    middle = padded[0] // 2, padded[1] // 2
    surface = np.roll(surface, middle, (0, 1))  # no shift is in the middle now
    x, y, _ = best(surface)
    back = np.array([[1, 0, middle[1] - x], [0, 1, middle[0] - y], [0, 0, 1]])
    return back, float(surface.max())


def _refine(pair: Pair, side: int, common: Homography, model: Model) -> Homography | None:
    """A pair's own estimate, from the common one on; None where its images don't correlate."""
    ir, vis = pair
    size = _shrunk(_size(vis), min(1.0, side / max(vis.shape)))
    to_small = _between(_size(vis), size)
    # An infrared image that is finer than the visible one shows gradients that the other can't.
    near = _shrunk(_size(ir), min(1.0, _scale_of(to_small @ common)))
    guess = to_small @ common @ _between(near, _size(ir))
    seen = _warp(_strength(reduce(ir, near[::-1])), guess, size)
    mask = _warp(np.full(near, 255, np.uint8), guess, size)
    start = np.eye(3 if model == "homography" else 2, 3, dtype=np.float32)
    template = _strength(reduce(vis, size[::-1]))
    try:
        correlation, found = cv2.findTransformECC(
            template, seen, start, _MOTION[model], _STOP, (mask == 255).astype(np.uint8), 5
        )
    except cv2.error:  # how OpenCV says that it didn't converge, or that one is flat
        return None
    move = np.eye(3)
    move[: len(found)] = found  # visible pixels to those of the infrared image as it was warped
    if not correlation >= LEAST_CORRELATION or abs(np.linalg.det(move)) < 0.1:
        return None
    return np.asarray(np.linalg.inv(to_small) @ np.linalg.inv(move) @ to_small @ common)


def _fit(model: Model, start: Points, moved: Points, common: Homography) -> Homography:
    """The homography of a model that maps four corners where they moved, or nearest to it."""
    if model == "homography":
        pairs = start.astype(np.float32), moved.astype(np.float32)
        return np.asarray(cv2.getPerspectiveTransform(*pairs))
    if model == "affine":
        padded = np.column_stack([start, np.ones(len(start))])
        return np.vstack([np.linalg.lstsq(padded, moved, rcond=None)[0].T, [0, 0, 1]])
    before = project(common, start)
    middles = before.mean(axis=0), moved.mean(axis=0)
    move = np.eye(3)
    if model == "similarity":  # w = a z + b of complex numbers, by least squares
        z, w = (
            (points - middle) @ (1, 1j)
            for points, middle in zip((before, moved), middles, strict=True)
        )
        a = np.vdot(z, w) / np.vdot(z, z)
        move[:2, :2] = [[a.real, -a.imag], [a.imag, a.real]]
    move[:2, 2] = middles[1] - move[:2, :2] @ middles[0]
    return np.asarray(move @ common)


def _strength(image: _Floats) -> _Floats:
    """Gradient strength over its mean around, [H, W]: a faint edge on its own is one too."""
    smooth = cv2.GaussianBlur(image, (0, 0), _BLUR)
    gx, gy = (cv2.Scharr(smooth, cv2.CV_32F, *axis, scale=1 / 32) for axis in ((1, 0), (0, 1)))
    # cv2.magnitude's last bits depend on where in memory an image lies
    strength = np.sqrt(gx * gx + gy * gy)
    return np.asarray(strength / (cv2.GaussianBlur(strength, (0, 0), _AROUND) + _NOISE))


def _scales(ir: Size, vis: Size, model: Model) -> Iterator[tuple[float, float]]:
    """Scales (x, y) to begin from: that of the sizes and, if the shapes differ, square pixels."""
    x, y = vis[1] / ir[1], vis[0] / ir[0]
    yield x, y
    if model != "translation" and abs(x / y - 1) > 0.01:
        yield (x * y) ** 0.5, (x * y) ** 0.5


def _centred(scale: tuple[float, float], ir: Size, vis: Size) -> Homography:
    """Scales an infrared image with its centre on that of the visible one."""
    shift = [((vis[i] - 1) - s * (ir[i] - 1)) / 2 for i, s in zip((1, 0), scale, strict=True)]
    return np.array([[scale[0], 0, shift[0]], [0, scale[1], shift[1]], [0, 0, 1]])


def _between(size: Size, other: Size) -> Homography:
    """From the pixels of an image to those of the same image at another size."""
    return scaling(other[1] / size[1], other[0] / size[0])


def _scale_of(homography: Homography) -> float:
    """Pixels per pixel, at about the middle."""
    return float(abs(np.linalg.det(homography[:2, :2])) ** 0.5)


def _shrunk(size: Size, factor: float) -> Size:
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def _size(image: NDArray[np.uint8]) -> Size:
    return image.shape[0], image.shape[1]


def _warp(image: _Image, homography: Homography, size: Size) -> _Image:
    """An image through a homography at another size, black where it shows nothing."""
    return np.asarray(
        cv2.warpPerspective(image, homography, size[::-1], flags=cv2.INTER_LINEAR), image.dtype
    )
