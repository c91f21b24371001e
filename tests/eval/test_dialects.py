"""One data set in the dialects of many tools: every one gives the score of pycocotools."""

import contextlib
import io
import json
import tempfile
from pathlib import Path
from unicodedata import normalize

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from eval.coco_scores import evaluate_coco
from pipeline.commands.evaluate import read_inputs

W, H = 160, 128
NAMES = ("person", "car", "dog")
COCO_80 = {"person": 0, "car": 2, "dog": 16}
COCO_91 = {"person": 1, "car": 3, "dog": 18}
OWN = {"car": 0, "dog": 1, "person": 2}
STEMS = ("00001D", "café", "frame 7")


@st.composite
def data_sets(draw):
    """Labels and predictions (name, box, score) by image; boxes as left, top, width, height."""
    truth, found, number = {}, {}, 0
    for stem in STEMS:
        objects = []
        for slot in draw(st.lists(st.integers(0, 5), min_size=1, max_size=4, unique=True)):
            w, h = draw(st.integers(8, 40)), draw(st.integers(8, 50))
            box = (4 + 52 * (slot % 3), 4 + 62 * (slot // 3), w, h)
            objects.append((draw(st.sampled_from(NAMES)), box))
        truth[stem] = objects
        found[stem] = []
        for name, (x, y, w, h) in objects:
            shift = draw(st.sampled_from((0.0, 0.3, 1.7, 3.1)))
            said = draw(st.sampled_from((name, name, name, "car")))
            number += 1
            found[stem].append((said, (x + shift, y, w, h), round(0.99 - 0.01 * number, 2)))
    assume(any(n != "dog" for objects in truth.values() for n, _ in objects))
    return truth, found


def pycocotools(truth, found):
    """COCO's AP over persons and cars."""
    with contextlib.redirect_stdout(io.StringIO()):
        data = coco(truth, COCO_91)
        ground = COCO()
        ground.dataset = data
        ground.createIndex()
        entries = results(found, COCO_91, {stem: k for k, stem in enumerate(STEMS, 1)})
        evaluation = COCOeval(ground, ground.loadRes(entries), "bbox")
        evaluation.params.catIds = [1, 3]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats[0]


def coco(truth, ids, *, image_id=lambda k: k + 1, first=1, twice=False):
    images, annotations = [], []
    for k, stem in enumerate(STEMS):
        entry = {"id": image_id(k), "file_name": f"x/{stem}.png", "width": W, "height": H}
        images.append(entry)
        for name, (x, y, w, h) in truth[stem] * (2 if twice else 1):
            annotations.append(
                {
                    "id": len(annotations) + first, "image_id": image_id(k), "iscrowd": 0,
                    "category_id": ids[name], "bbox": [x, y, w, h], "area": w * h,
                }
            )  # fmt: skip
    categories = [{"id": i, "name": name} for name, i in ids.items()]
    return {"images": images, "annotations": annotations, "categories": categories}


def results(found, ids, image_ids):
    return [
        {"image_id": image_ids[stem], "category_id": ids[name], "bbox": list(box), "score": score}
        for stem in STEMS
        for name, box, score in found[stem]
    ]


def yolo(ids, objects, *, polygon=False, last=""):
    lines = []
    for name, (x, y, w, h), *score in objects:
        box = ((x + w / 2) / W, (y + h / 2) / H, w / W, h / H)
        if polygon:
            a, b, c, d = x / W, y / H, (x + w) / W, (y + h) / H
            box = (a, b, c, b, c, d, a, d)
        lines.append(" ".join(map(repr, (ids[name], *box, *score))) + last)
    return "\n".join(lines)


def voc(objects, names, origin=0):
    body = "".join(
        f"<object><name>{names[name]}</name><bndbox><xmin>{x + origin}</xmin>"
        f"<ymin>{y + origin}</ymin><xmax>{x + w}</xmax><ymax>{y + h}</ymax></bndbox></object>"
        for name, (x, y, w, h) in objects
    )
    size = f"<size><width>{W}</width><height>{H}</height></size>"
    return f"<annotation>{size}{body}</annotation>"


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_text(text, encoding="utf-8")
    return path


def dialects(root, truth, found):
    """Arguments of ``read_inputs`` by name of the dialect."""
    stems = {stem: stem for stem in STEMS}
    numbers = {stem: k for k, stem in enumerate(STEMS, 1)}

    def pair(name, ids, data, image_ids=numbers):
        folder = root / name
        return (
            write(folder / "p.json", results(found, ids, image_ids)),
            write(folder / "gt.json", data),
            {},
        )

    def folder(name, ids, texts, *, suffix=".txt", inside="labels", more=None, **settings):
        labels = root / name / "labels"
        for stem, text in texts.items():
            write(root / name / inside / f"{stem}{suffix}", text)
        for file, text in (more or {}).items():
            write(root / name / file, text)
        predictions = write(root / name / "p.json", results(found, ids, stems))
        return predictions, labels, settings

    yield "coco", pair("coco", COCO_91, coco(truth, COCO_91))
    yield "ids from 0", pair("a", OWN, coco(truth, OWN, first=0, image_id=lambda k: k + 1))
    strings = {stem: f"{k:06d}" for k, stem in enumerate(STEMS)}
    data = coco(truth, COCO_91, image_id=lambda k: f"{k:06d}")
    yield "string ids", pair("b", COCO_91, data, strings)
    floats = {name: float(i) for name, i in COCO_91.items()}
    yield "float ids", pair("c", floats, coco(truth, floats, image_id=float),
                            {stem: float(k) for k, stem in enumerate(STEMS)})  # fmt: skip
    yield "stems, labels twice", pair("d", COCO_91, coco(truth, COCO_91, twice=True), stems)
    plain = {stem: yolo(COCO_80, truth[stem]) for stem in STEMS}
    yield "yolo", folder("e", COCO_80, plain)
    own = {stem: yolo(OWN, truth[stem], last=" \r") for stem in STEMS}
    names = {"labels/classes.txt": "car\ndog\nperson\n", "labels/._00001D.txt": "\x00\x05"}
    yield "classes.txt, CRLF, Windows", folder("f", OWN, own, suffix=".TXT", more=names)
    twice = {normalize("NFD", s): "\ufeff" + yolo(OWN, truth[s] * 2) for s in STEMS}
    names = {"data.yaml": "names: {0: Car, 1: Dog, 2: People}\n"}
    yield "data.yaml, twice, NFD, BOM", folder("g", OWN, twice, inside="labels/train", more=names)
    floats = {name: float(i) for name, i in OWN.items()}
    polygons = {stem: yolo(floats, truth[stem], polygon=True) for stem in STEMS}
    names = {"labels/obj.names": "car\ndog\nperson", "labels/train.txt": "data/00001D.png\n"}
    yield "polygons, CVAT", folder("h", OWN, polygons, inside="labels/obj_train_data", more=names)
    said = {"person": "People", "car": "Car", "dog": "Dog"}
    xml = {stem: voc(truth[stem], said) for stem in STEMS}
    more = {"labels/README.txt": "# exported\n"}
    yield "voc", folder("i", COCO_80, xml, suffix=".xml", more=more)
    xml = {stem: voc(truth[stem], said, origin=1) for stem in STEMS}
    yield "voc from 1", folder("j", COCO_80, xml, suffix=".XML", box_origin=1)
    _, labels, _ = folder("k", COCO_80, plain)
    for stem in STEMS:
        write(root / f"k/exp/labels/{stem}.txt", yolo(COCO_80, found[stem]))
    yield "txt with confidence", (root / "k/exp", labels, {})
    _, labels, _ = folder("l", OWN, own)
    names = {i: name for name, i in OWN.items()}
    predictions = write(root / "l/q.json", results(found, COCO_91, stems))
    listed = {i: name for name, i in COCO_91.items()}
    yield "lists that are given", (
        predictions, labels, {"class_names": names, "prediction_names": listed}
    )  # fmt: skip


@given(data_sets())
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
def test_all_dialects_give_the_score_of_pycocotools(data):
    truth, found = data
    expected = pycocotools(truth, found)
    scores = {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "images").mkdir()
        for stem in STEMS:
            Image.fromarray(np.zeros((H, W), np.uint8)).save(root / f"images/{stem}.png")
        for name, (predictions, labels, more) in dialects(root, truth, found):
            images = root / "images" if labels.is_dir() else None
            inputs = read_inputs(predictions, labels, images=images, **more)
            scores[name] = score(inputs)
    assert len(scores) >= 8
    assert scores == {name: pytest.approx(expected, abs=1e-9) for name in scores}


def score(inputs):
    """COCO's AP over the classes that count."""
    data, counted = inputs.truth.ground_truth, set(inputs.counted)
    (mine,) = inputs.predictions.values()
    part = {
        "images": data["images"],
        "annotations": [a for a in data["annotations"] if a["category_id"] in counted],
        "categories": [c for c in data["categories"] if c["id"] in counted],
    }
    return evaluate_coco(part, mine[np.isin(mine.category_id, list(counted))]).map50_95
