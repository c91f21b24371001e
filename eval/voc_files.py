"""Pascal VOC xml, as LabelImg, CVAT, LLVIP, M3FD, FLIR, DroneVehicle and KAIST write it."""

from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from common.errors import DataError
from common.files import check_file, decode_xml
from common.numbers import decimal, whole
from eval.class_map import SourceClass
from eval.coco_checks import numbers
from eval.kaist_files import is_neither_way, is_reasonable
from eval.labelled_image import LabelledImage


def read_voc(path: Path, box_origin: int, *, reasonable: bool = False) -> LabelledImage:
    """The objects of one file; difficult ones become ignore regions.

    Args:
        path: The file.
        box_origin: 0 for edges (xmin, ymin, xmax, ymax) as they stand; 1 where pixels count from
            1 and both ends belong to the box, as in VOC 2007 to 2012.
        reasonable: As ``eval.kaist_files.read_kaist`` takes it, for KAIST's form.

    Raises:
        errors.DataError: It is no XML, or an object has no name or no box.
    """
    root = _parse_xml(path)
    objects = []
    oriented = root.find("object/polygon") is not None
    for item in root.iter("object"):
        if oriented and _is_void(item):
            continue
        where = f"{path}:{item.get('line')}"
        name = (item.findtext("name") or "").strip()
        if not name:
            raise DataError(f"{where}: the object has no name; add <name>")
        ignore = (item.findtext("difficult") or "").strip() == "1"
        if item.find("bndbox/w") is not None:  # KAIST's form, with KAIST's rule
            box = _kaist_box(where, item)
            if is_neither_way(name):
                ignore, name = True, "person"
            heavy = (item.findtext("occlusion") or "").strip() == "2"
            ignore = ignore or (reasonable and not is_reasonable(box, 2 if heavy else 0))
        elif item.find("polygon") is not None:  # DroneVehicle's oriented boxes
            box = _hull(where, item)
        else:
            box = _voc_box(where, item, box_origin)
        objects.append((SourceClass(None, name), box, ignore))
    return LabelledImage.of(objects, str(path), size=_voc_size(root))


def _is_void(item: Element) -> bool:
    """Whether an object has no name or no shape, as a few of DroneVehicle's."""
    named = (item.findtext("name") or "").strip()
    return not named or (item.find("polygon") is None and item.find("bndbox") is None)


def _voc_box(where: str, item: Element, box_origin: int) -> tuple[float, ...]:
    """Edges of an object."""
    x1, y1, x2, y2 = values = _four(where, item, ("xmin", "ymin", "xmax", "ymax"))
    x1, y1 = x1 - box_origin, y1 - box_origin
    if x2 <= x1 or y2 <= y1:
        raise DataError(
            f"{where}: bndbox {values} has no size; make xmin < xmax and ymin < ymax (or set "
            "box_origin to 1, where both ends belong to a box)"
        )
    return x1, y1, x2, y2


def _hull(where: str, item: Element) -> tuple[float, ...]:
    """The upright box round the four corners of an oriented one."""
    xs = _four(where, item, ("x1", "x2", "x3", "x4"), "polygon")
    ys = _four(where, item, ("y1", "y2", "y3", "y4"), "polygon")
    box = min(xs), min(ys), max(xs), max(ys)
    if box[2] <= box[0] or box[3] <= box[1]:
        raise DataError(f"{where}: a polygon without area; remove the object")
    return box


def _kaist_box(where: str, item: Element) -> tuple[float, ...]:
    x, y, width, height = values = _four(where, item, ("x", "y", "w", "h"))
    if width <= 0 or height <= 0:
        raise DataError(f"{where}: bndbox {values} has no size; give w and h over 0")
    return x, y, x + width, y + height


def _four(where: str, item: Element, names: tuple[str, ...], shape: str = "bndbox") -> list[float]:
    texts = [(item.findtext(f"{shape}/{name}") or "").strip() for name in names]
    try:
        values = numbers([decimal(text) for text in texts], 4)
    except ValueError:
        values = None
    if values is None:
        got = [text[:20] for text in texts]
        raise DataError(f"{where}: {shape} needs four numbers: {', '.join(names)}; got {got}")
    return values


def _voc_size(root: Element) -> tuple[int, int] | None:
    """Height and width, where the file states them (some tools write zeros)."""
    try:
        height, width = (
            whole((root.findtext(f"size/{side}") or "").strip()) for side in ("height", "width")
        )
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
    except (OSError, expat.ExpatError, ValueError, LookupError) as error:
        raise DataError(f"{path}: not readable as XML ({error}); repair or remove it") from error
    return builder.close()
