"""Settings of glibc's memory allocator for large tensors."""

import ctypes
import sys
from functools import cache

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # of glibc's mallopt


@cache
def keep_freed_memory() -> bool:
    """Make glibc reuse freed memory within this process; return whether that is possible.

    By default glibc maps and unmaps each large tensor. The kernel then clears its pages at every
    layer, which takes longer than the layer's computation.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # the C library is not glibc
        return False
    return bool(mallopt(_MMAP_MAX, 0) and mallopt(_TRIM_THRESHOLD, 2**31 - 1))
