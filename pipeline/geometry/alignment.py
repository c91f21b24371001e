"""Estimates one homography between two fixed cameras from image pairs.

First, zoom and shift by correlating gradient directions, summed over all pairs; then ECC
(Evangelidis and Psarakis, PAMI 2008) on gradient strength, coarse to fine. In each round every pair
gives its own estimate, and their median is the common estimate for the next round. The median is
robust against pairs that are dark, empty or wrong.
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

LADDER: tuple[Model, ...] = ("translation", "similarity", "homography")  # simplest first
ROUNDS = (160, 160, 320, 320, 640)  # the visible image's longer side, pixels
LEAST_CORRELATION = 0.12  # of a pair's gradient strength after alignment
_COARSE = 160  # the visible image's longer side in the search for the zoom
_ZOOMS = 1.04 ** np.arange(-17, 18)  # 0.51 to 1.95; half a step is 1.6 of 160 pixels at the border
_NEARLY = 0.92  # share of the best model's agreement from which a simpler model is chosen
_MANY = 4  # least number of pairs for choosing a homography automatically
_JUDGED = 640  # the visible image's longer side when models are compared
_MARGIN = 1.25  # padding, so that shifts do not wrap around
_BLUR, _AROUND, _NOISE = 1.0, 8.0, 2.0  # pixels, pixels, grey levels per pixel
_STOP = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 30, 1e-4)
_MOTION = {
    "translation": cv2.MOTION_TRANSLATION,
    "similarity": cv2.MOTION_AFFINE,  # OpenCV has none; a similarity is fitted to the result
    "affine": cv2.MOTION_AFFINE,
    "homography": cv2.MOTION_HOMOGRAPHY,
}


@dataclass(frozen=True, slots=True, eq=False)
class Alignment:
    """The common estimate, and the distance of each pair's own estimate.

    Attributes:
        homography: Infrared to visible pixels, float64 [3, 3].
        distances: Mean distance in visible pixels between the infrared corners mapped by a pair's
            own estimate and by the common one, float64 (n,); NaN for a pair without an estimate.
    """

    homography: Homography
    distances: NDArray[np.float64]


def align(pairs: Sequence[Pair], model: Model, on_step: Callable[[int], None]) -> Alignment:
    """Estimate the homography from infrared to visible pixels.

    Args:
        pairs: n pairs of the same two sizes.
        model: ``translation`` keeps the scale between the two sizes, ``similarity`` keeps angles,
            ``affine`` keeps parallels.
        on_step: Called with the number of estimates so far, of ``n * len(ROUNDS)``.

    Returns:
        The estimate; its quality shows in the distances.
    """
    start = corners(_size(pairs[0][0]))
    common = _zoom_and_shift(pairs, model)
    for number, side in enumerate(ROUNDS):
        own = np.full((len(pairs), 4, 2), np.nan)  # corners mapped by each pair's estimate
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
    """Align by the simplest of the ``candidates`` whose agreement is close to the best.

    If edges are only in a part of the image, a homography is undetermined in the rest, even if all
    pairs give the same one and the residual is small. Models are therefore compared by the
    agreement of gradient directions, which the estimates do not use; simpler ones are preferred.

    Args:
        pairs: n pairs of the same two sizes.
        on_step: Called with the number of estimates so far, of ``n * len(ROUNDS)`` per candidate.
    """
    alignments: list[Alignment] = []
    models = candidates(len(pairs))
    for model in models:
        step = _after(len(alignments) * len(pairs) * len(ROUNDS), on_step)
        alignments.append(align(pairs, model, step))
    agreements = [agreement(pairs, alignment.homography) for alignment in alignments]
    least = _NEARLY * max(agreements)
    index = next(i for i, value in enumerate(agreements) if value >= least)
    return models[index], alignments[index]


def candidates(count: int) -> tuple[Model, ...]:
    """The models to choose from with this number of pairs, the simplest first."""
    return LADDER if count >= _MANY else LADDER[:-1]


def agreement(pairs: Sequence[Pair], homography: Homography) -> float:
    """Mean agreement of gradient directions under a homography over all pairs, in [0, 1].

    It is the orientation correlation of `pipeline.geometry.misalignment` without a shift, and drops
    within two pixels of misalignment. Pixels not covered by the infrared image do not agree.
    """
    vis_size = _size(pairs[0][1])
    small = _shrunk(vis_size, min(1.0, _JUDGED / max(vis_size)))[::-1]
    cover = _warp(np.full(_size(pairs[0][0]), 255, np.uint8), homography, vis_size)
    inside = well_inside(cover == 255, small)
    values = []
    for ir, vis in pairs:
        ir_map = unit(orientation(reduce(_warp(ir, homography, vis_size), small)) * inside)
        vis_map = unit(orientation(reduce(vis, small)))
        values.append(float(np.sum(ir_map * vis_map.conj()).real))
    return max(0.0, float(np.mean(values)))


def scaling(x: float, y: float) -> Homography:
    """Map pixel centres of an image to those of the same image resized by x and y."""
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])


def _after(before: int, on_step: Callable[[int], None]) -> Callable[[int], None]:
    return lambda done: on_step(before + done)


def _zoom_and_shift(pairs: Sequence[Pair], model: Model) -> Homography:
    """The zoom and the shift with the highest correlation of gradient directions over all pairs."""
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
    """The shift that aligns infrared images warped by a guess, and the mean correlation.

    Args:
        infrared: Images [h, w].
        visible: Conjugate spectra [P, Q] of the visible images' gradient directions.
        guess: Infrared to visible pixels.
        size: Size of the visible images.
    """
    cover = _warp(np.full(infrared[0].shape, 255, np.uint8), guess, size)
    inside = well_inside(cover == 255, size[::-1])
    padded = visible[0].shape
    total = np.zeros(padded, np.complex64)
    for image, spectrum in zip(infrared, visible, strict=True):
        total += fft.fft2(unit(orientation(_warp(image, guess, size)) * inside), padded) * spectrum
    surface = np.asarray(fft.ifft2(total).real / len(infrared), np.float32)
    middle = padded[0] // 2, padded[1] // 2
    surface = np.roll(surface, middle, (0, 1))  # shift 0 is now in the middle
    x, y, _ = best(surface)
    back = np.array([[1, 0, middle[1] - x], [0, 1, middle[0] - y], [0, 0, 1]])
    return back, float(surface.max())


def _refine(pair: Pair, side: int, common: Homography, model: Model) -> Homography | None:
    """A pair's own estimate, starting from the common one; None if its images do not correlate."""
    ir, vis = pair
    size = _shrunk(_size(vis), min(1.0, side / max(vis.shape)))
    to_small = _between(_size(vis), size)
    # shrunk to the visible resolution, so that both images have the same gradients
    near = _shrunk(_size(ir), min(1.0, _scale_of(to_small @ common)))
    guess = to_small @ common @ _between(near, _size(ir))
    warped = _warp(_strength(reduce(ir, near[::-1])), guess, size)
    mask = _warp(np.full(near, 255, np.uint8), guess, size)
    start = np.eye(3 if model == "homography" else 2, 3, dtype=np.float32)
    template = _strength(reduce(vis, size[::-1]))
    try:
        correlation, motion = cv2.findTransformECC(
            template, warped, start, _MOTION[model], _STOP, (mask == 255).astype(np.uint8), 5
        )
    except cv2.error:  # it did not converge, or an image is constant
        return None
    move = np.eye(3)
    move[: len(motion)] = motion  # visible pixels to those of the warped infrared image
    if not correlation >= LEAST_CORRELATION or abs(np.linalg.det(move)) < 0.1:
        return None
    return np.asarray(np.linalg.inv(to_small) @ np.linalg.inv(move) @ to_small @ common)


