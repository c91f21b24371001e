"""Two cameras that aren't aligned, with the boxes of each and of the pair.

Infrared misses nothing, visible shows the object in every other pair.
"""

import json

import numpy as np
from PIL import Image

from tests.helpers import toys

HEIGHT, WIDTH = toys.HEIGHT, toys.WIDTH
PAIRS = 8
APART = 30  # pixels between the cameras' views of the object


def box(camera, number):
    """Where the object of a pair is in a camera's image: left, top, width, height."""
    return [2 + number + APART * (camera == "vis"), 10 + number, 12, 20]


def labelled(camera, number):
    """The box as it was drawn: one that is exact, one that is not, none, and so on."""
    x, y, w, h = box(camera, number)
    if camera == "pair":  # round both
        return [[box("ir", number)[0], y, w + APART, h]]
    lacks = {"ir": 3, "vis": 5}[camera]
    return [] if number == lacks else [[x, y, w + number % 3, h]]


def write_labels(folder, camera):
    folder.mkdir()
    for number in range(PAIRS):
        lines = [
            f"0 {(x + w / 2) / WIDTH} {(y + h / 2) / HEIGHT} {w / WIDTH} {h / HEIGHT}\n"
            for x, y, w, h in labelled(camera, number)
        ]
        (folder / f"{number}.txt").write_text("".join(lines))


def crowded(path):
    """The infrared labels as COCO's json, with a region to ignore round the unlabelled object."""
    images = [{"id": f"a{i}", "file_name": f"{i}.png"} for i in range(PAIRS)]
    boxes = [(i, b, 0) for i in range(PAIRS) for b in labelled("ir", i)] + [(3, box("ir", 3), 1)]
    annotations = [
        {"image_id": f"a{i}", "category_id": 7, "bbox": b, "iscrowd": crowd}
        for i, b, crowd in boxes
    ]
    sizes = {"width": WIDTH, "height": HEIGHT}
    content = {
        "images": [{**image, **sizes} for image in images],
        "annotations": annotations,
        "categories": [{"id": 7, "name": "Person"}],
    }
    path.write_text(json.dumps(content))


def write(root):
    """Images, labels as YOLO txt by camera, and `ir.json`."""
    for camera in ("ir", "vis"):
        (root / camera).mkdir()
        write_labels(root / f"labels_{camera}", camera)
    write_labels(root / "labels", "pair")
    rng = np.random.default_rng(0)
    for number in range(PAIRS):
        for camera in ("ir", "vis"):
            image = rng.integers(20, 60, (HEIGHT, WIDTH, 3)[: 2 + (camera == "vis")], np.uint8)
            x, y, w, h = box(camera, number)
            if camera == "ir" or number % 2 == 0:
                image[y : y + h, x : x + w] = 230 + number
            Image.fromarray(image).save(root / camera / f"{number}.png")
    crowded(root / "ir.json")


def settings(name, **more):
    source = {"kind": "image_folder", "ir": "ir", "vis": "vis", "labels": "labels"}
    return toys.settings(None, run={"dir": name}, source={**source, **more})


def own(name, **more):
    return settings(name, labels_ir="labels_ir", labels_vis="labels_vis", **more)
