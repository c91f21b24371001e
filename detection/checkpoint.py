"""Reading a pickled YOLO checkpoint without running any code that it names."""

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from common.errors import WeightsError, cut, shown
from common.tensors import check_sizes

# Classes that a YOLO checkpoint may name: modules, of which only tensors are used, and metadata.
MODULES = ("models.", "torch.nn.modules.", "ultralytics.")
INERT = ("numpy.", "pathlib.", "_codecs.encode", "utils.")
MODULES_MOST, DEPTH_MOST = 10_000, 50  # of a network; the largest YOLOs have under 2,000 and 10
CLASSES_MOST = 10_000


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
        _check_unpacked(path)
        globals_used = get_unsafe_globals_in_checkpoint(path)
        foreign = [name for name in globals_used if not name.startswith(MODULES + INERT)]
        if foreign:
            raise WeightsError(
                f"{path}: refused, unpickling it would run {cut(foreign[0])}, which is no part "
                "of a YOLO checkpoint"
            )
        replacements: list[Any] = [
            (_EmptyModule if name.startswith(MODULES) else _EmptyObject, name)
            for name in globals_used
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


def state_of(module: nn.Module, path: Path) -> dict[str, Tensor]:
    """The tensors of a module that ``read_checkpoint`` made, float32, by their dotted names.

    As ``module.state_dict()``, but a module that is held in two places is looked at once: each
    holding the next one twice, a few of them have more names than there is time.

    Raises:
        WeightsError: The modules are nested too deep or too many, something else is in a tensor's
            place, or the tensors are larger than the file.
    """
    state: dict[str, Tensor] = {}
    seen = {id(module)}
    rest: list[tuple[str, nn.Module]] = [("", module)]
    while rest:
        name, part = rest.pop()
        if len(seen) > MODULES_MOST or name.count(".") > DEPTH_MOST:
            raise WeightsError(
                f"{path}: not a YOLO checkpoint: over {MODULES_MOST} modules, or nested deeper "
                f"than {DEPTH_MOST}"
            )
        held = vars(part)
        skipped = held.get("_non_persistent_buffers_set") or ()
        for kind in ("_parameters", "_buffers"):
            for key, value in held.get(kind, {}).items():
                if value is None or (kind == "_buffers" and key in skipped):
                    continue
                if not isinstance(value, Tensor):
                    raise WeightsError(f"{path}: {cut(name + str(key))} is no tensor")
                state[f"{name}{key}"] = value
        for key, child in held.get("_modules", {}).items():
            if isinstance(child, nn.Module) and id(child) not in seen:
                seen.add(id(child))
                rest.append((f"{name}{key}.", child))
    check_sizes(path, state)
    return {name: value.detach().float() for name, value in state.items()}


def class_names(names: object, path: Path) -> dict[int, str]:
    """The names of a checkpoint's classes by id.

    Raises:
        WeightsError: They are none, or more than ``CLASSES_MOST``.
    """
    if isinstance(names, list | tuple):
        names = dict(enumerate(names[: CLASSES_MOST + 1]))
    if not isinstance(names, Mapping) or len(names) > CLASSES_MOST:
        raise WeightsError(
            f"{path}: its class names are {shown(type(names).__name__)} of more than "
            f"{CLASSES_MOST} or no list; give weights of fewer classes"
        )
    try:
        return {int(class_id): str(name) for class_id, name in names.items()}
    except (TypeError, ValueError) as error:
        raise WeightsError(f"{path}: a class id is no number ({error})") from error


def _check_unpacked(path: Path) -> None:
    """Refuse a packed file that becomes much larger: torch writes all of it as it is."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
    if unpacked > 2 * path.stat().st_size + (1 << 20):
        raise WeightsError(
            f"{path}: refused, it would unpack to {unpacked / 1e6:.0f} MB; torch.save writes "
            "checkpoints that aren't compressed"
        )
