"""The settings of labels that are files, and opening them."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Literal, Protocol

from pydantic import Field

from eval.class_lists import class_names
from eval.label_files import LabelFiles
from eval.labels import LabelSet

ClassNames = Annotated[
    Path | tuple[str, ...] | dict[int, str] | None,
    Field(
        description="the labels' class names by id: a file or list; "
        "default: one beside or above them"
    ),
]
ClassMapping = Annotated[
    dict[str | int, int | str | None] | None,
    Field(description="the labels' classes -> the detector's, by id or name; null drops a class"),
]
BoxOrigin = Annotated[
    Literal[0, 1],
    Field(description="VOC: 1 where pixels count from 1 and both ends belong to a box"),
]


class Settings(Protocol):
    """How a source reads its labels."""

    @property
    def class_names(self) -> ClassNames:
        """The labels' own list of classes."""
        ...

    @property
    def class_map(self) -> ClassMapping:
        """Class by the labels' class."""
        ...

    @property
    def box_origin(self) -> BoxOrigin:
        """The argument of ``eval.voc_files.read_voc``."""
        ...


def open_labels(
    path: Path,
    settings: Settings,
    names: Mapping[int, str],
    images: Mapping[str, Collection[str]] | None,
    ignore: Path | None,
    *,
    files: LabelFiles | None = None,
    reasonable: bool = False,
) -> LabelSet:
    """The labels of a source; a wrong file raises its error when its image is read.

    Args:
        path: A file or folder of labels.
        settings: Settings of the source.
        names: The detector's classes.
        images: By key, the names under which labels may list an image; None if not known yet.
        ignore: File of ignore regions.
        files: What was read from ``path`` already.
        reasonable: As ``LabelSet.open`` takes it.

    Raises:
        errors.IrvisError: The labels can't be read, or their classes are unknown.
    """
    return LabelSet.open(
        path,
        files=files,
        names=names,
        images=images,
        class_names=class_names(settings.class_names),
        class_map=settings.class_map,
        box_origin=settings.box_origin,
        ignore=ignore,
        reasonable=reasonable,
        defer_errors=True,
    )
