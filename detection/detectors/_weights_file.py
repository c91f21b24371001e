"""Weights files of YOLO detectors: pickled checkpoints and safetensors, read and checked."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from common.errors import WeightsError
from common.tensors import check_header
from detection.checkpoint import class_names, read_checkpoint, state_of

# Depth and width multiples of the published sizes, by the letter of the package's yaml.
SIZES = {(0.33, 0.25): "n", (0.33, 0.5): "s", (0.67, 0.75): "m", (1.0, 1.0): "l", (1.33, 1.25): "x"}
FIRST = "model.0.conv.weight"  # key of the first layer's weights
_UNSTATED = (None, None)


@dataclass(frozen=True, slots=True, eq=False)
class WeightsFile:
    """The content of a weights file.

    Attributes:
        path: The file.
        state: float32 tensors by key.
        names: Class names by class id.
        model: Name of the package's description of the network, e.g. ``yolov5n.yaml``.
        multiples: Depth and width multiples that the checkpoint states.
    """

    path: Path
    state: dict[str, Tensor]
    names: dict[int, str]
    model: str
    multiples: tuple[float | None, float | None] = _UNSTATED

    @property
    def has_anchors(self) -> bool:
        """Whether it is an original YOLOv5 with an anchor-based head."""
        return f"model.{self._last_layer()}.anchors" in self.state

    def anchor_size(self) -> str:
        """Letter of the published size of an anchor-based YOLOv5.

        Raises:
            WeightsError: It is no published size, or has other than three scales.
        """
        size = SIZES.get(self.multiples)  # type: ignore[arg-type]
        if size is None or f"model.{self._last_layer()}.m.3.weight" in self.state:
            raise WeightsError(
                f"{self.path}: not a YOLOv5 n, s, m, l or x with three scales "
                f"(depth and width {self.multiples})"
            )
        return str(size)

    @property
    def channels(self) -> int:
        """Channels of the images that its first layer takes; 3 where it has another name."""
        first = self.state.get(FIRST)
        return 3 if first is None else first.shape[1]

    def head_channels(self) -> list[int]:
        """Input channels of the anchor head at each of the three scales."""
        last = self._last_layer()
        return [self.state[f"model.{last}.m.{i}.weight"].shape[1] for i in range(3)]

    def stacked(self) -> "WeightsFile":
        """The weights for two images stacked to six channels, each with half of the first layer's.

        At first the network's output is that for the mean of the two.
        """
        weight = self.state[FIRST]  # [O, 3, k, k]
        return replace(self, state={**self.state, FIRST: torch.cat((weight, weight), dim=1) / 2})

    def load_into(self, network: nn.Module) -> None:
        """Load all tensors into the network.

        Raises:
            WeightsError: A key is missing or unknown, or a shape differs.
        """
        try:
            missing, extra = network.load_state_dict(self.state, strict=False)
        except RuntimeError as error:
            raise WeightsError(f"{self.path}: {str(error).splitlines()[1].strip()}") from error
        if missing or extra:
            kind, keys = ("lacks", missing) if missing else ("has unknown", extra)
            raise WeightsError(
                f"{self.path}: the checkpoint {kind} {keys[0]} (of {len(keys)} such keys)"
            )

    def _last_layer(self) -> int:
        layers = [int(m[1]) for key in self.state if (m := re.match(r"model\.(\d+)\.", key))]
        if not layers:
            raise WeightsError(f"{self.path}: not a YOLO checkpoint (no layers named model.N)")
        return max(layers)


def read(path: Path) -> WeightsFile:
    """Read a weights file without running any code in it.

    Raises:
        WeightsError: The file is damaged, holds no model, or holds code.
    """
    return _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)


def _read_safetensors(path: Path) -> WeightsFile:
    check_header(path)
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
        state = {key: value.float() for key, value in load_file(path).items()}
        names = class_names(json.loads(metadata["names"]), path)
        size = re.fullmatch(r"yolov5([nsmlx])\.yaml", metadata["model"])
        multiples = next(
            (m for m, letter in SIZES.items() if size and letter == size[1]), _UNSTATED
        )
        return WeightsFile(path, state, names, metadata["model"], multiples)
    except (SafetensorError, OSError, KeyError, ValueError, AttributeError) as error:
        raise WeightsError(f"{path}: not a detector's safetensors file ({error})") from error


def _read_pickle(path: Path) -> WeightsFile:
    saved = read_checkpoint(path)
    module = saved.get("ema") or saved.get("model") if isinstance(saved, dict) else saved
    if not isinstance(module, nn.Module):
        raise WeightsError(f"{path}: not a YOLO checkpoint (it holds no model)")
    state = state_of(module, path)
    state = {key: value for key, value in state.items() if not key.endswith(".anchor_grid")}
    described: dict[str, Any] = getattr(module, "yaml", None) or {}
    names = class_names(getattr(module, "names", None) or {}, path)
    multiples = (described.get("depth_multiple"), described.get("width_multiple"))
    return WeightsFile(path, state, names, _yaml_name(path, described), multiples)


def _yaml_name(path: Path, described: Mapping[str, Any]) -> str:
    """Name of the package's description; a description inside the file is never used."""
    stem = Path(str(described.get("yaml_file", path.stem))).stem
    return re.sub(r"^(yolov5[nsmlx]6?)u$", r"\1", stem) + ".yaml"


def write(path: Path, state: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors as safetensors, floating point ones in 16 bits."""
    tensors = {
        key: (value.half() if value.is_floating_point() else value).contiguous()
        for key, value in state.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, metadata=dict(metadata))
