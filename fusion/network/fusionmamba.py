"""FusionMamba as in the journal paper (Xie et al., Visual Intelligence, 2024, section 3).

From the paper: a U-shape with four levels of widths C, 2C, 4C, 8C at 1/4 to 1/32 of the resolution,
DVSS blocks in encoder and decoder, a DFFM at each level; C = 96 and depths 2, 2, 9, 2.
Not stated by the paper: both modalities share the encoder's weights but have their own patch
embeddings; F1 is infrared; the decoder has the encoder's depths and starts from X4; the skip X of a
level is added after expanding to that level; reflect padding to a multiple of 32. The smaller sizes
are ours. Ablation of Table 9: "DFFM -> DVSS" is X = DVSS(F1 + F2); see dvss.py and dffm.py for the
others.
The heads are ours and start at zero, so that an untrained network returns the mean of the inputs:
``gate`` outputs the two maps of ``fusion.network.gate`` at a quarter of the resolution; ``fine``
does so at half of it, from the features and the pixels; ``mean`` expands the features to full
resolution and adds one channel to the mean.
"""

from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from fusion.color import check_luminances
from fusion.network.checkpoint import Network
from fusion.network.dffm import DFFM
from fusion.network.dvss import DVSS, Block
from fusion.network.fine import FINE, MARGIN, FineFeatures
from fusion.network.gate import MAPS, blend
from fusion.network.layers import PatchEmbedding, PatchExpanding, PatchMerging
from fusion.padding import crop, pad_to_multiple

LEVELS = 4
MULTIPLE = 32  # 4 by the patches, 2 by each of three mergings

Depth = Annotated[int, Field(ge=1, le=64)]
Depths = tuple[Depth, Depth, Depth, Depth]
Width = Annotated[int, Field(ge=8, le=1024, multiple_of=4)]  # the last expansion has C/4 channels
Head = Literal["fine", "gate", "mean"]
HEAD = (
    "gate (a smooth choice between the modalities), fine (the same at twice the resolution) or "
    "mean (a change of each pixel)"
)


