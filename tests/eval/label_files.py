"""Label files that a test writes."""

import json
from pathlib import Path

NAMES = {0: "person", 1: "bicycle", 2: "car"}
SIZE = (100, 200)  # height, width


def folder(root: Path, **files: str) -> Path:
    """A folder of label files, ``name__suffix`` for ``name.suffix``."""
    for name, text in files.items():
        path = root / name.replace("__", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def voc(*objects: str, size: str = "") -> str:
    return f"<annotation>\n{size}\n" + "\n".join(objects) + "\n</annotation>"


def voc_object(name="car", box=(11, 21, 50, 60), difficult=0) -> str:
    sides = zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    edges = "".join(f"<{side}>{value}</{side}>" for side, value in sides)
    return (
        f"<object><name>{name}</name><difficult>{difficult}</difficult>"
        f"<bndbox>{edges}</bndbox></object>"
    )


def coco(tmp_path: Path, **changes) -> Path:
    data = {
        "images": [
            {"id": 5, "file_name": "day/a.png", "width": 200, "height": 100},
            {"id": 6, "file_name": "day/b.png"},
        ],
        "annotations": [
            {"id": 1, "image_id": 5, "category_id": 3, "bbox": [10, 20, 40, 40]},
            {"id": 2, "image_id": 5, "category_id": 3, "bbox": [0, 0, 5, 5], "iscrowd": 1},
        ],
        "categories": [{"id": 1, "name": "Person"}, {"id": 3, "name": "Car"}],
        **changes,
    }
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(data))
    return path
