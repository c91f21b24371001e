"""Reading a pickled YOLO checkpoint without running any code that it names."""

import re
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from common.errors import WeightsError

# Classes that a YOLO checkpoint may name: modules, of which only tensors are used, and metadata.
MODULES = ("models.", "torch.nn.modules.", "ultralytics.")
METADATA = ("numpy.", "pathlib.", "_codecs.encode", "utils.")


class _EmptyModule(nn.Module):
    """Replaces a pickled module: keeps its tensors, has none of its code."""


class _EmptyObject:
    """Replaces pickled metadata (training figures, paths) and ignores its content."""

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, _: object) -> None: ...


def read_checkpoint(path: Path) -> Any:  # noqa: ANN401  (whatever the file holds)
    """Unpickle a file with every class in it replaced by an empty one.

    Modules become bare ``nn.Module`` objects, which keep their parameters, buffers, children and
    plain attributes.

    Raises:
        WeightsError: The file is damaged, is no checkpoint, or names other classes or functions.
    """
    try:
        class_names = get_unsafe_globals_in_checkpoint(path)
        foreign = [name for name in class_names if not name.startswith(MODULES + METADATA)]
        if foreign:
            raise WeightsError(
                f"{path}: refused, unpickling it would run {foreign[0]}, which is no part of a "
                "YOLO checkpoint"
            )
        replacements: list[Any] = [
            (_EmptyModule if name.startswith(MODULES) else _EmptyObject, name)
            for name in class_names
        ]
        with safe_globals(replacements):
            return torch.load(path, map_location="cpu", weights_only=True)
    except WeightsError:
        raise
    except Exception as error:  # a damaged pickle can raise anything
        reason = re.split(r"[.\n]", str(error), maxsplit=1)[0]
        raise WeightsError(
            f"{path}: not a YOLO checkpoint, or damaged ({type(error).__name__}: {reason})"
        ) from error
