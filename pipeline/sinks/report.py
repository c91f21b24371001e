"""`report.html`: the run as one page that opens offline, with crops of what fusion changed.

While the run works, `gallery/` takes a few moments of the run and a sample of the labelled objects,
a file each; ``eval.report.gallery`` says which. When all else is written, the page is made of them
and of the run's files.
"""

import base64
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from common.component import SinkConfig
from common.files import load_json, write_json, writing
from detection.boxes import Detections
from eval.attribution import OUTCOMES, size_of
from eval.average_precision import match_images
from eval.labels import Labels
from eval.operating_points import CONFIDENCE
from eval.report.gallery import Picks, rank, stride
from pipeline.frames import Result
from pipeline.images import to_rgb
from pipeline.interfaces import RunContext, Sink
from pipeline.run_folder.names import GALLERY
from pipeline.run_folder.results_file import legible
from pipeline.run_folder.sink_files import joined_late
from pipeline.sinks import _page

MOMENTS = 12  # of the run that are shown whole, at most
PANELS = 6  # images beside each other, at most: infrared, visible, then arms in their order
MOMENT_WIDTH = 480  # pixels, at most
SIDE, MARGIN, LEAST = 112, 1.7, 40  # of a crop: pixels; times the object; pixels of the image
_QUALITY = 70  # of WebP, 0 to 100

_Picture = NDArray[np.uint8]  # HWC RGB


class Config(SinkConfig):
    """Nothing to set."""

    needs_results = True


def build(config: Config, context: RunContext, name: str) -> "ReportSink":
    """The sink; it writes to fixed names in the run folder.

    Raises:
        ConfigError: It was not there when a resumed run began.
    """
    return ReportSink(context, name)


