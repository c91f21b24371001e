"""How the C library deals with the memory of large tensors."""

import ctypes
import sys
from functools import cache

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # of glibc's mallopt


@cache
def keep_freed_memory() -> bool:
    """Have glibc keep freed memory for the next tensors of this process; whether it will.

    It would map each large tensor anew and give it back when freed, so that the kernel clears it
    page by page at every layer: more time than the layer itself takes.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # another C library
        return False
    return bool(mallopt(_MMAP_MAX, 0) and mallopt(_TRIM_THRESHOLD, 2**31 - 1))
