"""MambaDFuse as its authors released it (Li et al., 2024, arXiv:2404.08406).

From the released code: the graph, with its slips, which the docstrings name; modality 1 is
infrared. Weights have the names of the authors' files. In eval mode the pair is padded as in the
authors' test script; the padded pixels are scanned too and change the whole image.
Ours: the scans of both modalities, and those of the three branches of an M3 block, are one scan of
two and three groups; without gradients on the CPU the chains, whose tokens depend on earlier ones
only, are computed in pieces, which takes less memory.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, ClassVar, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn
from torch.nn import functional

from common.errors import WeightsError
from fusion.color import check_luminances
from fusion.network.checkpoint import Checkpoint, Network
from fusion.network.mambadfuse_blocks import (
    EPS,
    ChainBlock,
    Exchange,
    Gated,
    M3Block,
    Mambas,
    Norms,
)
from fusion.padding import crop, pad_mirrored

MULTIPLE = 8
PIECE = 1 << 16  # tokens; in smaller pieces a second thread has too little work
SLOPE = 0.2  # of the leaky ReLU

Block = TypeVar("Block", bound=nn.Module)

Width = Annotated[int, Field(ge=4, le=1024)]
Count = Annotated[int, Field(ge=1, le=64)]


class Architecture(BaseModel):
    """Settings that determine the network's weights; the defaults are the authors'."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: Width = Field(60, description="channels C, 4 to 1024")
    blocks: tuple[Count, Count, Count, Count] = Field(
        (8, 2, 5, 8),
        description="blocks of each modality, of the exchange, of the fusion (M3) and of the "
        "reconstruction, 1 to 64 each",
    )


