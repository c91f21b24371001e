"""The backends of the scan: names, availability, and the choice for a tensor."""

import importlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from common.errors import DeviceError, shown

if TYPE_CHECKING:
    from fusion.scan.gated import GatedWeights

BACKENDS = ("numba", "triton", "mamba_ssm", "reference")
_PREFERRED = {"cpu": "numba", "cuda": "triton"}  # the choice of "auto"

_log = logging.getLogger(__name__)


class SelectiveScan(Protocol):
    """The function ``selective_scan`` of every backend module."""

    def __call__(
        self,
        u: Tensor,
        delta: Tensor,
        A: Tensor,
        B: Tensor,
        C: Tensor,
        D: Tensor | None = None,
        delta_bias: Tensor | None = None,
        delta_softplus: bool = False,
    ) -> Tensor:
        """See ``fusion.scan.selective_scan``."""
        ...


class ScanToMap(Protocol):
    """The optional ``scan_to_map`` of a backend module: the scan and ``scatter`` in one."""

    def __call__(
        self,
        u: Tensor,
        delta: Tensor,
        A: Tensor,
        B: Tensor,
        C: Tensor,
        D: Tensor,
        delta_bias: Tensor,
        size: tuple[int, int],
    ) -> Tensor:
        """See ``fusion.scan.triton.scan_to_map``."""
        ...


class ScanMap(Protocol):
    """The optional ``scan_map`` of a backend module: all of ES2D, without gradient."""

    def __call__(
        self,
        x: Tensor,
        x_weight: Tensor,
        dt_weight: Tensor,
        dt_bias: Tensor,
        A: Tensor,
        D: Tensor,
    ) -> Tensor:
        """See ``fusion.scan.es2d.es2d_scan``."""
        ...


class Streamed(Protocol):
    """The optional ``stream`` of a backend module: gated scans in pieces, without gradient."""

    def __call__(self, weights: "GatedWeights") -> Callable[[Tensor], Tensor]:
        """See ``fusion.scan.gated.gated_scan``."""
        ...


@dataclass(frozen=True)
class Backend:
    """The functions of a backend module."""

    scan: SelectiveScan
    to_map: ScanToMap | None
    map: ScanMap | None
    stream: Streamed | None


def choose(backend: str, u: Tensor) -> Backend:
    """Return the named backend, or for "auto" the fastest one for ``u``.

    Raises:
        errors.DeviceError: The backend is unknown or cannot run on this machine.
    """
    if backend == "auto" and u.dtype == torch.float64:
        backend = "reference"  # the others work in float32
    return _load(backend, u.device.type)


def problem(name: str) -> str | None:
    """Why the backend cannot run on this machine and how to fix it, or None."""
    try:
        reason: str | None = _module(name).problem()
    except ImportError as error:
        return f"cannot import {error.name}: {error}"
    return reason


@cache
def _load(backend: str, device: str) -> Backend:
    """The backend for this type of device, logged at the first call."""
    name = _PREFERRED.get(device, "reference") if backend == "auto" else backend
    if name not in BACKENDS:
        choices = ", ".join(("auto", *BACKENDS))
        raise DeviceError(f"unknown scan backend {shown(backend)}: choose one of {choices}")
    obstacle = problem(name)
    if obstacle and backend != "auto":
        raise DeviceError(f"scan backend {shown(name)} cannot run here: {obstacle}")
    if obstacle:
        _log.warning("selective scan %s cannot run here (%s): the slow reference", name, obstacle)
        name = "reference"
    module = _module(name)
    _log.info("selective scan on %s: %s", device, name)
    return Backend(
        module.selective_scan,
        getattr(module, "scan_to_map", None),
        getattr(module, "scan_map", None),
        getattr(module, "stream", None),
    )


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"fusion.scan.{name}")
