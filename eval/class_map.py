"""Which of our classes a label file's class is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from common.errors import ConfigError, DataError


@dataclass(frozen=True, slots=True)
class ClassMap:
    """From the labels' classes to ours: the user's map, then equal names, then (no map) the id."""

    names: Mapping[int, str]
    by_name: Mapping[str, int]
    given: Mapping[str, int | None] | None

    @classmethod
    def of(cls, names: Mapping[int, str], class_map: Mapping[str | int, int | None] | None) -> Self:
        """Check the user's map.

        Raises:
            errors.ConfigError: It maps to a class that isn't in ``names``.
        """
        for source, target in (class_map or {}).items():
            if target is not None and target not in names:
                raise ConfigError(
                    f"class_map: {source!r} is mapped to {target!r}, which is no known class "
                    f"({_known(names)}); give one of those, or null to drop the class"
                )
        # YAML writes the key 0 as a number, the command line as text: both are the class 0.
        given = None if class_map is None else {_fold(k): v for k, v in class_map.items()}
        return cls(names, {_fold(name): i for i, name in names.items()}, given)

    def find(
        self, where: str, *, class_id: int | None = None, name: str | None = None
    ) -> int | None:
        """Our class id, None for a class that is dropped.

        A class with a name is never taken by its bare id: in another data set, the same id is
        likely to be another class.

        Raises:
            errors.DataError: The class is unknown.
        """
        said = [_fold(value) for value in (name, class_id) if value is not None]
        for value in said if self.given is not None else ():
            if self.given is not None and value in self.given:
                return self.given[value]
        if name is not None and _fold(name) in self.by_name:
            return self.by_name[_fold(name)]
        if name is None and self.given is None and class_id in self.names:
            return class_id
        told = " ".join(str(value) for value in (class_id, name) if value is not None)
        raise DataError(
            f"{where}: unknown class {told!r}; known are {_known(self.names)}; "
            "map it to one of them, or to null to drop it, with class_map"
        )


def _fold(name: str | int) -> str:
    return str(name).strip().casefold()


def _known(names: Mapping[int, str]) -> str:
    """The first few classes, for messages."""
    some = ", ".join(f"{i} {name}" for i, name in sorted(names.items())[:6])
    return some + (f", ... {len(names)} in all" if len(names) > 6 else "")
