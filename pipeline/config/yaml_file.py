"""Reading a configuration file."""

from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from common.errors import ConfigError, DataError, shown
from common.files import load_yaml


class _Loader(yaml.SafeLoader):
    """The safe loader, with an error for duplicate keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping of a node."""
        keys = Counter(str(key.value) for key, _ in node.value if key.value != "<<")
        twice = [key for key, times in keys.items() if times > 1]
        if twice:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {shown(twice[0])} stands twice", node.start_mark
            )
        return super().construct_mapping(node, deep)


def read(path: Path) -> dict[str, Any]:
    """Read the sections of a configuration file as plain values, not validated.

    Raises:
        ConfigError: The file is missing or unreadable, is not YAML, or has no sections.
    """
    if not path.exists():
        raise ConfigError(f"no configuration file {path}; try configs/demo.yaml")
    try:
        settings = load_yaml(path, _Loader)
    except DataError as error:
        raise ConfigError(str(error)) from error
    if not isinstance(settings, dict):
        raise ConfigError(f"{path}: must hold sections such as source and arms")
    return settings
