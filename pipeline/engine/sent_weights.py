"""Weights that the driver sends to nodes which don't have their files, identified by sha256."""

import hashlib
import tempfile
from collections.abc import Mapping
from copy import deepcopy
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any, NamedTuple

from common.checksums import sha256
from common.errors import WeightsError
from pipeline.config.components import Component
from pipeline.config.config import Config

PROJECT = Path(__file__).parents[2]  # every node has what is in it


class Sent(NamedTuple):
    """The content of a file of weights."""

    name: str
    sha256: str
    content: bytes


Place = tuple[str, ...]  # of settings with weights, such as ("arms", "fused")


def collect(config: Config) -> dict[Place, Sent]:
    """The weights of a configuration that are files outside the project.

    Raises:
        WeightsError: A file doesn't exist.
    """
    parts: dict[Place, Component] = {("arms", name): arm for name, arm in config.arms.items()}
    if config.detector is not None:
        parts["detector",] = config.detector
    parts |= {("arms", name, "detector"): own for name, own in config.own_detectors.items()}
    sent = {}
    for place, part in parts.items():
        path = part.as_component.weights_file()
        if path is not None and PROJECT not in path.resolve().parents:
            content = path.read_bytes()
            sent[place] = Sent(path.name, hashlib.sha256(content).hexdigest(), content)
    return sent


def with_weights(settings: Mapping[str, Any], weights: Mapping[Place, Sent]) -> dict[str, Any]:
    """Settings whose weights are files that this node has, with the same content.

    Raises:
        WeightsError: A file can't be written.
    """
    changed = deepcopy(dict(settings))
    for place, sent in weights.items():
        given: dict[str, Any] = reduce(getitem, place, changed)
        path = Path(str(given.get("weights", "")))
        if not (path.is_file() and sha256(path) == sent.sha256):
            given["weights"] = str(_written(sent))
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
