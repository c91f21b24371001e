"""Sequences of a tracking data set (VTUAV): two folders of frames and a list of boxes for each.

The lists have a line for every tenth frame, counted from the first: `left top width height` of the
one target in pixels, of which a line without size says that it isn't in the picture. The class is
in the sequence's name, as `pedestrian_023`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from common.errors import DataError
from common.modality import MODALITIES, Modality
from common.numbers import decimal
from eval.class_map import SourceClass
from eval.label_files import LabelFiles, nfc
from eval.labelled_image import LabelledImage
from pipeline.images import list_images, natural
from pipeline.sources._layout import Layout, Parts, children, find
from pipeline.sources._lists import rows
from pipeline.sources._split_files import check_whole

_FOLDERS: Mapping[Modality, str] = {"ir": "ir", "vis": "rgb"}
_DEPTH = 4  # of folders: part, group, sequence
_NUMBER = re.compile(r"[-_ ]?\d+$")


def by_sequences(layout: Layout, root: Path, split: str | None, every: int | None) -> Parts:
    """The labelled frames of all sequences below a folder.

    Args:
        layout: Its layout.
        root: A sequence, or a folder above sequences.
        split: A folder of the root; None for the whole.
        every: Frames between two lines of a list, instead of the layout's.

    Raises:
        DataError: There is no sequence, or its frames don't fit its list.
    """
    top = root if split is None else find(root, (split,))
    if top is None or not top.is_dir():
        raise DataError(
            f"source.split: {root} has no folder {split}; it has "
            f"{', '.join(path.name for path in children(root) if path.is_dir()) or 'none'}"
        )
    step = layout.every if every is None else every
    images: dict[Modality, dict[str, Path]] = {"ir": {}, "vis": {}}
    boxes: dict[Modality, dict[str, LabelledImage]] = {"ir": {}, "vis": {}}
    for folder in _sequences(top, _DEPTH):
        _add(folder, "" if folder == root else folder.relative_to(root).as_posix() + "/", step,
             images, boxes)  # fmt: skip
    if not images["ir"] and not images["vis"]:
        raise DataError(
            f"{layout.title}: {top} has no sequence with folders rgb and ir; unpack it there"
        )
    check_whole(layout.title, images["ir"], images["vis"])
    keys = {**images["ir"], **images["vis"]}
    return Parts(
        images["ir"],
        images["vis"],
        {camera: top for camera in MODALITIES if boxes[camera]},
        {camera: {key: (key,) for key in keys} for camera in MODALITIES},
        read={
            camera: LabelFiles({nfc(key): image for key, image in mine.items()}, "boxes")
            for camera, mine in boxes.items()
        },
    )


def _sequences(folder: Path, depth: int) -> Iterator[Path]:
    if any((folder / name).is_dir() for name in _FOLDERS.values()):
        yield folder
    elif depth:
        for path in sorted(children(folder), key=lambda path: natural(path.name)):
            if path.is_dir():
                yield from _sequences(path, depth - 1)


def _add(
    folder: Path,
    prefix: str,
    step: int,
    images: Mapping[Modality, dict[str, Path]],
    boxes: Mapping[Modality, dict[str, LabelledImage]],
) -> None:
    """Add the labelled frames of one sequence."""
    name = SourceClass(None, _NUMBER.sub("", folder.name) or folder.name)
    for camera, below in _FOLDERS.items():
        if not (folder / below).is_dir():
            continue
        frames = list_images(folder / below)
        file = folder / f"{below}.txt"
        lines = list(_lines(file)) if file.is_file() else []
        chosen = _labelled(folder / below, list(frames), file, len(lines), step)
        for index, frame in enumerate(chosen):
            images[camera][prefix + frame] = frames[frame]
            if lines:
                box = lines[index]
                objects = [] if box is None else [(name, box, False)]
                boxes[camera][prefix + frame] = LabelledImage.of(objects, f"{file}:{index + 1}")


def _labelled(
    folder: Path, frames: Sequence[str], file: Path, lines: int, step: int
) -> Sequence[str]:
    """The frames that the lines of a list are of; every ``step``-th without a list.

    Raises:
        DataError: Their numbers don't fit.
    """
    if lines == len(frames):
        return frames  # the frames in between were left out
    chosen = frames[::step]
    if lines > len(chosen) + 1:  # one may be of the frame after the last
        raise DataError(
            f"{file}: has {lines} lines, but {folder} has {len(frames)} frames, {len(chosen)} of "
            "them labelled; unpack the frames once more"
        )
    return chosen[:lines] if lines else chosen


def _lines(file: Path) -> Iterator[tuple[float, float, float, float] | None]:
    """The box of each line, left, top, right, bottom; None where the target isn't seen.

    Raises:
        DataError: A line has no four numbers.
    """
    for number, cells in rows(file):
        try:
            left, top, width, height = (decimal(cell) for cell in cells[:4])
        except ValueError as error:
            raise DataError(f"{file}:{number}: is no box; write 'left top width height'") from error
        seen = width > 0 and height > 0
        yield (left, top, left + width, top + height) if seen else None