def _fit(model: Model, start: Points, moved: Points, common: Homography) -> Homography:
    """The homography of a model that maps four corners to given points, by least squares."""
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
    """Gradient strength relative to its local mean, [H, W], so that faint edges count too."""
    smooth = cv2.GaussianBlur(image, (0, 0), _BLUR)
    gx, gy = (cv2.Scharr(smooth, cv2.CV_32F, *axis, scale=1 / 32) for axis in ((1, 0), (0, 1)))
    # cv2.magnitude is not bit-exact: it depends on memory alignment
    strength = np.sqrt(gx * gx + gy * gy)
    return np.asarray(strength / (cv2.GaussianBlur(strength, (0, 0), _AROUND) + _NOISE))


def _scales(ir: Size, vis: Size, model: Model) -> Iterator[tuple[float, float]]:
    """Initial scales (x, y): the ratio of the sizes and, if aspect ratios differ, equal scales."""
    x, y = vis[1] / ir[1], vis[0] / ir[0]
    yield x, y
    if model != "translation" and abs(x / y - 1) > 0.01:
        yield (x * y) ** 0.5, (x * y) ** 0.5


def _centred(scale: tuple[float, float], ir: Size, vis: Size) -> Homography:
    """Scale an infrared image and align its centre with that of the visible one."""
    shift = [((vis[i] - 1) - s * (ir[i] - 1)) / 2 for i, s in zip((1, 0), scale, strict=True)]
    return np.array([[scale[0], 0, shift[0]], [0, scale[1], shift[1]], [0, 0, 1]])


def _between(size: Size, other: Size) -> Homography:
    """Map pixels of an image to those of the same image at another size."""
    return scaling(other[1] / size[1], other[0] / size[0])


def _scale_of(homography: Homography) -> float:
    """Scale factor of a homography near the origin."""
    return float(abs(np.linalg.det(homography[:2, :2])) ** 0.5)


def _shrunk(size: Size, factor: float) -> Size:
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def _size(image: NDArray[np.uint8]) -> Size:
    return image.shape[0], image.shape[1]


def _warp(image: _Image, homography: Homography, size: Size) -> _Image:
    """Warp an image to another size; pixels outside it are black."""
    return np.asarray(
        cv2.warpPerspective(image, homography, size[::-1], flags=cv2.INTER_LINEAR), image.dtype
    )
