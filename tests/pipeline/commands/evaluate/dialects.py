"""A small data set, and predictions of it, as tools write them."""

import json

import numpy as np
import pytest

from eval.coco_scores import evaluate_coco
from pipeline.commands.evaluate import read_inputs

W, H = 160, 128
BOXES = {"person": (20, 30, 20, 50), "car": (90, 60, 50, 30)}  # left, top, width, height
IDS = {"person": 0, "car": 2}
NAMES = {"person": "person", "car": "car"}
PERFECT = pytest.approx(1.0)


def yolo(ids=IDS, end=""):
    rows = ((ids[name], box) for name, box in BOXES.items())
    return "".join(
        f"{i} {(x + w / 2) / W} {(y + h / 2) / H} {w / W} {h / H}{end}\n"
        for i, (x, y, w, h) in rows
    )


def voc(names, origin=0):
    objects = "".join(
        f"<object><name>{names[name]}</name><bndbox><xmin>{x + origin}</xmin>"
        f"<ymin>{y + origin}</ymin><xmax>{x + w}</xmax><ymax>{y + h}</ymax></bndbox></object>"
        for name, (x, y, w, h) in BOXES.items()
    )
    return f"<annotation>{objects}</annotation>"


def label_folder(here, text, suffix=".txt"):
    (here / "labels").mkdir(exist_ok=True)
    for k in range(3):
        (here / f"labels/{k:03d}D{suffix}").write_text(text)
    return here / "labels"


def predicted(here, ids=IDS, name="p.json"):
    entries = [
        {"image_id": f"{k:03d}D", "category_id": ids[name], "bbox": list(box), "score": 0.9}
        for k in range(3)
        for name, box in BOXES.items()
    ]
    (here / name).write_text(json.dumps(entries))
    return here / name


def ap(here, predictions, labels, **settings):
    """COCO's AP of the one arm, and what was read."""
    images = here / "images" if labels.is_dir() else None
    inputs = read_inputs(predictions, labels, images=images, **settings)
    truth, counted = inputs.truth.ground_truth, set(inputs.counted)
    truth = {
        **truth,
        "annotations": [a for a in truth["annotations"] if a["category_id"] in counted],
        "categories": [c for c in truth["categories"] if c["id"] in counted],
    }
    (arm,) = inputs.predictions.values()
    mine = arm[np.isin(arm.category_id, list(counted))]
    return evaluate_coco(truth, mine).map50_95, inputs


def coco(here, *, image_id, ann_id=lambda n: n + 1, pred_id=None, cat=int):
    images, annotations, found = [], [], []
    for k in range(3):
        images.append({"id": image_id(k), "file_name": f"d/f-{k:03d}.jpg", "width": W, "height": H})
        for c, box in zip((1, 3), BOXES.values(), strict=True):
            entry = {"image_id": image_id(k), "category_id": cat(c), "bbox": list(box)}
            number = ann_id(len(annotations))
            annotations.append({**entry, **({} if number is None else {"id": number})})
            found.append({**entry, "image_id": (pred_id or image_id)(k), "score": 0.9})
    names = {1: "person", 2: "bike", 3: "car", 18: "dog"}
    categories = [{"id": i, "name": name} for i, name in names.items()]
    truth = {"images": images, "annotations": annotations, "categories": categories}
    (here / "gt.json").write_text(json.dumps(truth))
    (here / "p.json").write_text(json.dumps(found))
    return here / "p.json", here / "gt.json"
