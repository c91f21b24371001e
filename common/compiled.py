"""Compiling loops over arrays with numba."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(**options: Any) -> Callable[[Function], Function]:  # noqa: ANN401  (numba's own)
    """Compile at the first call, without the interpreter's lock, and keep the result on disk.

    Args:
        options: Of ``numba.njit``.
    """
    compile_ = partial(njit, nogil=True, **options)

    def decorate(function: Function) -> Function:
        try:
            return cast(Function, compile_(function, cache=True))
        except RuntimeError:  # neither the package's nor the user's cache folder can be written
            return cast(Function, compile_(function))

    return decorate
