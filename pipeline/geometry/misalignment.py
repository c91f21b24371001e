"""Measures the misalignment of an infrared and a visible image from the images alone.

Both modalities have common edges, but with different sign and strength: a person is bright against
a cold wall and dark against a sunlit one. Each pixel is therefore represented by the direction of
its gradient g = gx + i gy alone, as g² / (|g|² + ε²): the square is equal for both signs, and the
divisor normalises gradients above the noise. The cross-correlation of two such maps is the
orientation correlation of Fitch et al. (BMVC 2002), made independent of the sign.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from pipeline.frames import Misalignment

# Least response of a reliable shift. In benchmarks/misalignment.py 90 to 100% of the pairs reach
# it, and 0 to 8% of pairs of unrelated images (12 pairs per row; 0 to 2% with 48 per row).
TELLING = 0.03
_SIDE = 320  # longer side at which images are compared, pixels
_REACH = 1 / 16  # largest shift, relative to the longer side
_BLUR = 1.0  # pixels
_NOISE = 2.0  # ε, grey levels per pixel; smaller gradients have little weight
_PEAK = 3  # pixels around a peak that belong to it

Orientation = NDArray[np.complex64]


def misalignment(
    *, ir: NDArray[np.uint8], vis: NDArray[np.uint8], covered: NDArray[np.bool_] | None = None
) -> Misalignment:
    """Measure one shift for the whole pair.

    The accuracy is about a pixel if both images have the same edges. It shows whether a calibration
    still holds. Limits: rotation and scale mostly cancel over the image; with parallax the result
    is the shift of the objects with most edges; shifts over 1/16 of the longer side are not found;
    in the dark the response is low; and if nearly all edges have one direction, the shift along
    them is undetermined.

    Args:
        ir: Infrared image, uint8 [H, W].
        vis: Visible luminance, uint8 [H, W].
        covered: Mask of the valid infrared pixels, bool [H, W]; None for all. Without it, the
            border of a registered image counts as an edge of the scene.

    Returns:
        The shift, deterministic.

    Raises:
        ValueError: The sizes of the images differ.
    """
    if ir.shape != vis.shape or ir.ndim != 2:
        raise ValueError(f"two images [H, W] of one size, got {ir.shape} and {vis.shape}")
    height, width = vis.shape
    shrink = max(1, round(max(vis.shape) / _SIDE))
    size = max(1, width // shrink), max(1, height // shrink)
    window = _window(size)
    maps = [orientation(reduce(image, size)) * window for image in (ir, vis)]  # [h, w] each
    if covered is not None:
        maps[0] *= well_inside(covered, size)
    spectra = [fft.fft2(unit(field)) for field in maps]
    # [dy, dx]: sum over pixels of |a| |b| cos(2 (angle of a - angle of b)) for each shift
    surface = fft.ifft2(spectra[0] * spectra[1].conj()).real
    # one pixel more than the largest shift, to check that the maximum is a peak
    reach = min(max(1, round(max(size) * _REACH)) + 1, (min(size) - 1) // 2)
    near = np.roll(surface, (reach, reach), (0, 1))[: 2 * reach + 1, : 2 * reach + 1]
    if not near.any():
        return Misalignment(math.nan, math.nan, 0.0)
    x, y, response = best(near)
    if not (0 < x < 2 * reach and 0 < y < 2 * reach):
        response = 0.0  # a maximum at the border is not a peak
    return Misalignment((x - reach) * width / size[0], (y - reach) * height / size[1], response)


def _window(size: tuple[int, int]) -> NDArray[np.float32]:
    """Weights [height, width] that fall towards the borders, so that borders do not correlate."""
    across, down = (np.hanning(side + 2)[1:-1] for side in size)
    return np.asarray(np.sqrt(np.outer(down, across)), np.float32)


def reduce(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.float32]:
    """Resize an image to (width, height), float32; by area if it shrinks."""
    smaller = size[0] < image.shape[1]
    method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=method), np.float32)


def orientation(image: NDArray[np.float32]) -> Orientation:
    """Map [H, W] of squared gradient directions; the absolute value is near 1 at edges."""
    smooth = cv2.GaussianBlur(image, (0, 0), _BLUR)
    gx, gy = (cv2.Scharr(smooth, cv2.CV_32F, *axis, scale=1 / 32) for axis in ((1, 0), (0, 1)))
    squared = (gx + 1j * gy) ** 2
    return np.asarray(squared / (gx * gx + gy * gy + _NOISE**2), np.complex64)


def well_inside(covered: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Resize a mask to (width, height) and erode it by the reach of the gradient filters."""
    small = cv2.resize(covered.astype(np.uint8) * 255, size, interpolation=cv2.INTER_AREA)
    whole = (small == 255).astype(np.uint8)
    # OpenCV does not erode from the image border, which is not an edge of the mask
    return np.asarray(cv2.erode(whole, np.ones((9, 9), np.uint8))) > 0


def unit(field: Orientation) -> Orientation:
    """Normalise a map to norm 1, so that its autocorrelation is 1; a zero map is unchanged."""
    norm = float(np.linalg.norm(field))
    return field / norm if norm > 0 else field


def best(surface: NDArray[np.float32]) -> tuple[float, float, float]:
    """Subpixel position (x, y) of the highest peak, and its lead over all others, in [0, 1]."""
    y, x = (int(i) for i in np.unravel_index(surface.argmax(), surface.shape))
    others = surface.copy()
    others[max(0, y - _PEAK) : y + _PEAK + 1, max(0, x - _PEAK) : x + _PEAK + 1] = 0
    lead = float(surface[y, x] - max(0.0, others.max()))
    return x + _vertex(surface[y], x), y + _vertex(surface[:, x], y), min(1.0, max(0.0, lead))


def _vertex(line: NDArray[np.float32], at: int) -> float:
    """Offset of the vertex of the parabola through a maximum and its neighbours, -0.5 to 0.5."""
    if not 0 < at < len(line) - 1:
        return 0.0
    before, peak, after = (float(value) for value in line[at - 1 : at + 2])
    bend = before - 2 * peak + after
    return 0.5 * (before - after) / bend if bend < 0 else 0.0
