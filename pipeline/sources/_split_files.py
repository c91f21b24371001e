"""The pairs of a layout's split, and where their labels are."""

import fnmatch
import re
from collections.abc import Collection, Mapping
from pathlib import Path

from common.errors import DataError, cut
from common.modality import CAMERA, MODALITIES, Modality
from eval.system_files import is_system_file
from pipeline.images import list_images
from pipeline.sources import _pairing_by_name
from pipeline.sources._layout import Layout, Parts, find, shown_template
from pipeline.sources._lists import Lookup, pair_map, rows

_MOST = 0.1  # share of images without partner; more is a data set that is there in part
_LABELS = (".txt", ".xml", ".json")


def by_folders(layout: Layout, root: Path, split: str | None, every: int | None) -> Parts:
    """The parts of a layout with one folder for each camera.

    Args:
        layout: The layout, of the form ``folders``.
        root: Its folder.
        split: The split; None for the first that is there.
        every: Instead of the layout's own ``every``.

    Raises:
        DataError: A folder, a list or many images are missing; the text says which.
    """
    split = _split(layout, root, split)
    ir, vis = (_folder(layout, root, split, camera) for camera in ("ir", "vis"))
    if layout.four_channels:
        images = list_images(ir)
        all_ir, all_vis, names = images, images, {key: (key,) for key in images}
        called: dict[Modality, Mapping[str, tuple[str, ...]]] = {"ir": names, "vis": names}
    elif layout.pairs and (mapping := _mapping(root, layout.pairs, ir, vis)):
        all_ir, all_vis = ({key: each[i] for key, each in mapping.items()} for i in (0, 1))
        called = {
            "ir": {key: (path.stem,) for key, path in all_ir.items()},
            "vis": {key: (path.stem,) for key, path in all_vis.items()},
        }
    else:
        files = _by_name(layout, ir, vis, split)
        all_ir, all_vis = dict(files.ir), dict(files.vis)
        shared = len(layout.labels) == len(MODALITIES)
        called = {camera: files.names(camera, shared=shared) for camera in MODALITIES}
    keys = _chosen(layout, root, split, every, {**all_ir, **all_vis}, called)
    all_ir = {key: path for key, path in all_ir.items() if key in keys}
    all_vis = {key: path for key, path in all_vis.items() if key in keys}
    check_whole(layout.title, all_ir, all_vis)
    labels = {
        camera: path
        for camera, templates in layout.labels.items()
        if (path := find(root, templates, split)) is not None and _has_labels(path)
    }
    called = {camera: {key: of[key] for key in of if key in keys} for camera, of in called.items()}
    return Parts(all_ir, all_vis, labels, called)


def check_whole(title: str, ir: Mapping[str, Path], vis: Mapping[str, Path]) -> None:
    """Refuse images of which many have no partner.

    Raises:
        DataError: More than a tenth have none.
    """
    keys = {**ir, **vis}
    for camera, mine, others in (("infrared", ir, vis), ("visible", vis, ir)):
        alone = [key for key in others if key not in mine]
        if len(alone) > _MOST * len(keys):
            raise DataError(
                f"{title}: {len(alone)} of {len(keys)} pairs have no {camera} image, the first "
                f"{others[alone[0]]}; unpack the {camera} images once more"
            )


def _split(layout: Layout, root: Path, split: str | None) -> str:
    """The split that is taken; empty where the data set isn't divided.

    Raises:
        DataError: It isn't there.
    """
    there = [name for name in layout.splits if _is_there(layout, root, name)]
    if split is None:
        return there[0] if there else ""
    if split not in there and (split in layout.splits or not _is_there(layout, root, split)):
        raise DataError(
            f"source.split: {layout.title} in {root} has no part {cut(split)!r}; it has "
            f"{', '.join(there) or 'none: leave source.split out'}"
        )
    return split


def _is_there(layout: Layout, root: Path, split: str) -> bool:
    if layout.chosen:
        return split in layout.chosen
    divided = [t for t in (*layout.ir, *layout.vis, *layout.listed) if "{split}" in t]
    return find(root, tuple(divided), split) is not None


