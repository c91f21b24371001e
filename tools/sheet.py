"""Draws docs/fused.jpg, eight generated pairs fused: `python tools/sheet.py [--weights gate_unet]`.

The seeds are outside training. Each pair shows infrared, visible and fused, from left to right; two
pairs per row.
"""

import argparse
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import torch

from fusion.fusers import ir_only, vis_only
from fusion.network.network_fuser import NetworkFuser
from pipeline.arms._fuser import FuserArm
from pipeline.engine.compute import Compute
from pipeline.frames import Frame, FramePair, Item
from scenes.climate import Conditions
from scenes.render import Clip
from training.networks import load_network

OUT = Path(__file__).parents[1] / "docs" / "fused.jpg"
SCENES = (
    (11, Conditions("day")), (12, Conditions("dusk")),
    (13, Conditions("night")), (14, Conditions("night", traffic="dense")),
    (15, Conditions("day", "fog")), (16, Conditions("dusk", "rain")),
    (17, Conditions("night", "fog")), (18, Conditions("night", "rain")),
)  # fmt: skip


def draw(seed: int, conditions: Conditions) -> Item:
    """One frame of a street."""
    clip = Clip(seed, 0, size=(256, 320), frame_rate=Fraction(10), conditions=conditions)
    scene = clip.scene(30)
    pair = FramePair(str(seed), Frame(scene.ir, None, 0), Frame(scene.vis, None, 0))
    return Item(pair, None, {})


def main() -> None:
    """Draw, fuse and write."""
    parser = argparse.ArgumentParser(description="A sheet of eight fused frames.")
    parser.add_argument("--weights", default="gate_unet")
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    fusers = {
        "ir": ir_only.build(ir_only.Config()),
        "vis": vis_only.build(vis_only.Config()),
        "fused": NetworkFuser(load_network(arguments.weights)),
    }
    device = torch.device("cpu")
    arms = {n: FuserArm(f, device=device, dtype=torch.float32) for n, f in fusers.items()}
    compute = Compute(arms, {}, device=device, batch=1)
    results = [compute([draw(*scene)], 0)[0] for scene in SCENES]
    pictures = [np.hstack([result.image(name) for name in arms]) for result in results]
    rows = [np.hstack(pictures[i : i + 2]) for i in range(0, len(pictures), 2)]
    sheet = cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(arguments.out), sheet, [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main()
