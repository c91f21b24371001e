"""How far an infrared and a visible image are still apart, told from the images alone.

Edges are where the two modalities agree, but not in sign or strength: a person is bright against a
cold wall and dark against a sunlit one. So each pixel counts by the direction of its gradient g =
gx + i gy alone, as g² / (|g|² + ε²): the square is the same for an edge and its negative, and the
divisor leaves strength out where there is more than noise. Two such maps are compared by their
cross-correlation; this is the orientation correlation of Fitch et al. (BMVC 2002) with the sign
taken out.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from pipeline.frames import Misalignment

# Least response to believe a shift by. In benchmarks/misalignment.py 90 to 100% of the pairs reach
# it, and of pairs of unrelated images 0 to 8% (12 pairs a row; 0 to 2% with 48 a row).
TELLING = 0.03
_SIDE = 320  # pixels of the longer side that the images are compared at
_REACH = 1 / 16  # of the longer side: shifts up to this are looked for
_BLUR = 1.0  # pixels
_NOISE = 2.0  # grey levels per pixel: gradients below this count for little
_PEAK = 3  # pixels around a peak that belong to it

Orientation = NDArray[np.complex64]


def misalignment(
    *, ir: NDArray[np.uint8], vis: NDArray[np.uint8], covered: NDArray[np.bool_] | None = None
) -> Misalignment:
    """Measure one shift for a whole pair, as if the cameras differed by that alone.

    Tells whether a calibration still holds and, over many pairs, by how much it is off: to about a
    pixel where both images show the same edges. It doesn't tell a rotation or a scale, which move
    the sides of an image apart and cancel; nor parallax, where it gives the shift of whatever has
    most edges; nor a shift of over 1/16 of the longer side. It is blind in the dark, where the
    response is low; a street whose edges nearly all run one way pins the shift across them only.

    Args:
        ir: Infrared image, uint8 [H, W].
        vis: Visible luminance, uint8 [H, W].
        covered: Where the infrared image was measured, bool [H, W]; None for everywhere. Without
            it the edge of a registered image counts as an edge of the scene.

    Returns:
        The shift; the same for the same images.

    Raises:
        ValueError: The images aren't of one size.
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
    # [dy, dx]: the sum over pixels of |a| |b| cos(2 (angle of a - angle of b)) at a shift
    surface = fft.ifft2(spectra[0] * spectra[1].conj()).real
    # one more than what is told, to see whether the best is a peak
    reach = min(max(1, round(max(size) * _REACH)) + 1, (min(size) - 1) // 2)
    near = np.roll(surface, (reach, reach), (0, 1))[: 2 * reach + 1, : 2 * reach + 1]
    if not near.any():
        return Misalignment(math.nan, math.nan, 0.0)
    x, y, response = best(near)
    if not (0 < x < 2 * reach and 0 < y < 2 * reach):
        response = 0.0  # the border is no peak: what fits best lies beyond it
    return Misalignment((x - reach) * width / size[0], (y - reach) * height / size[1], response)


def _window(size: tuple[int, int]) -> NDArray[np.float32]:
    """Weights [height, width] that fall to the borders, which would else correlate with them."""
    across, down = (np.hanning(side + 2)[1:-1] for side in size)
    return np.asarray(np.sqrt(np.outer(down, across)), np.float32)


def reduce(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.float32]:
    """An image at another width and height, float32; the mean of the pixels where it shrinks."""
    smaller = size[0] < image.shape[1]
    method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=method), np.float32)


def orientation(image: NDArray[np.float32]) -> Orientation:
    """Twice the angle of each pixel's gradient, [H, W], of length near 1 where there is an edge."""
    smooth = cv2.GaussianBlur(image, (0, 0), _BLUR)
    gx, gy = (cv2.Scharr(smooth, cv2.CV_32F, *axis, scale=1 / 32) for axis in ((1, 0), (0, 1)))
    squared = (gx + 1j * gy) ** 2
    return np.asarray(squared / (gx * gx + gy * gy + _NOISE**2), np.complex64)


def well_inside(covered: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """What of a mask is left at another width and height, less what its edge blurs into."""
    small = cv2.resize(covered.astype(np.uint8) * 255, size, interpolation=cv2.INTER_AREA)
    whole = (small == 255).astype(np.uint8)
    # what the image doesn't show counts as covered: its rim has no edge of the mask
    return np.asarray(cv2.erode(whole, np.ones((9, 9), np.uint8))) > 0


def unit(field: Orientation) -> Orientation:
    """A map of sum of squares 1, which correlates with itself by 1; an empty one stays."""
    norm = float(np.linalg.norm(field))
    return field / norm if norm > 0 else field


def best(surface: NDArray[np.float32]) -> tuple[float, float, float]:
    """The highest peak's place (x, y), to a part of a pixel, and by how much it is the highest."""
    y, x = (int(i) for i in np.unravel_index(surface.argmax(), surface.shape))
    others = surface.copy()
    others[max(0, y - _PEAK) : y + _PEAK + 1, max(0, x - _PEAK) : x + _PEAK + 1] = 0
    lead = float(surface[y, x] - max(0.0, others.max()))
    return x + _vertex(surface[y], x), y + _vertex(surface[:, x], y), min(1.0, max(0.0, lead))


def _vertex(line: NDArray[np.float32], at: int) -> float:
    """Where the parabola through a highest value and its neighbours peaks, from -0.5 to 0.5."""
    if not 0 < at < len(line) - 1:
        return 0.0
    before, peak, after = (float(value) for value in line[at - 1 : at + 2])
    bend = before - 2 * peak + after
    return 0.5 * (before - after) / bend if bend < 0 else 0.0
