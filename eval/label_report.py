"""What of the labels counts and what doesn't, in words."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from eval.class_map import SourceClass, known
from eval.class_names import COCO_NAMES, meaning
from eval.label_files import LabelFiles, nfc


@dataclass(frozen=True, slots=True)
class LabelReport:
    """What a label set holds.

    Attributes:
        names: Our classes, name by id.
        objects: How many objects there are, by our class id.
        others: How many there are of classes that we don't have, by the labels' name of the class.
        notes: What a reader should know: files left out, images without labels, lists of names.
        warnings: What may make the numbers wrong.
    """

    names: Mapping[int, str]
    objects: Counter[int]
    others: Counter[str]
    notes: list[str]
    warnings: list[str]


@dataclass(frozen=True, slots=True)
class Counted:
    """Objects by the name of their class: those that are scored, and the others."""

    counted: Mapping[str, int]
    not_counted: Mapping[str, int]

    @classmethod
    def of(cls, report: LabelReport, classes: Collection[int] | None) -> "Counted":
        """Split what the labels hold.

        Args:
            report: What the labels hold.
            classes: Ids of those that are scored, None for all.
        """
        counted: Counter[str] = Counter()
        rest = Counter(report.others)
        for class_id, number in sorted(report.objects.items()):
            mine = classes is None or class_id in classes
            (counted if mine else rest)[report.names[class_id]] += number
        return cls(dict(counted), dict(rest.most_common()))

    @classmethod
    def of_names(
        cls, counted: Mapping[str, int], others: Mapping[str, int], left_out: Mapping[str, int]
    ) -> "Counted":
        """From numbers by name; ``left_out`` are those that a class map drops."""
        rest = Counter(others)
        rest.update(left_out)
        return cls(dict(counted), dict(rest.most_common()))

    def warnings(self, advice: str) -> list[str]:
        """A warning where most objects don't count.

        Args:
            advice: What to set so that they do.
        """
        left = sum(self.not_counted.values())
        total = left + sum(self.counted.values())
        if 2 * left <= total:
            return []
        return [
            f"{left} of {total} labelled objects are of classes that don't count "
            f"({_several(self.not_counted)}): {advice}"
        ]


def counted_text(counted: Mapping[str, int], not_counted: Mapping[str, int]) -> str:
    """Like ``17 person, 12 car; not counted: 3 Lamp``."""
    text = _several(counted)
    if not_counted:
        text += f"{'; ' if text else ''}not counted: {_several(not_counted)}"
    return text


def describe_files(
    files: LabelFiles,
    listed: Mapping[int, str] | None,
    list_file: Path | None,
) -> Iterator[str]:
    """What was left out, and whose list of classes was taken.

    Args:
        files: What was read.
        listed: The labels' list of classes.
        list_file: Where it was found, None where it was given.
    """
    if listed is not None and list_file is not None:
        yield f"the labels' classes are {known(listed)} (from {list_file})"
    for left, what in (
        (files.strays, "label file(s) of images that are not there"),
        (files.no_labels, "text file(s) that are no labels"),
    ):
        if left:
            yield f"{len(left)} {what} left out ({', '.join(left[:3])}{', ...' * (len(left) > 3)})"


def unlabelled(files: LabelFiles, images: Mapping[str, Collection[str]]) -> tuple[str, bool]:
    """That images have no labels, empty if all have; and whether most have none.

    Args:
        files: What was read.
        images: By the key of each image, its names.
    """
    have = {nfc(key) for key in files.images} | {PurePosixPath(k).name for k in files.images}
    without = sum(have.isdisjoint(map(nfc, called)) for called in images.values())
    what = "are not in the labels" if files.form == "coco" else "have no label file"
    text = f"{without} of {len(images)} images {what} and count as background" if without else ""
    return text, 2 * without > len(images)


def doubts(bare: Collection[SourceClass], names: Mapping[int, str]) -> list[str]:
    """A warning where bare ids were taken for classes of a detector that has other ones than COCO.

    Args:
        bare: Classes of the labels that have no name.
        names: The classes that they were taken for.
    """
    ids = sorted(source.number for source in bare if source.number is not None)
    other = [i for i in ids if i in names and meaning(names[i]) != meaning(COCO_NAMES.get(i, ""))]
    if not other:
        return []
    taken = ", ".join(f"{i} {names[i]}" for i in ids[:6] if i in names)
    return [
        f"the labels have bare class ids and no list of names: taken as the detector's, {taken}; "
        "if they mean other classes, set source.class_names (a file or a list)"
    ]


def merged(called: Mapping[int, Mapping[str, str]]) -> list[str]:
    """A warning for each class for which the labels have several names.

    Args:
        called: By class, the labels' names of it, by the folded name.
    """
    return [
        f"the labels' classes {' and '.join(sorted(names.values())[:4])} count as one; if one of "
        "them shall not count, leave it out (irvis run: source.class_map.NAME=null, irvis "
        "evaluate: --class-map NAME=null)"
        for names in called.values()
        if len(names) > 1
    ]


def _several(numbers: Mapping[str, int]) -> str:
    some = ", ".join(f"{number} {name[:40]}" for name, number in list(numbers.items())[:8])
    return some + (f", ... {len(numbers)} classes in all" if len(numbers) > 8 else "")
