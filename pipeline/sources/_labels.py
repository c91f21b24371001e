"""The settings of labels that are files, and opening them."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import Field

from eval.class_lists import class_names
from eval.labels import LabelSet

ClassNames = Path | tuple[str, ...] | dict[int, str] | None
ClassMapping = dict[str | int, int | str | None] | None
BoxOrigin = Literal[0, 1]

CLASS_NAMES = Field(
    None,
    description="the labels' class names by id: a file or list; default: one beside or above them",
)
CLASS_MAP = Field(
    None, description="the labels' classes -> the detector's, by id or name; null drops a class"
)
BOX_ORIGIN: Any = Field(
    0, description="VOC: 1 where pixels count from 1 and both ends belong to a box"
)


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
        """As ``eval.voc_files.read_voc`` takes it."""
        ...


def open_labels(
    path: Path,
    settings: Settings,
    names: Mapping[int, str],
    images: Mapping[str, Collection[str]] | None,
    ignore: Path | None,
) -> LabelSet:
    """The labels of a source; a wrong file is an error when its image's turn comes.

    Args:
        path: A file or folder of labels.
        settings: Of the source.
        names: The detector's classes.
        images: By the key of each image, the names that labels may call it; None where that isn't
            known yet.
        ignore: File of regions that count neither way.

    Raises:
        errors.IrvisError: The labels can't be read, or their classes are unknown.
    """
    return LabelSet.open(
        path,
        names=names,
        images=images,
        class_names=class_names(settings.class_names),
        class_map=settings.class_map,
        box_origin=settings.box_origin,
        ignore=ignore,
        defer_errors=True,
    )
