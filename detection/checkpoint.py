"""Reading a pickled YOLO checkpoint without running any code that it names."""

import re
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from common.errors import WeightsError

# What a YOLO checkpoint may name: modules (only their tensors are used) and inert bookkeeping.
MODULES = ("models.", "torch.nn.modules.", "ultralytics.")
INERT = ("numpy.", "pathlib.", "_codecs.encode", "utils.")


class _Husk(nn.Module):
    """Stands in for a pickled module: its tensors can be listed, its code never existed."""


class _Inert:
    """Stands in for bookkeeping (training figures, paths): takes anything, is nothing."""

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, _: object) -> None: ...


def read_checkpoint(path: Path) -> Any:  # noqa: ANN401  (whatever the file holds)
    """The unpickled file, every class in it replaced by an empty one.

    Modules become bare ``nn.Module`` objects, which keep their parameters, buffers, children and
    plain attributes.

    Raises:
        WeightsError: The file is damaged, is no checkpoint, or names anything else to run.
    """
    try:
        wanted = get_unsafe_globals_in_checkpoint(path)
        foreign = [name for name in wanted if not name.startswith(MODULES + INERT)]
        if foreign:
            raise WeightsError(
                f"{path}: refused, unpickling it would run {foreign[0]}, which is no part of a "
                "YOLO checkpoint"
            )
        husks: list[Any] = [
            (_Husk if name.startswith(MODULES) else _Inert, name) for name in wanted
        ]
        with safe_globals(husks):
            return torch.load(path, map_location="cpu", weights_only=True)
    except WeightsError:
        raise
    except Exception as error:  # a damaged pickle can raise anything
        reason = re.split(r"[.\n]", str(error), maxsplit=1)[0]
        raise WeightsError(
            f"{path}: not a YOLO checkpoint, or damaged ({type(error).__name__}: {reason})"
        ) from error
