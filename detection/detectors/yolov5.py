"""YOLOv5 through the ``ultralytics`` package; the only module that imports it.

Current ultralytics rejects the original anchor-based checkpoints (``yolov5s.pt``, ``yolov5n.pt``)
and silently replaces their names by anchor-free ones. Here their tensors are read without running
code from the file, loaded into the package's YOLOv5 backbone and neck, and decoded by
``detection.anchor_head``. Anchor-free checkpoints (``yolov5su.pt`` and newer) load too.
``fingerprint`` says which network was loaded.
"""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from common import checksums
from detection import weights

# The package reads these on import: no network, no installing, no files in the home folder.
os.environ["YOLO_OFFLINE"] = "true"
os.environ["YOLO_AUTOINSTALL"] = "false"
os.environ.setdefault("YOLO_VERBOSE", "false")
if "YOLO_CONFIG_DIR" not in os.environ:
    os.environ["YOLO_CONFIG_DIR"] = str(weights.settings_folder("ultralytics"))

import cv2
import numpy as np
import torch
import yaml
from PIL import Image
from torch import nn

# Importing ultralytics patches these functions and settings (Pillow then tries to install packages
# when an image is unreadable), so they are restored.
_before = (Image.open, torch.save, cv2.getNumThreads(), np.get_printoptions())
import ultralytics
from ultralytics.nn.modules import SPPF
from ultralytics.nn.tasks import DetectionModel
from ultralytics.utils import DEFAULT_CFG

Image.open, torch.save = _before[:2]
cv2.setNumThreads(_before[2])
np.set_printoptions(**_before[3])
torch.set_printoptions(profile="default")  # type: ignore[no-untyped-call]

from common.device import choose_dtype
from common.errors import WeightsError
from detection.anchor_head import AnchorHead
from detection.detectors import _weights_file
from detection.detectors._weights_file import WeightsFile
from detection.detectors._yolo_detector import Config as Config
from detection.detectors._yolo_detector import YoloDetector as YoloDetector


def build(config: Config, *, device: torch.device) -> YoloDetector:
    """Load the detector onto the device.

    Raises:
        WeightsError: The weights are missing, damaged, unknown or hold code.
        ConfigError: ``classes`` names an id that the network doesn't have.
    """
    path = weights.resolve(config.weights)
    network, identity = load_network(path)
    network.eval().fuse(verbose=False)  # type: ignore[operator]  # batch norm into convolutions
    # channels last makes convolutions a fifth faster on CPUs and no slower on GPUs
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    for layer in network.modules():
        if isinstance(layer, nn.SiLU):
            layer.inplace = True  # the same numbers without a new map for each activation
    dtype = choose_dtype(config.dtype, device)
    digest = checksums.sha256(path)
    return YoloDetector(config, network, identity, digest, dtype, ultralytics.__version__)


def new_network(model: str, names: Mapping[int, str]) -> nn.Module:
    """Make an untrained anchor-free network of the package, e.g. ``yolov5n.yaml``, to train.

    Its ``loss(batch)`` takes ``img`` float [B, 3, H, W] in [0, 1], ``cls`` (n, 1), ``bboxes``
    (n, 4) normalised centre and size, ``batch_idx`` (n,), and returns the loss and its parts.
    """
    network = _detection_model(model, names)
    network.args = DEFAULT_CFG  # type: ignore[assignment]  # the loss's gains
    return network.train()


def network_to_train(path: Path, *, stacked: bool = False) -> nn.Module:
    """Load the network of a weights file, to train it further.

    In training mode an anchor-based network returns the logits of its head; an anchor-free one has
    a ``loss`` as ``new_network``.

    Args:
        path: The weights.
        stacked: Whether its input shall be two images stacked to six channels. Its first layer then
            has half of its weights for each, so that at first it sees their mean.

    Raises:
        WeightsError: As ``load_network``.
    """
    stored = _weights_file.read(path)
    if stacked and stored.channels == 3:
        stored = stored.stacked()
    network = _network(stored)[0]
    network.args = DEFAULT_CFG  # type: ignore[assignment]  # the loss's gains
    return network.train().requires_grad_(True)


