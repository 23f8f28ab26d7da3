"""Lease: one change at a time on a project and environment, among the processes of this machine.

The lock is the operating system's: it ends with the process that holds it, however that ends. The real
platform has no lock of its own, so people on other machines are not held off; `PlanStale` is for them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from filelock import FileLock, Timeout

from createos_nb.errors import LeaseHeld
from createos_nb.settings import home


@contextmanager
def lease(platform: str, project_id: str, environment_id: str | None, what: str) -> Iterator[None]:
    """Hold the lease on an environment, or on a whole project, while a change is made.

    Parameters
    ----------
    platform
        The API's URL; equal ids on two platforms do not meet.
    project_id, environment_id
        What is about to be changed.
    what
        The change in a few words, shown to whoever meets the lease.

    Raises
    ------
    LeaseHeld
        Another process holds it; the message says which, since when and for what.
    """
    directory = home() / "leases"
    directory.mkdir(mode=0o700, exist_ok=True)
    name = hashlib.sha256(f"{platform} {project_id} {environment_id or ''}".encode()).hexdigest()[:24]
    note = directory / f"{name}.json"
    # One lock object each time: filelock would otherwise let the same process in twice.
    lock = FileLock(directory / f"{name}.lock", is_singleton=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise LeaseHeld(
            f"Another change is under way there ({_holder(note.read_text() if note.exists() else '')}). "
            "Nothing was changed; wait for it to end, then plan again."
        ) from None
    try:
        note.write_text(json.dumps({"pid": os.getpid(), "what": what, "since": f"{datetime.now(UTC):%F %TZ}"}))
        yield
    finally:
        note.unlink(missing_ok=True)
        lock.release()


def _holder(text: str) -> str:
    with suppress(ValueError, KeyError, TypeError):
        note = json.loads(text)
        return f"{note['what']}, process {note['pid']}, since {note['since']}"
    return "by another process"
