"""Which image of the ground truth a prediction is of: by id, by name, by the number in its name."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import DataError
from eval.coco_files import GroundTruth, image_key
from eval.evaluation import key_of
from eval.label_files import nfc
from eval.overlap import overlapping
from eval.predictions import Predictions

_SEVERAL = -1  # stands for names that several images have


class ImageNames:
    """What programs call the images of a ground truth.

    A whole number is an id, as in COCO, or the number that a file's name is, as yolov5 and
    ultralytics write it. One file uses one of the two: where both are possible, the ids are taken,
    unless under them few labels meet a prediction and under the names most do.

    Attributes:
        some: What the images are called, for messages.
    """

    def __init__(self, ground_truth: GroundTruth, *, ids: bool) -> None:
        self._truth = ground_truth
        self._ids: dict[int | str, int] = {}
        self._names: dict[str, int] = {}
        self._numbers: dict[int, int] = {}
        for image in ground_truth["images"]:
            if ids:
                self._ids[image.get("given_id", image["id"])] = image["id"]
            key, name = key_of(image), image["file_name"].replace("\\", "/")
            names = {key, name, image_key(name), *(PurePosixPath(n).name for n in (key, name))}
            names.add(PurePosixPath(image_key(name)).name)
            for text in {nfc(name) for name in names}:
                self._add(self._names, text, image["id"])
            stem = PurePosixPath(key).name
            for number in {int(n) for n in (stem,) if n.isdecimal() and n.isascii()}:
                self._add(self._numbers, number, image["id"])
        self.some: Sequence[int | str] = list(self._ids) or [*self._names, *self._numbers]

    def has(self, given: int | str) -> bool:
        """Whether an image is called so in any way."""
        return given in self._ids or given in self._numbers or self._text(given) in self._names

    def named(self, key: str, path: Path) -> int | None:
        """The id of the image of this name, None where there is none.

        Raises:
            errors.DataError: Several have it.
        """
        found = self._names.get(key, self._names.get(PurePosixPath(key).name))
        if found == _SEVERAL:
            raise DataError(f"{path}: several images are called {key!r}; give names with folders")
        return found

    def resolve(
        self, path: Path, given: Sequence[int | str], found: Predictions
    ) -> NDArray[np.int64]:
        """The ground truth's ids (n,) of predictions whose images are all known.

        Args:
            path: Their file, for messages.
            given: What it calls the image of each.
            found: The predictions; their image ids aren't looked at.

        Raises:
            errors.DataError: Neither ids nor names fit all of them, or a name fits several images.
        """
        called = list(dict.fromkeys(given))
        places = {g: place for place, g in enumerate(called)}
        place = np.array([places[g] for g in given], np.intp)  # (n,), in ``called``
        by_id = [self._ids.get(g, self._by_name(g) if isinstance(g, str) else None) for g in called]
        by_name = [self._by_name(g) for g in called]
        if None in by_id and None in by_name:
            raise DataError(
                f"{path}: image_id {called[by_id.index(None)]!r} is no id of an image and "
                f"{called[by_name.index(None)]!r} is no image's name; use one of the two throughout"
            )
        ids = by_id
        if None in by_id or (
            None not in by_name and by_id != by_name and self._fits(found, place, by_id, by_name)
        ):
            ids = by_name
        if _SEVERAL in ids:
            raise DataError(
                f"{path}: image_id {called[ids.index(_SEVERAL)]!r}: other images' names are this "
                "too; write names in quotes, with their folders"
            )
        return np.array(ids, np.int64)[place]

    def _fits(
        self,
        found: Predictions,
        place: NDArray[np.intp],
        by_id: list[int | None],
        by_name: list[int | None],
    ) -> bool:
        """Whether the names fit clearly better than the ids: more than twice the labels are met."""
        by_either = (
            replace(found, image_id=np.array(ids, np.int64)[place]) for ids in (by_id, by_name)
        )
        hits = [len(overlapping(self._truth, moved)) for moved in by_either]
        return hits[1] > 2 * hits[0]

    def _by_name(self, given: int | str) -> int | None:
        if isinstance(given, int) and given in self._numbers:
            return self._numbers[given]
        return self._names.get(self._text(given))

    @staticmethod
    def _text(given: int | str) -> str:
        return nfc(str(given))

    @staticmethod
    def _add(table: dict[Any, int], name: Any, image_id: int) -> None:  # noqa: ANN401
        table[name] = image_id if table.get(name, image_id) == image_id else _SEVERAL
