"""Which class an id of the labels is: the lists of names that tools write beside labels.

Read are `classes.txt` (LabelImg, Label Studio), `obj.names` and other `.names` (Darknet, CVAT),
`_darknet.labels` (Roboflow), `data.yaml` and the like (ultralytics), `notes.json` (Label Studio):
in the folder of the labels, one below, and up to two above it.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from common.errors import ConfigError, DataError, shown
from common.files import parse_yaml, read_text
from eval.class_names import fold
from eval.system_files import is_system_file

ClassList = Mapping[int, str]

_TEXT = frozenset(("classes.txt", "predefined_classes.txt", "_darknet.labels", "obj.names"))
_YAML = frozenset(f"{stem}.{end}" for stem in ("data", "dataset") for end in ("yaml", "yml"))
_NOTES = frozenset(("notes.json",))
_ABOVE = 2  # labels/train/ lies two below the data.yaml of its set
_LARGEST = 1_000_000  # bytes; no list of names is larger


def read_class_list(path: Path) -> ClassList:
    """The classes of one file, name by id from 0.

    Raises:
        errors.ConfigError: It can't be read, or holds no names.
    """
    try:
        names = _read(path)
    except DataError as error:
        raise ConfigError(f"a list of class names: {error}") from error
    except (ValueError, RecursionError) as error:
        text = " ".join(str(error).split())[:80]
        raise ConfigError(f"{path}: can't be read as a list of class names ({text})") from error
    if not names:
        raise ConfigError(
            f"{path}: holds no class names; give a text with one name a line, or a data.yaml"
        )
    return names


def class_names(value: "Path | Sequence[str] | Mapping[int, str] | None") -> ClassList | None:
    """The classes that a user gave: a file, a list, names by id, or a text with commas.

    Raises:
        errors.ConfigError: The file can't be read, or holds no names.
    """
    if value is None:
        return None
    if isinstance(value, Path):
        if "," in str(value) and not value.exists():
            return dict(enumerate(name.strip() for name in str(value).split(",")))
        return read_class_list(value)
    return value if isinstance(value, Mapping) else dict(enumerate(value))


def is_class_list(path: Path) -> bool:
    """Whether a file is called as lists of class names are."""
    return is_text_list(path) or path.name.lower() in _YAML | _NOTES


def is_text_list(path: Path) -> bool:
    """Whether a file is called as a text with one name a line is."""
    return path.name.lower() in _TEXT or path.suffix.lower() == ".names"


def find_class_list(labels: Path) -> tuple[ClassList, Path] | None:
    """The classes that the files beside or above a folder of labels name, and the first file.

    Raises:
        errors.DataError: Two files contradict each other.
        errors.ConfigError: One can't be read.
    """
    found: dict[int, str] = {}
    first: Path | None = None
    for path in _candidates(labels):
        for class_id, name in (names := _found(path)).items():
            if fold(found.setdefault(class_id, name)) != fold(name):
                raise DataError(
                    f"{path}: class {class_id} is {name!r} here, but {found[class_id]!r} in "
                    f"{first}; remove the wrong file or give the right one as class_names "
                    "(irvis run: source.class_names=FILE, irvis evaluate: --class-names FILE)"
                )
        first = first or (path if names else None)
    return (found, first) if first is not None else None


def _candidates(labels: Path) -> Iterator[Path]:
    """The files to look at, the nearest first; of a link, those beside it and beside its target."""
    here = Path(os.path.abspath(labels))  # noqa: PTH100  (resolve would follow links)
    below = sorted(folder for folder in here.iterdir() if folder.is_dir())
    above = [folder for start in (here, here.resolve()) for folder in start.parents[:_ABOVE]]
    for folder in (here, *below, *dict.fromkeys(above)):
        try:
            files = sorted(folder.iterdir())
        except OSError:
            continue
        for path in files:
            if is_class_list(path) and path.is_file() and not is_system_file(path):
                yield path


def _found(path: Path) -> ClassList:
    """Those of a file that nobody named; none where it is something else, or empty."""
    try:
        return _read(path)
    except (DataError, ValueError, RecursionError):
        if is_text_list(path):
            return read_class_list(path)
        return {}


def _read(path: Path) -> ClassList:
    text = read_text(path, _LARGEST)
    suffix = path.suffix.lower()
    if suffix in (".yaml", ".yml"):
        data = parse_yaml(text)
        return _checked(data.get("names", data) if isinstance(data, dict) else data)
    if suffix == ".json":
        data = json.loads(text)
        entries = data.get("categories") if isinstance(data, dict) else data
        if isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries):
            return _checked({entry.get("id"): entry.get("name") for entry in entries})
        return _checked(entries)
    lines = [line.strip() for line in text.splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    return {number: line for number, line in enumerate(lines) if line}


def _checked(names: Any) -> ClassList:  # noqa: ANN401  (what a file holds)
    """A list of names, or a mapping of ids to names."""
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict):
        raise ValueError("no names in it")
    found = {}
    for class_id, name in names.items():
        number = int(class_id) if isinstance(class_id, str) and class_id.isdecimal() else class_id
        if type(number) is not int or not isinstance(name, str | int) or not str(name).strip():
            raise ValueError(f"{shown(class_id)}: {shown(name)} is no id with a name")
        found[number] = str(name).strip()
    return found
