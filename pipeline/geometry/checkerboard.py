"""A picture that shows whether a calibration is right."""

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.frames import Frame, FramePair
from pipeline.geometry.registration import Calibration, Register
from pipeline.images import to_rgb

_SQUARES = 8  # along the longer side
_STRETCH, _ORANGE = 4.0, np.array([1.0, 0.75, 0.45])  # CLAHE's limit; tint of the infrared squares


def checkerboard(
    ir: NDArray[np.uint8], vis: NDArray[np.uint8], calibration: Calibration
) -> NDArray[np.uint8]:
    """Make a checkerboard of the visible image in grey and the registered infrared one in orange.

    Edges continue from square to square if the calibration is right. Local contrast is enhanced
    (CLAHE), so that edges in dark images are visible. Pixels outside the infrared image show the
    visible one.

    Args:
        ir: uint8 [h, w].
        vis: uint8 [H, W].
        calibration: Calibration for these sizes.

    Returns:
        uint8 [H, W, 3].
    """
    register = Register(calibration)
    height, width = vis.shape
    side = max(1, -(-max(height, width) // _SQUARES))
    rows, columns = np.ogrid[:height, :width]
    squares = (rows // side + columns // side) % 2 == 1  # [H, W]
    squares &= register.covered
    stretch = cv2.createCLAHE(clipLimit=_STRETCH, tileGridSize=(_SQUARES, _SQUARES))
    infrared, visible = stretch.apply(registered(ir, register)), stretch.apply(vis)
    tinted = to_rgb(infrared) * _ORANGE  # float [H, W, 3]
    return np.asarray(np.where(squares[:, :, None], tinted, to_rgb(visible)), np.uint8)


def registered(ir: NDArray[np.uint8], register: Register) -> NDArray[np.uint8]:
    """An infrared image HW uint8 on the visible grid."""
    frame = register(FramePair("0", Frame(ir, None, 0), None)).ir
    assert frame is not None
    return frame.image
