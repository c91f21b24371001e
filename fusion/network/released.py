"""FusionMamba as its authors released it: another graph than the paper's, for their checkpoints.

From the paper: the modules, as in dvss.py and dffm.py, and the U-shape.
From the released code: how they are connected, as the docstrings here state; modality 1 is visible;
the skips are the inputs of a level; twice the sum of the inputs is added to the output.
Ours: no stochastic depth in training; reflect padding to a multiple of 32. Weights that have no
effect on the output are dropped: the fusion of level 0, a convolution in each fusion block
(``lastconv``) and the base masks of LDC, which are all ones.

Modules have this package's names; ``stored_key`` maps them to the keys in the authors' files.
"""

import dataclasses
import re
from pathlib import Path

import torch
from torch import Tensor, nn

from common.errors import WeightsError
from common.files import expand
from fusion.color import check_luminances
from fusion.network import checkpoint
from fusion.network.fusionmamba import LEVELS, MULTIPLE
from fusion.network.layers import PatchEmbedding, PatchExpanding, PatchMerging
from fusion.network.released_blocks import Block, CrossBlock
from fusion.padding import pad_to_multiple

WIDTH_STEP = 4  # the last expansion has C / 4 channels


class ReleasedFusionMamba(nn.Module):
    """Fuses the luminances of a pair; 164 M parameters in the authors' size.

    The authors' size is 96 channels and depths (2, 2, 9, 2); their file has 225 M values.
    """

    def __init__(self, width: int, depths: tuple[int, ...], *, scan: str = "auto") -> None:
        """Make an untrained network.

        Args:
            width: Channels C of the first level, a multiple of 4; level n has C 2^n.
            depths: Blocks at each of the four levels of the encoder; the decoder has the same.
            scan: The backend of the scan, a name or "auto".
        """
        super().__init__()
        self.width, self.depths = width, depths
        widths = [width * 2**level for level in range(LEVELS)]

        def blocks(level: int) -> nn.Sequential:
            return nn.Sequential(*(Block(widths[level], scan) for _ in range(depths[level])))

        self.embed_vis = PatchEmbedding(width)
        self.embed_ir = PatchEmbedding(width)
        self.encoder = nn.ModuleList(blocks(level) for level in range(LEVELS))
        self.merge = nn.ModuleList(PatchMerging(width) for width in widths[:-1])
        # by level; the authors' files also have one of level 0, whose result is not used
        self.fusion = nn.ModuleDict(
            {str(level): CrossBlock(widths[level], scan) for level in range(1, LEVELS)}
        )
        # both by step: step 0 is the deepest level, each further step is one level up
        self.decoder = nn.ModuleList(blocks(level) for level in reversed(range(LEVELS)))
        self.expand = nn.ModuleDict(
            {
                str(step): PatchExpanding(2 * widths[-1 - step], 2, widths[-1 - step])
                for step in range(1, LEVELS)
            }
        )
        self.expand_last = PatchExpanding(width, 4, width // 4)
        self.head = nn.Conv2d(width // 4, 1, kernel_size=1)

    def forward(self, *, ir: Tensor, vis: Tensor) -> Tensor:
        """Fuse a batch of luminances of any size.

        Args:
            ir: float [B, 1, H, W] in [0, 1].
            vis: float [B, 1, H, W] in [0, 1], luminance, same shape, dtype and device.

        Returns:
            float [B, 1, H, W], head + 2 (vis + ir), not clamped.

        Raises:
            ValueError: The shapes are not [B, 1, H, W] or differ.
        """
        check_luminances(ir, vis)
        x, skips = self._encode(pad_to_multiple(ir, MULTIPLE), pad_to_multiple(vis, MULTIPLE))
        features = self._decode(x, skips)  # [B, H', W', C/4]
        features = features[
            :, : ir.shape[2], : ir.shape[3]
        ]  # cropped before the head, which is 1 x 1
        change: Tensor = self.head(features.permute(0, 3, 1, 2))  # [B, 1, H, W]
        return change + 2 * (vis + ir)

    def _encode(self, ir: Tensor, vis: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The sum of both modalities, [B, H/32, W/32, 8C], and the fused skips of levels 1 to 3."""
        x = torch.cat((self.embed_vis(vis), self.embed_ir(ir)))  # [2B, H/4, W/4, C]
        x = self.encoder[0](x)
        skips = []
        for level in range(1, LEVELS):
            x = self.merge[level - 1](x)
            skips.append(self.fusion[str(level)](*x.chunk(2)))  # [B, H/(4 2^n), W/(4 2^n), C 2^n]
            x = self.encoder[level](x)
        f1, f2 = x.chunk(2)
        return f1 + f2, skips

    def _decode(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        """Decode to features at full resolution, [B, H, W, C/4]."""
        x = self.decoder[0](x)
        for step, skip in enumerate(reversed(skips), start=1):
            x = self.decoder[step](self.expand[str(step)](x + skip))
        features: Tensor = self.expand_last(x)
        return features


def from_checkpoint(path: str | Path, *, scan: str = "auto") -> ReleasedFusionMamba:
    """Load a checkpoint of the released code, on the CPU, float32, in eval mode.

    Width and depths are read from the keys and shapes.

    Args:
        path: ``.safetensors``, or ``.pth`` / ``.pt`` with a state dict, plain or wrapped as by
            training scripts. No code in it is run.
        scan: The backend of the scan, a name or "auto".

    Raises:
        errors.WeightsError: There is no such file, it cannot be read, holds more than tensors, or
            its keys and shapes are not those of this network; the first ones are named.
    """
    path = expand(path)
    if not path.is_file():
        raise WeightsError(f"no weights at {path}: give the file of a released FusionMamba")
    stored = checkpoint.read(path)
    used = {key: value for key, value in stored.tensors.items() if not _UNUSED.search(key)}
    stored = dataclasses.replace(stored, tensors=used)
    width, depths = _width(stored), _depths(stored)
    with torch.device("meta"):  # allocates nothing until the file is known to match
        network = ReleasedFusionMamba(width, depths, scan=scan)
    expected = network.state_dict()
    checkpoint.match({stored_key(key): value for key, value in expected.items()}, stored)
    network.load_state_dict({key: used[stored_key(key)].float() for key in expected}, assign=True)
    return network.eval()


def stored_key(key: str) -> str:
    """The key in the authors' files of an entry of this network's state dict."""
    for pattern, replacement in _STORED:
        key = re.sub(pattern, replacement, key)
    return key


def _width(stored: checkpoint.Checkpoint) -> int:
    key = stored_key("embed_vis.conv.weight")
    shape = stored.tensors[key].shape if key in stored.tensors else ()
    width = shape[0] if shape else 0
    if width < 1 or width % WIDTH_STEP:
        raise WeightsError(
            f"{stored.path}: no weights of a released FusionMamba: {key} is missing, or its first "
            f"dimension is no multiple of {WIDTH_STEP}"
        )
    return width


def _depths(stored: checkpoint.Checkpoint) -> tuple[int, ...]:
    """Blocks in the file per level, at least 1, so that a level without blocks is reported."""
    blocks = {match.groups() for key in stored.tensors if (match := _BLOCK.match(key))}
    return tuple(max(1, sum(at == str(level) for at, _ in blocks)) for level in range(LEVELS))


_BLOCK = re.compile(r"layers\.(\d+)\.blocks\.(\d+)\.")
_UNUSED = re.compile(r"^Cross_block\.0\.|\.Diff_enhance\.lastconv\.|\.base_mask$")
# Applied one after another: first inside the modules, then the modules, then their positions.
_STORED = (
    (r"\.(?:es2d|mixer)\.x_weight$", ".x_proj_weight"),
    (r"\.(?:es2d|mixer)\.dt_(weight|bias)$", r".dt_projs_\1"),
    (r"\.(?:es2d|mixer)\.(A_log|D)$", r".\1s"),
    (r"\.(essm|mixer)\.conv\.conv\.", r".\1.conv2d."),
    (r"\.(essm|mixer)\.norm\.", r".\1.out_norm."),
    (r"\.linear_in\.", ".in_proj."),
    (r"\.linear_out\.", ".out_proj."),
    (r"\.(local|texture[12])\.weight$", r".\1.conv.weight"),
    (r"\.mlp\.0\.", ".mlp.fc1."),
    (r"\.mlp\.2\.", ".mlp.fc2."),
    (r"^(embed_\w+)\.conv\.", r"\1.proj."),
    (r"^(merge\.\d)\.linear\.", r"\1.reduction."),
    (r"^(expand\.\d|expand_last)\.linear\.", r"\1.expand."),
    (r"\.essm\.", ".op."),
    (r"\.mixer\.", ".self_attention_cross."),
    (r"\.local\.", ".conv_branch."),
    (r"\.gate\.", ".se."),
    (r"\.texture([12])\.", r".Cross_layer.texture_enhance\1."),
    (r"^fusion\.(\d)\.channel\.", r"fusion.\1.self_attention_cross_spatial."),
    (r"\.channel\.", ".self_attention_cross_channel."),
    (r"^embed_vis\.", "patch_embed1."),
    (r"^embed_ir\.", "patch_embed2."),
    (r"^encoder\.(\d)\.", r"layers.\1.blocks."),
    (r"^merge\.(\d)\.", r"layers.\1.downsample."),
    (r"^fusion\.(\d)\.", r"Cross_block.\1."),
    (r"^decoder\.(\d)\.", r"layers_up.\1.blocks."),
    (r"^expand\.(\d)\.", r"layers_up.\1.upsample."),
    (r"^expand_last\.", "final_up."),
    (r"^head\.", "final_conv."),
)
