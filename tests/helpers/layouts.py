"""Writes data sets in small, in the layouts in which they are downloaded."""

import json

import numpy as np
from PIL import Image

SIZE = (48, 64)  # height, width


def image(path, *, grey, size=SIZE, level=90):
    """A picture with a bright rectangle, so that both cameras differ."""
    pixels = np.full(size if grey else (*size, 3), level, np.uint8)
    pixels[size[0] // 3 : size[0] // 2, size[1] // 4 : size[1] // 2] = 230 if grey else 20
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def pair(ir, vis, **more):
    image(ir, grey=True, **more)
    image(vis, grey=False, **more)


def text(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def voc(path, *objects, size=SIZE):
    """``objects``: name and the text of their shape."""
    inner = "".join(f"<object><name>{name}</name>{shape}</object>" for name, shape in objects)
    sides = f"<size><width>{size[1]}</width><height>{size[0]}</height></size>"
    text(path, f"<annotation>{sides}{inner}</annotation>")


def box(x1, y1, x2, y2):
    sides = zip(("xmin", "ymin", "xmax", "ymax"), (x1, y1, x2, y2), strict=True)
    return "<bndbox>" + "".join(f"<{name}>{v}</{name}>" for name, v in sides) + "</bndbox>"


def polygon(*corners):
    inner = "".join(
        f"<x{i}>{x}</x{i}><y{i}>{y}</y{i}>" for i, (x, y) in enumerate(corners, start=1)
    )
    return f"<polygon>{inner}</polygon>"


def yolo(path, *rows):
    """``rows``: class, x1, y1, x2, y2 in pixels of ``SIZE``."""
    height, width = SIZE
    text(path, *(
        f"{c} {(x1 + x2) / 2 / width} {(y1 + y2) / 2 / height} {(x2 - x1) / width} "
        f"{(y2 - y1) / height}" for c, x1, y1, x2, y2 in rows
    ))  # fmt: skip


def coco(path, names, images):
    """``images``: by file name, rows of category, x, y, w, h."""
    entries, annotations = [], []
    for number, (name, rows) in enumerate(images.items()):
        entries.append({"id": number, "file_name": name, "width": SIZE[1], "height": SIZE[0]})
        annotations += [{"image_id": number, "category_id": c, "bbox": list(b)} for c, *b in rows]
    for number, annotation in enumerate(annotations, 1):
        annotation["id"] = number
    categories = [{"id": i, "name": name} for i, name in names.items()]
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"images": entries, "annotations": annotations, "categories": categories}
    path.write_text(json.dumps(content))


def llvip(root):
    for split, names in (("train", ("010001",)), ("test", ("190001", "190002"))):
        for name in names:
            pair(*(root / camera / split / f"{name}.jpg" for camera in ("infrared", "visible")))
            voc(root / "Annotations" / f"{name}.xml", ("person", box(3, 4, 20, 40)))
    return root


def m3fd(root, *, listed=True):
    for name in ("00000", "00001", "00002"):
        pair(root / "Ir" / f"{name}.png", root / "Vis" / f"{name}.png")
        voc(
            root / "Annotation" / f"{name}.xml",
            ("People", box(3, 4, 10, 30)),
            ("Lamp", box(30, 1, 40, 9)),
            ("Motorcycle", box(20, 20, 50, 40)),
        )
    if listed:
        text(root / "meta" / "train.txt", "00000.png", "00002.png")
        text(root / "meta" / "val.txt", "00001.png")
    return root


def flir_aligned(root):
    for name in ("FLIR_00001", "FLIR_08864", "FLIR_08865"):
        images = root / "JPEGImages"
        pair(images / f"{name}_PreviewData.jpeg", images / f"{name}_RGB.jpg")
        voc(root / "Annotations" / f"{name}_PreviewData.xml", ("bicycle", box(5, 6, 25, 26)))
    text(root / "align_train.txt", "FLIR_00001_PreviewData")
    text(root / "align_validation.txt", "FLIR_08864_PreviewData", "FLIR_08865_PreviewData")
    return root


def flir_v2(root):
    names = {1: "person", 3: "car", 10: "light"}
    rgb, thermal = "video-abc-frame-{:06d}-r{}.jpg", "video-xyz-frame-{:06d}-t{}.jpg"
    mapping = {rgb.format(i, i): thermal.format(i + 5, i) for i in range(3)}
    for seen, warm in mapping.items():
        pair(root / "video_thermal_test/data" / warm, root / "video_rgb_test/data" / seen)
    for camera, files in (("rgb", mapping.keys()), ("thermal", mapping.values())):
        x = 2 if camera == "rgb" else 12
        rows = [(1, x, 3, 10, 20), (3, x, 30, 20, 10), (10, 40, 1, 5, 5)]
        coco(root / f"video_{camera}_test/coco.json", names, {f"data/{f}": rows for f in files})
    (root / "rgb_to_thermal_vid_map.json").write_text(json.dumps(mapping))
    for camera, grey in (("thermal", True), ("rgb", False)):
        folder = root / f"images_{camera}_val"
        image(folder / "data" / f"video-{camera}-frame-000000-q.jpg", grey=grey)
        coco(folder / "coco.json", names, {f"data/video-{camera}-frame-000000-q.jpg": []})
    return root


KAIST_FRAME = (512, 640)
PERSON = "person 100 100 30 60 0 0 0 0 0 0 0"
HEAVY = "person 200 100 30 60 2 0 0 0 0 0 0"
SMALL = "person 300 100 25 54 0 0 0 0 0 0 0"
PARTIAL = "person 400 100 25 55 1 0 0 0 0 0 0"
AT_THE_EDGE = "person 4 100 30 60 0 0 0 0 0 0 0"
CROWD = "people 500 100 60 60 0 0 0 0 0 0 0"


def kaist(root):
    for folder, frames in (("set00/V000", (1, 19, 39)), ("set06/V001", (0, 19, 20, 39)),
                           ("set09/V000", (59,))):  # fmt: skip
        for frame in frames:
            video = root / "images" / folder
            name = f"I{frame:05d}"
            pair(video / "lwir" / f"{name}.png", video / "visible" / f"{name}.png",
                 size=KAIST_FRAME)  # fmt: skip
            lines = (PERSON, HEAVY, SMALL, PARTIAL, AT_THE_EDGE, CROWD)
            text(root / "annotations" / folder / f"{name}.txt", "% bbGt version=3", *lines)
    return root


DRONE_FRAME = (712, 840)


def dronevehicle(root, *, size=DRONE_FRAME):
    for name in ("00001", "00002"):
        val = root / "val"
        pair(val / "valimgr" / f"{name}.jpg", val / "valimg" / f"{name}.jpg", size=size)
        turned = polygon((130, 110), (150, 120), (140, 140), (120, 130))
        voc(val / "vallabelr" / f"{name}.xml", ("car", turned), ("truvk", box(300, 300, 350, 340)),
            ("feright car", box(400, 300, 450, 340)), ("feright_car", box(400, 400, 450, 440)),
            ("car", box(2, 2, 90, 95)), ("car", box(700, 200, 780, 220)), ("*", turned),
            ("", turned), ("van", "<pose>Unspecified</pose>"), size=size)  # fmt: skip
        voc(val / "vallabel" / f"{name}.xml", ("bus", box(110, 110, 130, 140)), size=size)
    return root


def vtuav(root):
    for sequence, first in (("test_ST_001/pedestrian_002", 0), ("test_ST_001/car_010", 7)):
        folder = root / "test_ST" / sequence
        for frame in range(first, first + 21):
            pair(folder / "ir" / f"{frame:06d}.jpg", folder / "rgb" / f"{frame:06d}.jpg")
        text(folder / "rgb.txt", "1 2 10 20", "0 0 0 0", "3,4,10,20")
        text(folder / "ir.txt", "2 2 10 20", "5 6 7 8", "4 4 10 20")
    return root


def mfnet(root):
    for name in ("00001D", "00002N"):
        pixels = np.full((*SIZE, 4), 90, np.uint8)
        pixels[:, :, 3] = 40
        pixels[4:9, 4:9] = (1, 2, 3, 200)
        (root / "images").mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels, "RGBA").save(root / "images" / f"{name}.png")
        image(root / "labels" / f"{name}.png", grey=True)
    text(root / "train.txt", "00002N")
    text(root / "test.txt", "00001D")
    return root


def split_folders(root, ir, vis, labels=None):
    """MSRS's layout in a spelling."""
    for split, names in (("train", ("00001D",)), ("test", ("00002N", "00003D"))):
        for name in names:
            pair(root / split / ir / f"{name}.png", root / split / vis / f"{name}.png")
            if labels is not None:
                yolo(root / split / labels / f"{name}.txt", (2, 8, 8, 24, 24))
    return root


def yolo_rgbt(root, form, *, names=("car", "person"), file=True):
    """``form``: where a visible image of a split lies, as a template."""
    for split, stems in (("train", ("a",)), ("val", ("b", "c"))):
        for stem in stems:
            for camera, x in (("visible", 4), ("infrared", 6)):
                path = root / form.format(camera=camera, split=split)
                image(path / f"{stem}.png", grey=camera == "infrared")
                labels = "labels".join(path.relative_to(root).as_posix().rsplit("images", 1))
                yolo(root / labels / f"{stem}.txt", (0, x, 8, 24, 24), (1, 32, 8, 40, 24))
    if file:
        lines = [f"{s}: {form.format(camera='visible', split=s)}" for s in ("train", "val")]
        text(root / "data.yaml", *lines, f"nc: {len(names)}", f"names: {list(names)}")
    return root
