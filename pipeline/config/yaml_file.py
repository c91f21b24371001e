"""Reading a configuration file."""

from pathlib import Path
from typing import Any

import yaml

from common.errors import ConfigError


class _Loader(yaml.SafeLoader):
    """The safe loader, with an error for duplicate keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Construct the mapping of a node."""
        keys = [key.value for key, _ in node.value]
        twice = sorted({str(key) for key in keys if keys.count(key) > 1})
        if twice:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {twice[0]!r} stands twice", node.start_mark
            )
        return super().construct_mapping(node, deep)


def read(path: Path) -> dict[str, Any]:
    """Read the sections of a configuration file as plain values, not validated.

    Raises:
        ConfigError: The file is missing or unreadable, is not YAML, or has no sections.
    """
    try:
        settings = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506
    except FileNotFoundError as error:
        raise ConfigError(f"no configuration file {path}; try configs/demo.yaml") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error})") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not YAML ({' '.join(str(error).split())})") from error
    if not isinstance(settings, dict):
        raise ConfigError(f"{path}: must hold sections such as source and arms")
    return settings
