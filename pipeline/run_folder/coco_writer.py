"""The writer of `ground_truth.json`, entry by entry."""

import hashlib
import json
import shutil
from array import array
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryFile
from typing import Self

import numpy as np

from common.files import writing
from eval.coco import ground_truth_json
from eval.coco_files import ImageEntry
from eval.labels import Labels
from eval.light import Light
from eval.truth import Annotations, Truth, image_light, key_of


class GroundTruthFile:
    """Writes `ground_truth.json`, with the same bytes as ``json.dump``; a context manager.

    Attributes:
        images: The number of images.
        sizes: Their heights and widths.
    """

    def __init__(self, path: Path, names: Mapping[int, str]) -> None:
        self._path, self._names = path, names
        self.images, self.sizes = 0, set[tuple[int, int]]()
        self._annotations = 0
        self._content: list[tuple[str, int, int, str]] = []
        self._image_ids, self._lights = array("q"), list[Light | None]()
        # of the annotations, as in ``eval.truth``
        self._of, self._classes, self._crowd = array("q"), array("q"), array("b")
        self._boxes, self._areas = array("d"), array("d")
        with writing(path):
            self._file = path.open("w", encoding="utf-8")
            # the annotations come after all images
            self._rest = TemporaryFile("w+", encoding="utf-8", dir=path.parent)  # noqa: SIM115
            self._file.write('{"images": [')

    def add(self, image: ImageEntry, labels: Labels) -> None:
        """Append an image with its labels."""
        entries = ground_truth_json([image], [labels], self._names)["annotations"]
        judged = []
        with writing(self._path):
            self._file.write(", " * (self.images > 0) + json.dumps(image, allow_nan=False))
            for entry in entries:
                entry["id"] += self._annotations
                self._rest.write(", " * (entry["id"] > 1) + json.dumps(entry, allow_nan=False))
                judged.append([entry["category_id"], entry["iscrowd"], entry["bbox"]])
                self._of.append(entry["image_id"])
                self._classes.append(entry["category_id"])
                self._crowd.append(entry["iscrowd"])
                self._boxes.extend(entry["bbox"])
                self._areas.append(entry["area"])
        self._image_ids.append(image["id"])
        self._lights.append(image_light(image))
        self.images += 1
        self._annotations += len(entries)
        self.sizes.add((image["height"], image["width"]))
        self._content.append(
            (key_of(image), image["height"], image["width"], _json(sorted(judged)))
        )

    def truth(self) -> Truth:
        """What ``eval.truth.Truth.of`` gives of the file."""
        annotations = Annotations(
            np.array(self._of, np.int64),
            np.array(self._classes, np.int64),
            np.array(self._boxes, np.float64).reshape(-1, 4),
            np.array(self._areas, np.float64),
            np.array(self._crowd, np.bool_),
        )
        names = dict(sorted(self._names.items()))
        image_ids = np.array(self._image_ids, np.int64)
        return Truth.of_columns(names, image_ids, self._lights, annotations)

    def content_hash(self) -> str:
        """The value of ``eval.evaluation.content_hash``, from a short text per image."""
        digest = hashlib.sha256(b"[")
        for number, entry in enumerate(self._sorted()):
            *image, labels = entry
            digest.update(f"{',' * (number > 0)}{_json(image)[:-1]},{labels}]".encode())
        digest.update(b"]")
        return digest.hexdigest()

    def _sorted(self) -> Iterator[tuple[str, int, int, str]]:
        """The entries by key, size and labels; labels are sorted by value, not as text."""
        for _, same in groupby(sorted(self._content), key=lambda entry: entry[:3]):
            yield from sorted(same, key=lambda entry: json.loads(entry[3]))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        categories = [{"id": number, "name": name} for number, name in sorted(self._names.items())]
        with writing(self._path), self._file, self._rest:
            self._file.write('], "annotations": [')
            self._rest.seek(0)
            shutil.copyfileobj(self._rest, self._file)
            self._file.write(f'], "categories": {json.dumps(categories)}}}\n')


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