def _detection_model(model: str, names: Mapping[int, str], channels: int = 3) -> nn.Module:
    """Build a network from one of the package's descriptions, e.g. ``yolov5n.yaml``.

    The file is read here because the package would first take a file of that name from the working
    folder, and evaluates parts of it as code.

    Raises:
        ValueError: The package has no description of this name.
    """
    network: nn.Module = DetectionModel(  # type: ignore[no-untyped-call]
        _description(model), ch=channels, nc=len(names), verbose=False
    )
    network.names = dict(names)  # type: ignore[assignment]
    return network


def _description(model: str) -> dict[str, Any]:
    """The package's YAML of a network; its file name lacks the letter of the size (yolov5n)."""
    parts = re.fullmatch(r"(yolov?\d+)([a-z]?)((?:-[a-z0-9]+)*)\.yaml", model)
    folder = Path(ultralytics.__file__).parent / "cfg" / "models"
    files = sorted(folder.rglob(f"{parts[1]}{parts[3]}.yaml")) if parts else []
    if not parts or not files:
        raise ValueError(f"ultralytics {ultralytics.__version__} has no network {model!r}")
    described: dict[str, Any] = yaml.safe_load(files[0].read_text(encoding="utf-8"))
    return {**described, "scale": parts[2], "yaml_file": model}


def save_network(
    path: Path,
    network: nn.Module,
    *,
    model: str,
    names: Mapping[int, str],
    metadata: Mapping[str, str],
) -> None:
    """Write a ``new_network`` as 16-bit safetensors that ``build`` loads."""
    description = {"model": model, "names": json.dumps(dict(names)), **metadata}
    _weights_file.write(path, network.state_dict(), description)


def class_names(path: Path) -> Mapping[int, str]:
    """The classes of a weights file, name by id.

    Raises:
        WeightsError: As ``load_network``.
    """
    return _weights_file.read(path).names


def load_network(path: Path) -> tuple[nn.Module, dict[str, object]]:
    """Load the network of a weights file in float32.

    Returns:
        The network, and its name and kind of head for the fingerprint.

    Raises:
        WeightsError: The file is no checkpoint, holds code, or is of an unknown network.
    """
    try:
        return _network(_weights_file.read(path))
    except WeightsError:
        raise
    except Exception as error:  # a malformed checkpoint can raise anything
        reason = str(error).split("\n", 1)[0]
        raise WeightsError(
            f"{path}: not weights of a YOLO detector ({type(error).__name__}: {reason})"
        ) from error


def _network(stored: WeightsFile) -> tuple[nn.Module, dict[str, object]]:
    return _anchor_network(stored) if stored.has_anchors else _anchor_free_network(stored)


def _anchor_network(stored: WeightsFile) -> tuple[nn.Module, dict[str, object]]:
    """The package's YOLOv5 with its head replaced by the anchor head."""
    size = stored.anchor_size()
    network = _detection_model(f"yolov5{size}.yaml", stored.names, stored.channels)
    for module in network.modules():
        if isinstance(module, SPPF):
            module.cv1.act = nn.SiLU()  # the original has this activation, the package omits it
    layers = cast("nn.Sequential", network.model)
    head = AnchorHead(len(stored.names), stored.head_channels())
    head.f, head.i = layers[-1].f, layers[-1].i  # indices that the package's forward reads
    layers[-1] = head
    stored.load_into(network)
    return network, {"network": f"yolov5{size}", "head": "anchor-based"}


def _anchor_free_network(stored: WeightsFile) -> tuple[nn.Module, dict[str, object]]:
    network = _detection_model(stored.model, stored.names, stored.channels)
    stored.load_into(network)
    return network, {"network": Path(stored.model).stem, "head": "anchor-free"}
