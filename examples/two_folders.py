"""Writes 48 generated pairs with labels to drive/ir, drive/vi and drive/labels."""

from pathlib import Path

from PIL import Image

import irvis

folders = {name: Path("drive", name) for name in ("ir", "vi", "labels")}
for folder in folders.values():
    folder.mkdir(parents=True, exist_ok=True)
with irvis.source("scenes", frames=48, clip=48, time="afternoon_to_night") as source:
    for pair in source:
        name, (height, width) = pair.key[:6], pair.vis.size
        Image.fromarray(pair.ir.image).save(folders["ir"] / f"{name}.png")
        Image.fromarray(pair.vis.image).save(folders["vi"] / f"{name}.png")
        labels = source.labels(pair.key, pair.vis.size)
        lines = [
            f"{class_id} {(left + right) / 2 / width:.6f} {(top + bottom) / 2 / height:.6f} "
            f"{(right - left) / width:.6f} {(bottom - top) / height:.6f}\n"
            for class_id, (left, top, right, bottom) in zip(
                labels.class_id, labels.xyxy, strict=True
            )
        ]
        (folders["labels"] / f"{name}.txt").write_text("".join(lines))
