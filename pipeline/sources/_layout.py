"""How a data set lies on disk, as a description, and what of it is at a place."""

import fnmatch
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple

from common.errors import DataError
from common.modality import Modality
from eval.label_files import LabelFiles
from pipeline.sources._pairing_by_name import Names

Templates = tuple[str, ...]
Listed = dict[Path, list[Path]]  # the entries of folders, so that each is listed once


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a data set has its parts.

    A template is a path below the root whose parts are names in any case, patterns of them, or
    several after `|`, the first that is there; `{split}` stands for the part of the data set. Of
    several templates the first that is there counts.

    Attributes:
        title: What the data set calls itself.
        marks: Groups of templates: a folder is of this layout if it has all of one group.
        splits: Its parts, the one that is taken by default first.
        form: How the images are found: by ``folders`` of both cameras, by a ``yaml`` of
            ultralytics, or in ``sequences`` with a list of boxes for each camera.
        ir: Folder of the infrared images; the visible one's where the names tell them apart.
        vis: Folder of the visible images.
        names: How the names of both correspond.
        pairs: JSON file of an object: the infrared image by the visible one.
        listed: Text files that list a split's images.
        chosen: By split, patterns of the keys that it has.
        every: Of each video, the frames whose number, counted from 1, is a multiple of this.
        labels: By camera, the folder or file of the labels that are drawn on its images.
        labels_on: The camera whose labels are the pairs'.
        classes: The labels' classes by id, where the data set has no list of them.
        border: Pixels of border round images of the size ``bordered``, height and width.
        bordered: See ``border``.
        four_channels: Whether visible and infrared are one file, infrared its fourth channel.
        reasonable: Whether its custom is to count KAIST's reasonable subset alone.
    """

    title: str
    marks: tuple[Templates, ...]
    splits: tuple[str, ...]
    form: Literal["folders", "yaml", "sequences"] = "folders"
    ir: Templates = ()
    vis: Templates = ()
    names: Names = field(default_factory=Names)
    pairs: str = ""
    listed: Templates = ()
    chosen: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    every: int = 1
    labels: Mapping[Modality, Templates] = field(default_factory=dict)
    labels_on: Modality = "vis"
    classes: tuple[str, ...] = ()
    border: int = 0
    bordered: tuple[int, int] = (0, 0)
    four_channels: bool = False
    reasonable: bool = False

    def fits(self, root: Path, listed: Listed) -> bool:
        """Whether a folder is of this layout."""
        return any(not lacking for _, lacking in self.lacking(root, listed))

    def lacking(self, root: Path, listed: Listed) -> Iterator[tuple[Templates, list[str]]]:
        """For each group of marks and each split, the group and those that a folder lacks.

        Args:
            root: The folder.
            listed: What folders were listed before.
        """
        for group in self.marks:
            for split in self.splits or ("",):
                missing = [mark for mark in group if find(root, (mark,), split, listed) is None]
                yield group, [shown_template((mark,), split) for mark in missing]


class Parts(NamedTuple):
    """What a layout has at a place.

    Attributes:
        ir: Infrared image by the pair's key.
        vis: Visible image likewise.
        labels: By camera, the file or folder of its labels.
        called: By camera and key, the names under which its labels may list the image.
        read: By camera, labels that were read already.
        classes: The labels' classes by id, where a file of the data set says them.
    """

    ir: Mapping[str, Path]
    vis: Mapping[str, Path]
    labels: Mapping[Modality, Path]
    called: Mapping[Modality, Mapping[str, tuple[str, ...]]]
    read: Mapping[Modality, LabelFiles] = MappingProxyType({})
    classes: Mapping[int, str] | None = None


def find(
    root: Path, templates: Templates, split: str = "", listed: Listed | None = None
) -> Path | None:
    """The first path below a folder that fits one of the templates; the folder for an empty one.

    Args:
        root: The folder.
        templates: See ``Layout``.
        split: The part of the data set; empty for templates without it alone.
        listed: What folders were listed before, for many templates of one folder.

    Raises:
        DataError: A folder can't be listed.
    """
    listed = {} if listed is None else listed
    for template in templates:
        if "{split}" in template and not split:
            continue
        segments = [part for part in template.replace("{split}", split).split("/") if part]
        found = next(_below(root, segments, listed), None)
        if found is not None:
            return found
    return None


def shown_template(templates: Templates, split: str) -> str:
    """The first of the templates for messages."""
    return templates[0].replace("{split}", split).split("|")[0]


def children(folder: Path) -> list[Path]:
    """The entries of a folder in order, none of a file; hidden ones passed over.

    Raises:
        DataError: The folder can't be listed.
    """
    if not folder.is_dir():
        return []
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror})") from error


def _below(folder: Path, segments: list[str], listed: Listed) -> Iterator[Path]:
    if not segments:
        yield folder
        return
    if folder not in listed:
        listed[folder] = children(folder)
    entries = listed[folder]
    for name in segments[0].split("|"):
        for entry in entries:
            if fnmatch.fnmatchcase(entry.name.casefold(), name.casefold()):
                yield from _below(entry, segments[1:], listed)
