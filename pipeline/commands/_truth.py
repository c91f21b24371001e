"""The ground truth that `irvis evaluate` scores against, from whatever labels there are."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from common.errors import ConfigError, DataError
from eval.class_map import Given
from eval.class_names import NameTable
from eval.coco import ground_truth_json
from eval.coco_files import GroundTruth, ImageEntry, image_key, read_ground_truth
from eval.labels import LabelSet
from eval.truth_classes import kept_apart, mapped, without_repeats
from pipeline.images import list_images, read_image

DEFAULT_CLASSES = ("person", "car")


@dataclass(frozen=True, slots=True)
class Truth:
    """Labels as a COCO data set.

    Attributes:
        ground_truth: The data set.
        image_ids: Whether whoever made the predictions may know its image ids.
        class_ids: Whether the labels have class ids of their own, which predictions may use.
        left_out: Objects of classes that the user's map drops, by name.
        notes: What a reader should know of the files.
        warnings: What may make the numbers wrong.
        protocol: What of the labels' reading changes the numbers.
    """

    ground_truth: GroundTruth
    image_ids: bool
    class_ids: bool
    left_out: Counter[str]
    notes: list[str]
    warnings: list[str] = field(default_factory=list)
    protocol: Mapping[str, Any] = field(default_factory=dict)

    def ids(self, classes: Sequence[str] | None) -> tuple[int, ...]:
        """The ids of these classes; of None, those of ``DEFAULT_CLASSES`` that there are.

        Raises:
            errors.ConfigError: The labels don't have them; the text names all that are missing.
        """
        names = {entry["id"]: entry["name"] for entry in self.ground_truth["categories"]}
        exact = {name: class_id for class_id, name in names.items()}
        table = NameTable(names)
        wanted = [name.strip() for name in classes or DEFAULT_CLASSES]
        ids = {name: exact.get(name, table.find(name)) for name in wanted}
        found = tuple(dict.fromkeys(class_id for class_id in ids.values() if class_id is not None))
        missing = [name[:40] for name, class_id in ids.items() if class_id is None]
        if not found or (classes is not None and missing):
            theirs = ", ".join(name[:40] for name in list(names.values())[:40])
            raise ConfigError(
                f"--classes: the labels have no {' and no '.join(missing)}; theirs are "
                f"{theirs or 'none'}"
            )
        return found


def read_truth(
    labels: Path,
    images: Path | None,
    *,
    class_names: Mapping[int, str] | None,
    class_map: Given | None,
    box_origin: int,
) -> Truth:
    """Read the labels.

    Args:
        labels: COCO json, or a folder of labels.
        images: The labelled images, needed with a folder and with json that lacks their sizes.
        class_names: The labels' own list of classes.
        class_map: Class by the labels' own class; None drops it.
        box_origin: As ``eval.voc_files.read_voc`` takes it.

    Raises:
        errors.IrvisError: A file is missing or wrong.
    """
    if labels.is_dir():
        return _from_folder(labels, images, class_names, class_map, box_origin)
    size_of = None if images is None else _sizes(images)
    truth, repeated = without_repeats(read_ground_truth(labels, class_names, size_of))
    left = Counter[str]()
    if class_map is not None:
        truth, left = mapped(truth, class_map)
    notes = [f"{repeated} label(s) repeat another one and count once"] if repeated else []
    return Truth(
        truth,
        image_ids=True,
        class_ids=True,
        left_out=left,
        notes=notes,
        warnings=kept_apart(truth) if class_map is None else [],
    )


def _sizes(images: Path) -> Callable[[str], tuple[int, int]]:
    """Height and width by file name of the images of a folder, which names may begin with."""
    files = list_images(images)

    def size_of(file_name: str) -> tuple[int, int]:
        key = image_key(file_name)
        path = files.get(key, files.get(PurePosixPath(key).name))
        if path is None:
            raise DataError(
                f"{images}: has no image {file_name[:80]!r}, whose size the labels don't say; add "
                "it, or width and height to the labels"
            )
        height, width = read_image(path).shape[:2]
        return height, width

    return size_of


def _from_folder(
    labels: Path,
    images: Path | None,
    class_names: Mapping[int, str] | None,
    class_map: Given | None,
    box_origin: int,
) -> Truth:
    """A folder of labels as a COCO data set; ids count the images in order."""
    if images is None:
        raise ConfigError("--images is missing: a folder of labels doesn't say the images' sizes")
    files = list_images(images)
    label_set = LabelSet.open(
        labels,
        names=None,
        images={key: (key,) for key in files},
        class_names=class_names,
        class_map=class_map,
        box_origin=box_origin,
    )
    entries: list[ImageEntry] = []
    parts = []
    for number, (key, path) in enumerate(files.items(), 1):
        height, width = read_image(path).shape[:2]
        entries.append(
            {"id": number, "key": key, "file_name": path.name, "width": width, "height": height}
        )
        parts.append(label_set.get(key, (height, width)))
    return Truth(
        ground_truth_json(entries, parts, label_set.names),
        image_ids=False,
        class_ids=label_set.own_ids,
        left_out=label_set.report.others,
        notes=label_set.report.notes,
        warnings=label_set.report.warnings,
        protocol=label_set.protocol,
    )
