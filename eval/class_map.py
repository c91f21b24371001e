"""Which of our classes a label's class is."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self

from common.errors import ConfigError, DataError
from eval.class_names import COCO_NAMES, NameTable, fold, meaning


class SourceClass(NamedTuple):
    """A class as the labels write it; one of the two is known."""

    number: int | None
    name: str | None

    def __str__(self) -> str:
        return " ".join(str(value) for value in self if value is not None)[:80]


Given = Mapping[str | int, int | str | None]
_ADVICE = (
    "name the classes of the labels (irvis run: source.class_names=FILE, irvis evaluate: "
    "--class-names FILE), or map them, null to leave one out (source.class_map.{0}=person, "
    "--class-map {0}=person)"
)


@dataclass(frozen=True, slots=True)
class ClassMap:
    """From the labels' classes to ours.

    The user's map comes first, then the name; a bare id has the name that the labels' own list
    gives it, and without any list it is our id.
    """

    names: Mapping[int, str]
    table: NameTable
    given: Mapping[str, int | None] | None
    listed: Mapping[int, str] | None

    @classmethod
    def of(
        cls,
        names: Mapping[int, str],
        class_map: Given | None = None,
        listed: Mapping[int, str] | None = None,
    ) -> Self:
        """Check the user's map.

        Args:
            names: Our classes, name by id.
            class_map: Our id or name by the labels' own name or id; None leaves a class out.
            listed: The labels' own list of classes, name by id.

        Raises:
            errors.ConfigError: It maps to classes that aren't in ``names``.
        """
        table = NameTable(names)
        given: dict[str, int | None] = {}
        wrong = []
        for source, target in (class_map or {}).items():
            found = table.find(target) if isinstance(target, str) else target
            if target is not None and found not in names:
                wrong.append(f"{source!r} is mapped to {target!r}")
            # YAML writes the key 0 as a number, the command line as text: both are the class 0.
            given[fold(source)] = found
        if wrong:
            raise ConfigError(
                f"class_map: {' and '.join(wrong[:6])}, which is no known class "
                f"({known(names)}); give one of those, or null to drop the class"
            )
        return cls(names, table, None if class_map is None else given, listed)

    def named(self, source: SourceClass) -> SourceClass:
        """With the name that the labels' list gives to its id."""
        number, listed = source.number, self.listed
        if source.name is None and number is not None and listed is not None and number in listed:
            return SourceClass(number, listed[number])
        return source

    def resolve(self, sources: Iterable[tuple[SourceClass, str]]) -> dict[SourceClass, int | None]:
        """Our class id of each class of the labels, None for those that we don't have.

        A class with a name is never taken by its bare id: in another data set, the same id is
        likely to be another class.

        Args:
            sources: Every label's class, and where it stands.

        Raises:
            errors.DataError: Bare ids are unknown; the text names all of them.
        """
        found: dict[SourceClass, int | None] = {}
        unknown: Counter[SourceClass] = Counter()
        where = ""
        for source, place in sources:
            if source in unknown:
                unknown[source] += 1
            elif source not in found:
                try:
                    found[source] = self._find(self.named(source))
                except LookupError:
                    unknown[source] = 1
                    where = where or place
        if unknown:
            ids = ", ".join(f"{str(source)!r}" for source in sorted(unknown)[:12])
            more = f", ... {len(unknown)} in all" if len(unknown) > 12 else ""
            of = known(self.names if self.listed is None else self.listed)
            raise DataError(
                f"{where}: unknown class {ids}{more} ({unknown.total()} labels); known are {of}; "
                + _ADVICE.format(str(min(unknown)))
            )
        return found

    def _find(self, source: SourceClass) -> int | None:
        """Our class.

        Raises:
            LookupError: It is a bare id that nothing explains.
        """
        for value in (source.name, source.number) if self.given else ():
            if value is not None and self.given is not None and fold(value) in self.given:
                return self.given[fold(value)]
        if source.name is not None:
            return self.table.find(source.name)
        if self.given is None and self.listed is None and source.number in self.names:
            return source.number
        raise LookupError


def own_names(
    sources: Iterable[SourceClass], class_map: Given | None, listed: Mapping[int, str] | None
) -> dict[int, str]:
    """The classes of labels that are taken as they call themselves, name by id.

    Ids are those of the labels' list; without one COCO's where COCO has the class, else from 1000.

    Args:
        sources: The classes that occur.
        class_map: As ``ClassMap.of`` takes it; its names are classes.
        listed: The labels' own list.
    """
    targets = [target for target in (class_map or {}).values() if isinstance(target, str)]
    if listed is not None:
        names = dict(listed)
    elif any(source.name is None for source in sources):
        names = dict(COCO_NAMES)
    else:
        names = {}
    coco = NameTable(COCO_NAMES)
    have = {meaning(name) for name in names.values()}
    for name in (*targets, *(source.name for source in sources)):
        if name is None or meaning(name) in have or fold(name) in map(fold, class_map or {}):
            continue
        have.add(meaning(name))
        number = coco.find(name)
        if number is None or number in names:
            number = max((1000, *(i + 1 for i in names)))
        names[number] = name
    return names


def known(names: Mapping[int, str]) -> str:
    """The first few classes, for messages."""
    some = ", ".join(f"{i} {name[:40]}" for i, name in sorted(names.items())[:6])
    return some + (f", ... {len(names)} in all" if len(names) > 6 else "")
