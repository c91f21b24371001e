"""Pairs with true masks, and the settings of runs that score them."""

import numpy as np
from PIL import Image

OWN = "tests.helpers.thresholds"
SIZE = (40, 48)


def write(root):
    """Six pairs and their masks, with label 7 where infrared is bright."""
    rng = np.random.default_rng(0)
    for name in ("ir", "vis", "masks"):
        (root / name / "a").mkdir(parents=True)
    for number in range(6):
        ir, vis = rng.integers(0, 256, (2, *SIZE), dtype=np.uint8)
        for name, image in (("ir", ir), ("vis", vis), ("masks", 7 * (ir >= 100).astype(np.uint8))):
            Image.fromarray(image).save(root / name / "a" / f"{number}.png")
    return root


def settings(root, **more):
    return {
        "run": {"name": "m"},
        "source": {"kind": "image_folder", "ir": str(root / "ir"), "vis": str(root / "vis")},
        "arms": {
            "ir": {"kind": "ir_only"},
            "vis": {"kind": "vis_only"},
            "max": {"kind": "maximum", "segmenter": {"level": 120}},
        },
        "segmenter": {"kind": OWN, "level": 110},
        "evaluation": {"task": "segmentation", "masks": str(root / "masks")},
        "compute": {"device": "cpu", "batch": 2},
        "sinks": {"results": {"kind": "results"}},
        **more,
    }
