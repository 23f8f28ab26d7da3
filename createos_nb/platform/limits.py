"""Limits: what applications use of this machine, and what is said of one that takes more than it may."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from createos_nb.platform.cgroups import MAX_PROCESSES

RESERVE_BYTES = 500_000_000
"""What is to stay free on a disk; of a small one a fortieth."""
TOO_MANY = f"It was ended because it had more than {MAX_PROCESSES} processes and threads. Let it start fewer."
NO_MORE = f"It has {MAX_PROCESSES} processes and threads and gets no more. Let it start fewer."


@dataclass
class Use:
    """What an application uses, all its processes together."""

    resident_bytes: int = 0
    tasks: int = 0
    written_bytes: int = 0


def used(roots: set[int]) -> dict[int, Use]:
    """Return what the processes use with all that descend from them, by root."""
    parents: dict[int, int] = {}
    uses: dict[int, Use] = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error), process.oneshot():
            parents[process.pid] = process.ppid()
            uses[process.pid] = Use(process.memory_info().rss, process.num_threads(), _written(process))
    found = {root: Use() for root in roots}
    for pid, use in uses.items():
        ancestor: int | None = pid
        while ancestor is not None and ancestor not in roots:
            ancestor = parents.get(ancestor)
        if ancestor is not None:
            found[ancestor].resident_bytes += use.resident_bytes
            found[ancestor].tasks += use.tasks
            found[ancestor].written_bytes += use.written_bytes
    return found


def _written(process: psutil.Process) -> int:
    """Return what a process has written, to whatever; other users' processes, and some systems, do not tell."""
    try:
        return int(process.io_counters().write_chars)
    except (psutil.Error, AttributeError):
        return 0


def out_of_memory(limit_mb: int | None) -> str:
    """Return what is said of one that ran out of memory."""
    allowed = f" ({limit_mb:,} MiB allowed)" if limit_mb is not None else ""
    return f"It was ended because it ran out of memory{allowed}. Give the environment more memory or use less."


# --- disk -------------------------------------------------------------------------------------------------


def _reserve(directory: Path) -> int:
    return min(RESERVE_BYTES, shutil.disk_usage(directory).total // 40)


def is_short(directory: Path) -> bool:
    """Whether less is free than is to stay free on the disk that a directory is on."""
    return shutil.disk_usage(directory).free < _reserve(directory)


def fillers(directory: Path, roots: Mapping[int, float]) -> dict[int, str]:
    """Return what is said of the applications that took more of the disk than is to stay free, by process id.

    Parameters
    ----------
    directory
        Where they run; what they wrote elsewhere is not counted.
    roots
        When each was started, in unix seconds, by process id.
    """
    size, since_s = 0, min(roots.values())
    for place, _, names in os.walk(directory):
        for name in names:
            with suppress(OSError):
                facts = os.lstat(os.path.join(place, name))
                if facts.st_mtime >= since_s:
                    size += facts.st_blocks * 512
    most = _reserve(directory)
    if size < most:
        return {}
    # Several may run in one directory; what they sent counts, too, but one that wrote little is none of them.
    reason = (
        f"It was ended because the disk is nearly full and it has written {size / 1e6:,.0f} MB. "
        f"Remove that from {directory}, and deploy a version that writes less."
    )
    return {pid: reason for pid, use in used(set(roots)).items() if use.written_bytes >= most}
