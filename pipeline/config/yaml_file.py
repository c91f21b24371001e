"""Finding and reading a configuration file."""

from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from common.errors import ConfigError, DataError, shown
from common.files import load_yaml

SHIPPED = Path(__file__).parents[2] / "configs"


class _Loader(yaml.SafeLoader):
    """The safe loader, with an error for duplicate keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Construct the mapping of a node."""
        keys = Counter(str(key.value) for key, _ in node.value if key.value != "<<")
        twice = [key for key, times in keys.items() if times > 1]
        if twice:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {shown(twice[0])} occurs twice", node.start_mark
            )
        return super().construct_mapping(node, deep)


def find(path: Path) -> Path:
    """Find the file of a path, or of a name such as `msrs`.

    A name is that of a file in the working folder, else in its folder ``configs``, else of a
    shipped configuration.

    Raises:
        ConfigError: There is no such file; the text names the shipped configurations.
    """
    candidates = [path]
    if path.name == str(path):  # without a folder
        name = path.name if path.suffix else f"{path.name}.yaml"
        candidates += [folder / name for folder in (Path(), Path("configs"), SHIPPED)]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    names = ", ".join(sorted(file.stem for file in SHIPPED.glob("*.yaml")))
    raise ConfigError(f"no configuration file {path}; give a file, or a name (shipped: {names})")


def read(path: Path) -> dict[str, Any]:
    """Read the sections of a configuration file as plain values, not validated.

    Args:
        path: See ``find``.

    Raises:
        ConfigError: The file is missing or unreadable, is not YAML, or has no sections.
    """
    path = find(path)
    try:
        settings = load_yaml(path, _Loader)
    except DataError as error:
        raise ConfigError(str(error)) from error
    if not isinstance(settings, dict):
        raise ConfigError(f"{path}: must hold sections such as source and arms")
    return settings
