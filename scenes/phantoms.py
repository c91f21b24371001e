"""Generated slices of a brain as FLAIR and T2 show it, with a tumour of three parts and its mask.

A phantom is a drawing and no simulation of a scanner: warped ellipses of skull, cortex, white
matter, ventricles and tumour, each filled with its tissue's grey value. Those of ``TISSUES`` are
chosen to be ordered as in textbooks: in FLAIR fluid is dark and oedema bright; in T2 both are
bright. Contrast, field, noise and blur differ from slice to slice. What a method scores here says
nothing about patients; phantoms test programs and show how they are used.

Labels are those of BraTS until 2021: 1 non-enhancing core, 2 oedema, 4 enhancing tumour. The whole
tumour WT is 1, 2 and 4, its core TC 1 and 4, and ET 4.
"""

from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

NAMES = MappingProxyType({0: "background", 1: "core", 2: "oedema", 4: "enhancing"})

# Grey value in FLAIR and in T2, 0 to 1.
TISSUES = MappingProxyType(
    {
        "air": (0.02, 0.02),
        "scalp": (0.62, 0.55),
        "skull": (0.08, 0.08),
        "fluid": (0.10, 0.92),
        "grey": (0.52, 0.58),
        "white": (0.42, 0.42),
        "lesion": (0.78, 0.74),  # small bright spots of an old brain, which are no tumour
        "oedema": (0.80, 0.76),
        "enhancing": (0.66, 0.62),
        "core": (0.46, 0.84),
    }
)
_NAMES = tuple(TISSUES)
_NOISE, _BLUR = 0.05, 0.7  # standard deviations, of the grey value and in pixels
_WAVES, _HARMONICS = 24, 4  # at most round an outline; numbers of waves that one has

_Grid = tuple[NDArray[np.float64], NDArray[np.float64]]
_Warp = NDArray[np.complex128]  # amplitudes of the relative radius, by number of waves


@dataclass(frozen=True, slots=True, eq=False)
class Phantom:
    """A slice.

    Attributes:
        flair: uint8 [H, W].
        t2: uint8 [H, W], of the same place.
        labels: uint8 [H, W], keys of ``NAMES``.
    """

    flair: NDArray[np.uint8]
    t2: NDArray[np.uint8]
    labels: NDArray[np.uint8]


def draw(seed: int, number: int, size: tuple[int, int]) -> Phantom:
    """Draw a slice; the same arguments give the same pixels.

    Args:
        seed: Of a set of slices.
        number: Of the slice in it, from 0.
        size: Height and width in pixels.
    """
    rng = np.random.default_rng((seed, number))
    tissues = _anatomy(rng, size)
    labels = np.zeros(size, np.uint8)
    if rng.random() < 0.9:
        _add_tumour(rng, tissues, labels)
    flair, t2 = (_image(rng, tissues, modality) for modality in (0, 1))
    return Phantom(flair, t2, labels)


def _anatomy(rng: np.random.Generator, size: tuple[int, int]) -> NDArray[np.intp]:
    """The tissue of each pixel of a healthy slice, an index into ``_NAMES``."""
    head = _grid(size, centre=rng.normal(0, 0.02, 2), turn=rng.normal(0, 0.1))
    tissues = np.full(size, _NAMES.index("air"))
    brain = rng.uniform(0.62, 0.72)
    outline = _harmonics(rng, 0.02)
    shells = (brain + 0.17, brain + 0.11, brain + 0.04, brain, brain - 0.07)
    for radius, tissue in zip(shells, ("scalp", "skull", "fluid", "grey", "white"), strict=True):
        # folds of the cortex
        warp = outline + (_harmonics(rng, 0.02, 20) if tissue == "white" else 0)
        tissues[_ellipse(head, (0, 0), (radius, 1.15 * radius), warp)] = _NAMES.index(tissue)
    for side in (-1, 1):
        centre = (side * rng.uniform(0.09, 0.14), rng.uniform(-0.1, 0.1))
        radii = (rng.uniform(0.04, 0.08), rng.uniform(0.14, 0.24))
        inside = _ellipse(head, centre, radii, _harmonics(rng, 0.1))
        tissues[inside] = _NAMES.index("fluid")
    for _ in range(rng.integers(0, 5)):
        centre = (rng.uniform(-0.35, 0.35), rng.uniform(-0.35, 0.35))
        radius = rng.uniform(0.02, 0.05)
        inside = _ellipse(head, centre, (radius, radius), _harmonics(rng, 0.1))
        tissues[inside & (tissues == _NAMES.index("white"))] = _NAMES.index("lesion")
    return tissues


