"""Database: small SQLite files that all processes of a user share."""

from __future__ import annotations

import sqlite3
from pathlib import Path


def opened(path: Path | None, schema: str, *, timeout_s: float) -> sqlite3.Connection:
    """Open a file that only its owner may read, made when it is missing.

    What a crash of the machine loses of it must not matter: it is not waited for until it is on the disk.

    Parameters
    ----------
    path
        The file; None for a database of this process alone.
    schema
        Statements that make its tables where they are missing.
    timeout_s
        Seconds to wait for other processes, here and in every later transaction.

    Raises
    ------
    OSError, sqlite3.Error
        It cannot be opened, or is no database.
    """
    if path is None:
        return _with_tables(":memory:", schema, timeout_s)
    from filelock import FileLock  # loads asyncio, for a lock that is needed once in a process

    # Changing a new file's journal fails at once, whatever the timeout, while another process opens it.
    with FileLock(f"{path}.lock", timeout=timeout_s, mode=0o600):
        # Only when it is missing: closing a file drops all locks that this process has on it, also those of its
        # other connections, whose log would then be taken away under them.
        if not path.exists():
            path.touch(mode=0o600)
        return _with_tables(path, schema, timeout_s)


def _with_tables(place: Path | str, schema: str, timeout_s: float) -> sqlite3.Connection:
    database = sqlite3.connect(place, timeout=timeout_s, isolation_level=None, check_same_thread=False)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = OFF")
        database.executescript(schema)
    except BaseException:
        database.close()
        raise
    return database
