"""Data sets of YOLOv11-RGBT: folders or lists of visible images, in a `data.yaml` or by its rule.

The partner's path is the visible image's with `infrared` in place of `visible`, the labels' has
`labels` in place of the last folder `images`, as in ultralytics.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from common.errors import DataError, cut, shown
from common.files import load_yaml, read_text
from common.modality import MODALITIES, Modality
from eval.class_lists import class_names, find_class_list
from pipeline.images import list_images
from pipeline.sources._layout import Layout, Parts, children, find
from pipeline.sources._split_files import check_whole

_FOLDERS = ("{split}/visible/images", "images/visible/{split}", "visible/images/{split}")
VISIBLE, INFRARED = "visible", "infrared"


def by_yaml(layout: Layout, root: Path, split: str | None) -> Parts:
    """The parts of a data set of visible images.

    Args:
        layout: Its layout.
        root: Its folder, or its `data.yaml`.
        split: A key of that file; None for the first of the layout's that is there.

    Raises:
        DataError: A folder, a list or many images are missing, or a path has no `visible`.
    """
    file = root if root.is_file() else _yaml_in(layout, root)
    base = root.parent if root.is_file() else root
    entries, names = ({}, None) if file is None else _read(layout, file)
    if names is None and (listed := find_class_list(base)) is not None:
        names = dict(listed[0])
    if not entries:
        found = {name: find(base, _FOLDERS, name) for name in layout.splits}
        entries = {name: [str(path)] for name, path in found.items() if path is not None}
    if split is None:
        split = next((name for name in layout.splits if name in entries), None)
    if split is None:
        raise DataError(
            f"{layout.title}: {root} has no part {' or '.join(layout.splits)}, in folders or as "
            "paths of a data.yaml; name that file as source.root"
        )
    if split not in entries:
        parts = ", ".join(name for name in layout.splits if name in entries)
        raise DataError(
            f"source.split: {layout.title} in {root} has no part {cut(split)!r}; it has {parts}"
        )
    images = sorted(set(_images(entries[split], _Places(base, entries.get("path", [])))))
    return _parts(layout, images, base, names)


class _Places:
    """Finds files whose paths were written elsewhere, by as much of their ends as is here."""

    def __init__(self, base: Path, roots: Sequence[str]) -> None:
        """Begin; ``roots`` are what the file calls its own folder."""
        self._bases = [*(base / root for root in roots), base]
        self._last: tuple[Path, int] | None = None  # what the path before was found by

    def find(self, text: str) -> Path | None:
        """The file or folder of a path; None if it isn't there."""
        parts = PurePosixPath(text.replace("\\", "/")).parts
        ways = [(base, start) for start in range(len(parts)) for base in self._bases]
        for base, start in ([self._last] if self._last else []) + ways:
            path = base.joinpath(*parts[start:])
            if start < len(parts) and path.exists():
                self._last = base, start
                return path
        return None


def _yaml_in(layout: Layout, root: Path) -> Path | None:
    """The data.yaml of a folder, None if it has none.

    Raises:
        DataError: There are several.
    """
    files = [path for path in children(root) if path.suffix.lower() in (".yaml", ".yml")]
    found = [path for path in files if _read(layout, path)[0]]
    if len(found) > 1:
        raise DataError(
            f"{layout.title}: {root} has {len(found)} files of parts, {found[0].name} and "
            f"{found[1].name}; name one as source.root"
        )
    return found[0] if found else None


def _read(layout: Layout, file: Path) -> tuple[dict[str, list[str]], dict[int, str] | None]:
    """Paths by split, the root's as `path`, and the classes; both empty for another file."""
    data: Any = load_yaml(file)
    if not isinstance(data, dict):
        return {}, None
    entries = {}
    for key in ("path", *layout.splits):
        value = data.get(key)
        texts = value if isinstance(value, list) else [value]
        if texts and all(isinstance(text, str) and text for text in texts):
            entries[key] = [str(text) for text in texts]
    if not any(name in entries for name in layout.splits):
        return {}, None
    return entries, None if "names" not in data else dict(class_names(file) or {})


def _images(entries: Iterable[str], places: _Places) -> Iterable[Path]:
    """The visible images of folders and lists.

    Raises:
        DataError: Some aren't there.
    """
    for entry in entries:
        path = places.find(entry)
        if path is None:
            raise DataError(
                f"{shown(entry)} is not there; unpack it, or correct its path in data.yaml"
            )
        if path.is_dir():
            yield from list_images(path).values()
            continue
        lines = [line.strip() for line in read_text(path).splitlines() if line.strip()]
        here = _Places(path.parent, [])
        found = {line: places.find(line) or here.find(line) for line in lines}
        missing = [line for line, image in found.items() if image is None]
        if missing:
            raise DataError(
                f"{path}: {len(missing)} of its {len(found)} images are not there, the first "
                f"{cut(missing[0])}; unpack them, or remove them from the list"
            )
        yield from (image for image in found.values() if image is not None)


def _parts(
    layout: Layout, images: Sequence[Path], base: Path, names: dict[int, str] | None
) -> Parts:
    if not images:
        raise DataError(f"{layout.title}: its list has no image; name images in it")
    vis = {_stem(path, _common(images)): path for path in images}
    ir = {key: _partner(path, base) for key, path in vis.items()}
    cameras: dict[Modality, dict[str, Path]] = {"ir": ir, "vis": vis}
    labels: dict[Modality, Path] = {}
    called: dict[Modality, dict[str, tuple[str, ...]]] = {}
    for camera in MODALITIES:
        files = {key: _label(path) for key, path in cameras[camera].items()}
        folder = _common(list(files.values()))
        called[camera] = {key: (_stem(file, folder),) for key, file in files.items()}
        if any(file.is_file() for file in files.values()):
            labels[camera] = folder
    there = {key: path for key, path in ir.items() if path.is_file()}
    check_whole(layout.title, there, vis)
    return Parts(there, vis, labels, called, classes=names)


def _common(paths: Sequence[Path]) -> Path:
    return Path(os.path.commonpath([path.parent for path in paths]))


def _stem(path: Path, folder: Path) -> str:
    return path.relative_to(folder).with_suffix("").as_posix()


def _partner(path: Path, base: Path) -> Path:
    """The infrared image of a visible one; only folders below ``base`` change their names.

    Raises:
        DataError: None of them has `visible` in its name.
    """
    below = path.relative_to(base) if path.is_relative_to(base) else path
    if VISIBLE not in below.as_posix():
        raise DataError(
            f"{path}: no {VISIBLE!r} in its path, which is {INFRARED!r} in its partner's; give "
            "folders of these names, or two folders: source.kind=image_folder"
        )
    changed = Path(below.as_posix().replace(VISIBLE, INFRARED))
    return base / changed


def _label(path: Path) -> Path:
    """The file of an image's labels, beside it where no folder is called `images`."""
    parts = list(path.with_suffix(".txt").parts)
    if "images" in parts[:-1]:
        last = len(parts) - 2 - parts[-2::-1].index("images")
        parts[last] = "labels"
    return Path(*parts)
