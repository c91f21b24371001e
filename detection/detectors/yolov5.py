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
from pydantic import Field
from torch import Tensor, nn

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

from common.component import ComponentConfig
from common.device import DTYPES, Dtype, choose_dtype
from common.errors import ConfigError, WeightsError
from detection.anchor_head import AnchorHead
from detection.boxes import Detections
from detection.detectors import _weights_file
from detection.detectors._weights_file import WeightsFile
from detection.letterbox import Letterbox, Resize
from detection.nms import best_boxes


class Config(ComponentConfig):
    """A YOLOv5 (or newer ultralytics) detector."""

    weights: str = Field(description="file, name in a weights folder, or known release")
    image_size: int = Field(640, ge=32, le=4096, description="longest side after scaling, pixels")
    pad: float = Field(0.0, ge=0, le=4, description="extra strides of padding; val.py has 0.5")
    resize: Resize = Field("detect", description="scale as yolov5's val.py or detect.py does")
    conf: float = Field(0.25, ge=0, lt=1, description="least score")
    iou: float = Field(0.45, gt=0, le=1, description="NMS threshold")
    multi_label: bool = Field(False, description="a box may carry several classes")
    max_det: int = Field(300, ge=1, description="most detections per image, before `classes`")
    classes: tuple[int, ...] | None = Field(None, description="class ids to keep, after NMS")
    dtype: Dtype = Field("float32", description=f"of all layers but the head; {DTYPES}")

    def weights_file(self) -> Path | None:
        """The file on this machine; None where a known release is still to be downloaded."""
        return weights.find(self.weights)


def build(config: Config, *, device: torch.device) -> "YoloDetector":
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
    _convert_trunk(network, dtype)
    return YoloDetector(config, network, identity, checksums.sha256(path), dtype)


class YoloDetector:
    """Letterbox, network, NMS, and boxes mapped back to image pixels."""

    def __init__(
        self,
        config: Config,
        network: nn.Module,
        identity: Mapping[str, object],
        sha256: str,
        dtype: torch.dtype,
    ) -> None:
        self.config, self._dtype = config, dtype
        self.network = network
        names = cast("dict[int, str]", network.names)
        self.names: Mapping[int, str] = names
        first: nn.Conv2d = next(m for m in network.modules() if isinstance(m, nn.Conv2d))
        self.channels = first.in_channels  # of its images: 3, or 6 of two stacked ones
        unknown = sorted(set(config.classes or ()) - set(names))
        if unknown:
            raise ConfigError(
                f"detector.classes: {unknown[0]} is not a class of {config.weights}; "
                f"its ids are 0..{max(names)}"
            )
        self.fingerprint: Mapping[str, object] = {
            **identity,
            "weights": Path(config.weights).name,
            "weights_sha256": sha256,
            **config.model_dump(mode="json", exclude={"weights"}),
            "dtype": str(dtype).removeprefix("torch."),
            "pad_value": 114,
            "ultralytics": ultralytics.__version__,
        }

    def raw(self, images: Tensor) -> Tensor:
        """The network's boxes before NMS, differentiable in the images.

        Args:
            images: float [B, 3, H, W] in [0, 1], H and W multiples of the stride 32.

        Returns:
            float32 [B, 4 + classes, N]: centre x, centre y, width, height in input pixels, then one
            score in [0, 1] per class (objectness x class for anchor heads).
        """
        output = self.network(images.to(self._dtype))
        boxes: Tensor = output[0] if isinstance(output, tuple) else output
        return boxes

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> list[Detections]:
        """Detect in uint8 [B, 3, H, W] RGB; see ``detection.detector.Detector``."""
        config, box = self.config, self._letterbox((images.shape[-2], images.shape[-1]))
        kept = best_boxes(
            self.raw(box.apply(images)),
            conf=config.conf,
            iou=config.iou,
            multi_label=config.multi_label,
            max_det=config.max_det,
        )
        return [self._detections(box, rows) for rows in kept]

    def input_shape(self, size: tuple[int, int]) -> tuple[int, int]:
        """Height and width of the network's input for an image of this height and width."""
        box = self._letterbox(size)
        return box.input_height, box.input_width

    def _letterbox(self, size: tuple[int, int]) -> Letterbox:
        config = self.config
        return Letterbox.fit(
            *size, image_size=config.image_size, pad=config.pad, resize=config.resize
        )

    def _detections(self, box: Letterbox, rows: Tensor) -> Detections:
        """Rows (n, 6) of x1, y1, x2, y2, score, class in input pixels, best first."""
        if self.config.classes is not None:
            wanted = torch.tensor(self.config.classes, device=rows.device)
            rows = rows[torch.isin(rows[:, 5].long(), wanted)]
        rows = torch.cat((box.undo(rows[:, :4]), rows[:, 4:]), 1).cpu()
        return Detections(
            rows[:, :4].float().numpy(), rows[:, 4].float().numpy(), rows[:, 5].long().numpy()
        )


def _convert_trunk(network: nn.Module, dtype: torch.dtype) -> None:
    """Convert all layers but the head, which gets float32 features.

    bfloat16 changes scores by about 0.01 at most; in the head it would move boxes by pixels.
    """
    layers = list(cast("nn.Sequential", network.model))
    for layer in layers[:-1]:
        layer.to(dtype)
    if dtype != torch.float32:
        layers[-1].register_forward_pre_hook(
            lambda _, features: ([feature.float() for feature in features[0]],)
        )


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
