"""Packs all inputs of a training into one small folder; run by `tools/gpu_pack.sh`.

    python tools/gpu_pack.py CONFIG FOLDER QUALITY [key=value ...]

The folder then has `config.yaml`, the training configuration CONFIG changed to read nothing outside
the folder and the checkout: the pairs of its sources, scaled as in training, in lossy WebP; the
detections in the originals; the scored sets and the sheet's pairs, lossless; the detectors'
weights. Generated streets are drawn again on the other machine, and weights that ship with the
project are not packed.

Effect of lossy compression: on the dev set the mean of the pair scores .761 / .500 by YOLOv5s,
.762 / .499 in WebP of quality 92, .758 / .494 of 85, .749 / .487 of 75 and .717 / .468 of 60.
"""

import argparse
import shutil
from pathlib import Path

import numpy as np
import torch
import yaml
from PIL import Image

from common.errors import ConfigError
from detection import weights
from pipeline.images import list_images, read_image, to_rgb
from training import config, targets
from training.pairs import open_sources
from training.source_config import FilesConfig

SETS = ("ir", "vi")  # image folders of a set in MSRS's layout
ABOUT = "# Made by tools/gpu_pack.sh of {}; tools/gpu.sh trains by it.\n"


def pack(path, overrides, folder, quality):
    """Write the folder, replacing an earlier one."""
    checked = config.load(path, overrides)
    sources = open_sources(checked)  # checks for held-out pairs, which are not packed
    if folder.exists():
        if not (folder / "config.yaml").is_file() and any(folder.iterdir()):
            raise ConfigError(f"{folder} was not made by this program; name another folder")
        shutil.rmtree(folder)
    settings = checked.dump()
    for name, source in checked.sources.items():
        if isinstance(source, FilesConfig):
            target = folder / "sources" / name
            write_pairs(sources[name], target, quality)
            kept = {"kind": "files", "weight": source.weight, "detector": source.detector}
            packed = {part.name: str(part) for part in target.iterdir()}
            settings["data"]["sources"][name] = kept | packed | {"stems_are_ids": True}
    settings["data"] |= {"held_out": {}, "cache": str(folder / "cache")}
    pack_targets(checked, sources, folder / "cache")
    for name, detector in checked.detectors.items():
        settings["detectors"][name]["weights"] = pack_weights(detector.weights, folder)
    pack_sets(checked, settings, folder)
    text = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
    (folder / "config.yaml").write_text(ABOUT.format(path) + text, encoding="utf-8")


def write_pairs(pairs, folder, quality):
    """Write the decoded pairs of a source as images named by their ids, and their labels."""
    for name in ("ir", "vis"):
        (folder / name).mkdir(parents=True)
    for index, (stem, truth) in enumerate(zip(pairs.ids, pairs.truth, strict=True)):
        planes = np.array(pairs[index])  # [H, W, 4]
        for name, image in (("ir", planes[..., 3]), ("vis", planes[..., :3])):
            path = folder / name / f"{stem}.webp"
            Image.fromarray(np.ascontiguousarray(image)).save(path, quality=quality, method=6)
        if truth is not None:
            (folder / "labels").mkdir(exist_ok=True)
            text = yolo_lines(truth, planes.shape[:2])
            (folder / "labels" / f"{stem}.txt").write_text(text, encoding="ascii")


def pack_targets(checked, sources, folder):
    """Copy the detections in the original images; lossy copies would have fewer."""
    folder.mkdir(parents=True)
    for name, source in checked.sources.items():
        if source.detector is not None and not sources[name].complete:
            detector, cache = checked.detectors[source.detector], checked.data.cache
            targets.of_source(sources[name], detector, cache, torch.device("cpu"))
            path = targets.cache_file(detector, cache)
            shutil.copyfile(path, folder / path.name)


def yolo_lines(truth, size):
    """Labels in YOLO format: one line per object, class, centre and size relative to the image."""
    low, high = truth.xyxy[:, :2], truth.xyxy[:, 2:]
    shares = np.hstack(((low + high) / 2, high - low)) / np.tile(size[::-1], 2)
    rows = zip(truth.class_id, shares, strict=True)
    return "".join(f"{c} {' '.join(f'{v:.8f}' for v in row)}\n" for c, row in rows)


def pack_weights(name, folder):
    """Copy a detector's weights unless they ship; return their name for the configuration."""
    path = weights.resolve(name)
    if path.parent == weights.SHIPPED:
        return name
    target = folder / "weights" / path.name
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(path, target)
    return str(target)


def pack_sets(checked, settings, folder):
    """Copy the scored sets in MSRS's layout, and change the sheet's paths to the copies."""
    moved, originals = {}, jpegs(checked)
    for name, component in checked.scored.items():
        if component.kind != "msrs":
            continue
        root, target = component.config.root, folder / "sets" / name
        for modality in SETS:
            (target / modality).mkdir(parents=True)
            for path in list_images(root / modality).values():
                copy_lossless(path, target / modality, originals)
            moved[str(root / modality)] = str(target / modality)
        for extra in ("labels", "ignore.json"):
            copy = shutil.copytree if (root / extra).is_dir() else shutil.copyfile
            if (root / extra).exists():
                copy(root / extra, target / extra)
        settings["scores"]["sets"][name]["root"] = str(target)
    if checked.sheet is not None:
        folders = {name: moved.get(settings["sheet"][name]) for name in ("ir", "vis")}
        settings["sheet"] = settings["sheet"] | folders if all(folders.values()) else None


def jpegs(checked):
    """The JPEG files of the sources' folders."""
    sources = [s for s in checked.sources.values() if isinstance(s, FilesConfig)]
    files = [path for s in sources for folder in (s.ir, s.vis) for path in folder.iterdir()]
    return [path for path in files if path.suffix.lower() in (".jpg", ".jpeg")]


def copy_lossless(path, folder, originals):
    """Copy an image with the same pixels in fewer bytes if possible.

    The dev set's images are decoded JPEGs, and their stems end with the JPEGs' stems. A JPEG has a
    fifth of the size of lossless WebP. Grey and grey stored as RGB count as equal.
    """
    image = read_image(path)
    for original in originals:
        if path.stem.endswith(original.stem) and np.array_equal(
            to_rgb(read_image(original)), to_rgb(image)
        ):
            shutil.copyfile(original, folder / f"{path.stem}{original.suffix}")
            return
    if image.dtype == np.uint16:
        shutil.copyfile(path, folder / path.name)
        return
    Image.fromarray(image).save(folder / f"{path.stem}.webp", lossless=True, quality=100, method=6)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("quality", type=int, help="of lossy WebP, 0 to 100")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    given = parser.parse_args()
    pack(given.config, given.overrides, given.folder, given.quality)


if __name__ == "__main__":
    main()
