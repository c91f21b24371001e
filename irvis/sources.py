"""Pairs from files and recordings, and the quality of fused images."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.errors import DataError
from eval.class_names import COCO_NAMES
from eval.quality.metrics import quality as measure_batch
from irvis.networks import tensor
from pipeline.commands import quality as command
from pipeline.config.components import load
from pipeline.images import to_grey
from pipeline.interfaces import Source

Images = Path | str | NDArray[np.uint8]


def source(kind: str, **settings: object) -> Source:
    """Open a source of pairs.

        >>> import irvis
        >>> with irvis.source("scenes", frames=2) as source:
        ...     for pair in source:
        ...         print(pair.key, pair.ir.image.shape, pair.vis.image.shape)
        000000_day (256, 320) (256, 320, 3)
        000001_day (256, 320) (256, 320, 3)

    Iterate it once. It yields ``FramePair``; ``BadPair`` with its reason for a pair that can't be
    read; ``Dropped`` from live cameras that were too fast. In a pair of a recording ``ir`` or
    ``vis`` is None where a frame has no partner. Leaving the `with` block closes its files.

    Args:
        kind: "image_folder", "video", "msrs" ..., or the dotted path of your own module.
        settings: Those of the kind, as in a configuration, such as ``ir`` and ``vis``.

    Raises:
        IrvisError: A setting is wrong, or a file is missing.
    """
    component = load("source", {"kind": kind, **settings}, "source")
    built: Source = component.module.build(component.config, COCO_NAMES)
    return built


def quality(ir: Images, vis: Images, fused: Images) -> pd.DataFrame:
    """Measure the quality of fused images, without a reference.

        >>> import numpy as np, irvis
        >>> image = np.tile(np.arange(64, dtype=np.uint8), (64, 1))
        >>> float(irvis.quality(image, image, image)["en"].iloc[0])
        6.0

    Args:
        ir: Infrared: uint8 (H, W) or (H, W, 3), an image file, or a folder.
        vis: Visible, of the same form.
        fused: Fused, of the same form; folders go together by the files' stems.

    Returns:
        A row an image, a column a metric (``eval.quality``) of the luminances; NaN where it isn't
        defined.

    Raises:
        DataError: An image is missing, damaged or of another size, or the forms differ.
    """
    given = {"infrared": ir, "visible": vis, "fused": fused}
    arrays = {name: each for name, each in given.items() if isinstance(each, np.ndarray)}
    paths = [Path(each) for each in given.values() if not isinstance(each, np.ndarray)]
    if arrays and paths:
        raise DataError("give three arrays, three files or three folders")
    if paths:
        ir_path, vis_path, fused_path = paths
        return command.measure(ir_path, vis_path, fused_path, lambda done, total: None)
    for name, array in arrays.items():
        if array.dtype != np.uint8 or not (array.ndim == 2 or array.shape[2:] == (3,)):
            raise DataError(
                f"{name} is {array.dtype} {array.shape}; give uint8 (H, W) or (H, W, 3)"
            )
    levels = [tensor(to_grey(array))[None, None] for array in arrays.values()]
    if len({level.shape for level in levels}) > 1:
        raise DataError("the three images have several sizes; give one scene at one size")
    values = measure_batch(ir=levels[0], vis=levels[1], fused=levels[2])  # [1, 1, H, W] each
    return pd.DataFrame({name: column.tolist() for name, column in values.items()})
