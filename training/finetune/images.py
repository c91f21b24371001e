"""The images of an arm of all training pairs, computed once into a file."""

import os
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from common.files import writing
from pipeline.frames import PairBatch
from pipeline.interfaces import Arm
from training.pairs import Pairs


def write_images(pairs: Pairs, arm: Arm, name: str, path: Path, device: torch.device) -> None:
    """Write the arm's image of each pair.

    Args:
        pairs: The pairs.
        arm: Makes or reads the images.
        name: The arm's, by which ready-made images are passed.
        path: The file.
        device: Where the arm computes.

    Raises:
        errors.IrvisError: An image is missing, or can't be made.
    """
    partial = path.with_suffix(f".{os.getpid()}.partial")
    with writing(path), partial.open("wb") as file:
        for index in range(len(pairs)):
            batch = _batch(pairs, index, arm, name, device)
            image = batch.ready[name] if arm.config.reads_images else arm(batch)
            # [1, C, H, W] to [H, W, C]
            file.write(image[0].permute(1, 2, 0).contiguous().cpu().numpy().tobytes())
    partial.rename(path)


def read_images(pairs: Pairs, channels: int, path: Path) -> list[NDArray[np.uint8]]:
    """The images that ``write_images`` wrote, uint8 [H, W, C] each, from a memory map."""
    data = np.memmap(path, np.uint8, "r")
    ends = np.cumsum([height * width * channels for _, height, width in pairs.places])
    return [
        data[end - height * width * channels : end].reshape(height, width, channels)
        for end, (_, height, width) in zip(ends.tolist(), pairs.places, strict=True)
    ]


def _batch(pairs: Pairs, index: int, arm: Arm, name: str, device: torch.device) -> PairBatch:
    planes = torch.from_numpy(np.array(pairs[index])).permute(2, 0, 1)[None].to(device)
    ready = {}
    if arm.config.reads_images:
        height, width = pairs.places[index][1:]
        image = arm.read(pairs.keys[index], (height, width))
        ready[name] = torch.from_numpy(image).permute(2, 0, 1)[None].to(device)
    # [1, 4, H, W]: red, green, blue, infrared
    return PairBatch(
        keys=(pairs.keys[index],),
        ir=planes[:, 3:].contiguous(),
        vis=planes[:, :3].contiguous(),
        ready=ready,
    )
