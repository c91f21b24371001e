"""Label files of a folder: which ones there are, and of which format each is."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from common.errors import DataError
from common.files import read_text
from eval.class_lists import is_class_list
from eval.coco_checks import numbers
from eval.coco_files import load_json
from eval.coco_labels import read_coco_labels
from eval.kaist_files import HEADER, read_kaist
from eval.labelled_image import LabelledImage
from eval.system_files import is_system_file
from eval.voc_files import read_voc
from eval.yolo_files import read_yolo

Read = Callable[[Path], LabelledImage]
_GIVE = "give a COCO .json, a folder of Pascal VOC .xml or of YOLO .txt"


@dataclass(frozen=True, slots=True)
class LabelFiles:
    """What a file or folder of labels holds.

    Attributes:
        images: What is labelled, by the image's path without suffix, in NFC.
        form: "coco", "voc", "yolo", "kaist", or "boxes" of a tracked target.
        strays: Label files of images that aren't there, left out.
        no_labels: Text files that are no labels, left out.
    """

    images: Mapping[str, LabelledImage]
    form: str
    strays: list[str] = field(default_factory=list)
    no_labels: list[str] = field(default_factory=list)


def read_labels(
    path: Path,
    keys: Collection[str] | None,
    *,
    box_origin: int,
    reasonable: bool = False,
    strays: bool = True,
) -> LabelFiles:
    """Read a label file or folder, in the format that its suffixes tell.

    Args:
        path: The file or folder.
        keys: The images that there are; None where that isn't known.
        box_origin: As ``eval.voc_files.read_voc`` takes it.
        reasonable: As ``eval.kaist_files.read_kaist`` takes it.
        strays: Whether files of images that aren't there are read too, to count them: most of the
            files of a data set are of its other parts.

    Returns:
        What is labelled; a wrong file of a folder is an image with a ``problem``.

    Raises:
        errors.DataError: Nothing is there, the format is unclear, or no file is of any image.
    """
    if path.is_file() and path.suffix.lower() == ".json":
        return _fitting(LabelFiles(_by_nfc(path, read_coco_labels(path)), "coco"), keys, path)
    if not path.is_dir():
        problem = "is no label file" if path.exists() else "does not exist"
        raise DataError(f"{path}: {problem}; {_GIVE}")
    xml, txt, json = (_files(path, suffix) for suffix in (".xml", ".txt", ".json"))
    if xml and txt and keys is not None:  # a README.txt beside xml, an obj.xml beside txt
        xml, txt = _of_images(xml, keys) or xml, _of_images(txt, keys)
        xml, txt = (xml, txt) if _of_images(xml, keys) or not txt else ({}, txt)
    if xml and txt:
        some = [next(iter(files.values())).name for files in (xml, txt)]
        raise DataError(
            f"{path}: holds both .xml ({some[0]}) and .txt ({some[1]}); "
            "give a folder with one format"
        )
    if not xml and not txt:
        if len(json) == 1:
            return read_labels(next(iter(json.values())), keys, box_origin=box_origin)
        raise DataError(f"{path}: holds no label files; give a folder of .txt (YOLO) or .xml (VOC)")
    if keys is not None and not strays:
        mine = set(map(nfc, keys))
        xml, txt = (_of_images(files, mine) or files for files in (xml, txt))
    forms: set[str] = set()

    def read(file: Path) -> LabelledImage:
        if xml:
            return read_voc(file, box_origin, reasonable=reasonable)
        text = read_text(file)
        kaist = text.lstrip().startswith(HEADER)
        forms.add("kaist" if kaist else "yolo")
        if kaist:
            return read_kaist(file, text, reasonable=reasonable)
        return read_yolo(file, text)

    images = {key: _deferred(file, read) for key, file in (xml or txt).items()}
    form = "voc" if xml else ("kaist" if forms == {"kaist"} else "yolo")
    return _fitting(LabelFiles(images, form), keys, path)


def fits(key: str, keys: Collection[str]) -> bool:
    """Whether labels of this key are of one of the images."""
    return key in keys or PurePosixPath(key).name in keys


def read_ignore(path: Path) -> dict[str, NDArray[np.float64]]:
    """Read ``{key: [[x1, y1, x2, y2], ...]}``: float64 (m, 4) pixel boxes by image key.

    Raises:
        errors.DataError: The file is missing or malformed, or a box isn't one.
    """
    data = load_json(path)
    if not isinstance(data, dict) or not all(isinstance(boxes, list) for boxes in data.values()):
        raise DataError(f"{path}: expected an object of lists, {{key: [[x1, y1, x2, y2], ...]}}")
    for key, boxes in data.items():
        for index, box in enumerate(boxes):
            values = numbers(box, 4)
            if values is None or values[2] <= values[0] or values[3] <= values[1]:
                raise DataError(
                    f"{path}: {key[:80]!r}[{index}] is {str(box)[:80]}, not a box; "
                    "write [x1, y1, x2, y2] in pixels, x1 < x2 and y1 < y2"
                )
    return {nfc(key): np.array(boxes, np.float64).reshape(-1, 4) for key, boxes in data.items()}


def nfc(key: str) -> str:
    """A key as it is compared: a Mac writes accents as characters of their own."""
    return normalize("NFC", key)


def label_paths(folder: Path, suffix: str) -> list[Path]:
    """The files of this suffix, in any case, below a folder; those of the system passed over."""
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() == suffix
        and not file.is_dir()
        and not any(is_system_file(folder / part) for part in file.relative_to(folder).parts)
    )


def _files(folder: Path, suffix: str) -> dict[str, Path]:
    """Label files by the key of their image."""
    found: dict[str, Path] = {}
    for file in label_paths(folder, suffix):
        key = nfc(file.relative_to(folder).with_suffix("").as_posix())
        if is_class_list(file):
            continue
        if key in found:
            raise DataError(f"{file}: {found[key].name} is of the same image; remove one of them")
        found[key] = file
    return found


def _of_images(files: Mapping[str, Path], keys: Collection[str]) -> dict[str, Path]:
    return {key: file for key, file in files.items() if fits(key, keys)}


def _deferred(file: Path, read: Read) -> LabelledImage:
    try:
        return read(file)
    except DataError as error:
        return LabelledImage.of([], str(file), problem=error)


def _by_nfc(path: Path, images: Mapping[str, LabelledImage]) -> dict[str, LabelledImage]:
    found: dict[str, LabelledImage] = {}
    for key, image in images.items():
        if nfc(key) in found:
            raise DataError(f"{path}: two images are called {key!r}; file names must differ")
        found[nfc(key)] = image
    return found


def _fitting(files: LabelFiles, keys: Collection[str] | None, path: Path) -> LabelFiles:
    """Without the files of images that aren't there."""
    if keys is None:
        return files
    keys = set(map(nfc, keys))
    images = {key: image for key, image in files.images.items() if fits(key, keys)}
    if files.images and not images:
        raise DataError(
            f"{path}: labels of {next(iter(files.images))!r} and {len(files.images) - 1} more, but "
            f"there is no such image: they are called {min(keys, default='')!r} and so on; give "
            "the labels of these images, with their names"
        )
    left = {key: image for key, image in files.images.items() if key not in images}
    return LabelFiles(
        images,
        files.form,
        strays=[key for key, image in left.items() if image.problem is None],
        no_labels=[key for key, image in left.items() if image.problem is not None],
    )
