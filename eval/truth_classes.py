"""The classes and objects of a COCO ground truth that somebody else made."""

from collections import Counter
from collections.abc import Collection
from shlex import quote

from common.errors import ConfigError
from eval.class_map import Given
from eval.class_names import fold, meaning
from eval.coco_files import AnnotationEntry, CategoryEntry, GroundTruth


def without_repeats(ground_truth: GroundTruth) -> tuple[GroundTruth, int]:
    """The data set with equal labels of one image once, and how many were left out."""
    kept: dict[tuple[object, ...], AnnotationEntry] = {}
    for item in ground_truth["annotations"]:
        what = (item["image_id"], item["category_id"], item["iscrowd"], *map(float, item["bbox"]))
        kept.setdefault(what, item)
    repeated = len(ground_truth["annotations"]) - len(kept)
    return {**ground_truth, "annotations": list(kept.values())}, repeated


def mapped(ground_truth: GroundTruth, class_map: Given) -> tuple[GroundTruth, Counter[str]]:
    """The data set with other classes, and the objects of those that were left out, by name.

    Args:
        ground_truth: The data set.
        class_map: A class's name by the labels' own name or id; None leaves the class out.

    Raises:
        errors.ConfigError: It names classes that the data set doesn't have.
    """
    given = {fold(source): target for source, target in class_map.items()}
    target_of: dict[int, int | None] = {}
    names: dict[str, int] = {}
    by_id = {entry["id"]: entry["name"] for entry in ground_truth["categories"]}
    used = set()
    for entry in ground_truth["categories"]:
        words = (fold(entry["name"]), fold(entry.get("given_id", entry["id"])))
        word = next((word for word in words if word in given), None)
        target = entry["name"] if word is None else given[word]
        used.add(word)
        name = by_id.get(target) if isinstance(target, int) else target
        if target is not None and name is None:
            raise ConfigError(f"class_map: {target} is no id of a class of the labels")
        target_of[entry["id"]] = None if name is None else names.setdefault(name, entry["id"])
    if missing := [str(s)[:40] for s in class_map if fold(s) not in used]:
        raise ConfigError(
            f"class_map: the labels have no {' and no '.join(missing)}; theirs are "
            f"{', '.join(by_id.values())[:300]}"
        )
    categories: list[CategoryEntry] = [{"id": i, "name": name} for name, i in names.items()]
    annotations: list[AnnotationEntry] = []
    left: Counter[str] = Counter()
    for item in ground_truth["annotations"]:
        class_id = target_of[item["category_id"]]
        if class_id is None:
            left[by_id[item["category_id"]]] += not item["iscrowd"]
        else:
            annotations.append({**item, "category_id": class_id})
    return {**ground_truth, "annotations": annotations, "categories": categories}, left


def kept_apart(ground_truth: GroundTruth) -> list[str]:
    """A warning for each class of which the labels have objects under several names."""
    used = {a["category_id"] for a in ground_truth["annotations"] if not a["iscrowd"]}
    alike: dict[str, list[str]] = {}
    for entry in ground_truth["categories"]:
        if entry["id"] in used:
            alike.setdefault(meaning(entry["name"]), []).append(entry["name"])
    return [_apart(word, sorted(names)) for word, names in alike.items() if len(names) > 1]


def _apart(word: str, names: list[str]) -> str:
    """That classes of one meaning are kept apart, and how to count them as one."""
    one = next((name for name in names if fold(name) == word), names[0])
    maps = (f"--class-map {quote(f'{name}={one}')}" for name in names if name != one)
    return (
        f"the labels' classes {' and '.join(names)} are kept apart; to count them as one, map all "
        f"to one of them: {' '.join(maps)}"
    )


def objects_by_name(ground_truth: GroundTruth, classes: Collection[int]) -> tuple[
    Counter[str], Counter[str]
]:  # fmt: skip
    """How many objects are of the classes that count, and how many are of others, by name."""
    names = {entry["id"]: entry["name"] for entry in ground_truth["categories"]}
    counted, others = Counter[str](), Counter[str]()
    for item in ground_truth["annotations"]:
        if not item["iscrowd"]:
            mine = counted if item["category_id"] in classes else others
            mine[names[item["category_id"]]] += 1
    return counted, others
