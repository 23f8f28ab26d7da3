"""Build logs: what each build printed, one file a deployment, readable while it is written."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from createos_nb.api.deployments import BuildLogLine
from createos_nb.platform.clock import Clock

MAX_BYTES = 10_000_000
"""What a log may take; a build that prints without end must not fill the disk."""


class BuildLogs:
    """What the builds printed.

    Parameters
    ----------
    directory
        Holds one file a deployment; made when missing.
    clock
        Of the platform.
    """

    def __init__(self, directory: Path, clock: Clock) -> None:
        self._clock = clock
        directory.mkdir(mode=0o700, exist_ok=True)
        self._directory = directory

    def write(self, deployment_id: str, stage: str, line: str) -> None:
        """Append a line; a full disk costs the line, not the build."""
        entry = json.dumps([self._clock.now().isoformat(timespec="microseconds"), stage, line]) + "\n"
        with suppress(OSError), self._path(deployment_id).open("ab", buffering=0) as file:
            size = file.tell()
            if size < MAX_BYTES and file.write(entry.encode()) < len(entry):
                file.truncate(size)

    def read(self, deployment_id: str, *, skip: int = 0) -> list[BuildLogLine]:
        """Return the lines, oldest first, without the first ``skip``."""
        path = self._path(deployment_id)
        if not path.exists():
            return []
        with path.open(encoding="utf-8") as file:
            # A line that is being written, or that a crash cut off, has no end yet.
            whole = [line for line in file if line.endswith("\n")][skip:]
            return [
                BuildLogLine(
                    deployment_id=deployment_id,
                    ts=ts,
                    stage=stage,
                    line_number=number,
                    log=text,
                    created_at=ts,
                )
                for number, (ts, stage, text) in enumerate(map(json.loads, whole), skip + 1)
            ]

    def _path(self, deployment_id: str) -> Path:
        return self._directory / f"{deployment_id}.jsonl"
