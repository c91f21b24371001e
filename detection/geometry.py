"""From image pixels to the network's input and back: scale, pad, and undo both.

The rule is yolov5's: scale so that the longest side is ``image_size``, then pad both sides evenly
with grey 114 to a rectangle of whole strides. Its ``val.py`` shrinks by area, rounds sides up and
pads half a stride more; its ``detect.py`` shrinks by linear interpolation and rounds to the
nearest. The two protocols give other scores.
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
    """Where an image of ``height`` x ``width`` lies in the network's input.

    Attributes:
        height, width: The image, pixels.
        scaled_height, scaled_width: The image after scaling.
        input_height, input_width: The network's input, whole strides.
        resize: Whose way of scaling, ``val.py``'s or ``detect.py``'s; enlarging is always linear.
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
        """The letterbox of an image.

        Args:
            height: Image height, pixels.
            width: Image width, pixels.
            image_size: Length of the longest side after scaling.
            pad: Extra strides before rounding up (``val.py``: 0.5, ``detect.py``: 0).
            resize: "val" (shrink by area, round sides up) or "detect" (linear, to the nearest).
        """
        ratio = image_size / max(height, width)
        # whole numbers first: 640 / 500 * 500 may come out a little over 640
        sides = [round(side * ratio, 6) for side in (height, width)]
        scaled = [math.ceil(s) if resize == "val" else max(1, round(s)) for s in sides]
        # val.py derives the rectangle from the aspect ratio, not from the rounded size
        shape = [side / max(height, width) for side in (height, width)]
        inputs = [math.ceil(side * image_size / STRIDE + pad) * STRIDE for side in shape]
        return cls(height, width, scaled[0], scaled[1], inputs[0], inputs[1], resize)

    @property
    def top(self) -> int:
        """Grey rows above the image; the odd one goes below."""
        return round((self.input_height - self.scaled_height) / 2 - 0.1)

    @property
    def left(self) -> int:
        """Grey columns left of the image; the odd one goes right."""
        return round((self.input_width - self.scaled_width) / 2 - 0.1)

    def apply(self, images: Tensor) -> Tensor:
        """Scale and pad.

        Args:
            images: uint8, or float in [0, 1] (then differentiable), [B, C, height, width].

        Returns:
            float32 [B, C, input_height, input_width] in [0, 1]. Scaled 8-bit images are rounded to
            whole grey values, as an 8-bit resize would leave them.
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
        """Boxes (n, 4) of the network's input as boxes of the image, clipped to it, in pixels."""
        offset = xyxy.new_tensor([self.left, self.top, self.left, self.top])
        gain_x = self.scaled_width / self.width
        gain_y = self.scaled_height / self.height
        gain = xyxy.new_tensor([gain_x, gain_y, gain_x, gain_y])
        limit = xyxy.new_tensor([self.width, self.height, self.width, self.height])
        return ((xyxy - offset) / gain).clamp(min=0).minimum(limit)


@lru_cache(maxsize=64)
def resize_matrix(size: int, new_size: int, resize: Resize) -> Tensor:
    """The resampling of one axis as a matrix, float32 [new_size, size]; its rows sum to 1.

    Linear is between the two nearest pixel centres, area is the exact mean over what each new pixel
    covers: OpenCV's INTER_LINEAR and INTER_AREA.
    """
    step = size / new_size
    pixels = torch.arange(size, dtype=torch.float64)[None]  # [1, size]
    places = torch.arange(new_size, dtype=torch.float64)[:, None]  # [new_size, 1]
    if new_size >= size or resize == "detect":
        centres = ((places + 0.5) * step - 0.5).clamp(0, size - 1)
        weights = (1 - (pixels - centres).abs()).clamp(min=0)
    else:
        start, end = places * step, (places + 1) * step
        weights = (torch.minimum(pixels + 1, end) - torch.maximum(pixels, start)).clamp(min=0)
    return (weights / weights.sum(1, keepdim=True)).float()
