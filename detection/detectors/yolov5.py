"""YOLOv5 through the ``ultralytics`` package; the only module that imports it.

Current ultralytics refuses the original anchor-based checkpoints (``yolov5s.pt``, ``yolov5n.pt``)
and silently swaps their names for anchor-free ones. Here their tensors are read without running
any code of the file, put into the package's own YOLOv5 backbone and neck, and decoded by
``detection.anchor_head``. Anchor-free checkpoints (``yolov5su.pt`` and newer) load too. What was
really loaded is part of ``fingerprint``.
"""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from common import checksums
from detection import weights

# The package reads these when it is imported: no network, no installing, no files in the home.
os.environ["YOLO_OFFLINE"] = "true"
os.environ["YOLO_AUTOINSTALL"] = "false"
os.environ.setdefault("YOLO_VERBOSE", "false")
if "YOLO_CONFIG_DIR" not in os.environ:
    os.environ["YOLO_CONFIG_DIR"] = str(weights.settings_folder("ultralytics"))

import cv2
import numpy as np
import torch
import torchvision  # noqa: F401  (ultralytics' NMS uses its kernel only if it is imported already)
import yaml
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

# Its import also patches other libraries (Pillow then tries to install packages when an image is
# unreadable), so they are put back as they were.
_before = (Image.open, torch.save, cv2.getNumThreads(), np.get_printoptions())
import ultralytics
from ultralytics.nn.modules import SPPF
from ultralytics.nn.tasks import DetectionModel
from ultralytics.utils import DEFAULT_CFG
from ultralytics.utils.nms import non_max_suppression

Image.open, torch.save = _before[:2]
cv2.setNumThreads(_before[2])
np.set_printoptions(**_before[3])
torch.set_printoptions(profile="default")  # type: ignore[no-untyped-call]

from common.errors import ConfigError, WeightsError
from common.tensors import check_header
from detection.anchor_head import AnchorHead
from detection.boxes import Detections
from detection.checkpoint import class_names, read_checkpoint, state_of
from detection.geometry import Letterbox, Resize

# Depth and width multiples of the published sizes, by the letter of the package's yaml.
SIZES = {(0.33, 0.25): "n", (0.33, 0.5): "s", (0.67, 0.75): "m", (1.0, 1.0): "l", (1.33, 1.25): "x"}


