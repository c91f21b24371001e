"""The inputs of ``fuzz.py``: good ones with a few changes, given to what a command would."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from fuzz_changes import SECRET, TEXTS, VALUES, changed_bytes, changed_value, some_json
from fuzz_runs import partial_runs, run_folders
from PIL import Image

from common.errors import LONGEST, IrvisError

ROOT = Path(__file__).resolve().parents[1]

Case = Callable[[random.Random, Path], None]


def check_message(error: IrvisError) -> None:
    """Raise an AssertionError where a message is none for a user."""
    text = str(error)
    assert "\n" not in text, f"more than a line: {text!r}"
    assert len(text) <= LONGEST, f"{len(text)} characters"
    assert f"{SECRET}@" not in text, f"shows a password: {text}"  # without @ it is a host's port


# --- kinds: each makes an input and gives it to what reads it


def configurations(rng: random.Random, here: Path) -> None:
    """A configuration file of the repository, changed, with changed overrides."""
    from pipeline.config import config
    from training import config as training_config

    path = rng.choice(sorted((ROOT / "configs").glob("*.yaml")))
    data = path.read_bytes()
    settings = yaml.safe_load(data)
    if rng.random() < 0.6:
        for _ in range(rng.choice((1, 2, 4))):
            settings = changed_value(rng, settings)
        data = yaml.safe_dump(settings, allow_unicode=rng.random() < 0.5).encode(
            errors="backslashreplace"
        )
    if rng.random() < 0.5:
        data = changed_bytes(rng, data)
    (here / "c.yaml").write_bytes(data)
    keys = ["source.kind", "arms.a.kind", "run", "source.ir", "sinks.x.kind", "perturb", "compute"]
    keys += ["detector.conf", "evaluation.classes", "run.dir", "schedule.steps", "", "."]
    overrides = [
        f"{rng.choice(keys)}={rng.choice([*TEXTS, *map(str, VALUES)])}"
        for _ in range(rng.choice((0, 0, 1, 3)))
    ]
    load = training_config.load if "train" in path.name else config.load
    load(here / "c.yaml", overrides).dump()


def labels(rng: random.Random, here: Path) -> None:
    """A file of YOLO, VOC or COCO labels, read as `run` reads it."""
    from eval.class_names import COCO_NAMES
    from eval.labels import LabelSet

    kind = rng.randrange(3)
    folder = here / "labels"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    if kind == 0:
        rows = b"0 0.5 0.5 0.25 0.25\n2 0.1 0.9 0.1 0.1\n\n" * rng.choice((0, 1, 3))
        (folder / "a.txt").write_bytes(changed_bytes(rng, rows))
    elif kind == 1:
        box = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>9</xmax><ymax>8</ymax></bndbox>"
        encoding = rng.choice(["utf-8", "GBK", "utf-16", "klingon", "hex", "latin-1"])
        text = (
            f'<?xml version="1.0" encoding="{encoding}"?><annotation><size><width>64</width>'
            f"<height>48</height></size><object><name>person</name><difficult>0</difficult>{box}"
            f"</object><object><name>car</name>{box}</object></annotation>"
        )
        (folder / "a.xml").write_bytes(changed_bytes(rng, text.encode()))
    else:
        (here / "a.json").write_bytes(some_json(rng, _coco()))
        folder = here / "a.json"
    found = LabelSet.open(folder, names=COCO_NAMES)
    for key in ("a", "b"):
        found.get(key, (48, 64))


def _coco() -> dict[str, Any]:
    return {
        "images": [
            {"id": i, "file_name": f"{key}.png", "width": 64, "height": 48, "key": key}
            for i, key in enumerate("ab", 1)
        ],
        "categories": [{"id": 0, "name": "person"}, {"id": 2, "name": "car"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 0, "bbox": [1, 2, 9, 8], "iscrowd": 0},
            {"id": 2, "image_id": 2, "category_id": 2, "bbox": [5, 5, 20, 9], "iscrowd": 1},
        ],
    }  # fmt: skip


def predictions(rng: random.Random, here: Path) -> None:
    """COCO predictions on a ground truth, one of them changed, scored as `evaluate` does."""
    from eval.coco_files import read_ground_truth, read_predictions
    from eval.evaluation import evaluate_arm

    found = [
        {"image_id": 1 + i % 2, "category_id": 2 * (i % 2), "bbox": [i, 2, 9, 8], "score": i / 9}
        for i in range(8)
    ]
    truth: bytes = json.dumps(_coco()).encode()
    data: bytes = json.dumps(found).encode()
    if rng.random() < 0.5:
        truth = some_json(rng, _coco())
    else:
        data = some_json(rng, found)
    (here / "t.json").write_bytes(truth)
    (here / "p.json").write_bytes(data)
    known = read_ground_truth(here / "t.json")
    evaluate_arm(known, read_predictions(here / "p.json", known), None)


def calibrations(rng: random.Random, here: Path) -> None:
    """A calibration file."""
    from pipeline.geometry.registration import Register, read

    content = {
        "schema": 1, "ir_size": [48, 64], "vis_size": [48, 64],
        "homography": [[1.0, 0.01, 2.0], [0.0, 1.1, -1.0], [0.0, 0.0, 1.0]],
    }  # fmt: skip
    (here / "c.json").write_bytes(some_json(rng, content))
    Register(read(here / "c.json"))


def times(rng: random.Random, here: Path) -> None:
    """A CSV file of frames' times."""
    from pipeline.sources._timestamps import image_times, video_times

    rows = "".join(f"{i},{i * 40_000_000}\n" for i in range(5))
    named = rng.random() < 0.5
    text = ("name" if named else "frame") + ",time_ns\n" + rows
    (here / "t.csv").write_bytes(changed_bytes(rng, text.encode()))
    (image_times if named else video_times)(here / "t.csv")


