"""How much people differ from what is beside them, in both cameras."""

from collections.abc import Mapping
from itertools import count

import numpy as np

from scenes.climate import Conditions
from scenes.render import Clip
from scenes.traffic import PERSON
from tests.scenes.clips import LUMA, quick_clip_of

NAMES = ("kelvin", "kelvin_spread", "ir", "ir_spread", "vis", "vis_spread")
FRAMES = (3, 33, 63)


def contrasts(
    kinds: Mapping[str, tuple[Conditions, bool | None]], more_than: int
) -> dict[str, dict[str, np.ndarray]]:
    """Of each person: the mean less that of what is beside them, and the spread of the latter.

    In kelvin, in grey levels of the infrared image and in levels of luminance.

    Args:
        kinds: Name to conditions, and whether days must be hot; None: no matter.
        more_than: Drives are drawn until more people than this are found of each kind.
    """
    rows: dict[str, list[list[float]]] = {name: [] for name in kinds}
    for seed in count():
        wanted = [name for name in kinds if len(rows[name]) <= more_than]
        if not wanted:
            break
        for name in wanted:
            clip = quick_clip_of(seed, conditions=kinds[name][0])
            if kinds[name][1] in (None, clip.climate.hot):
                rows[name] += [row for i in FRAMES for row in people(clip, i)]
    return {name: dict(zip(NAMES, np.array(found).T, strict=True)) for name, found in rows.items()}


def people(clip: Clip, index: int) -> list[list[float]]:
    """Means and spreads of each person but those who are small or at the picture's edge."""
    labels = clip.labels(index)
    boxes = labels.xyxy[labels.class_id == PERSON].round().astype(int)
    wide, high = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    inside = (boxes[:, 0] >= wide) & (boxes[:, 2] + wide <= clip.size[1])
    boxes = boxes[(high >= 20) & inside]
    if not len(boxes):
        return []  # nothing need be drawn
    scene = clip.scene(index)
    images = (scene.ir16 / 100.0, scene.ir.astype(float), scene.vis @ LUMA)
    return [[part for image in images for part in _contrast(image, box)] for box in boxes]


def _contrast(image: np.ndarray, box: np.ndarray) -> tuple[float, float]:
    left, top, right, bottom = box
    width, margin = right - left, (bottom - top) // 8
    rows = slice(top + margin, bottom - margin)
    beside = np.hstack([image[rows, left - width : left], image[rows, right : right + width]])
    middle = image[rows, left + width // 4 : right - width // 4]
    return middle.mean() - beside.mean(), beside.std()
