"""Prints how visible the network's 4x4 patches are: `python tools/grid.py WEIGHTS [WEIGHTS...]`.

Fuses three generated pairs with seeds outside training and prints, for each weights file or name,
the square root of ``patch_variance`` in grey levels of 255.
"""

import argparse
from fractions import Fraction

import torch
from torch import Tensor
from torch.nn import functional

from fusion.color import rgb_to_ycbcr
from fusion.network.network_fuser import NetworkFuser
from scenes.climate import Conditions
from scenes.render import Clip
from training.networks import load_network

PATCH, FIELD = 4, 8  # side of a patch in pixels; side of a field in patches
SCENES = ((12, Conditions("dusk")), (13, Conditions("night")), (15, Conditions("day", "fog")))


def patch_variance(fused: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Variance over the positions in a patch of the fused image minus the mean of both images.

    The difference is averaged over fields of 8 x 8 patches, separately for each of the 16 positions
    in a patch. The result is the variance of the 16 averages, averaged over fields.

    Args:
        fused: float [B, 1, H, W], H and W multiples of 4, at least 32.
        first: float [B, 1, H, W].
        second: float [B, 1, H, W].

    Returns:
        Scalar from 0.
    """
    added = fused - (first + second) / 2
    positions = functional.pixel_unshuffle(added, PATCH)  # [B, 16, H/4, W/4]
    means = functional.avg_pool2d(positions, FIELD, stride=FIELD // 2)  # [B, 16, h, w]
    return means.var(dim=1, correction=0).mean()


@torch.inference_mode()
def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="How visible the network's patches are.")
    parser.add_argument("weights", nargs="+", help="names or files of weights")
    print(f"{'weights':60} {'dusk':>6} {'night':>6} {'fog':>6}")
    for weights in parser.parse_args().weights:
        fuser = NetworkFuser(load_network(weights))
        spreads = []
        for seed, conditions in SCENES:
            clip = Clip(seed, 0, size=(256, 320), frame_rate=Fraction(10), conditions=conditions)
            scene = clip.scene(30)
            ir = torch.tensor(scene.ir).float()[None, None] / 255  # [1, 1, H, W]
            vis = torch.tensor(scene.vis).float().permute(2, 0, 1)[None] / 255  # [1, 3, H, W]
            y, _ = rgb_to_ycbcr(vis)  # [1, 1, H, W]
            fused, _ = rgb_to_ycbcr(fuser(ir=ir, vis=vis))
            spreads.append(255 * patch_variance(fused, ir, y).item() ** 0.5)
        print(f"{weights:60} " + " ".join(f"{spread:6.2f}" for spread in spreads))


if __name__ == "__main__":
    main()
