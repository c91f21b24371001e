"""Weights that the driver sends to nodes which don't have their files, identified by sha256."""

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from common.checksums import sha256
from common.errors import WeightsError
from pipeline.config.config import Config

PROJECT = Path(__file__).parents[2]  # every node has what is in it


class Sent(NamedTuple):
    """The content of a file of weights, by its setting such as ``arms.fused``."""

    name: str
    sha256: str
    content: bytes


def collect(config: Config) -> dict[str, Sent]:
    """The weights of a configuration that are files outside the project.

    Raises:
        WeightsError: A file doesn't exist.
    """
    parts = {f"arms.{name}": arm for name, arm in config.arms.items()}
    if config.detector is not None:
        parts["detector"] = config.detector
    sent = {}
    for where, part in parts.items():
        path = part.as_component.weights_file()
        if path is not None and PROJECT not in path.resolve().parents:
            content = path.read_bytes()
            sent[where] = Sent(path.name, hashlib.sha256(content).hexdigest(), content)
    return sent


def with_weights(settings: Mapping[str, Any], weights: Mapping[str, Sent]) -> dict[str, Any]:
    """Settings whose weights are files that this node has, with the same content.

    Raises:
        WeightsError: A file can't be written.
    """
    changed = {**settings, "arms": dict(settings["arms"])}
    for where, sent in weights.items():
        part, _, name = where.partition(".")
        given = changed["arms"][name] if name else changed[part]
        path = Path(str(given.get("weights", "")))
        if path.is_file() and sha256(path) == sent.sha256:
            continue
        replaced = {**given, "weights": str(_written(sent))}
        if name:
            changed["arms"][name] = replaced
        else:
            changed[part] = replaced
    return changed


def _written(sent: Sent) -> Path:
    """The file of sent weights in this node's folder for temporary files."""
    path = Path(tempfile.gettempdir()) / "irvis-weights" / sent.sha256 / sent.name
    if path.is_file() and sha256(path) == sent.sha256:
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as draft:
            draft.write(sent.content)
        Path(draft.name).replace(path)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be written ({error.strerror}); free space") from error
    return path