class Switches(BaseModel):
    """The ablations of the paper's Table 9; the defaults are the complete network."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    block: Block = Field(
        "dvss",
        description="block of encoder and decoder: dvss, evss (no LDC, no ECA in it), attention "
        "(in place of the scan; memory and time grow with the square of the pixels)",
    )
    fuse: Literal["dffm", "dvss"] = Field(
        "dffm", description="fusion at each level: dffm, or dvss (one block on the sum)"
    )
    ldc: bool = Field(True, description="learnable descriptive convolutions, true or false")
    eca: bool = Field(True, description="efficient channel attention, true or false")
    dfem: bool = Field(True, description="feature enhancement in dffm, true or false")
    cmfm: bool = Field(True, description="cross-modal Mamba in dffm, true or false")

    @model_validator(mode="after")
    def _parts_exist(self) -> Self:
        if self.fuse == "dvss" and not (self.dfem and self.cmfm):
            raise ValueError(
                "dfem and cmfm are parts of fuse: dffm; with fuse: dvss leave them out"
            )
        return self


class Architecture(Switches):
    """Settings that determine the network's weights; stored as JSON in a checkpoint's metadata."""

    width: Width = Field(description="channels C of the first level, 8 to 1024, a multiple of 4")
    depths: Depths = Field(description="blocks at each of the four levels, 1 to 64 each")
    head: Head = Field("mean", description=HEAD)  # older files without this key have "mean"


class FusionMamba(Network):
    """Fuses the luminances of a pair; 115 M parameters in the paper's size."""

    NAME: ClassVar[str] = "fusionmamba"
    architecture: Architecture

    def __init__(self, architecture: Architecture, *, scan: str = "auto") -> None:
        """Draw an untrained network.

        Args:
            architecture: Width, depths and switches.
            scan: The backend of the scan, a name or "auto".
        """
        super().__init__()
        self.architecture = a = architecture
        widths = [a.width * 2**level for level in range(LEVELS)]

        def block(width: int) -> DVSS:
            return DVSS(width, block=a.block, ldc=a.ldc, eca=a.eca, scan=scan)

        def blocks(level: int) -> nn.Sequential:
            return nn.Sequential(*(block(widths[level]) for _ in range(a.depths[level])))

        def fusion(width: int) -> nn.Module:
            if a.fuse == "dvss":
                return _SumThen(block(width))
            return DFFM(width, ldc=a.ldc, eca=a.eca, dfem=a.dfem, cmfm=a.cmfm, scan=scan)

        self.embed_ir = PatchEmbedding(a.width)
        self.embed_vis = PatchEmbedding(a.width)
        self.encoder = nn.ModuleList(blocks(level) for level in range(LEVELS))
        self.merge = nn.ModuleList(PatchMerging(width) for width in widths[:-1])
        self.fusion = nn.ModuleList(fusion(width) for width in widths)
        self.decoder = nn.ModuleList(blocks(level) for level in range(LEVELS))
        self.expand = nn.ModuleList(PatchExpanding(2 * width, 2, width) for width in widths[:-1])
        self.expand_last: PatchExpanding | None = None
        self.norm_last: nn.LayerNorm | None = None
        self.fine: FineFeatures | None = None
        if a.head == "fine":
            self.fine = FineFeatures(a.width)
            self.head = nn.Linear(FINE, MAPS)  # a 1 x 1 convolution, channels last
        elif a.head == "mean":
            self.expand_last = PatchExpanding(a.width, 4, a.width // 4)
            self.head = nn.Linear(a.width // 4, 1)
        else:
            self.norm_last = nn.LayerNorm(a.width)
            self.head = nn.Linear(a.width, MAPS)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, *, ir: Tensor, vis: Tensor) -> Tensor:
        """Fuse a batch of luminances of any size.

        Args:
            ir: float [B, 1, H, W] in [0, 1].
            vis: float [B, 1, H, W] in [0, 1], luminance, same shape, dtype and device.

        Returns:
            float [B, 1, H, W]; clamped to [0, 1] in eval mode, not in training.

        Raises:
            ValueError: The shapes are not [B, 1, H, W] or differ.
        """
        check_luminances(ir, vis)
        height, width = ir.shape[2:]
        margin = MARGIN if self.fine is not None and not self.training else 0
        ir, vis = pad_to_multiple(ir, MULTIPLE, margin), pad_to_multiple(vis, MULTIPLE, margin)
        features = self._decode(self._encode(ir, vis))  # [B, H'/4, W'/4, C]
        if self.expand_last is not None:
            fused = self._changed_mean(features, crop(ir, height, width), crop(vis, height, width))
        else:
            maps = self._maps(features, ir, vis)  # [B, 2, H'/n, W'/n]
            fused = crop(blend(maps, ir=ir, vis=vis), height, width, margin)  # [B, 1, H, W]
        return fused if self.training else fused.clamp(0, 1)

    def _encode(self, ir: Tensor, vis: Tensor) -> list[Tensor]:
        """The fused features X of each level, finest first: [B, H/(4 2^n), W/(4 2^n), C 2^n]."""
        x = torch.cat((self.embed_ir(ir), self.embed_vis(vis)))  # [2B, H/4, W/4, C]
        fused = []
        for level in range(LEVELS):
            if level:
                x = self.merge[level - 1](x)
            x = self.encoder[level](x)
            fused.append(self.fusion[level](*x.chunk(2)))
        return fused

    def _decode(self, skips: list[Tensor]) -> Tensor:
        """From X of the four levels to features of [B, H/4, W/4, C]."""
        x: Tensor = self.decoder[-1](skips[-1])
        for level in reversed(range(LEVELS - 1)):
            x = self.decoder[level](self.expand[level](x) + skips[level])
        return x

    def _maps(self, features: Tensor, ir: Tensor, vis: Tensor) -> Tensor:
        """The gate's maps, at half the resolution with the head ``fine``, else at a quarter."""
        if self.fine is not None:
            x = self.fine(features, ir=ir, vis=vis)  # [B, H'/2, W'/2, FINE]
        else:
            assert self.norm_last is not None
            x = self.norm_last(features)  # [B, H'/4, W'/4, C]
        maps: Tensor = self.head(x)
        return maps.permute(0, 3, 1, 2)

    def _changed_mean(self, features: Tensor, ir: Tensor, vis: Tensor) -> Tensor:
        """The head ``mean``: the mean of the inputs plus a change of each pixel, [B, 1, H, W]."""
        assert self.expand_last is not None
        height, width = ir.shape[2:]
        pixels = self.expand_last(features)[:, :height, :width]  # [B, H, W, C/4]
        change: Tensor = self.head(pixels).permute(0, 3, 1, 2)  # [B, 1, H, W]
        return (ir + vis) / 2 + change


class _SumThen(nn.Module):
    """A block applied to the sum of two features."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, f1: Tensor, f2: Tensor) -> Tensor:
        x: Tensor = self.block(f1 + f2)
        return x
