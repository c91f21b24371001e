"""`report.html`: the run as one offline page, with crops of objects that fusion changed.

During the run, `gallery/` receives a few whole pairs ("moments") and a sample of the labelled
objects, one file each; ``eval.report.gallery`` selects them. After all other files are written, the
page is made from them and from the run's files.
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
from eval.labels import Labels
from eval.matches import match_images
from eval.operating_points import CONFIDENCE
from eval.report.gallery import Picks, rank, stride
from pipeline.frames import Result
from pipeline.images import to_rgb
from pipeline.interfaces import RunContext, Sink
from pipeline.run_folder.names import GALLERY
from pipeline.run_folder.results_file import legible
from pipeline.run_folder.sink_files import joined_late

MOMENTS = 12  # whole pairs that the page shows, at most
PANELS = 6  # images side by side, at most: infrared, visible, then the other arms
MOMENT_WIDTH = 480  # pixels, at most
SIDE = 112  # pixels of a crop on the page
MARGIN, LEAST = 1.7, 40  # of a crop in the image: multiple of the object's size; pixels, at least
_QUALITY = 70  # of WebP, 0 to 100

_Picture = NDArray[np.uint8]  # HWC RGB


class Config(SinkConfig):
    """Nothing to set."""

    needs_results = True


def build(config: Config, context: RunContext, name: str) -> "ReportSink":
    """The sink.

    Raises:
        ConfigError: The interrupted run didn't have it.
    """
    return ReportSink(context, name)


class ReportSink(Sink):
    """Keeps moments and objects, and writes the page at the end."""

    def __init__(self, context: RunContext, name: str) -> None:
        self._context = context
        self._folder = context.folder / GALLERY
        if context.done and not self._folder.is_dir():
            raise joined_late(name, context.done)
        with writing(self._folder):
            self._folder.mkdir(exist_ok=True)
        self._ir, self._vis = (context.baselines[modality] for modality in ("ir", "vis"))
        baselines = (self._ir, self._vis)
        # outcomes are of objects that all arms share
        attributed = not (None in baselines or context.detector is None or context.truths)
        self._arms = [arm for arm in context.arms if arm not in baselines] if attributed else []
        self._picks = Picks(self._arms)
        self._restore()

    def _restore(self) -> None:
        """Restore the sample of the interrupted run at its last checkpoint.

        The result is the same as without the interruption: an object that was removed after the
        checkpoint will be removed again.
        """
        done = self._context.done
        for path in sorted(self._folder.iterdir()):
            kind, _, number = path.stem.partition("-")
            first = number.partition("-")[0]
            if not (path.suffix == ".json" and first.isdecimal()) or int(first) >= done:
                path.unlink()
            elif kind == "object":
                entry: Any = load_json(path)
                with legible(path):
                    outcomes = {arm: part["outcome"] for arm, part in entry["arms"].items()}
                    self._picks.offer(path.name, rank(entry["key"], entry["label"]), outcomes)

    def write(self, result: Result) -> None:
        """Keep the pair, or objects of it, if the sample so far includes them."""
        if result.number % stride(result.number, MOMENTS) == 0:
            self._keep_moment(result)
        labels = result.item.labels
        if labels is not None and self._arms and result.item.dead is None:
            self._keep_objects(result, self._counted(labels))

    def publish(self, name: str) -> None:
        """Write the page."""
        # imported now: matplotlib would delay the first pair by a second
        from pipeline.sinks import _page

        _page.publish(self._context.folder, name)

    def _counted(self, labels: Labels) -> Labels:
        """The labels of the scored classes, and all ignore regions."""
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
        item, truths = result.item, self._context.truths
        moment = {
            **self._about(result),
            "size": [width, height],
            "images": {
                name: _webp(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
                for name, picture in pictures.items()
            },
            "truth": self._truth(item.labels),
            **(
                {"truths": {a: self._truth(item.truth(c)) for a, c in truths.items()}}
                if truths
                else {}
            ),
            "boxes": {arm: self._boxes(boxes) for arm, boxes in result.detections.items()},
        }
        self._write(f"moment-{result.number:06d}.json", moment)

    def _keep_objects(self, result: Result, labels: Labels) -> None:
        """Offer each labelled object with its outcome per arm, and write those that are kept."""
        names = () if self._context.detector is None else self._context.detector.names
        scored = {
            arm: boxes[np.isin(boxes.class_id, self._context.classes or list(names))]
            for arm, boxes in result.detections.items()
        }
        label_scores = {
            arm: match_images([boxes], [labels]).label_score.tolist()
            for arm, boxes in scored.items()
        }
        pictures: Mapping[str, _Picture] = {}
        for label, box in enumerate(labels.xyxy.tolist()):
            score = {arm: column[label] for arm, column in label_scores.items()}
            detected = {arm: value >= CONFIDENCE for arm, value in score.items()}
            alone = 4 * detected[self._ir or ""] + 2 * detected[self._vis or ""]
            outcomes = {arm: OUTCOMES[alone + detected[arm]] for arm in self._arms}
            key, name = result.item.pair.key, f"object-{result.number:06d}-{label:04d}.json"
            kept, removed = self._picks.offer(name, rank(key, label), outcomes)
            for other in removed:
                (self._folder / other).unlink(missing_ok=True)
            if not kept:
                continue
            pictures = pictures or self._pictures(result)
            x, y, side = _window(box)
            entry = {
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
                    arm: {"outcome": outcome, "score": max(0.0, score[arm])}
                    for arm, outcome in outcomes.items()
                },
                "boxes": {
                    arm: self._boxes(_overlapping(boxes, x, y, side))
                    for arm, boxes in scored.items()
                },
            }
            self._write(name, entry)

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
        pictures = {
            self._ir or "infrared": to_rgb(pair.ir.image),
            self._vis or "visible": to_rgb(pair.vis.image),
        }
        for arm in self._context.image_arms:
            if arm not in pictures and len(pictures) < PANELS:
                pictures[arm] = result.image(arm)
        return pictures

    def _boxes(self, detections: Detections) -> list[list[Any]]:
        """Rows x1, y1, x2, y2, score, class name of detections with at least ``CONFIDENCE``."""
        confident = detections[detections.score >= CONFIDENCE]
        columns = (confident.xyxy, confident.score, confident.class_id)
        return [
            [*(round(value, 1) for value in xyxy), round(score, 3), self._name(class_id)]
            for xyxy, score, class_id in zip(*(c.tolist() for c in columns), strict=True)
        ]

    def _truth(self, labels: Labels | None) -> list[list[Any]]:
        """Rows x1, y1, x2, y2, class name, of the scored classes."""
        if labels is None:
            return []
        labels = self._counted(labels)
        return [
            [*(round(value, 1) for value in box), self._name(class_id)]
            for box, class_id in zip(labels.xyxy.tolist(), labels.class_id.tolist(), strict=True)
        ]

    def _name(self, class_id: int) -> str:
        names = {} if self._context.detector is None else self._context.detector.names
        return names.get(class_id, str(class_id))

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        write_json(self._folder / name, content)


def _window(box: list[float]) -> tuple[int, int, int]:
    """Left, top and side of the square crop of an object, pixels; may exceed the image."""
    x1, y1, x2, y2 = box
    side = max(LEAST, round(MARGIN * max(x2 - x1, y2 - y1)))
    return round((x1 + x2 - side) / 2), round((y1 + y2 - side) / 2), side


def _crop(image: _Picture, x: int, y: int, side: int) -> _Picture:
    """A square of an image, black outside of it, as SIDE x SIDE pixels."""
    height, width = image.shape[:2]
    square = np.zeros((side, side, 3), np.uint8)
    top, left, bottom, right = max(y, 0), max(x, 0), min(y + side, height), min(x + side, width)
    square[top - y : bottom - y, left - x : right - x] = image[top:bottom, left:right]
    interpolation = cv2.INTER_AREA if side > SIDE else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(square, (SIDE, SIDE), interpolation=interpolation), np.uint8)


def _overlapping(detections: Detections, x: int, y: int, side: int) -> Detections:
    """Detections that overlap a window."""
    left, top, right, bottom = detections.xyxy.T
    return detections[(left < x + side) & (right > x) & (top < y + side) & (bottom > y)]


def _webp(picture: NDArray[Any]) -> str:
    """HWC RGB uint8 as WebP in base64."""
    bgr = cv2.cvtColor(np.asarray(picture, np.uint8), cv2.COLOR_RGB2BGR)
    encoded = cv2.imencode(".webp", bgr, [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])[1]
    return base64.b64encode(encoded.tobytes()).decode("ascii")
