"""What the class ids of somebody's predictions mean.

A bare id is a number in somebody's list. The lists that tools use are tried in turn: the labels'
own ids, COCO's 0 to 79 and 1 to 90, the same counted from 1. The first is taken unless it is
refuted: of the labels that a prediction lies on (three at the least), it gives at most 10% their
own class, and another list gives at least 80% theirs. Whatever is taken, a warning says where it
gives most labels another class.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from eval.class_names import COCO_91_NAMES, COCO_NAMES, NameTable
from eval.coco_files import GroundTruth

ClassId = int | str
ENOUGH = 3  # labels with a prediction on them; of fewer it could be chance
SAY_IT = "--prediction-names (a file or a list of names)"


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read class ids.

    Attributes:
        about: What it takes them for.
        ids: The ground truth's class by the predictions' id; what it lacks is no class of it.
    """

    about: str
    ids: Mapping[ClassId, int]

    def agreement(self, pairs: Mapping[tuple[ClassId, int], int]) -> int:
        """How many labels have a prediction of their own class on them."""
        return sum(n for (given, label), n in pairs.items() if self.ids.get(given) == label)


def readings(
    ground_truth: GroundTruth,
    *,
    own_ids: bool,
    given: Mapping[int, str] | None,
) -> list[Reading]:
    """The ways to read predictions' ids, the likeliest first.

    Args:
        ground_truth: Its categories are what they are taken for.
        own_ids: Whether the labels have ids of their own, which predictions may use.
        given: Names by id that the user gave for the predictions; then nothing else is tried.
    """
    table = NameTable({entry["id"]: entry["name"] for entry in ground_truth["categories"]})
    if given is not None:
        return [Reading("the names that were given", _by_name(given, table))]
    own: dict[ClassId, int] = {
        entry.get("given_id", entry["id"]): entry["id"] for entry in ground_truth["categories"]
    }
    order = sorted(entry["id"] for entry in ground_truth["categories"])
    numbers = {key: value for key, value in own.items() if isinstance(key, int)}
    coco = Reading("COCO's 0 to 79 (0 person, 2 car)", _by_name(COCO_NAMES, table))
    ways = [Reading("the labels' own ids", own), coco] if own_ids else [coco]
    ways += [
        Reading(
            "the labels' ids plus 1, as ultralytics writes them",
            {key + 1: value for key, value in numbers.items()},
        ),
        Reading("COCO's 1 to 90 (1 person, 3 car)", _by_name(COCO_91_NAMES, table)),
        Reading(
            "COCO's 0 to 79 plus 1", _by_name({i + 1: n for i, n in COCO_NAMES.items()}, table)
        ),
        Reading("the labels' classes counted from 0", dict(enumerate(order))),
        Reading("the labels' classes counted from 1", dict(enumerate(order, 1))),
    ]
    return ways


def choose(
    ways: Sequence[Reading], pairs: Iterable[tuple[ClassId, int]], seen: Iterable[ClassId]
) -> tuple[Reading, list[str]]:
    """The reading to take, and a warning where it isn't the first.

    Args:
        ways: As ``readings`` gives them.
        pairs: Class of the best prediction on each label, and the label's.
        seen: Every class id of the predictions.
    """
    counts = Counter(pairs)
    first, total = ways[0], counts.total()
    mine = first.agreement(counts)
    others = [way for way in ways[1:] if _admits(way, seen)]
    best = max(others, key=lambda way: way.agreement(counts), default=first)
    agreed = best.agreement(counts)
    if total < ENOUGH or 10 * mine > total or 10 * agreed < 8 * total:
        return first, []
    return best, [
        f"the predictions' class ids were taken for {best.about}: so {agreed} of the {total} "
        f"labels with a prediction on them agree with it in class, and as {first.about} {mine}; "
        f"say it with {SAY_IT}"
    ]


def doubts(
    reading: Reading, pairs: Iterable[tuple[ClassId, int]], names: Mapping[int, str]
) -> list[str]:
    """A warning where most labels with a prediction on them, or all of a class, are of another.

    Args:
        reading: What the ids were taken for.
        pairs: Class of the best prediction on each label, and the label's.
        names: The classes that count, name by id.
    """
    counts = Counter(pairs)
    agreed, total = reading.agreement(counts), counts.total()
    if 2 * agreed >= total:
        return [text for class_id, name in names.items() if (text := _never(
            reading, {pair: n for pair, n in counts.items() if pair[1] == class_id}, name
        ))]  # fmt: skip
    return [
        f"only {agreed} of the {total} labels with a prediction on them agree with it in class, "
        f"its id taken for {reading.about}; if ids mean something else, say it with {SAY_IT}"
    ]


def _never(reading: Reading, counts: Mapping[tuple[ClassId, int], int], name: str) -> str:
    """A warning where predictions lie on the labels of a class and none is of that class."""
    total = sum(counts.values())
    if total < ENOUGH or reading.agreement(counts):
        return ""
    given = ", ".join(str(given)[:40] for given, _ in list(counts)[:6])
    return (
        f"none of the {total} labels of {name[:40]} with a prediction on them agrees with it in "
        f"class (ids {given}), ids taken for {reading.about}; if they mean something else, say it "
        f"with {SAY_IT}"
    )


def _admits(way: Reading, seen: Iterable[ClassId]) -> bool:
    """Lists that count from 1 have no 0."""
    return 0 in way.ids or 0 not in set(seen)


def _by_name(names: Mapping[int, str], table: NameTable) -> dict[ClassId, int]:
    found: dict[ClassId, int] = {}
    for class_id, name in names.items():
        target = table.find(name)
        if target is not None:
            found[class_id] = target
    return found
