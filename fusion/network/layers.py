"""Small layers on channels-last features [B, H, W, C].

From the paper: LDC (Eq. 5), ECA (Wang et al., 2020), 4 x 4 patches, patch merging and expanding.
Not stated by the paper: the shape (C_out, 1, 3, 3) of LDC's m and the initial value 0.5 of its eps;
ECA's kernel size 3; merging and expanding as in VM-UNet, without biases; the order of merged
neighbours.
"""

import math
from abc import ABC, abstractmethod
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional


class FoldedConv(nn.Module, ABC):
    """3 x 3 convolution whose kernel is computed from the weights.

    In eval mode the kernel is cached until the weights change. The cache is not in the state dict.
    """

    def __init__(self) -> None:
        super().__init__()
        self._folded: Tensor | None = None
        self._folded_from: tuple[int, ...] = ()

    @abstractmethod
    def kernel(self) -> Tensor:
        """The kernel of the equivalent plain convolution, float [C_out, C, 3, 3]."""

    def forward(self, x: Tensor) -> Tensor:
        """Float [B, H, W, C] to float [B, H, W, C_out], zero padding."""
        # the cached kernel has no graph, so it is not used if weights need gradients
        graph = torch.is_grad_enabled() and any(p.requires_grad for p in self.parameters())
        kernel = self.kernel() if self.training or graph else self._fold(x.dtype)
        return functional.conv2d(x.permute(0, 3, 1, 2), kernel, padding=1).permute(0, 2, 3, 1)

    def train(self, mode: bool = True) -> Self:
        """As ``nn.Module.train``; drops the cached kernel."""
        self._folded = None
        return super().train(mode)

    def _fold(self, dtype: torch.dtype) -> Tensor:
        parameters = tuple(self.parameters())
        if any(p.is_inference() for p in parameters):  # these have no version counter
            return self.kernel().to(dtype)
        # versions count changes in place; replacing parameters calls one of the two hooks below
        versions = tuple(p._version for p in parameters)
        folded = self._folded
        if folded is None or folded.dtype != dtype or self._folded_from != versions:
            # not an inference tensor, which autograd could not use later
            with torch.inference_mode(False), torch.no_grad():
                # in the dtype of x, or autocast would convert it at every call
                self._folded = folded = self.kernel().to(dtype)
            self._folded_from = versions
        return folded

    def _apply(self, *args: Any, **kwargs: Any) -> Self:  # noqa: ANN401
        self._folded = None
        moved: Self = super()._apply(*args, **kwargs)  # type: ignore[no-untyped-call]
        return moved

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        self._folded = None
        super()._load_from_state_dict(*args, **kwargs)


class LDC(FoldedConv):
    """Learnable descriptive convolution: 3 x 3 with the kernel w ((1 − eps) + eps m), Eq. 5."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, channels, 3, 3))
        self.mask = nn.Parameter(torch.ones(channels, 1, 3, 3))  # m
        self.eps = nn.Parameter(torch.tensor(0.5))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # as torch's convolutions

    def kernel(self) -> Tensor:
        """The kernel of the equivalent plain convolution, float [C, C, 3, 3]."""
        return self.weight * ((1 - self.eps) + self.eps * self.mask)


class ECA(nn.Module):
    """Efficient channel attention: x sigmoid(Conv1d(GAP(x))), the convolution over channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 1, kernel_size=3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Float [B, H, W, C] to float [B, H, W, C]."""
        pooled = x.mean(dim=(1, 2)).unsqueeze(1)  # [B, 1, C]
        scale: Tensor = torch.sigmoid(self.conv(pooled))  # [B, 1, C]
        return x * scale.unsqueeze(1)  # scale is [B, 1, 1, C]


class DWConv(nn.Module):
    """Depthwise 3 x 3 convolution with bias and zero padding."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, kernel_size=3, padding=1, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        """Float [B, H, W, C] to float [B, H, W, C]."""
        y: Tensor = self.conv(x.permute(0, 3, 1, 2))  # [B, C, H, W]
        return y.permute(0, 2, 3, 1)


class PatchEmbedding(nn.Module):
    """Patches of 4 x 4 pixels to C channels: a convolution of stride 4, then LN."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, width, kernel_size=4, stride=4)
        self.norm = nn.LayerNorm(width)

    def forward(self, image: Tensor) -> Tensor:
        """Float [B, 1, H, W], H and W multiples of 4, to float [B, H/4, W/4, C]."""
        patches: Tensor = self.conv(image)  # [B, C, H/4, W/4]
        y: Tensor = self.norm(patches.permute(0, 2, 3, 1))
        return y


class PatchMerging(nn.Module):
    """Half the resolution, twice the width: 2 x 2 neighbours, LN, Linear 4C to 2C."""

    def __init__(self, width: int) -> None:
        """Make the layer.

        Args:
            width: C, the channels of the input.
        """
        super().__init__()
        self.norm = nn.LayerNorm(4 * width)
        self.linear = nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Float [B, H, W, C], H and W even, to float [B, H/2, W/2, 2C]."""
        pairs = torch.unflatten(x, 2, (-1, 2))  # [B, H, W/2, column, C]
        blocks = torch.unflatten(pairs, 1, (-1, 2))  # [B, H/2, row, W/2, column, C]
        # (row, column) of the four: (0, 0), (1, 0), (0, 1), (1, 1)
        neighbours = blocks.permute(0, 1, 3, 4, 2, 5).flatten(3)  # [B, H/2, W/2, 4C]
        y: Tensor = self.linear(self.norm(neighbours))
        return y


class PatchExpanding(nn.Module):
    """``scale`` times the resolution: Linear, each pixel's channels to scale x scale pixels, LN."""

    def __init__(self, width: int, scale: int, out: int) -> None:
        """Make the layer.

        Args:
            width: Channels of the input.
            scale: Factor of the resolution along each axis.
            out: Channels of the output.
        """
        super().__init__()
        self.scale = scale
        self.linear = nn.Linear(width, scale * scale * out, bias=False)
        self.norm = nn.LayerNorm(out)

    def forward(self, x: Tensor) -> Tensor:
        """Float [B, H, W, width] to float [B, scale H, scale W, out]."""
        s = self.scale
        pixels = torch.unflatten(self.linear(x), -1, (s, s, -1))  # [B, H, W, s, s, out]
        image = pixels.permute(0, 1, 3, 2, 4, 5).flatten(3, 4).flatten(1, 2)  # [B, sH, sW, out]
        y: Tensor = self.norm(image)
        return y
