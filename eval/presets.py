"""Named detection protocols: every setting that changes a number."""

from dataclasses import dataclass

from common.errors import ConfigError
from eval.class_names import COCO_NAMES


@dataclass(frozen=True, slots=True)
class Preset:
    """How images go into the detector and what comes out of it.

    Attributes:
        name: What a report calls it.
        image_size: Pixels that an image's longest side is scaled to.
        pad: Padding beyond the smallest rectangle that fits, in strides: a side of s strides
            becomes ceil(s + pad).
        resize: Scaling as yolov5's "val" (val.py: by area, sides rounded up) or "detect"
            (detect.py: linear, to the nearest) does.
        conf: Detections score more than this, in [0, 1].
        iou: NMS removes a box with more than this overlap with a better one of its class.
        multi_label: Whether a box may come out once for each class, not only for its best.
        max_det: Most detections an image.
        classes: The classes that count, dropped after NMS where not among them, by COCO's ids;
            None for all. A detector of other classes is asked for those of the same names.
        dtype: Of the detector's layers but its head: float32, bfloat16, or auto (bfloat16 where the
            processor has it).
        notes: What a reader of the numbers must know.
    """

    name: str
    image_size: int
    pad: float
    resize: str
    conf: float
    iou: float
    multi_label: bool
    max_det: int
    classes: tuple[int, ...] | None
    dtype: str
    notes: tuple[str, ...]

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The names of ``classes``."""
        return None if self.classes is None else tuple(COCO_NAMES[i] for i in self.classes)


_PRESETS = (
    Preset(
        name="paper-msrs",
        image_size=640,
        pad=0.5,
        resize="val",
        conf=0.001,
        iou=0.6,
        multi_label=True,
        max_det=300,
        classes=(0, 2),
        dtype="float32",
        notes=(
            "yolov5 v7 val.py on MSRS: meets the IR and VIS rows of FusionMamba's Table 12, which "
            "states neither image size nor thresholds",
            "yolo: matching by IoU, then by confidence; curve from (0, 1) to (1, 0), 101-point "
            "trapezoid; P and R at the best mean F1, smoothed with fraction 0.1",
            "coco: pycocotools, which sees the 100 best detections an image",
        ),
    ),
    Preset(
        name="detect",
        image_size=640,
        pad=0.0,
        resize="detect",
        conf=0.25,
        iou=0.45,
        multi_label=False,
        max_det=300,
        classes=None,
        dtype="auto",
        notes=(
            "for looking at recordings: average precision from detections over 0.25 is lower than "
            "what the field reports",
        ),
    ),
)


def preset(name: str) -> Preset:
    """The preset of this name.

    Raises:
        errors.ConfigError: There is none; the text names the choices.
    """
    for candidate in _PRESETS:
        if candidate.name == name:
            return candidate
    choices = ", ".join(candidate.name for candidate in _PRESETS)
    raise ConfigError(f"evaluation.preset: {name!r} is unknown; choose one of {choices}")