def images(rng: random.Random, here: Path) -> None:
    """An image file of any format, under any suffix."""
    from pipeline.images import read_image

    pixels = np.random.default_rng(rng.randrange(4)).integers(0, 256, (12, 16, 3), np.uint8)
    picture = Image.fromarray(pixels)
    formats = ["PNG", "JPEG", "BMP", "TIFF", "WEBP", "PPM", "GIF", "DDS", "BLP", "ICO", "TGA"]
    name = rng.choice(formats)
    path = here / f"a.{rng.choice(['png', 'jpg', 'tif', 'webp', 'bmp'])}"
    if name in ("BLP",):
        picture = picture.convert("P")
    elif rng.random() < 0.3 and name in ("PNG", "TIFF"):
        picture = Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 200)
    exif = Image.Exif()
    exif[0x0112] = rng.randrange(10)
    with path.open("wb") as file:
        picture.save(file, name, **({"exif": exif} if name in ("PNG", "JPEG", "WEBP") else {}))
    path.write_bytes(changed_bytes(rng, path.read_bytes()))
    read_image(path)


def videos(rng: random.Random, here: Path) -> None:
    """A small recording."""
    import av

    from pipeline.config import config

    good = here.parent / "good.mp4"
    if not good.exists():
        with av.open(str(good), "w") as container:
            stream = container.add_stream("mpeg4", rate=10)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for i in range(6):
                frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 30 * i, np.uint8), "rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    path = here / "v.mp4"
    path.write_bytes(changed_bytes(rng, good.read_bytes()))
    settings = {
        "source": {"kind": "video", "ir": str(path), "vis": str(good)},
        "arms": {"average": {"kind": "average"}},
    }
    checked = config.check(settings)
    with checked.source.module.build(checked.source.config, {}) as source:
        for _ in source:
            pass


def checkpoints(rng: random.Random, here: Path) -> None:
    """Weights of a fuser or a detector as torch or safetensors write them."""
    import torch
    from safetensors.torch import save_file

    from detection.detectors import yolov5
    from fusion.network import checkpoint

    names = {"names": json.dumps({"0": "a"}), "model": "yolov5n.yaml"}
    state = {"a.weight": torch.zeros(3, 4), "a.bias": torch.zeros(3).half()}
    path = here / rng.choice(["a.pt", "a.safetensors"])
    if path.suffix == ".pt":
        torch.save(rng.choice([state, {"model": torch.nn.Linear(3, 4)}]), path)
    else:
        save_file(state, path, names)
    path.write_bytes(changed_bytes(rng, path.read_bytes()))
    try:
        checkpoint.read(path)
    except IrvisError as error:
        check_message(error)
    yolov5.load_network(path)


KINDS: dict[str, Case] = {
    case.__name__: case
    for case in (
        configurations, labels, predictions, calibrations, times, images, videos, run_folders,
        partial_runs, checkpoints,
    )
}  # fmt: skip
