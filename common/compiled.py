"""Loops over arrays, compiled with numba."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, cast

from numba import config, njit
from numba.core.codegen import get_host_cpu_features

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(**options: Any) -> Callable[[Function], Function]:  # noqa: ANN401  (numba's own)
    """Compile at the first call, cache the result on disk, and run without the GIL.

    Args:
        options: Options of ``numba.njit``.
    """
    compile_ = partial(njit, nogil=True, **options)

    def decorate(function: Function) -> Function:
        try:
            return cast(Function, compile_(function, cache=True))
        except RuntimeError:  # no cache folder is writable
            return cast(Function, compile_(function))

    return decorate


def _use_whole_registers() -> None:
    """Let the compiler use AVX-512's registers in full, unless numba's variables say otherwise.

    It prefers half of them, since some processors lower their clock rate for the others; the scan
    is faster with all of them (docs/benchmarks.md).
    """
    settings = vars(config)  # numba declares none of them
    if settings["CPU_NAME"] is None and settings["CPU_FEATURES"] is None:
        features = get_host_cpu_features()
        if "+avx512f" in features.split(","):
            settings["CPU_FEATURES"] = f"{features},-prefer-256-bit"


_use_whole_registers()  # before anything is compiled: numba reads it once
