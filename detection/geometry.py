"""The letterbox: image pixels to the network's input and back, by scaling and padding.

As in yolov5: scale so that the longest side is ``image_size``, then pad both sides evenly with grey
114 to multiples of the stride. yolov5's ``val.py`` shrinks by area, rounds sides up and pads half a
stride more; its ``detect.py`` shrinks by linear interpolation and rounds to the nearest. Scores
differ between the two protocols.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

GREY = 114 / 255
STRIDE = 32  # of the coarsest feature map
Resize = Literal["val", "detect"]


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Position of an image in the network's input; all sizes in pixels.

    Attributes:
        height, width: Size of the image.
        scaled_height, scaled_width: Size of the image after scaling.
        input_height, input_width: Size of the network's input, multiples of the stride.
        resize: Scaling as in ``val.py`` or ``detect.py``; enlarging is always linear.
    """

    height: int
    width: int
    scaled_height: int
    scaled_width: int
    input_height: int
    input_width: int
    resize: Resize

    @classmethod
    def fit(
        cls, height: int, width: int, *, image_size: int, pad: float, resize: Resize
    ) -> "Letterbox":
        """Fit an image into the network's input.

        Args:
            height: Image height, pixels.
            width: Image width, pixels.
            image_size: Length of the longest side after scaling.
            pad: Extra strides before rounding up (``val.py``: 0.5, ``detect.py``: 0).
            resize: "val" (shrink by area, round sides up) or "detect" (linear, to the nearest).
        """
        ratio = image_size / max(height, width)
        # rounded first: 640 / 500 * 500 may be a little over 640
        sides = [round(side * ratio, 6) for side in (height, width)]
        scaled = [math.ceil(s) if resize == "val" else max(1, round(s)) for s in sides]
        # val.py derives the rectangle from the aspect ratio, not from the rounded size
        shape = [side / max(height, width) for side in (height, width)]
        inputs = [math.ceil(side * image_size / STRIDE + pad) * STRIDE for side in shape]
        return cls(height, width, scaled[0], scaled[1], inputs[0], inputs[1], resize)

    @property
    def top(self) -> int:
        """Grey rows above the image; an odd number has one row more below."""
        return round((self.input_height - self.scaled_height) / 2 - 0.1)

    @property
    def left(self) -> int:
        """Grey columns left of the image; an odd number has one column more on the right."""
        return round((self.input_width - self.scaled_width) / 2 - 0.1)

    def apply(self, images: Tensor) -> Tensor:
        """Scale and pad.

        Args:
            images: uint8, or float in [0, 1] (then differentiable), [B, C, height, width].

        Returns:
            float32 [B, C, input_height, input_width] in [0, 1]. Scaled 8-bit images are rounded to
            whole grey levels, as by an 8-bit resize.
        """
        quantized = images.dtype == torch.uint8
        scaled = images.float()  # [B, C, H, W]
        if (self.scaled_height, self.scaled_width) != (self.height, self.width):
            rows = resize_matrix(self.height, self.scaled_height, self.resize).to(
                images.device
            )  # [h, H]
            columns = resize_matrix(self.width, self.scaled_width, self.resize).to(
                images.device
            )  # [w, W]
            scaled = rows @ scaled @ columns.T  # [B, C, h, w]
            scaled = scaled.round() if quantized else scaled
        scaled = scaled / 255 if quantized else scaled
        below = self.input_height - self.scaled_height - self.top
        right = self.input_width - self.scaled_width - self.left
        framed = F.pad(scaled, (self.left, right, self.top, below), value=GREY)  # [B, C, h, w]
        return framed.contiguous(memory_format=torch.channels_last)

    def undo(self, xyxy: Tensor) -> Tensor:
        """Map boxes (n, 4) from input pixels to image pixels, clipped to the image."""
        offset = xyxy.new_tensor([self.left, self.top, self.left, self.top])
        gain_x = self.scaled_width / self.width
        gain_y = self.scaled_height / self.height
        gain = xyxy.new_tensor([gain_x, gain_y, gain_x, gain_y])
        limit = xyxy.new_tensor([self.width, self.height, self.width, self.height])
        return ((xyxy - offset) / gain).clamp(min=0).minimum(limit)


@lru_cache(maxsize=64)
def resize_matrix(size: int, new_size: int, resize: Resize) -> Tensor:
    """The resampling of one axis as a matrix, float32 [new_size, size]; its rows sum to 1.

    As OpenCV's INTER_LINEAR (between the two nearest pixel centres) and INTER_AREA (mean over the
    area that a new pixel covers).
    """
    step = size / new_size
    pixels = torch.arange(size, dtype=torch.float64)[None]  # [1, size]
    new_pixels = torch.arange(new_size, dtype=torch.float64)[:, None]  # [new_size, 1]
    if new_size >= size or resize == "detect":
        centres = ((new_pixels + 0.5) * step - 0.5).clamp(0, size - 1)
        weights = (1 - (pixels - centres).abs()).clamp(min=0)
    else:
        start, end = new_pixels * step, (new_pixels + 1) * step
        weights = (torch.minimum(pixels + 1, end) - torch.maximum(pixels, start)).clamp(min=0)
    return (weights / weights.sum(1, keepdim=True)).float()
