"""Ground truth of a frame: boxes, tracks, visibility and depth."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from eval.labels import Labels
from scenes.actors import Actor
from scenes.drawing import SUPERSAMPLING, Camera

LABELLED, IGNORED = 0.35, 0.05  # least visible share of a labelled and of an ignored object
_SMALLEST_PX, _OF_ROWS = 10.0, 256.0  # least height of a label in an image of 256 rows


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """The labelled objects of a frame; arrays are in the order of ``labels.xyxy``.

    An object is labelled from a visible share of 0.35 and a height of 10 pixels at 256 rows; the
    height scales with the rows and is at least 8 pixels. The visible part of others is a region to
    ignore. A box is tight around the visible pixels. The share is of the whole silhouette,
    including the part outside the image.

    Attributes:
        labels: Boxes and COCO class ids (0 person, 2 car).
        track: int64 (n,), track ids, constant throughout the clip.
        visible: float64 (n,), visible share of the silhouette, 0.35 to 1.
        depth: float64 (n,), metres from the camera along the street.
    """

    labels: Labels
    track: NDArray[np.int64]
    visible: NDArray[np.float64]
    depth: NDArray[np.float64]


def find_truth(actors: Sequence[Actor], owner: NDArray[np.uint8], camera: Camera) -> Truth:
    """Compute the ground truth from the canvas.

    Args:
        actors: All actors on the canvas.
        owner: uint8 [h, w], index into ``actors`` plus 1 of the actor at each canvas pixel.
        camera: The camera, for the depth.
    """
    # OpenCV counts bytes much faster than np.bincount
    visible = cv2.calcHist([owner], [0], None, [256], [0, 256]).ravel().astype(np.int64)
    least = max(_SMALLEST_PX * owner.shape[0] / SUPERSAMPLING / _OF_ROWS, 8.0)
    boxes, attributes, ignored = [], [], []
    for number, actor in enumerate(actors, start=1):
        if actor.class_id is None or not visible[number]:
            continue
        share = visible[number] / np.count_nonzero(actor.sprite.silhouette)
        if share < IGNORED:
            continue
        box = _extent(actor, owner, number)
        if share < LABELLED or box[3] - box[1] < least:
            ignored.append(box)
        else:
            boxes.append(box)
            attributes.append((actor.class_id, actor.track, share, actor.place[1] - camera.z))
    columns = np.array(attributes, np.float64).reshape(-1, 4)
    labels = Labels(
        np.array(boxes, np.float64).reshape(-1, 4),
        columns[:, 0].astype(np.int64),
        np.array(ignored, np.float64).reshape(-1, 4),
    )
    return Truth(labels, columns[:, 1].astype(np.int64), columns[:, 2], columns[:, 3])


def _extent(
    actor: Actor, owner: NDArray[np.uint8], number: int
) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of an actor's visible pixels, in image pixels."""
    height, width = actor.sprite.planes.shape[:2]
    top, left = max(actor.sprite.top, 0), max(actor.sprite.left, 0)
    part = owner[top : actor.sprite.top + height, left : actor.sprite.left + width] == number
    rows, columns = np.flatnonzero(part.any(axis=1)) + top, np.flatnonzero(part.any(axis=0)) + left
    scale = float(SUPERSAMPLING)
    return (columns[0] / scale, rows[0] / scale, (columns[-1] + 1) / scale, (rows[-1] + 1) / scale)
