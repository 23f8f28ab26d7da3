"""Garbage: Python's cyclic collector, held while a large answer is read."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

LARGE_BYTES = 1_000_000
"""From here on the collector costs more than the reading: it looks at all objects again and again as they grow."""

_lock = threading.Lock()
_held = 0
_was_enabled = False


@contextmanager
def held(size: int) -> Iterator[None]:
    """Collect no cycles meanwhile, if ``size`` bytes of JSON are worth it; several threads may at once."""
    global _held, _was_enabled
    if size < LARGE_BYTES:
        yield
        return
    with _lock:
        if _held == 0:
            _was_enabled = gc.isenabled()
            gc.disable()
        _held += 1
    try:
        yield
    finally:
        with _lock:
            _held -= 1
            if _held == 0 and _was_enabled:
                gc.enable()
