"""Why freed arrays stay with the process.

A training step makes and frees arrays of the same sizes over and over. glibc by default hands
blocks of more than 128 KiB back to the system at once, and the next step pays a page fault for
every 4 KiB it gets anew: 164 a step for a 784-128-10 network with Adam, which took longer than
Adam's arithmetic. So blocks of up to 32 MiB come from the heap, and up to 64 MiB of it are kept.
"""

import ctypes
import sys
from typing import Any

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # from malloc.h
KEPT, LARGEST_IN_HEAP = 64 << 20, 32 << 20  # bytes; glibc takes no larger LARGEST_IN_HEAP


def keep_freed_memory() -> None:
    """Have glibc keep what is freed; elsewhere do nothing."""
    mallopt = _find("mallopt")
    if mallopt is not None:
        mallopt(M_TRIM_THRESHOLD, KEPT)
        mallopt(M_MMAP_THRESHOLD, LARGEST_IN_HEAP)


def make_way(nbytes: int) -> None:
    """Give back what glibc kept, if a block of `nbytes` is to come that cannot be part of it."""
    malloc_trim = _find("malloc_trim")
    if malloc_trim is not None and nbytes > LARGEST_IN_HEAP:
        malloc_trim(0)


def _find(name: str) -> Any:
    """A function of glibc; None where there is another C library."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
