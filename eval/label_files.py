"""The three label formats (YOLO txt, Pascal VOC xml, COCO json), checked line by line."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

import numpy as np
from numpy.typing import NDArray

from common.errors import DataError
from common.files import check_file, decode_xml, read_text
from common.numbers import decimal, whole
from eval.class_map import ClassMap
from eval.coco_files import check_dataset, image_key, load_json, numbers


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImage:
    """What the labels say of one image.

    Attributes:
        xyxy: float64 (n, 4), left, top, right, bottom, in pixels; where ``normalised``, in
            fractions of the image's width and height.
        class_id: int64 (n,).
        ignore: float64 (m, 4), like ``xyxy``.
        source: The file, for messages.
        size: Height and width, where the labels state them.
        normalised: Whether boxes are fractions.
        problem: What is wrong with the file, where reading it was deferred.
    """

    xyxy: NDArray[np.float64]
    class_id: NDArray[np.int64]
    ignore: NDArray[np.float64]
    source: str
    size: tuple[int, int] | None = None
    normalised: bool = False
    problem: DataError | None = None

    @classmethod
    def empty(cls, source: str) -> Self:
        """An image with nothing on it."""
        return cls(np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros((0, 4)), source)


def read_labels(
    path: Path, classes: ClassMap, *, defer_errors: bool = False
) -> dict[str, LabelledImage]:
    """Read a label file or folder, in the format that its suffixes tell.

    Args:
        path: The file or folder.
        classes: Which classes there are.
        defer_errors: Return a wrong file of a folder as an image with a ``problem``.

    Returns:
        What is labelled, by the image's path without suffix.

    Raises:
        errors.DataError: Nothing is there, the format is unclear, or a file is wrong.
    """
    if path.is_file() and path.suffix.lower() == ".json":
        return _read_coco(path, classes)
    if not path.is_dir():
        problem = "is no label file" if path.exists() else "does not exist"
        raise DataError(
            f"{path}: {problem}; give a COCO .json, a folder of Pascal VOC .xml or of YOLO .txt"
        )
    xml = sorted(path.rglob("*.xml"))
    txt = sorted(file for file in path.rglob("*.txt") if file.name != "classes.txt")
    if xml and txt:
        raise DataError(
            f"{path}: holds both .xml ({xml[0].name}) and .txt ({txt[0].name}); "
            "give a folder with one format"
        )
    if not xml and not txt:
        raise DataError(f"{path}: holds no label files; give a folder of .txt (YOLO) or .xml (VOC)")
    read = _read_voc if xml else _read_yolo
    images = {}
    for file in xml or txt:
        try:
            image = read(file, classes)
        except DataError as error:
            if not defer_errors:
                raise
            image = replace(LabelledImage.empty(str(file)), problem=error)
        images[file.relative_to(path).with_suffix("").as_posix()] = image
    return images


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
                    f"{path}: {key!r}[{index}] is {box}, not a box; "
                    "write [x1, y1, x2, y2] in pixels, x1 < x2 and y1 < y2"
                )
    return {key: np.array(boxes, np.float64).reshape(-1, 4) for key, boxes in data.items()}


def _read_yolo(path: Path, classes: ClassMap) -> LabelledImage:
    """Read lines ``class cx cy w h``, fractions of the image's width and height."""
    text = read_text(path)
    boxes: list[list[float]] = []
    ids: list[int] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        source, box = _yolo_line(where, line)
        class_id = classes.find(where, class_id=source)
        if class_id is not None:
            boxes.append(box)
            ids.append(class_id)
    centre, size = np.split(np.array(boxes, np.float64).reshape(-1, 4), 2, axis=1)  # (n, 2) each
    xyxy = np.concatenate([centre - size / 2, centre + size / 2], axis=1)
    return LabelledImage(
        xyxy, np.array(ids, np.int64), np.zeros((0, 4)), str(path), normalised=True
    )


def _yolo_line(where: str, line: str) -> tuple[int, list[float]]:
    """Class id and (cx, cy, w, h) of one line, checked."""
    fields = line.split()
    if len(fields) != 5:
        raise DataError(f"{where}: {len(fields)} fields, expected 5; write 'class cx cy w h'")
    try:
        class_id, box = whole(fields[0]), [decimal(field) for field in fields[1:]]
    except ValueError as error:
        raise DataError(
            f"{where}: {line.strip()!r} is not a whole number and four numbers; "
            "write 'class cx cy w h'"
        ) from error
    for name, value in zip(("cx", "cy", "w", "h"), box, strict=True):
        if not 0 <= value <= 1:  # NaN too
            wrong = "is negative" if value < 0 else "is outside [0, 1]"
            raise DataError(
                f"{where}: {name} = {value:g} {wrong}; "
                "write fractions of the image's width and height"
            )
        if name in "wh" and value == 0:
            raise DataError(f"{where}: {name} is zero; remove the line or give the box a size")
    return class_id, box