def _folder(layout: Layout, root: Path, split: str, camera: Modality) -> Path:
    templates = layout.ir if camera == "ir" else layout.vis
    found = find(root, templates, split)
    if found is None or not found.is_dir():
        raise DataError(
            f"{layout.title}: {root} has no folder {shown_template(templates, split)}, the "
            f"{CAMERA[camera]} images; unpack them there, or set source.root to the folder that "
            "has them"
        )
    return found


def _by_name(layout: Layout, ir: Path, vis: Path, split: str) -> _pairing_by_name.Files:
    try:
        return _pairing_by_name.find(ir, vis, layout.names)
    except DataError as error:
        if not layout.pairs:
            raise DataError(f"{layout.title}: {error}") from error
        raise DataError(
            f"{layout.title}: the images of the part {split!r} aren't pairs: no name is in both "
            f"{ir} and {vis}, and {layout.pairs} has none of them or isn't there; unpack that and "
            "choose source.split=test, or list yours: source.kind=image_folder "
            "source.names.pairs=FILE"
        ) from error


def _mapping(root: Path, name: str, ir: Path, vis: Path) -> dict[str, tuple[Path, Path]]:
    """Infrared and visible image by the visible one's stem; empty where none is of this folder.

    The archive has the file beside its folder.

    Raises:
        DataError: The file is wrong.
    """
    path = next((each for each in (root / name, root.parent / name) if each.is_file()), None)
    if path is None:
        return {}
    pairs = {Path(seen).stem: (ir / warm, vis / seen) for seen, warm in pair_map(path).items()}
    there = {key: pair for key, pair in pairs.items() if pair[0].is_file() or pair[1].is_file()}
    if not there:
        return {}
    for index, camera in enumerate(("infrared", "visible")):
        missing = [pair[index] for pair in pairs.values() if not pair[index].is_file()]
        if missing:
            raise DataError(
                f"{path}: {len(missing)} of its {len(pairs)} {camera} images are not there, the "
                f"first {missing[0]}; unpack them once more"
            )
    return pairs


def _chosen(
    layout: Layout,
    root: Path,
    split: str,
    every: int | None,
    images: Mapping[str, Path],
    called: Mapping[Modality, Mapping[str, tuple[str, ...]]],
) -> Collection[str]:
    """The keys of the split.

    Raises:
        DataError: A list names images that aren't there, or no key is left.
    """
    keys: list[str] = list(images)
    if split in layout.chosen:
        patterns = layout.chosen[split]
        keys = [key for key in keys if any(fnmatch.fnmatchcase(key, each) for each in patterns)]
    if split and layout.listed and (path := find(root, layout.listed, split)) is not None:
        keys = _listed(layout, path, images, called)
    step = layout.every if every is None else every
    if step > 1:
        keys = [key for key in keys if (_number(key) + 1) % step == 0]
    if not keys:
        what = (
            f"every {step}. frame of its videos is taken (source.every), and " if step > 1 else ""
        )
        raise DataError(
            f"{layout.title}: {root} has no pair of the part {split!r}: {what}the first image is "
            f"{next(iter(images))}; unpack more of it, or choose another source.split"
        )
    return frozenset(keys)


def _listed(
    layout: Layout,
    path: Path,
    images: Mapping[str, Path],
    called: Mapping[Modality, Mapping[str, tuple[str, ...]]],
) -> list[str]:
    """The keys of a list, one image a line."""
    names = {
        key: tuple(dict.fromkeys((key, *(n for of in called.values() for n in of.get(key, ())))))
        for key in images
    }
    lookup = Lookup(names)
    keys, missing = [], []
    for number, cells in rows(path):
        try:
            keys.append(lookup.one(cells[0], f"{path}, line {number}"))
        except DataError:
            missing.append(cells[0])
    if missing:
        raise DataError(
            f"{layout.title}: {path} lists {len(keys) + len(missing)} images, of which "
            f"{len(missing)} are not there, the first {cut(missing[0])}; unpack them, or remove "
            "them from the list"
        )
    return keys


def _number(key: str) -> int:
    """The number that a frame's name ends with, 0 without any."""
    match = re.search(r"(\d+)$", key)
    return int(match[1]) if match else 0


def _has_labels(path: Path) -> bool:
    """Whether there is any file of boxes; segmentation is images."""
    if path.is_file():
        return True
    return any(
        file.suffix.lower() in _LABELS and not is_system_file(file) for file in path.rglob("*")
    )
