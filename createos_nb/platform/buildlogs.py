"""Build logs: what each build printed, readable while it is written.

A build that prints without end must not fill the disk, and the end of what it printed says why it failed: what is
in between is left out, and said to be.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from typing import TextIO

from createos_nb.api.deployments import BuildLogLine
from createos_nb.platform.clock import Clock

MAX_BYTES = 5_000_000
"""What the beginning of a log may take, and the end of it as well."""

_Entry = tuple[int, datetime, str, str]
"""Number, time, stage, line."""


class BuildLogs:
    """What the builds printed.

    Parameters
    ----------
    directory
        Holds the files of each deployment: its beginning, and of a long one two with the end; made when missing.
    clock
        Of the platform.
    """

    def __init__(self, directory: Path, clock: Clock) -> None:
        self._clock = clock
        directory.mkdir(mode=0o700, exist_ok=True)
        self._directory = directory
        self._written: dict[str, int] = {}

    def write(self, deployment_id: str, stage: str, line: str) -> None:
        """Append a line; a full disk costs the line, not the build."""
        entry: list[object] = [self._clock.now().isoformat(timespec="microseconds"), stage, line]
        beginning, older, newer = self._paths(deployment_id)
        with suppress(OSError):
            if not beginning.exists() or beginning.stat().st_size < MAX_BYTES:
                _append(beginning, entry)
                return
            if deployment_id not in self._written:
                self._written[deployment_id] = max(
                    (number for number, *_ in self._entries(deployment_id)), default=0
                )
            if newer.exists() and newer.stat().st_size >= MAX_BYTES // 2:
                newer.replace(older)
            self._written[deployment_id] += 1
            _append(newer, [*entry, self._written[deployment_id]])

    def read(self, deployment_id: str, *, skip: int = 0) -> list[BuildLogLine]:
        """Return the lines, oldest first, without the first ``skip``; one stands for those that were left out."""
        lines = []
        before = skip
        for number, ts, stage, text in self._entries(deployment_id, skip=skip):
            if number > before + 1:
                left_out = f"({number - before - 1:,} lines are left out here: the log is too long.)"
                lines.append((number - 1, ts, stage, left_out))
            lines.append((number, ts, stage, text))
            before = number
        return [
            BuildLogLine(
                deployment_id=deployment_id, ts=ts, stage=stage, line_number=number, log=text, created_at=ts
            )
            for number, ts, stage, text in lines
        ]

    def remove(self, deployment_id: str) -> None:
        """Remove the log of a deployment that is gone."""
        self._written.pop(deployment_id, None)
        for path in self._paths(deployment_id):
            path.unlink(missing_ok=True)

    def _entries(self, deployment_id: str, *, skip: int = 0) -> Iterator[_Entry]:
        beginning, *end = self._paths(deployment_id)
        if beginning.exists():
            with beginning.open(encoding="utf-8") as file:
                for number, line in enumerate(_whole(file), 1):
                    if number > skip:
                        ts, stage, text = json.loads(line)
                        yield number, datetime.fromisoformat(ts), stage, text
        with ExitStack() as opened:
            files: list[TextIO] = []
            # The newest first: one that takes the other's place meanwhile is read twice then, and not never.
            for path in reversed(end):
                with suppress(FileNotFoundError):
                    files.insert(0, opened.enter_context(path.open(encoding="utf-8")))
            last = skip
            for ts, stage, text, number in (json.loads(line) for file in files for line in _whole(file)):
                if number > last:
                    last = number
                    yield number, datetime.fromisoformat(ts), stage, text

    def _paths(self, deployment_id: str) -> tuple[Path, Path, Path]:
        beginning = self._directory / f"{deployment_id}.jsonl"
        return beginning, beginning.with_suffix(".older.jsonl"), beginning.with_suffix(".newer.jsonl")


def _whole(file: Iterable[str]) -> Iterator[str]:
    """Return the lines that have an end: one that is being written, or that a crash cut off, has none yet."""
    return (line for line in file if line.endswith("\n"))


def _append(path: Path, entry: list[object]) -> None:
    """Append an entry as a whole, or not at all."""
    data = (json.dumps(entry) + "\n").encode()
    with path.open("ab", buffering=0) as file:
        size = file.tell()
        if file.write(data) < len(data):
            file.truncate(size)