class Config(BaseModel):
    """A YOLOv5 (or newer ultralytics) detector."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: str = Field(description="file, name in a weights folder, or known release")
    image_size: int = Field(640, ge=32, le=4096, description="longest side after scaling, pixels")
    pad: float = Field(0.0, ge=0, le=4, description="extra strides of padding; val.py has 0.5")
    resize: Resize = Field("detect", description="scale as yolov5's val.py or detect.py does")
    conf: float = Field(0.25, ge=0, lt=1, description="least score")
    iou: float = Field(0.45, gt=0, le=1, description="NMS threshold")
    multi_label: bool = Field(False, description="a box may carry several classes")
    max_det: int = Field(300, ge=1, description="most detections per image, before `classes`")
    classes: tuple[int, ...] | None = Field(None, description="class ids to keep, after NMS")


def build(config: Config, *, device: torch.device) -> "YoloDetector":
    """The detector, on the device.

    Raises:
        WeightsError: The weights are missing, damaged, unknown or hold code.
        ConfigError: ``classes`` names an id that the network doesn't have.
    """
    path = weights.resolve(config.weights)
    network, about = load_network(path)
    # channels last: convolutions are a fifth faster so on CPUs, and no slower on GPUs
    network = network.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    return YoloDetector(config, network, about, checksums.sha256(path))


class YoloDetector:
    """Letterbox, network, NMS and the way back to image pixels."""

    def __init__(
        self, config: Config, network: nn.Module, about: Mapping[str, object], sha256: str
    ) -> None:
        self.config = config
        self.network = network
        names = cast("dict[int, str]", network.names)
        self.names: Mapping[int, str] = names
        unknown = sorted(set(config.classes or ()) - set(names))
        if unknown:
            raise ConfigError(
                f"detector.classes: {unknown[0]} is not a class of {config.weights}; "
                f"its ids are 0..{max(names)}"
            )
        self.fingerprint: Mapping[str, object] = {
            **about,
            "weights": Path(config.weights).name,
            "weights_sha256": sha256,
            **config.model_dump(mode="json", exclude={"weights"}),
            "pad_value": 114,
            "ultralytics": ultralytics.__version__,
        }

    def raw(self, images: Tensor, trunk: torch.dtype = torch.float32) -> Tensor:
        """The network's boxes before NMS, differentiable in the images.

        Args:
            images: float [B, 3, H, W] in [0, 1], H and W whole strides (32); see ``Letterbox``.
            trunk: In which dtype all layers but the head compute. With bfloat16 scores move by
                less than one hundredth or so; in the head it would move boxes by pixels.

        Returns:
            float [B, 4 + classes, N]: centre x, centre y, width, height in input pixels, then a
            score in [0, 1] a class (objectness x class for anchor heads).
        """
        with torch.autocast(images.device.type, trunk, enabled=trunk != torch.float32):
            output = self.network(images)
        boxes: Tensor = output[0] if isinstance(output, tuple) else output
        return boxes

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> list[Detections]:
        """Detect in uint8 [B, 3, H, W] RGB; see ``detection.detector.Detector``."""
        config, box = self.config, self._letterbox((images.shape[-2], images.shape[-1]))
        found = non_max_suppression(
            self.raw(box.apply(images)),
            conf_thres=config.conf,
            iou_thres=config.iou,
            multi_label=config.multi_label,
            max_det=config.max_det,
            max_time_img=float("inf"),  # its time limit would drop images on a slow machine
        )
        return [self._detections(box, rows) for rows in found]

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


def new_network(model: str, names: Mapping[int, str]) -> nn.Module:
    """An untrained anchor-free network of the package, e.g. ``yolov5n.yaml``, in training mode.

    Its ``loss(batch)`` takes ``img`` float [B, 3, H, W] in [0, 1], ``cls`` (n, 1), ``bboxes``
    (n, 4) normalised centre and size, ``batch_idx`` (n,), and returns the loss and its parts.
    """
    network = _detection_model(model, names)
    network.args = DEFAULT_CFG  # type: ignore[assignment]  # the loss's gains
    return network.train()


def _detection_model(model: str, names: Mapping[int, str]) -> nn.Module:
    """The package's network by the name of one of its own descriptions, e.g. ``yolov5n.yaml``.

    The file is read here and never looked up by the package, which would take one of that name from
    the working folder first and evaluate parts of it as code.

    Raises:
        ValueError: The package has no description of this name.
    """
    network: nn.Module = DetectionModel(_description(model), nc=len(names), verbose=False)  # type: ignore[no-untyped-call]
    network.names = dict(names)  # type: ignore[assignment]
    return network


def _description(model: str) -> dict[str, Any]:
    """The package's YAML of a network; the letter of its size, as in yolov5n, is no part of it."""
    parts = re.fullmatch(r"(yolov?\d+)([a-z]?)((?:-[a-z0-9]+)*)\.yaml", model)
    folder = Path(ultralytics.__file__).parent / "cfg" / "models"
    found = sorted(folder.rglob(f"{parts[1]}{parts[3]}.yaml")) if parts else []
    if not parts or not found:
        raise ValueError(f"ultralytics {ultralytics.__version__} has no network {model!r}")
    described: dict[str, Any] = yaml.safe_load(found[0].read_text(encoding="utf-8"))
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
    state = {
        key: (value.half() if value.is_floating_point() else value).contiguous()
        for key, value in network.state_dict().items()
    }
    about = {"model": model, "names": json.dumps(dict(names)), **metadata}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(state, path, metadata=about)


def load_network(path: Path) -> tuple[nn.Module, dict[str, object]]:
    """The network of a file in float32, and what it is.

    Raises:
        WeightsError: The file is no checkpoint, holds code, or is of an unknown network.
    """
    try:
        return _load(path)
    except WeightsError:
        raise
    except Exception as error:  # whatever a file that only looks like a checkpoint can lead to
        reason = str(error).split("\n", 1)[0]
        raise WeightsError(
            f"{path}: not weights of a YOLO detector ({type(error).__name__}: {reason})"
        ) from error


