"""Disk: whether it is full, and what is written once there is room again."""

from __future__ import annotations

import asyncio
import errno
import sqlite3
from collections.abc import Callable
from typing import TypeVar

FULL = "The disk that the platform's state is on is full. Free some space there."

_TRY_AGAIN_S = 1.0

T = TypeVar("T")


def is_full(error: BaseException) -> bool:
    """Whether something failed because the disk, or one's share of it, is full."""
    if isinstance(error, sqlite3.OperationalError):
        return error.sqlite_errorcode == sqlite3.SQLITE_FULL
    return isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}


async def once_there_is_room(write: Callable[[], T]) -> T:
    """Write, again and again while the disk is full: for what nobody waits for who could be told.

    Parameters
    ----------
    write
        Leaves nothing half done when it fails.
    """
    while True:
        try:
            return write()
        except (OSError, sqlite3.OperationalError) as error:
            if not is_full(error):
                raise
        await asyncio.sleep(_TRY_AGAIN_S)