def _add_tumour(
    rng: np.random.Generator, tissues: NDArray[np.intp], labels: NDArray[np.uint8]
) -> None:
    """Draw oedema, in it an enhancing rim, in that the core, inside the brain."""
    grid = _grid(tissues.shape, centre=np.zeros(2), turn=rng.uniform(0, np.pi))
    within = np.isin(tissues, [_NAMES.index(t) for t in ("grey", "white", "lesion")])
    angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(0.15, 0.4)
    centre = (distance * np.cos(angle), distance * np.sin(angle))
    radius = rng.uniform(0.15, 0.32)
    core = radius * rng.uniform(0.45, 0.7)
    radii = {"oedema": radius, "enhancing": core, "core": core * rng.uniform(0.5, 0.8)}
    for (tissue, size), label in zip(radii.items(), (2, 4, 1), strict=True):
        shape = (size, size * rng.uniform(0.75, 1.0))
        inside = within & _ellipse(grid, centre, shape, _harmonics(rng, 0.12))
        if label != 2:
            inside &= labels > 0  # each part is in the one around it
        if label == 1:
            inside &= labels == 4
        tissues[inside] = _NAMES.index(tissue)
        labels[inside] = label


def _image(rng: np.random.Generator, tissues: NDArray[np.intp], modality: int) -> NDArray[np.uint8]:
    """What a scanner shows of the tissues: uint8 [H, W]."""
    greys = np.array([pair[modality] for pair in TISSUES.values()])
    greys = greys + rng.normal(0, 0.03, len(greys))
    smooth = cv2.resize(
        rng.normal(0, 0.06, (4, 4)), tissues.shape[::-1], None, 0, 0, cv2.INTER_CUBIC
    )
    texture = cv2.GaussianBlur(rng.normal(0, 0.06, tissues.shape), (0, 0), 1.5)
    image = (greys[tissues] + texture) * (1 + smooth)
    blurred = cv2.GaussianBlur(image, (0, 0), _BLUR)
    # magnitudes of a complex signal with noise have Rice's distribution
    noise = rng.normal(0, _NOISE, (2, *tissues.shape))
    shown = 255 * np.hypot(blurred + noise[0], noise[1])
    return np.asarray(np.clip(np.rint(shown), 0, 255), np.uint8)


def _grid(size: tuple[int, ...], centre: NDArray[np.float64], turn: float) -> _Grid:
    """Coordinates of the pixels' centres, turned and moved; the shorter side is -1 to 1."""
    height, width = size
    half = min(size) / 2
    rows, columns = np.mgrid[:height, :width] + 0.5
    y, x = (rows - height / 2) / half - centre[1], (columns - width / 2) / half - centre[0]
    return x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)


def _harmonics(rng: np.random.Generator, strength: float, first: int = 2) -> _Warp:
    """A random outline whose relative radius has this standard deviation."""
    warp = np.zeros(_WAVES, complex)
    real, imaginary = rng.normal(0, strength / np.sqrt(_HARMONICS), (2, _HARMONICS))
    warp[first : first + _HARMONICS] = real + 1j * imaginary
    return warp


def _ellipse(
    grid: _Grid, centre: tuple[float, float], radii: tuple[float, float], warp: _Warp
) -> NDArray[np.bool_]:
    """The pixels inside a warped ellipse, [H, W]."""
    x, y = ((axis - c) / r for axis, c, r in zip(grid, centre, radii, strict=True))
    angle = np.arctan2(y, x)
    edge = np.ones_like(x)
    for waves in np.flatnonzero(warp):
        edge += (warp[waves] * np.exp(1j * waves * angle)).real
    return np.asarray(np.hypot(x, y) <= edge)