def _read_voc(path: Path, classes: ClassMap) -> LabelledImage:
    """Read the objects of one Pascal VOC file; difficult ones become ignore regions."""
    root = _parse_xml(path)
    found: list[tuple[int, tuple[float, ...]]] = []
    ignore: list[tuple[float, ...]] = []
    for item in root.iter("object"):
        where = f"{path}:{item.get('line')}"
        name = (item.findtext("name") or "").strip()
        if not name:
            raise DataError(f"{where}: the object has no name; add <name>")
        class_id = classes.find(where, name=name)
        if class_id is None:
            continue
        box = _voc_box(where, item)
        if (item.findtext("difficult") or "").strip() == "1":
            ignore.append(box)
        else:
            found.append((class_id, box))
    return LabelledImage(
        np.array([box for _, box in found], np.float64).reshape(-1, 4),
        np.array([class_id for class_id, _ in found], np.int64),
        np.array(ignore, np.float64).reshape(-1, 4),
        str(path),
        _voc_size(root),
    )


def _voc_box(where: str, item: Element) -> tuple[float, ...]:
    """Edges of an object: VOC counts pixels from 1 and both ends belong to the box."""
    texts = [item.findtext(f"bndbox/{side}") for side in ("xmin", "ymin", "xmax", "ymax")]
    try:
        values = numbers([decimal((text or "").strip()) for text in texts], 4)
    except ValueError:
        values = None
    if values is None:
        raise DataError(f"{where}: bndbox needs four numbers: xmin, ymin, xmax, ymax; got {texts}")
    x1, y1, x2, y2 = values[0] - 1, values[1] - 1, values[2], values[3]
    if x2 <= x1 or y2 <= y1:
        raise DataError(f"{where}: bndbox {values} has no size; xmin <= xmax, ymin <= ymax")
    return x1, y1, x2, y2


def _voc_size(root: Element) -> tuple[int, int] | None:
    """Height and width, where the file states them (some tools write zeros)."""
    try:
        height, width = (int(root.findtext(f"size/{side}") or "") for side in ("height", "width"))
    except ValueError:
        return None
    return (height, width) if height > 0 and width > 0 else None


def _parse_xml(path: Path) -> Element:
    """Parse one file into elements that know their ``line``, with no DOCTYPE and so no entities."""
    builder = TreeBuilder()
    parser = expat.ParserCreate()

    def start(tag: str, attributes: dict[str, str]) -> None:
        builder.start(tag, {**attributes, "line": str(parser.CurrentLineNumber)})

    def refuse(*_: object) -> None:
        raise DataError(
            f"{path}:{parser.CurrentLineNumber}: holds a DOCTYPE; labels need none, remove it"
        )

    parser.StartElementHandler = start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    check_file(path)
    try:
        parser.Parse(decode_xml(path.read_bytes()), True)
    except (OSError, LookupError, ValueError, expat.ExpatError) as error:
        raise DataError(f"{path}: not readable as XML ({error}); repair or remove it") from error
    return builder.close()


def _read_coco(path: Path, classes: ClassMap) -> dict[str, LabelledImage]:
    """Read a COCO file; crowds become ignore regions."""
    data = check_dataset(path, load_json(path))
    names = {category["id"]: category.get("name") for category in data.get("categories", [])}
    found: dict[int, list[tuple[int, list[float]]]] = {image["id"]: [] for image in data["images"]}
    ignore: dict[int, list[list[float]]] = {image["id"]: [] for image in data["images"]}
    for index, item in enumerate(data["annotations"]):
        source = item["category_id"]
        class_id = classes.find(
            f"{path}: annotations[{index}]", class_id=source, name=names.get(source)
        )
        if class_id is None:
            continue
        x, y, width, height = item["bbox"]
        box = [x, y, x + width, y + height]
        if item.get("iscrowd", 0):
            ignore[item["image_id"]].append(box)
        else:
            found[item["image_id"]].append((class_id, box))
    images: dict[str, LabelledImage] = {}
    for image in data["images"]:
        key = image_key(image["file_name"])
        if key in images:
            raise DataError(f"{path}: two images are called {key!r}; file names must differ")
        items = found[image["id"]]
        images[key] = LabelledImage(
            np.array([box for _, box in items], np.float64).reshape(-1, 4),
            np.array([class_id for class_id, _ in items], np.int64),
            np.array(ignore[image["id"]], np.float64).reshape(-1, 4),
            str(path),
            _coco_size(image),
        )
    return images


def _coco_size(image: Mapping[str, Any]) -> tuple[int, int] | None:
    """Height and width, where the file states them."""
    if "height" in image and "width" in image:
        return int(image["height"]), int(image["width"])
    return None
