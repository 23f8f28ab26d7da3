"""Recorder: one line per answered request, in files that the platform's `AccessLog` takes over.

A line is written into a mapped file, which costs less than a call of the system, and whose content outlives this
process however it ends. The room is allotted before, so that a full disk costs records and not the gateway.
"""

from __future__ import annotations

import logging
import mmap
import os
import time
from collections.abc import Callable
from pathlib import Path

SUFFIX = ".tsv"
SEGMENT_BYTES = 4 * 2**20
MAX_PATH = 1_024

_log = logging.getLogger(__name__)


def line(
    environment_id: str | None,
    at: float,
    deployment_id: str | None,
    replica: int | None,
    method: str,
    path: str,
    status: int,
    duration_ms: float,
    bytes_sent: int,
) -> str:
    """Return a record as it is written, in the order of `createos_nb.platform.accesslog.AccessRecord`."""
    return (
        f"{environment_id or ''}\t{round(at * 1_000_000)}\t{deployment_id or ''}\t"
        f"{'' if replica is None else replica}\t{method}\t{path}\t{status}\t{duration_ms:.3f}\t{bytes_sent}\n"
    )


class Recorder:
    """Writes access records; a file that is full is followed by the next.

    Parameters
    ----------
    directory
        Of the files; made when missing. Nobody else may write to it.
    segment_bytes
        Size of a file.

    Attributes
    ----------
    ahead_s
        By how much the platform's clock is ahead of this machine's.
    on_full
        Called when a file is full.
    """

    def __init__(self, directory: Path, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.ahead_s = 0.0
        self.on_full: Callable[[], None] | None = None
        self._directory = directory
        self._size = segment_bytes
        self._descriptor = -1
        self._segment: mmap.mmap | None = None
        self._at = 0
        self._synced = 0
        self._complained = False

    def record(
        self,
        *,
        environment_id: str | None,
        deployment_id: str | None,
        replica: int | None,
        method: str,
        path: str,
        status: int,
        duration_ms: float,
        bytes_sent: int,
        at: float | None = None,
    ) -> None:
        """Write one record; it is in every answer of the access log from now on.

        Parameters
        ----------
        environment_id, deployment_id, replica
            What answered; None where the gateway did by itself.
        method, path, status
            What was asked, and the answer's status; a query is cut off.
        duration_ms, bytes_sent
            How long the answer took and how large its body was.
        at
            Arrival in unix seconds by this machine's clock; now when not given.
        """
        arrived = (time.time() if at is None else at) + self.ahead_s
        names = environment_id, arrived, deployment_id, replica, method, path.partition("?")[0][:MAX_PATH]
        written = line(*names, status, duration_ms, bytes_sent).encode()
        if self._at + len(written) > self._size or self._segment is None:
            self._begin()
        if self._segment is not None:
            end = self._at + len(written)
            self._segment[self._at : end] = written
            self._at = end

    def sync(self) -> None:
        """See to it that what was written outlives a power failure, too; may be called from another thread."""
        written = self._at
        if written != self._synced and self._descriptor >= 0:
            self._synced = written
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Give back the room that was not needed."""
        if self._segment is not None:
            self._segment.close()
            os.ftruncate(self._descriptor, self._at)
            os.close(self._descriptor)
            self._segment, self._descriptor = None, -1

    def _begin(self) -> None:
        """Begin the next file, if there is room for it."""
        full = self._segment is not None
        self.close()
        # The names ascend, whatever the clock does, and none is used twice.
        latest = max((int(path.stem) for path in self._directory.glob(f"*{SUFFIX}")), default=0)
        path = self._directory / f"{max(time.time_ns(), latest + 1):020}{SUFFIX}"
        descriptor = -1
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            os.posix_fallocate(descriptor, 0, self._size)
            self._segment = mmap.mmap(descriptor, self._size)
        except OSError as error:
            if descriptor >= 0:
                os.close(descriptor)
                path.unlink(missing_ok=True)
            if not self._complained:
                _log.error("Requests are not recorded: %s. Free some space.", error)
            self._complained = True
            return
        self._complained = False
        self._descriptor, self._at, self._synced = descriptor, 0, 0
        if full and self.on_full is not None:
            self.on_full()
