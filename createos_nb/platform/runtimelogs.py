"""Runtime logs: what the applications print, kept per environment and deployment, bounded on disk."""

from __future__ import annotations

import heapq
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from io import SEEK_END, FileIO
from pathlib import Path

MAX_FILE_BYTES = 5_000_000
KEPT_FILES = 2
"""Rotated files beside the one that is written: a deployment's log takes at most 15 MB."""

_OPEN_FILES = 64
_NO_ENVIRONMENT = "-"
_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class RuntimeLogs:
    """Log lines of every application of the platform.

    Each line is stored with the time it arrived and its replica, since an application's own format and
    clock are not to be relied on. Not thread-safe: it belongs to the platform's event loop.

    Parameters
    ----------
    directory
        Where the files are; made when missing.
    clock
        Unix time in seconds.
    """

    def __init__(self, directory: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._directory = directory
        self._clock = clock
        self._open: OrderedDict[Path, FileIO] = OrderedDict()
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    def write(self, environment_id: str | None, deployment_id: str, replica: int, line: str) -> None:
        """Append one line; see `write_lines`."""
        self.write_lines(environment_id, deployment_id, replica, [line])

    def write_lines(
        self, environment_id: str | None, deployment_id: str, replica: int, lines: Iterable[str]
    ) -> None:
        """Append lines in one piece; a full disk costs them, not the application.

        Parameters
        ----------
        environment_id
            The environment the process serves, None when it serves none.
        replica
            Number of the process within the deployment, from 0.
        lines
            Kept as they are; none may hold a line feed.
        """
        path = self._path(environment_id, deployment_id)
        prefix = f"{self._clock():.3f} {replica} "
        data = "".join([f"{prefix}{line}\n" for line in lines]).encode(errors="replace")
        with suppress(OSError):
            file = self._file(path)
            size = file.seek(0, SEEK_END)
            if file.write(data) < len(data):
                file.truncate(size)
            if size + len(data) >= MAX_FILE_BYTES:
                self._rotate(path)

    def read(
        self,
        *,
        environment_id: str | None = None,
        deployment_id: str | None = None,
        since_s: float = 60,
    ) -> str:
        """Return the whole lines of the last seconds, oldest first, joined by line feeds.

        Parameters
        ----------
        environment_id, deployment_id
            Whose lines; one that is None selects every one.
        since_s
            How far to look back, in seconds.

        Returns
        -------
        str
            Empty when there are no lines.
        """
        return self.reading(environment_id=environment_id, deployment_id=deployment_id, since_s=since_s)()

    def reading(
        self, *, environment_id: str | None = None, deployment_id: str | None = None, since_s: float = 60
    ) -> Callable[[], str]:
        """Return what does the work of `read`, which may be called in another thread, once.

        The files are opened here, so that a rotation meanwhile moves none of them away or in twice.
        """
        since = self._clock() - since_s
        environment = "*" if environment_id is None else _checked(environment_id)
        deployment = "*" if deployment_id is None else _checked(deployment_id)
        paths = sorted(self._directory.glob(f"{environment}/{deployment}.log"))
        opened = [_open(path) for path in paths]

        def work() -> str:
            streams = [_lines(files, since) for files in opened]
            return "\n".join(line for _, line in heapq.merge(*streams, key=lambda entry: entry[0]))

        return work

    def forget(self, before_s: float) -> int:
        """Delete the files whose last line is older than a time in unix seconds, and return how many."""
        deleted = 0
        for path in (*self._directory.glob("*/*.log"), *self._directory.glob("*/*.log.*")):
            lines = path.read_bytes().rsplit(b"\n", 2)
            if len(lines) > 1 and _entry(lines[-2])[0] < before_s:
                if path in self._open:
                    self._open.pop(path).close()
                path.unlink()
                deleted += 1
        return deleted

    def remove(self, deployment_id: str, environment_id: str | None = None) -> None:
        """Remove what a deployment printed, on one environment or on every one."""
        environment = "*" if environment_id is None else _checked(environment_id)
        pattern = f"{environment}/{_checked(deployment_id)}.log"
        for path in (*self._directory.glob(pattern), *self._directory.glob(f"{pattern}.*")):
            if path in self._open:
                self._open.pop(path).close()
            path.unlink(missing_ok=True)
            with suppress(OSError):  # There is more in it.
                path.parent.rmdir()

    def close(self) -> None:
        """Close every file; a later line opens its own again."""
        while self._open:
            self._open.popitem()[1].close()

    def _path(self, environment_id: str | None, deployment_id: str) -> Path:
        environment = _NO_ENVIRONMENT if environment_id is None else _checked(environment_id)
        return self._directory / environment / f"{_checked(deployment_id)}.log"

    def _file(self, path: Path) -> FileIO:
        file = self._open.get(path)
        if file is None:
            path.parent.mkdir(exist_ok=True, mode=0o700)
            file = self._open[path] = FileIO(path, "a+")
            _end_last_line(file)
            if len(self._open) > _OPEN_FILES:
                self._open.popitem(last=False)[1].close()
        else:
            self._open.move_to_end(path)
        return file

    def _rotate(self, path: Path) -> None:
        self._open.pop(path).close()
        for number in range(KEPT_FILES, 0, -1):
            older = _rotated(path, number - 1)
            if older.exists():
                older.replace(_rotated(path, number))


def _checked(identifier: str) -> str:
    if not _IDENTIFIER.fullmatch(identifier):
        raise ValueError(f"{identifier!r} is not an id: it becomes part of a file's name.")
    return identifier


def _rotated(path: Path, number: int) -> Path:
    return path if number == 0 else path.with_name(f"{path.name}.{number}")


def _end_last_line(file: FileIO) -> None:
    """End the line that a killed platform left half written, so that the next one stays whole."""
    size = file.seek(0, 2)
    if size:
        file.seek(size - 1)
        if file.read(1) != b"\n":
            file.write(b"\n")


def _open(path: Path) -> list[FileIO]:
    """Open the files of a log, the newest first."""
    files = []
    with suppress(FileNotFoundError):
        for number in range(KEPT_FILES + 1):
            files.append(FileIO(_rotated(path, number)))  # noqa: PERF401 - those before a missing one count
    return files


def _lines(files: list[FileIO], since: float) -> Iterator[tuple[float, str]]:
    """Yield the time and text of the lines of a log that are not older than ``since``, oldest first."""
    pieces: list[list[tuple[float, str]]] = []
    for file in files:
        with file:
            data = file.readall()
        # The last piece is empty, or a line that is being written.
        entries = [_entry(line) for line in data.split(b"\n")[:-1]]
        pieces.append([entry for entry in entries if entry[0] >= since])
        if entries and entries[0][0] < since:
            break
    for file in files:
        file.close()
    for piece in reversed(pieces):
        yield from piece


def _entry(line: bytes) -> tuple[float, str]:
    at, _, rest = line.decode(errors="replace").partition(" ")
    try:
        return float(at), rest.partition(" ")[2]
    except ValueError:
        return 0.0, rest
