"""A detector and pairs that are cheap and predictable, for tests of the pipeline around them.

It is a component of the user's own: `kind: tests.helpers.toys`.
"""

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict

from detection.boxes import Detections

HEIGHT, WIDTH = 48, 64


class Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    conf: float = 0.0
    image_size: int = 640
    pad: float = 0.0
    resize: str = "detect"
    iou: float = 0.5
    multi_label: bool = False
    max_det: int = 300
    classes: tuple[int, ...] | None = None


def build(config, *, device):
    return BrightBox()


class BrightBox:
    """Finds one person: the box around all pixels over 200, scored by their mean."""

    names = {0: "person", 1: "bicycle", 2: "car"}
    fingerprint = {
        "network": "bright box",
        "head": "none",
        "weights": "none",
        "weights_sha256": "0",
        "conf": 0.0,
        "iou": 0.5,
    }

    def input_shape(self, size):
        return size

    def __call__(self, images):
        return [self._one(image.float().mean(0).numpy()) for image in images]

    def _one(self, grey):
        ys, xs = np.nonzero(grey > 200)
        if len(ys) == 0:
            return Detections.empty()
        box = [[xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]]
        score = grey[grey > 200].mean() / 255
        return Detections(
            np.array(box, np.float32), np.array([score], np.float32), np.zeros(1, np.int64)
        )


def write_pairs(root, count=6, *, labels=True, size=(HEIGHT, WIDTH)):
    """MSRS's layout: a bright box in IR on all pairs, in VIS on every other one."""
    height, width = size
    for name in ("ir", "vi", *(["labels"] if labels else [])):
        (root / name).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(count):
        ir = rng.integers(20, 60, (height, width), dtype=np.uint8)
        vis = rng.integers(20, 60, (height, width, 3), dtype=np.uint8)
        x, y, w, h = 5 + 4 * i, 10 + i, 12, 20
        ir[y : y + h, x : x + w] = 250
        if i % 2 == 0:
            vis[y : y + h, x : x + w] = 250
        Image.fromarray(ir).save(root / "ir" / f"{i:03d}.png")
        Image.fromarray(vis).save(root / "vi" / f"{i:03d}.png")
        if labels:
            box = ((x + w / 2) / width, (y + h / 2) / height, w / width, h / height)
            text = "0 " + " ".join(f"{value:.6f}" for value in box) + "\n"
            (root / "labels" / f"{i:03d}.txt").write_text(text)
    return root


def settings(root, **more):
    """A configuration that runs in no time."""
    return {
        "run": {"name": "toy"},
        "source": {"kind": "msrs", "root": str(root)},
        "arms": {
            "fused": {"kind": "maximum"},
            "ir": {"kind": "ir_only"},
            "vis": {"kind": "vis_only"},
            "late": {"kind": "late", "arms": ["ir", "vis"]},
        },
        "detector": {"kind": "tests.helpers.toys"},
        "compute": {"device": "cpu", "batch": 4},
        "sinks": {"results": {"kind": "results"}},
        **more,
    }
