"""Flicker of the fused frames of a recording: `python benchmarks/flicker.py IR VIS [--check]`.

Flicker is the absolute second difference in time, |b[t + 1] − 2 b[t] + b[t − 1]| / 2, of the mean
luminance b of a block of 32 x 32 pixels, so that steady changes do not count. Prints its mean over
blocks and frames and the largest mean of a frame, in grey levels of 255, for each arm. With --check
the exit code is 1 if an arm with trained weights flickers more than both modalities.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

from fusion.fusers import average, fusionmamba, gate_unet, ir_only, laplacian, maximum, vis_only
from pipeline.arms._fuser import FuserArm
from pipeline.engine.compute import Compute, luminance
from pipeline.frames import BadPair, Item
from pipeline.sources import video

BLOCK = 32
TRAINED = {"tiny": fusionmamba, "gate_unet": gate_unet}
PLAIN = {
    "ir": ir_only, "vis": vis_only, "average": average, "maximum": maximum, "laplacian": laplacian,
}  # fmt: skip


def blocks(image):
    """Mean level of each block, of a luminance [1, 1, H, W]."""
    return torch.nn.functional.avg_pool2d(image.float(), BLOCK)[0, 0].numpy()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ir", type=Path, help="infrared recording")
    parser.add_argument("vis", type=Path, help="visible recording")
    parser.add_argument("--frames", type=int, default=120, help="number of pairs")
    parser.add_argument(
        "--check", action="store_true", help="exit with 1 where the claim is missed"
    )
    arguments = parser.parse_args()
    device = torch.device("cpu")
    fusers = {name: kind.build(kind.Config()) for name, kind in PLAIN.items()}
    fusers |= {name: kind.build(kind.Config(weights=name)) for name, kind in TRAINED.items()}
    arms = {n: FuserArm(f, device=device, dtype=torch.float32) for n, f in fusers.items()}
    compute = Compute(arms, {}, device=device, batch=1)
    levels = {name: [] for name in arms}
    with video.build(video.Config(ir=arguments.ir, vis=arguments.vis)) as source:
        for pair in source:
            if isinstance(pair, BadPair) or pair.ir is None or pair.vis is None:
                continue
            result = compute([Item(pair, None, {})], 0)[0]
            for name in arms:
                levels[name].append(blocks(luminance(result.images[name][None])))
            if len(levels["ir"]) == arguments.frames:
                break
    print(f"{len(levels['ir'])} pairs; flicker in grey levels: mean, largest frame's")
    means = {}
    for name, values in levels.items():
        b = np.stack(values)
        flicker = np.abs(b[2:] - 2 * b[1:-1] + b[:-2]) / 2
        means[name] = flicker.mean()
        print(f"{name:10} {means[name]:6.3f} {flicker.mean(axis=(1, 2)).max():6.3f}")
    wanted = max(means["ir"], means["vis"])
    missed = False
    for name in TRAINED:
        kept = means[name] <= wanted
        missed |= not kept
        print(
            f"{'kept  ' if kept else 'MISSED'} {name}: {means[name]:.3f} (wanted <= {wanted:.3f})"
        )
    sys.exit(1 if arguments.check and missed else 0)


if __name__ == "__main__":
    main()
