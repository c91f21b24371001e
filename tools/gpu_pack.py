"""Packs what a training reads, small, into one folder: `tools/gpu_pack.sh` runs it.

    python tools/gpu_pack.py CONFIG FOLDER QUALITY [key=value ...]

The folder then holds `config.yaml`, a training configuration as CONFIG that reads nothing outside
the folder and the checkout: the pairs of its sources, scaled as they are trained on, in lossy WebP;
what the detectors find in the originals; the sets that are scored and the sheet's pairs, lossless;
the detectors' weights. Generated streets
are generated again there, and weights that ship with the project stay where they are.

What lossy costs: on the dev set the mean of the pair scores .761 / .500 by YOLOv5s, .762 / .499 in
WebP of quality 92, .758 / .494 of 85, .749 / .487 of 75 and .717 / .468 of 60.
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

SETS = ("ir", "vi")  # folders of images of a set in MSRS's layout
ABOUT = "# Made by tools/gpu_pack.sh of {}; tools/gpu.sh trains by it.\n"


def pack(path, overrides, folder, quality):
    """Write the folder anew."""
    checked = config.load(path, overrides)
    sources = open_sources(checked)  # refuses pairs that are held out; their folders stay here
    if folder.exists():
        if not (folder / "config.yaml").is_file() and any(folder.iterdir()):
            raise ConfigError(f"{folder} was not made by this program; name another folder")
        shutil.rmtree(folder)
    settings = checked.dump()
    for name, source in checked.sources.items():
        if isinstance(source, FilesConfig):
            where = folder / "sources" / name
            write_pairs(sources[name], where, quality)
            kept = {"kind": "files", "weight": source.weight, "detector": source.detector}
            packed = {part.name: str(part) for part in where.iterdir()}
            settings["data"]["sources"][name] = kept | packed | {"stems_are_ids": True}
    settings["data"] |= {"held_out": {}, "cache": str(folder / "cache")}
    pack_targets(checked, sources, folder / "cache")
    for name, judge in checked.detectors.items():
        settings["detectors"][name]["weights"] = carried(judge.weights, folder)
    pack_sets(checked, settings, folder)
    text = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
    (folder / "config.yaml").write_text(ABOUT.format(path) + text, encoding="utf-8")


def write_pairs(pairs, folder, quality):
    """The decoded pairs of a source as images named by their ids, and their labels."""
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
    """Copy what the detectors find in the originals: of lossy copies they find less."""
    folder.mkdir(parents=True)
    for name, source in checked.sources.items():
        if source.detector is not None and not sources[name].complete:
            judge, cache = checked.detectors[source.detector], checked.data.cache
            targets.of_source(sources[name], judge, cache, torch.device("cpu"))
            path = targets.cache_file(judge, cache)
            shutil.copyfile(path, folder / path.name)


def yolo_lines(truth, size):
    """Labels as YOLO has them: class, centre and size as shares of the image, a line each."""
    low, high = truth.xyxy[:, :2], truth.xyxy[:, 2:]
    shares = np.hstack(((low + high) / 2, high - low)) / np.tile(size[::-1], 2)
    rows = zip(truth.class_id, shares, strict=True)
    return "".join(f"{c} {' '.join(f'{v:.8f}' for v in row)}\n" for c, row in rows)


def carried(name, folder):
    """What the configuration is to call a detector's weights there."""
    path = weights.resolve(name)
    if path.parent == weights.SHIPPED:
        return name
    target = folder / "weights" / path.name
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(path, target)
    return str(target)


def pack_sets(checked, settings, folder):
    """Copy the sets of MSRS's layout that are scored, and point the sheet to them."""
    moved, originals = {}, jpegs(checked)
    for name, component in checked.scored.items():
        if component.kind != "msrs":
            continue
        root, target = component.config.root, folder / "sets" / name
        for side in SETS:
            (target / side).mkdir(parents=True)
            for path in list_images(root / side).values():
                copy_lossless(path, target / side, originals)
            moved[str(root / side)] = str(target / side)
        for extra in ("labels", "ignore.json"):
            copy = shutil.copytree if (root / extra).is_dir() else shutil.copyfile
            if (root / extra).exists():
                copy(root / extra, target / extra)
        settings["scores"]["sets"][name]["root"] = str(target)
    if checked.sheet is not None:
        folders = {side: moved.get(settings["sheet"][side]) for side in ("ir", "vis")}
        settings["sheet"] = settings["sheet"] | folders if all(folders.values()) else None


def jpegs(checked):
    """The JPEG files of the sources' folders."""
    sources = [s for s in checked.sources.values() if isinstance(s, FilesConfig)]
    files = [path for s in sources for side in (s.ir, s.vis) for path in side.iterdir()]
    return [path for path in files if path.suffix.lower() in (".jpg", ".jpeg")]


def copy_lossless(path, folder, originals):
    """Copy an image, if it can be with the same pixels in fewer bytes.

    The dev set's images are decoded JPEGs, whose stems theirs end with; those files are a fifth of
    the size that lossless WebP has. Grey in colour is the same pixels.
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
