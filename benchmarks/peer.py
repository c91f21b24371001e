"""What people run today: `python benchmarks/peer.py val|predict|loop WEIGHTS DATA OUT`.

Each is a whole process of `benchmarks/peers.py`, written as ultralytics' and OpenCV's manuals show
it, with their own settings; only the thresholds are given. `val` and `predict` read a folder's
`data.yaml` and `images/`, `loop` its `ir.mp4` and `vis.mp4`. OUT is a new folder, for
`detections.json`: by image, rows of x1, y1, x2, y2, score, class.
"""

import json
import os
import sys
from pathlib import Path

# no network, nothing installed, nothing in the home folder
os.environ["YOLO_OFFLINE"], os.environ["YOLO_AUTOINSTALL"] = "true", "false"
os.environ["YOLO_CONFIG_DIR"] = sys.argv[3]

import cv2  # noqa: E402
import numpy as np  # noqa: E402
from ultralytics import settings  # noqa: E402
from ultralytics.models import YOLO  # noqa: E402

CONF, IOU = 0.001, 0.7
settings.update({"sync": False})


def val(weights, data, out):
    """The set's scores; NMS and letterbox as `val` has them."""
    # images are loaded in this process, which on two cores is faster than by others
    metrics = YOLO(weights).val(
        data=data / "data.yaml", batch=4, conf=CONF, iou=IOU, save_json=True, plots=False,
        device="cpu", workers=0, verbose=False, project=out, name="val",
    )  # fmt: skip
    found = {}
    for item in json.loads((Path(metrics.save_dir) / "predictions.json").read_text()):
        x, y, width, height = item["bbox"]
        class_id = item["category_id"] - 1  # the file counts them from 1
        row = [x, y, x + width, y + height, item["score"], class_id]
        found.setdefault(Path(item["file_name"]).stem, []).append(row)
    return found


def predict(weights, data, out):
    """The detections in a folder of images."""
    results = YOLO(weights).predict(
        data / "images", conf=CONF, iou=IOU, device="cpu", stream=True, verbose=False
    )
    return {Path(result.path).stem: result.boxes.data.tolist() for result in results}


def loop(weights, data, out):
    """Mean of the luminances, detect and draw, frame by frame."""
    detector = YOLO(weights)
    ir, vis = (cv2.VideoCapture(str(data / name)) for name in ("ir.mp4", "vis.mp4"))
    size = int(vis.get(cv2.CAP_PROP_FRAME_WIDTH)), int(vis.get(cv2.CAP_PROP_FRAME_HEIGHT))
    code = cv2.VideoWriter.fourcc(*"mp4v")
    video = cv2.VideoWriter(str(out / "fused.mp4"), code, vis.get(cv2.CAP_PROP_FPS), size)
    found = {}
    while True:
        (has_ir, ir_frame), (has_vis, vis_frame) = ir.read(), vis.read()
        if not (has_ir and has_vis):
            break
        fused = cv2.cvtColor(vis_frame, cv2.COLOR_BGR2YCrCb)
        grey = cv2.cvtColor(ir_frame, cv2.COLOR_BGR2GRAY)
        fused[..., 0] = (fused[..., 0].astype(np.uint16) + grey) // 2
        fused = cv2.cvtColor(fused, cv2.COLOR_YCrCb2BGR)
        (result,) = detector.predict(fused, conf=CONF, iou=IOU, device="cpu", verbose=False)
        video.write(result.plot())
        found[str(len(found))] = result.boxes.data.tolist()
    video.release()
    return found


if __name__ == "__main__":
    _, program, weights, data, out = sys.argv
    Path(out).mkdir(parents=True)
    found = {"val": val, "predict": predict, "loop": loop}[program](weights, Path(data), Path(out))
    (Path(out) / "detections.json").write_text(json.dumps(found))
