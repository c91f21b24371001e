"""What the nodes of a cluster must have in common for equal bytes."""

import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from common.errors import DataError, DeviceError
from pipeline.engine.said import Said


def versions() -> dict[str, str]:
    """What must be equal on all nodes for equal bytes: the processor, and versions."""
    names = ("irvis", "torch", "numpy", "opencv-python", "av", "numba")
    return {
        "processor": _processor(),
        "python": platform.python_version(),
        **{name: version(name) for name in names},
    }


def check_node(about: Mapping[str, Any], *, mixed: bool, said: Said) -> None:
    """Refuse a node that can't do the work, or that would give other bytes.

    Args:
        about: What ``shard_worker.Worker.prepare`` returned there.
        mixed: Whether a node may have another processor or other versions than this one.
        said: Receives a warning about such a node then.

    Raises:
        DataError: The node lacks something.
        DeviceError: It is another one.
    """
    if about["problem"]:
        raise DataError(f"node {about['node']}: {about['problem']}")
    mine = versions()
    other = {name: value for name, value in about["versions"].items() if value != mine[name]}
    if not other:
        return
    name, value = next(iter(other.items()))
    text = f"node {about['node']} has {name} {value}, the driver {mine[name]}"
    if not mixed:
        raise DeviceError(
            f"{text}: results would differ; make them equal, or allow it with "
            "compute.engine.mixed=true"
        )
    said.add([("", f"{text}: results may differ in their last digits")])


def _processor() -> str:
    """The model of the processor, as Linux names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
