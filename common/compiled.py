"""Loops over arrays, compiled with numba."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, cast

from numba import njit

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
