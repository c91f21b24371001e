"""Ground truth: what is in an image, and the files that say so."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Self

import numpy as np
from numpy.typing import NDArray

from common.errors import DataError
from eval.class_lists import find_class_list
from eval.class_map import ClassMap, Given, SourceClass, own_names
from eval.class_names import fold
from eval.label_files import LabelFiles, nfc, read_ignore, read_labels
from eval.label_report import LabelReport, describe_files, doubts, merged, unlabelled
from eval.labelled_image import digest, flat

_UNKNOWN = -1  # stands for classes that we don't have


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

    Attributes:
        names: The classes, name by id.
        form: As in ``eval.label_files.LabelFiles``.
        own_ids: Whether the labels go by ids, their list's or bare ones.
        protocol: What of the reading changes the numbers.
        report: What of the files counts and what doesn't.
    """

    def __init__(
        self,
        files: LabelFiles,
        classes: ClassMap,
        ignore: Mapping[str, NDArray[np.float64]],
        source: Path,
        box_origin: int,
    ) -> None:
        self._images = files.images
        self._ignore = ignore
        self._source = source
        self._keep = {key: image.distinct() for key, image in files.images.items()}
        found = classes.resolve(
            (source_class, image.source)
            for image in files.images.values()
            for source_class in image.classes
        )
        self._class_id = {
            key: np.array(
                [_UNKNOWN if (i := found[c]) is None else i for c in image.classes], np.int64
            )
            for key, image in files.images.items()
        }
        self._by_stem: dict[str, list[str]] = defaultdict(list)
        for key in files.images:
            self._by_stem[PurePosixPath(key).name].append(key)
        self.names, self.form = classes.names, files.form
        self.own_ids = classes.listed is not None or files.form in ("coco", "yolo")
        self.protocol: Mapping[str, int | str] = (
            {"box_origin": box_origin} if files.form == "voc" else {}
        )
        self.report = self._report(files, classes)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        files: LabelFiles | None = None,
        names: Mapping[int, str] | None,
        images: Mapping[str, Collection[str]] | None = None,
        class_map: Given | None = None,
        class_names: Mapping[int, str] | None = None,
        box_origin: int = 0,
        ignore: Path | None = None,
        reasonable: bool = False,
        defer_errors: bool = False,
    ) -> Self:
        """Read and check all labels.

        Args:
            path: A COCO ``.json``, a folder of Pascal VOC ``.xml``, of YOLO ``.txt`` or of KAIST's.
            files: What was read already, from ``path``.
            names: The known classes, name by id; None to take the labels' own.
            images: By the key of each image that there is, the names that labels may call it;
                labels of others are left out. None keeps all.
            class_map: Class by the labels' own class name or id; None drops a class. What it lacks
                goes by name; a bare id that it lacks is an error.
            class_names: The labels' own list of classes, name by id; default: the list that lies
                beside or above them, and without any bare ids are those of ``names``.
            box_origin: As ``eval.voc_files.read_voc`` takes it.
            ignore: JSON, ``{key: [[x1, y1, x2, y2], ...]}`` in pixels: regions that count neither
                way, besides COCO's crowds and VOC's difficult objects.
            reasonable: Whether ``files`` are KAIST's reasonable subset, for the protocol.
            defer_errors: A wrong file of a folder is an error only when ``get`` asks for its image.

        Raises:
            errors.DataError: A file is missing or wrong; the text names it and the line or entry.
            errors.ConfigError: ``class_map`` maps to a class that isn't in ``names``.
        """
        if names is not None:
            ClassMap.of(names, class_map)  # a wrong map is said before the labels are read
        called = None if images is None else set().union(*images.values())
        files = files or read_labels(path, called, box_origin=box_origin)
        if not defer_errors:
            for image in files.images.values():
                if image.problem is not None:
                    raise image.problem
        listed, list_file = class_names, None
        if listed is None and path.is_dir() and files.form == "yolo":
            found = find_class_list(path)
            listed, list_file = found or (None, None)
        if names is None:
            occur = [source for image in files.images.values() for source in image.classes]
            names = own_names(occur, class_map, listed)
        classes = ClassMap.of(names, class_map, listed)
        labels = cls(
            files, classes, read_ignore(ignore) if ignore is not None else {}, path, box_origin
        )
        if reasonable:
            labels.protocol = {**labels.protocol, "subset": "reasonable"}
        if called is not None:
            labels.check_ignore(called)
        text, most = unlabelled(files, images or {})
        if text:
            (labels.report.warnings if most else labels.report.notes).append(text)
        labels.report.notes.extend(describe_files(files, listed, list_file))
        return labels

    def check_ignore(self, called: Collection[str]) -> None:
        """Warn of regions to ignore that are of no image.

        Args:
            called: All names of the images that there are.

        Raises:
            errors.DataError: None is of an image.
        """
        names = set(map(nfc, called))
        names |= {PurePosixPath(name).name for name in names}
        names |= {key for name in names for key in self._by_stem.get(name, ())}
        if lost := sorted(self._ignore.keys() - names):
            text = (
                f"{len(lost)} of {len(self._ignore)} images with regions to ignore are not there, "
                f"the first is {lost[0][:40]!r}; the images are called "
                f"{min(names, default='')[:40]!r} and so on"
            )
            if len(lost) == len(self._ignore):
                raise DataError(f"ignore: {text}: give the regions of these images")
            self.report.warnings.append(f"{text}: left out")

    def keys(self) -> Sequence[str]:
        """The images that the labels speak of, sorted, those with nothing on them included."""
        return sorted(self._images)

    def digest(self) -> str:
        """Hash of the files' boxes and classes, and of the regions to ignore."""
        return digest(self._images, self._ignore)

    def has(self, key: str) -> bool:
        """Whether the labels speak of an image, which may have other folders before its name.

        Raises:
            errors.DataError: The key fits several images.
        """
        return self._resolve(key) is not None

    def class_ids(self, key: str) -> NDArray[np.int64]:
        """Class ids of an image's labels (n,), none where they could not be read."""
        name = self._resolve(key)
        return self._objects(name)[1] if name is not None else np.zeros(0, np.int64)

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
        regions = self._ignore.get(nfc(key))
        if regions is None:
            regions = self._ignore.get(name or PurePosixPath(nfc(key)).name, np.zeros((0, 4)))
        if name is None:
            regions = np.clip(regions, 0.0, bounds)
            return Labels(np.zeros((0, 4)), np.zeros(0, np.int64), regions[~flat(regions)])
        image = self._images[name]
        if image.problem is not None:
            raise image.problem
        if image.size is not None and image.size != size:
            raise DataError(
                f"{image.source}: labelled at {image.size[1]}x{image.size[0]} pixels, but the "
                f"image {key!r} has {width}x{height}; give labels of the same size"
            )
        # One multiplication serves both: pixels stay as they are, fractions become pixels.
        scale = bounds if image.normalised else np.ones(4)
        boxes, class_id, ignored = self._objects(name)
        xyxy = np.clip(boxes * scale, 0.0, bounds)
        if flat(xyxy).any():
            box = [float(v) for v in boxes[flat(xyxy)][0]]
            raise DataError(
                f"{image.source}: box {box} of {key!r} lies outside its {width}x{height} image; "
                "remove it or check the image's size"
            )
        ignore = np.clip(np.concatenate([ignored * scale, regions]), 0.0, bounds)
        return Labels(xyxy, class_id, ignore[~flat(ignore)])

    def _objects(
        self, name: str
    ) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
        """Boxes (n, 4) and classes (n,) of an image's objects, and its regions to ignore (m, 4)."""
        image, keep = self._images[name], self._keep[name]
        class_id, ignore, xyxy = self._class_id[name][keep], image.ignore[keep], image.xyxy[keep]
        ours = class_id != _UNKNOWN
        return xyxy[ours & ~ignore], class_id[ours & ~ignore], xyxy[ours & ignore]

    def _report(self, files: LabelFiles, classes: ClassMap) -> LabelReport:
        """What counts and what doesn't, over all images."""
        objects: Counter[int] = Counter()
        others: Counter[str] = Counter()
        bare: set[SourceClass] = set()
        called: dict[int, dict[str, str]] = defaultdict(dict)  # by our class: their names of it
        for key, image in files.images.items():
            for index in self._keep[key].tolist():
                class_id = int(self._class_id[key][index])
                source = classes.named(image.classes[index])
                if image.ignore[index]:
                    continue
                if class_id == _UNKNOWN:
                    others[str(source) if source.name is None else source.name] += 1
                else:
                    objects[class_id] += 1
                    if source.name is not None:
                        called[class_id].setdefault(fold(source.name), source.name)
                if source.name is None and classes.given is None:
                    bare.add(source)
        repeated = sum(len(i.classes) - len(self._keep[k]) for k, i in files.images.items())
        warnings = doubts(bare, classes.names) + ([] if classes.given else merged(called))
        report = LabelReport(classes.names, objects, others, [], warnings)
        if repeated:
            report.notes.append(f"{repeated} label line(s) repeat another one and count once")
        return report

    def _resolve(self, key: str) -> str | None:
        """The label set's own name of a key, None where it has none."""
        key = nfc(key)
        if key in self._images:
            return key
        found = self._by_stem.get(key, [])
        if len(found) > 1:
            raise DataError(
                f"{self._source}: {key!r} fits several images ({', '.join(sorted(found)[:3])}); "
                "use keys with their folders"
            )
        return found[0] if found else None
