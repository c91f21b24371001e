"""What is where in a picture: boxes, tracks, visibility and depth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval.labels import Labels
from scenes.actors import Actor
from scenes.drawing import SUPERSAMPLING, Camera

LABELLED, IGNORED = 0.35, 0.05  # visible share from which an object counts, and is ignored
_SMALLEST_PX, _OF_ROWS = 10.0, 256.0  # least height of a label, in an image of so many rows


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """Everything labelled in a picture; arrays go with ``labels.xyxy``.

    An object counts from a visible share of 0.35 and a height of 10 pixels at 256 rows, scaled
    with the rows but never under 8 pixels; what is seen of others is a region to ignore. A box is
    tight round the pixels that are seen. The share is of the whole silhouette, the part outside the
    image included.

    Attributes:
        labels: Boxes and COCO class ids (0 person, 2 car).
        track: int64 (n,), the same for the same object throughout the clip.
        visible: float64 (n,), share of its silhouette that is seen, 0.35 to 1.
        depth: float64 (n,), metres from the camera, along the street.
    """

    labels: Labels
    track: NDArray[np.int64]
    visible: NDArray[np.float64]
    depth: NDArray[np.float64]


def find_truth(actors: Sequence[Actor], owner: NDArray[np.uint8], camera: Camera) -> Truth:
    """Read the truth off the canvas.

    Args:
        actors: All that was put there.
        owner: uint8 [h, w], whose a canvas pixel is: index into ``actors`` plus 1.
        camera: For the depth.
    """
    seen = np.bincount(owner.ravel(), minlength=256)
    least = max(_SMALLEST_PX * owner.shape[0] / SUPERSAMPLING / _OF_ROWS, 8.0)
    boxes, about, ignored = [], [], []
    for number, actor in enumerate(actors, start=1):
        if actor.class_id is None or not seen[number]:
            continue
        share = seen[number] / np.count_nonzero(actor.sprite.silhouette)
        if share < IGNORED:
            continue
        box = _extent(actor, owner, number)
        if share < LABELLED or box[3] - box[1] < least:
            ignored.append(box)
        else:
            boxes.append(box)
            about.append((actor.class_id, actor.track, share, actor.place[1] - camera.z))
    columns = np.array(about, np.float64).reshape(-1, 4)
    labels = Labels(
        np.array(boxes, np.float64).reshape(-1, 4),
        columns[:, 0].astype(np.int64),
        np.array(ignored, np.float64).reshape(-1, 4),
    )
    return Truth(labels, columns[:, 1].astype(np.int64), columns[:, 2], columns[:, 3])


def _extent(
    actor: Actor, owner: NDArray[np.uint8], number: int
) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of what is seen of an actor, in image pixels."""
    height, width = actor.sprite.planes.shape[:2]
    top, left = max(actor.sprite.top, 0), max(actor.sprite.left, 0)
    part = owner[top : actor.sprite.top + height, left : actor.sprite.left + width] == number
    rows, columns = np.flatnonzero(part.any(axis=1)) + top, np.flatnonzero(part.any(axis=0)) + left
    scale = float(SUPERSAMPLING)
    return (columns[0] / scale, rows[0] / scale, (columns[-1] + 1) / scale, (rows[-1] + 1) / scale)
