"""The detector of a YOLO network: its settings, its input, and boxes in the image's pixels."""

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from pydantic import Field
from torch import Tensor, nn

from common.component import ComponentConfig
from common.device import DTYPES, Dtype
from common.errors import ConfigError
from detection import weights
from detection.boxes import Detections
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


class YoloDetector:
    """Letterbox, network, NMS, and boxes mapped back to image pixels."""

    def __init__(
        self,
        config: Config,
        network: nn.Module,
        identity: Mapping[str, object],
        sha256: str,
        dtype: torch.dtype,
        version: str,
    ) -> None:
        """Wrap a network on its device.

        Args:
            config: The settings.
            network: In eval mode; all its layers but the head are converted in place.
            identity: Its name and kind of head, for the fingerprint.
            sha256: Of its weights file.
            dtype: Of all layers but the head.
            version: Of the package whose network it is.

        Raises:
            ConfigError: ``classes`` names an id that the network doesn't have.
        """
        _convert_trunk(network, dtype)
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
            "ultralytics": version,
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