def _load(path: Path) -> tuple[nn.Module, dict[str, object]]:
    if path.suffix == ".safetensors":
        return _load_safetensors(path)
    saved = read_checkpoint(path)
    module = saved.get("ema") or saved.get("model") if isinstance(saved, dict) else saved
    if not isinstance(module, nn.Module):
        raise WeightsError(f"{path}: not a YOLO checkpoint (it holds no model)")
    state = state_of(module, path)
    state = {key: value for key, value in state.items() if not key.endswith(".anchor_grid")}
    described = getattr(module, "yaml", None) or {}
    names = class_names(getattr(module, "names", None) or {}, path)
    last = _last_layer(state, path)
    if f"model.{last}.anchors" in state:
        return _anchor_network(path, state, described, names)
    model = _yaml_name(path, described)
    return _anchor_free_network(path, state, model, names)


def _anchor_network(
    path: Path, state: dict[str, Tensor], described: dict[str, Any], names: dict[int, str]
) -> tuple[nn.Module, dict[str, object]]:
    """The package's YOLOv5 with the anchor head in place of its own."""
    multiples = (described.get("depth_multiple"), described.get("width_multiple"))
    size = SIZES.get(multiples)  # type: ignore[arg-type]
    last = _last_layer(state, path)
    if size is None or f"model.{last}.m.3.weight" in state:
        raise WeightsError(
            f"{path}: not a YOLOv5 n, s, m, l or x with three scales (depth and width {multiples})"
        )
    network = _detection_model(f"yolov5{size}.yaml", names)
    for module in network.modules():
        if isinstance(module, SPPF):
            module.cv1.act = nn.SiLU()  # this package builds it without; YOLOv5 was trained with
    channels = [state[f"model.{last}.m.{i}.weight"].shape[1] for i in range(3)]
    layers = cast("nn.Sequential", network.model)
    head = AnchorHead(len(names), channels)
    head.f, head.i = layers[-1].f, layers[-1].i  # where the package's forward takes its inputs
    layers[-1] = head
    _load_strictly(network, state, path)
    return network, {"network": f"yolov5{size}", "head": "anchor-based"}


def _anchor_free_network(
    path: Path, state: dict[str, Tensor], model: str, names: dict[int, str]
) -> tuple[nn.Module, dict[str, object]]:
    """A network as the package builds it."""
    network = _detection_model(model, names)
    _load_strictly(network, state, path)
    return network, {"network": Path(model).stem, "head": "anchor-free"}


def _load_safetensors(path: Path) -> tuple[nn.Module, dict[str, object]]:
    try:
        check_header(path)
        with safe_open(path, "pt") as file:
            about = file.metadata() or {}
        state = {key: value.float() for key, value in load_file(path).items()}
        model, names = about["model"], class_names(json.loads(about["names"]), path)
    except (SafetensorError, OSError, KeyError, ValueError, AttributeError) as error:
        raise WeightsError(f"{path}: not a detector's safetensors file ({error})") from error
    return _anchor_free_network(path, state, model, names)


def _load_strictly(network: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    try:
        missing, extra = network.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise WeightsError(f"{path}: {str(error).splitlines()[1].strip()}") from error
    if missing or extra:
        kind, keys = ("lacks", missing) if missing else ("has unknown", extra)
        raise WeightsError(f"{path}: the checkpoint {kind} {keys[0]} (of {len(keys)} such keys)")


def _last_layer(state: Mapping[str, Tensor], path: Path) -> int:
    layers = [int(m[1]) for key in state if (m := re.match(r"model\.(\d+)\.", key))]
    if not layers:
        raise WeightsError(f"{path}: not a YOLO checkpoint (no layers named model.N)")
    return max(layers)


def _yaml_name(path: Path, described: Mapping[str, Any]) -> str:
    """The package's own description of the network; one inside the file is never followed."""
    stem = Path(str(described.get("yaml_file", path.stem))).stem
    return re.sub(r"^(yolov5[nsmlx]6?)u$", r"\1", stem) + ".yaml"
