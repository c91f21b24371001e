"""Ground truth: what is in an image, and the files that say so."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Self

import numpy as np
from numpy.typing import NDArray

from common.errors import DataError
from eval.class_map import ClassMap
from eval.label_files import LabelledImage, read_ignore, read_labels


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """The ground truth of one image, in pixels of the original image.

    Attributes:
        xyxy: float64 (n, 4), left, top, right, bottom.
        class_id: int64 (n,).
        ignore: float64 (m, 4), regions that count neither way: a detection with over half of its
            area inside one, and that hits no label, is neither hit nor miss.
    """

    xyxy: NDArray[np.float64]
    class_id: NDArray[np.int64]
    ignore: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.class_id)

    def of_classes(self, class_ids: Collection[int]) -> "Labels":
        """The labels of some classes, with all regions to ignore."""
        mine = np.isin(self.class_id, list(class_ids))
        return Labels(self.xyxy[mine], self.class_id[mine], self.ignore)

    @classmethod
    def empty(cls) -> "Labels":
        """An image with nothing on it."""
        return cls(np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros((0, 4)))


class LabelSet:
    """The labels of a set of images, read whole from one file or folder.

    A key is an image's path without its suffix, as the labels write it; where only one image ends
    so, the last part of that path is enough.
    """

    def __init__(
        self,
        images: Mapping[str, LabelledImage],
        ignore: Mapping[str, NDArray[np.float64]],
        source: Path,
    ) -> None:
        self._images = images
        self._ignore = ignore
        self._source = source
        self._by_stem: dict[str, list[str]] = defaultdict(list)
        for key in images:
            self._by_stem[PurePosixPath(key).name].append(key)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        names: Mapping[int, str],
        class_map: Mapping[str | int, int | None] | None = None,
        ignore: Path | None = None,
        defer_errors: bool = False,
    ) -> Self:
        """Read and check all labels.

        Args:
            path: A COCO ``.json``, a folder of Pascal VOC ``.xml`` or one of YOLO ``.txt``.
            names: The known classes, name by id.
            class_map: Class id by the labels' own class name or id; None drops a class. A name
                that it lacks is looked up in ``names``; a bare id that it lacks is an error.
            ignore: JSON, ``{key: [[x1, y1, x2, y2], ...]}`` in pixels: regions that count neither
                way, besides COCO's crowds and VOC's difficult objects.
            defer_errors: A wrong file of a folder is an error only when ``get`` asks for its image.

        Raises:
            errors.DataError: A file is missing or wrong; the text names it and the line or entry.
            errors.ConfigError: ``class_map`` maps to a class that isn't in ``names``.
        """
        classes = ClassMap.of(names, class_map)
        images = read_labels(path, classes, defer_errors=defer_errors)
        return cls(images, read_ignore(ignore) if ignore is not None else {}, path)

    def keys(self) -> Sequence[str]:
        """The images that the labels speak of, sorted, those with nothing on them included."""
        return sorted(self._images)

    def check_keys(self, known: Collection[str]) -> None:
        """Refuse labels and ignore regions of images that there are not.

        Raises:
            errors.DataError: Some are of an image whose key is not among ``known``.
        """
        for key in (*self.keys(), *sorted(self._ignore)):
            if key not in known and PurePosixPath(key).name not in known:
                raise DataError(f"{self._source}: labels of {key!r}, but there is no such image")

    def class_ids(self, key: str) -> NDArray[np.int64]:
        """Class ids of an image's labels (n,), none where they could not be read."""
        name = self._resolve(key)
        return self._images[name].class_id if name is not None else np.zeros(0, np.int64)

    def get(self, key: str, size: tuple[int, int]) -> Labels:
        """The labels of one image, clipped to it.

        Args:
            key: The image's key.
            size: The image's height and width in pixels.

        Returns:
            Its labels; none where the labels don't speak of the image.

        Raises:
            errors.DataError: The labels are of another image size, a box lies outside the image,
                the key fits several images, or the file is wrong and its error was deferred.
        """
        height, width = size
        bounds = np.array([width, height, width, height], np.float64)
        name = self._resolve(key)
        image = self._images[name] if name is not None else LabelledImage.empty(str(self._source))
        if image.problem is not None:
            raise image.problem
        if image.size is not None and image.size != size:
            raise DataError(
                f"{image.source}: labelled at {image.size[1]}x{image.size[0]} pixels, but the "
                f"image {key!r} has {width}x{height}; give labels of the same size"
            )
        # One multiplication serves both: pixels stay as they are, fractions become pixels.
        scale = bounds if image.normalised else np.ones(4)
        xyxy = np.clip(image.xyxy * scale, 0.0, bounds)
        if _flat(xyxy).any():
            box = [round(float(v), 3) for v in image.xyxy[_flat(xyxy)][0]]
            raise DataError(
                f"{image.source}: box {box} of {key!r} lies outside its {width}x{height} image; "
                "remove it or check the image's size"
            )
        regions = self._ignore.get(key)
        if regions is None:
            regions = self._ignore.get(name or PurePosixPath(key).name, np.zeros((0, 4)))
        ignore = np.clip(np.concatenate([image.ignore * scale, regions]), 0.0, bounds)
        return Labels(xyxy, image.class_id, ignore[~_flat(ignore)])

    def _resolve(self, key: str) -> str | None:
        """The label set's own name of a key, None where it has none."""
        if key in self._images:
            return key
        found = self._by_stem.get(key, [])
        if len(found) > 1:
            raise DataError(
                f"{self._source}: {key!r} fits several images ({', '.join(sorted(found)[:3])}); "
                "use keys with their folders"
            )
        return found[0] if found else None


def _flat(xyxy: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which boxes (n, 4) have no area: (n,)."""
    return np.asarray((xyxy[:, 2:] <= xyxy[:, :2]).any(axis=1))
