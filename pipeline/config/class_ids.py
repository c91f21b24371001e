"""Which classes count, for a detector whose classes they are."""

from collections.abc import Collection, Mapping, Sequence

from common.errors import ConfigError
from eval.class_map import known
from eval.class_names import NameTable


def ids_of(classes: Sequence[int | str], names: Mapping[int, str]) -> tuple[int, ...]:
    """The ids of those classes that there are, given by id or by name."""
    table = NameTable(names)
    found = ((table.find(c) if isinstance(c, str) else c) for c in classes)
    return tuple(dict.fromkeys(i for i in found if i is not None and i in names))


def check_given(classes: Sequence[int | str], names: Mapping[int, str]) -> None:
    """Raise a ConfigError that names all classes that the detector lacks."""
    if missing := [str(c) for c in classes if not ids_of([c], names)]:
        raise ConfigError(
            f"evaluation.classes: the detector has no class {' and no '.join(missing)}; it has "
            f"{known(names)}"
        )


def check_kept(scored: Collection[int], kept: Sequence[int] | None) -> None:
    """Raise a ConfigError if the detector leaves out what is scored; it keeps all if None."""
    if kept is not None and (missing := sorted(set(scored) - set(kept))):
        raise ConfigError(
            f"detector.classes: leaves out {missing[0]}, which is scored; add it, or set "
            f"evaluation.classes={list(kept)}"
        )
