"""Lease: one change at a time on a project and environment, among the processes of this machine.

The lock is the operating system's: it ends with the process that holds it, however that ends. The real
platform has no lock of its own, so people on other machines are not held off; `PlanStale` is for them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from createos_nb.errors import LeaseHeld
from createos_nb.settings import home


@contextmanager
def lease(platform: str, project_id: str, environment_id: str | None, what: str) -> Iterator[None]:
    """Hold the lease on an environment, or on a whole project, while a change is made.

    Environments of one project can be changed side by side, a whole project only when none of them is.

    Parameters
    ----------
    platform
        The API's URL; equal ids on two platforms do not meet.
    project_id, environment_id
        What is about to be changed; an environment of None is the whole project.
    what
        The change in a few words, shown to whoever meets the lease.

    Raises
    ------
    LeaseHeld
        Another process holds it; the message says which, since when and for what.
    """
    directory = home() / "leases" / _name(f"{platform} {project_id}")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as held:
        with ExitStack() as door:
            # The project's lock is the door to its environments' locks: who passes has the door for a moment,
            # who changes the whole project keeps it, once everybody is out.
            if environment_id is None:
                _hold(held, directory / "project", what)
                for path in sorted(directory.glob("environment-*.lock")):
                    _hold(held, path.with_suffix(""), what)
            else:
                _hold(door, directory / "project", what, patience_s=2)
                _hold(held, directory / f"environment-{_name(environment_id)}", what)
        yield


def _hold(held: ExitStack, path: Path, what: str, *, patience_s: float = 0) -> None:
    """Take a lock until the stack is left, with a note of who has it."""
    note = path.with_suffix(".json")
    # One lock object each time: filelock would otherwise let the same process in twice.
    lock = FileLock(path.with_suffix(".lock"), is_singleton=False)
    try:
        lock.acquire(timeout=patience_s, poll_interval=0.01)
    except Timeout:
        raise LeaseHeld(
            f"Another change is under way there ({_holder(note)}). "
            "Nothing was changed; wait for it to end, then plan again."
        ) from None
    held.callback(lock.release)
    held.callback(note.unlink, missing_ok=True)
    note.write_text(json.dumps({"pid": os.getpid(), "what": what, "since": f"{datetime.now(UTC):%F %TZ}"}))


def _name(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _holder(note: Path) -> str:
    with suppress(OSError, ValueError, KeyError, TypeError):
        told = json.loads(note.read_text())
        return f"{told['what']}, process {told['pid']}, since {told['since']}"
    return "by another process"