class PatchEmbed(nn.Module):
    """Holds the normalisation that makes tokens of features."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=EPS)


class MambaDFuse(Network):
    """Fuses the luminances of a pair; 1.35 M parameters in the authors' size."""

    NAME: ClassVar[str] = "mambadfuse"
    architecture: Architecture

    def __init__(self, architecture: Architecture, *, scan: str = "auto") -> None:
        """Draw an untrained network.

        Args:
            architecture: Width and numbers of blocks.
            scan: The backend of the scan, a name or "auto".
        """
        super().__init__()
        self.architecture, self.scan = architecture, scan
        c, (chain, exchanges, m3, rebuilt) = architecture.width, architecture.blocks
        self.low_level_feature_extraction1 = _conv(1, c // 2)
        self.low_level_feature_extraction2 = _conv(c // 2, c)
        self.patch_embed = PatchEmbed(c)
        self.high_level_feature_extraction1 = nn.ModuleList(ChainBlock(c) for _ in range(chain))
        self.high_level_feature_extraction2 = nn.ModuleList(ChainBlock(c) for _ in range(chain))
        for number in range(1, exchanges + 1):
            self.add_module(f"channel_exchange{number}", Exchange(c))
        self.shallow_fusion1 = _conv(2 * c, c)
        self.shallow_fusion2 = _conv(2 * c, c)
        for number in range(1, m3 + 1):
            self.add_module(f"M3_block{number}", M3Block(c))
        self.feature_re = nn.ModuleList(ChainBlock(c) for _ in range(rebuilt))
        self.conv_last1 = _conv(c, c // 2)
        self.conv_last2 = _conv(c // 2, c // 4)
        self.conv_last3 = _conv(c // 4, 1)

    def forward(self, *, ir: Tensor, vis: Tensor) -> Tensor:
        """Fuse a batch of luminances of any size.

        Args:
            ir: float [B, 1, H, W] in [0, 1].
            vis: float [B, 1, H, W] in [0, 1], luminance, same shape, dtype and device.

        Returns:
            float [B, 1, H, W], not clamped; in training the images are not padded.

        Raises:
            ValueError: The shapes are not [B, 1, H, W] or differ.
        """
        check_luminances(ir, vis)
        if self.training:
            return self.fuse(ir=ir, vis=vis)
        padded = [pad_mirrored(image, MULTIPLE) for image in (ir, vis)]
        # one image at a time: it has tokens enough, and takes about 5 kB of memory a pixel
        pairs = zip(*(torch.split(image, 1) for image in padded), strict=True)
        fused = torch.cat([self.fuse(ir=one_ir, vis=one_vis) for one_ir, one_vis in pairs])
        return crop(fused, *ir.shape[2:])

    def fuse(self, *, ir: Tensor, vis: Tensor) -> Tensor:
        """As ``forward``, without the padding."""
        images = torch.cat((ir, vis))  # [2B, 1, H, W]
        for conv in (self.low_level_feature_extraction1, self.low_level_feature_extraction2):
            images = functional.leaky_relu(conv(_channels_last(images)), SLOPE)
        x = self._features(self._tokens(images, groups=2))  # [2, B, L, C]
        size = ir.shape[2:]
        g1, g2, f = self._shallow_fusion(*(_image(part, size) for part in x))
        t1, t2, f = (self._tokens(image) for image in (g1, g2, f))
        f = self._deep_fusion(t1, t2, f, size)
        rebuilt = _image(self._rebuild(self.patch_embed.norm(f)).squeeze(0), size)
        rebuilt = functional.leaky_relu(self.conv_last1(rebuilt), SLOPE)
        fused: Tensor = self.conv_last3(functional.leaky_relu(self.conv_last2(rebuilt), SLOPE))
        return fused

    def _tokens(self, images: Tensor, groups: int = 1) -> Tensor:
        """Features [G B, C, H, W] to normalised tokens [G, B, L, C]."""
        tokens = torch.unflatten(images.permute(0, 2, 3, 1).flatten(1, 2), 0, (groups, -1))
        normal: Tensor = self.patch_embed.norm(tokens)
        return normal

    def _features(self, x: Tensor) -> Tensor:
        """The chains of both modalities and the exchanges, [2, B, L, C] to the same shape."""
        chains = (
            _typed(self.high_level_feature_extraction1, ChainBlock),
            _typed(self.high_level_feature_extraction2, ChainBlock),
        )
        blocks = [
            Mambas([a.encoder, b.encoder], [a.norm, b.norm], x, self.scan)
            for a, b in zip(*chains, strict=True)
        ]
        exchanges = [
            Mambas([e.I1encoder, e.I2encoder], [e.norm1, e.norm2], x, self.scan)
            for e in self._numbered("channel_exchange", self.architecture.blocks[1], Exchange)
        ]

        def run(x: Tensor) -> Tensor:
            x, r = _chain(blocks, x)
            for exchange in exchanges:
                r = x + r
                x = exchange(r, exchanged=True)
            return x

        return _by_pieces(run, [x], pieces=blocks[0].in_pieces)

    def _shallow_fusion(self, x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """G1, G2 and their mean, float [B, C, H, W] each; G2's convolution sees G1, not x1."""
        g1 = self.shallow_fusion1(torch.cat((x1, x2), 1)) + x1
        g2 = self.shallow_fusion2(torch.cat((x2, g1), 1)) + x2
        return g1, g2, (g1 + g2) / 2

    def _deep_fusion(self, t1: Tensor, t2: Tensor, f: Tensor, size: Sequence[int]) -> Tensor:
        """The M3 blocks from r = 0, tokens [1, B, L, C] to the same shape."""
        r = torch.zeros_like(f)
        for block in self._numbered("M3_block", self.architecture.blocks[2], M3Block):
            r = f + r
            q = _image(self._mixed(block, r, t2, t1).squeeze(0), size)  # [B, C, H, W]
            f = (block.dwconv(q) + q).permute(0, 2, 3, 1).flatten(1, 2).unsqueeze(0)
        return f

    def _mixed(self, block: M3Block, *inputs: Tensor) -> Tensor:
        """An M3 block's W_out s of three tokens [1, B, L, C]; each norm is applied twice."""
        mamba = block.multi_modal_mamba_block
        norms = Norms([block.norm1.body, block.norm2.body, block.norm3.body])
        gated = Gated(mamba.branches(), inputs[0], self.scan)

        def run(*inputs: Tensor) -> Tensor:
            v = norms(norms(torch.cat(inputs)))  # [3, B, L, C]
            s = gated(v).sum(0, keepdim=True)  # [1, B, L, E]
            return functional.linear(s, mamba.out_proj.weight)

        return _by_pieces(run, inputs, pieces=gated.in_pieces)

    def _rebuild(self, x: Tensor) -> Tensor:
        """The chain of the reconstruction, [1, B, L, C] to the same shape."""
        chain = _typed(self.feature_re, ChainBlock)
        blocks = [Mambas([b.encoder], [b.norm], x, self.scan) for b in chain]
        return _by_pieces(lambda x: _chain(blocks, x)[0], [x], pieces=blocks[0].in_pieces)

    def _numbered(self, name: str, count: int, kind: type[Block]) -> list[Block]:
        """The modules ``name``1, ``name``2, and so on."""
        return _typed((self.get_submodule(f"{name}{n}") for n in range(1, count + 1)), kind)


def architecture_of(stored: Checkpoint) -> Architecture:
    """The architecture in a file's metadata, or else what its keys and shapes say.

    Raises:
        errors.WeightsError: They are no weights of a MambaDFuse.
    """
    architecture = stored.architecture(MambaDFuse.NAME, Architecture)
    if architecture is not None:
        return architecture
    norm = stored.tensors.get("patch_embed.norm.weight")
    counts = tuple(
        len({match[1] for key in stored.tensors if (match := re.match(pattern, key))})
        for pattern in _NUMBERED
    )
    width = len(norm) if norm is not None and norm.dim() == 1 else 0
    try:
        return Architecture.model_validate({"width": width, "blocks": counts})
    except ValidationError as error:
        raise WeightsError(
            f"{stored.path}: no weights of a MambaDFuse: patch_embed.norm.weight has {width} "
            f"channels, and there are {counts} blocks of the four kinds"
        ) from error


def _typed(modules: Iterable[nn.Module], kind: type[Block]) -> list[Block]:
    """The modules, all of this kind; torch's containers forget it."""
    return [module for module in modules if isinstance(module, kind)]


def _chain(blocks: Sequence[Mambas], x: Tensor) -> tuple[Tensor, Tensor]:
    """A chain from r = 0: r becomes x + r, x becomes Mamba(LN(r)); [G, B, L, C], both returned."""
    r = x
    for number, block in enumerate(blocks):
        r = x + r if number else x
        x = block(r)
    return x, r


def _by_pieces(run: Callable[..., Tensor], sequences: Sequence[Tensor], *, pieces: bool) -> Tensor:
    """Compute a causal function of sequences [G, B, L, C], in pieces of the tokens if wanted."""
    length = sequences[0].shape[2]
    if not pieces or length <= PIECE:
        return run(*sequences)
    out = torch.empty(0)
    for start in range(0, length, PIECE):
        piece = run(*(sequence[:, :, start : start + PIECE] for sequence in sequences))
        if not start:
            out = piece.new_empty(*piece.shape[:2], length, piece.shape[3])
        out[:, :, start : start + PIECE] = piece
    return out


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel_size=3, padding=1)


def _channels_last(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last)


def _image(tokens: Tensor, size: Sequence[int]) -> Tensor:
    """Tokens [B, L, C] as an image [B, C, H, W], channels last in memory."""
    return torch.unflatten(tokens, 1, tuple(size)).permute(0, 3, 1, 2)


# a block's number in a key, by the numbers of ``Architecture.blocks``
_NUMBERED = (
    r"high_level_feature_extraction1\.(\d+)\.",
    r"channel_exchange(\d+)\.",
    r"M3_block(\d+)\.",
    r"feature_re\.(\d+)\.",
)