class ReportSink(Sink):
    """Keeps moments and objects, and makes the page at the end."""

    def __init__(self, context: RunContext, name: str) -> None:
        self._context = context
        self._folder = context.folder / GALLERY
        if context.done and not self._folder.is_dir():
            raise joined_late(name, context.done)
        with writing(self._folder):
            self._folder.mkdir(exist_ok=True)
        self._ir, self._vis = (context.baselines[modality] for modality in ("ir", "vis"))
        known = (self._ir, self._vis)
        told = None not in known and context.detector is not None  # what fusion did for an object
        self._arms = [arm for arm in context.arms if arm not in known] if told else []
        self._picks = Picks(self._arms)
        self._take_up()

    def _take_up(self) -> None:
        """Go on with what a run that broke off had at its last checkpoint.

        What is kept is the same on every way there: an object that was given up after the
        checkpoint will be given up again.
        """
        done = self._context.done
        for path in sorted(self._folder.iterdir()):
            kind, _, number = path.stem.partition("-")
            first = number.partition("-")[0]
            if not (path.suffix == ".json" and first.isdecimal()) or int(first) >= done:
                path.unlink()
            elif kind == "object":
                seen: Any = load_json(path)
                with legible(path):
                    outcomes = {arm: part["outcome"] for arm, part in seen["arms"].items()}
                    self._picks.offer(path.name, rank(seen["key"], seen["label"]), outcomes)

    def write(self, result: Result) -> None:
        """Keep the pair, or objects in it, if they belong to the sample so far."""
        if result.number % stride(result.number, MOMENTS) == 0:
            self._keep_moment(result)
        labels = result.item.labels
        if labels is not None and self._arms and result.item.dead is None:
            self._keep_objects(result, self._counted(labels))

    def publish(self, name: str) -> None:
        """Write the page."""
        _page.publish(self._context.folder, name)

    def _counted(self, labels: Labels) -> Labels:
        """The labels of the classes that count; regions to ignore stay."""
        return labels if self._context.classes is None else labels.of_classes(self._context.classes)

    def _keep_moment(self, result: Result) -> None:
        step = stride(result.number, MOMENTS)
        for path in self._folder.glob("moment-*.json"):
            if int(path.stem.partition("-")[2]) % step:
                path.unlink()
        pictures = self._pictures(result)
        height, width = result.item.size
        scale = min(1.0, MOMENT_WIDTH / width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        # not `or`: labels without an object are false, but may have regions to ignore
        labels = Labels.empty() if result.item.labels is None else result.item.labels
        moment = {
            **self._about(result),
            "size": [width, height],
            "images": {
                name: _webp(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
                for name, picture in pictures.items()
            },
            "truth": self._truth(self._counted(labels)),
            "boxes": {arm: self._boxes(found) for arm, found in result.detections.items()},
        }
        self._write(f"moment-{result.number:06d}.json", moment)

    def _keep_objects(self, result: Result, labels: Labels) -> None:
        """What fusion did for each labelled object, and a crop of those that are kept."""
        names = () if self._context.detector is None else self._context.detector.names
        counted = {
            arm: found[np.isin(found.class_id, self._context.classes or list(names))]
            for arm, found in result.detections.items()
        }
        scores = {
            arm: match_images([found], [labels]).label_score.tolist()
            for arm, found in counted.items()
        }
        pictures: Mapping[str, _Picture] = {}
        for label, box in enumerate(labels.xyxy.tolist()):
            mine = {arm: column[label] for arm, column in scores.items()}
            found = {arm: score >= CONFIDENCE for arm, score in mine.items()}
            alone = 4 * found[self._ir or ""] + 2 * found[self._vis or ""]
            outcomes = {arm: OUTCOMES[alone + found[arm]] for arm in self._arms}
            key, name = result.item.pair.key, f"object-{result.number:06d}-{label:04d}.json"
            kept, gone = self._picks.offer(name, rank(key, label), outcomes)
            for other in gone:
                (self._folder / other).unlink(missing_ok=True)
            if not kept:
                continue
            pictures = pictures or self._pictures(result)
            x, y, side = _window(box)
            seen = {
                **self._about(result),
                "label": label,
                "class": self._name(int(labels.class_id[label])),
                "light": result.item.light,
                "size": size_of(box),
                "box": [round(value, 1) for value in box],
                "window": [x, y, side],
                "panels": list(pictures),
                "strip": _webp(np.hstack([_crop(p, x, y, side) for p in pictures.values()])),
                "arms": {
                    arm: {"outcome": outcome, "score": max(0.0, mine[arm])}
                    for arm, outcome in outcomes.items()
                },
                "boxes": {
                    arm: self._boxes(_touching(part, x, y, side)) for arm, part in counted.items()
                },
            }
            self._write(name, seen)

    def _about(self, result: Result) -> dict[str, Any]:
        pair = result.item.pair.whole()
        return {
            "key": pair.key,
            "number": result.number,
            "time_ns": pair.vis.timestamp_ns,
            "dead": result.item.dead,
        }

    def _pictures(self, result: Result) -> dict[str, _Picture]:
        """Infrared and visible, then the other arms that have an image."""
        pair = result.item.pair.whole()
        known = self._context.baselines
        pictures = {
            known["ir"] or "infrared": to_rgb(pair.ir.image),
            known["vis"] or "visible": to_rgb(pair.vis.image),
        }
        for arm in self._context.image_arms:
            if arm not in pictures and len(pictures) < PANELS:
                pictures[arm] = result.image(arm)
        return pictures

    def _boxes(self, found: Detections) -> list[list[Any]]:
        """Rows x1, y1, x2, y2, score, class name of what is seen with some confidence."""
        sure = found[found.score >= CONFIDENCE]
        return [
            [*(round(value, 1) for value in xyxy), round(score, 3), self._name(class_id)]
            for xyxy, score, class_id in zip(
                sure.xyxy.tolist(), sure.score.tolist(), sure.class_id.tolist(), strict=True
            )
        ]

    def _truth(self, labels: Labels) -> list[list[Any]]:
        """Rows x1, y1, x2, y2, class name."""
        return [
            [*(round(value, 1) for value in box), self._name(class_id)]
            for box, class_id in zip(labels.xyxy.tolist(), labels.class_id.tolist(), strict=True)
        ]

    def _name(self, class_id: int) -> str:
        names = {} if self._context.detector is None else self._context.detector.names
        return names.get(class_id, str(class_id))

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a file that is there whole or not at all."""
        path = self._folder / name
        with writing(path):
            write_json(path, content)


def _window(box: list[float]) -> tuple[int, int, int]:
    """Left, top and side of the square that shows an object, pixels; it may leave the image."""
    x1, y1, x2, y2 = box
    side = max(LEAST, round(MARGIN * max(x2 - x1, y2 - y1)))
    return round((x1 + x2 - side) / 2), round((y1 + y2 - side) / 2), side


def _crop(image: _Picture, x: int, y: int, side: int) -> _Picture:
    """A square of an image, black outside of it, as SIDE x SIDE pixels."""
    height, width = image.shape[:2]
    square = np.zeros((side, side, 3), np.uint8)
    top, left, bottom, right = max(y, 0), max(x, 0), min(y + side, height), min(x + side, width)
    square[top - y : bottom - y, left - x : right - x] = image[top:bottom, left:right]
    way = cv2.INTER_AREA if side > SIDE else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(square, (SIDE, SIDE), interpolation=way), np.uint8)


def _touching(found: Detections, x: int, y: int, side: int) -> Detections:
    """Detections that reach into a window."""
    left, top, right, bottom = found.xyxy.T
    return found[(left < x + side) & (right > x) & (top < y + side) & (bottom > y)]


def _webp(picture: NDArray[Any]) -> str:
    """HWC RGB uint8 as WebP in base64."""
    bgr = cv2.cvtColor(np.asarray(picture, np.uint8), cv2.COLOR_RGB2BGR)
    encoded = cv2.imencode(".webp", bgr, [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])[1]
    return base64.b64encode(encoded.tobytes()).decode("ascii")
