"""Journal: what was changed, by whom, when and how it ended; one line of JSON an event, never rewritten.

Each record carries the hash of the one before, so that an edit, a swap or a cut in the middle shows; a cut at
the end shows against the head that a `Result` holds. It is on disk (fsync) before the call it announces is made.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from createos_nb.errors import CreateOSError
from createos_nb.settings import home

GENESIS = "0" * 64


class Journal:
    """The journal of this user on this machine.

    Parameters
    ----------
    path
        The file; default ``journal.jsonl`` in the package's home.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path if path is not None else home() / "journal.jsonl"

    def write(self, record: Mapping[str, object]) -> str:
        """Append a record, on disk when this returns, and return its hash.

        Raises
        ------
        CreateOSError
            It could not be written; no call may be made without it.
        """
        try:
            with FileLock(f"{self.path}.lock"), self.path.open("ab") as file:
                os.chmod(self.path, 0o600)
                entry = {
                    "at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                    "user": _user(),
                    **record,
                    "previous": self._head(),
                }
                digest = _digest(entry)
                # A line that a crash left unfinished must not swallow this one.
                file.write(b"\n" if self._unfinished() else b"")
                file.write(_line({**entry, "hash": digest}))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise CreateOSError(
                f"Cannot write the journal {self.path}: {error.strerror}. Make room, or set CREATEOS_NB_HOME to a "
                "directory you may write to."
            ) from None
        return digest

    def records(self) -> list[dict[str, Any]]:
        """Return all whole records, oldest first."""
        try:
            lines = self.path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise CreateOSError(
                f"Cannot read the journal {self.path}: {error.strerror}. Look at the file."
            ) from None
        return [record for line in lines if (record := _read(line)) is not None]

    def close_interrupted(self, *, platform: str, environment_id: str | None) -> None:
        """End every run of a target that has no end as ``unclear``; call it while holding the lease.

        Parameters
        ----------
        platform
            URL of its API.
        environment_id
            The environment; None for the changes of whole projects.
        """
        open_runs: dict[str, dict[str, Any]] = {}
        for record in self.records():
            if record.get("platform") == platform and record.get("environment_id") == environment_id:
                if record.get("event") == "begin":
                    open_runs[str(record.get("run"))] = record
                elif record.get("event") == "end":
                    open_runs.pop(str(record.get("run")), None)
        for begun in open_runs.values():
            what = ("run", "kind", "plan", "platform", "project", "project_id", "environment", "environment_id")
            detail = "It was cut off in the middle; what it had begun is in the records above."
            same = {name: begun.get(name) for name in what}
            self.write({**same, "event": "end", "state": "unclear", "detail": detail})

    def rows(self, *, platform: str) -> list[dict[str, Any]]:
        """Return the records about one platform as rows of the journal's frame, oldest first.

        Parameters
        ----------
        platform
            URL of its API.
        """
        same = ("run", "kind", "project", "environment", "state", "step", "operation", "user", "plan")
        return [
            {
                **{name: record.get(name) for name in same},
                "at": datetime.fromisoformat(record["at"]),
                "state": record.get("state") or record.get("event"),
                "outcome": record.get("outcome"),
                "detail": _sentence(record.get("detail")),
            }
            for record in self.records()
            if record.get("platform") == platform
        ]

    def rollback_to(self, deployment_id: str, *, environment_id: str) -> str | None:
        """Return when a rollback last began to put a deployment live on an environment, None when none did.

        A later change of the environment by another plan makes it history.

        Parameters
        ----------
        deployment_id, environment_id
            What was put live, and where.
        """
        found = None
        for record in self.records():
            if record.get("environment_id") != environment_id or record.get("event") != "begin":
                continue
            if record.get("kind") == "rollback" and record.get("after", {}).get("live_id") == deployment_id:
                found = str(record.get("at"))
            elif record.get("kind") in {"rollback", "assign"}:
                found = None
        return found

    def put_live(self, *, platform: str, environment_id: str) -> list[tuple[datetime, str]]:
        """Return when which deployments were put live on an environment from this machine, oldest first.

        What was plainly refused is left out.

        Parameters
        ----------
        platform
            URL of its API.
        environment_id
            The environment.
        """
        found: dict[str, tuple[datetime, str]] = {}
        for record in self.records():
            if (
                record.get("platform") == platform
                and record.get("environment_id") == environment_id
                and record.get("operation") == "AssignDeploymentToProjectEnvironment"
            ):
                # Every intent has an outcome before the next one of its run; a run cut off has none.
                key = f"{record.get('run')} {record.get('step')}"
                if record.get("event") == "intent":
                    deployment_id = str(record.get("detail", {}).get("deployment_id"))
                    found[key] = (datetime.fromisoformat(str(record["at"])), deployment_id)
                elif record.get("outcome") == "failed":
                    found.pop(key, None)
        return sorted(found.values())

    def rolled_back(self, *, platform: str, environment_id: str) -> set[str]:
        """Return the ids of deployments that a rollback has replaced on an environment, from this machine.

        Parameters
        ----------
        platform
            URL of its API.
        environment_id
            The environment.
        """
        left: dict[str, str] = {}
        done: set[str] = set()
        for record in self.records():
            same = record.get("platform") == platform and record.get("environment_id") == environment_id
            if same and record.get("kind") == "rollback":
                run = str(record.get("run"))
                if record.get("event") == "begin":
                    left[run] = str(record.get("before", {}).get("live_id", ""))
                elif record.get("event") == "end" and record.get("state") == "done":
                    done.add(run)
        return {deployment_id for run, deployment_id in left.items() if run in done}

    def tampered(self) -> int | None:
        """Return the index of the first record that does not follow from the one before, None when all do."""
        previous = GENESIS
        for index, record in enumerate(self.records()):
            body = {name: value for name, value in record.items() if name != "hash"}
            if record.get("previous") != previous or record.get("hash") != _digest(body):
                return index
            previous = record["hash"]
        return None

    def _head(self) -> str:
        size = 65536
        while True:
            lines = reversed(self._tail(size).splitlines())
            last = next((record for line in lines if (record := _read(line)) is not None), None)
            if last is not None:
                return str(last.get("hash", GENESIS))
            if size >= self.path.stat().st_size:
                return GENESIS
            size *= 8  # a record may be longer than that

    def _unfinished(self) -> bool:
        tail = self._tail(1)
        return bool(tail) and not tail.endswith(b"\n")

    def _tail(self, size: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(max(0, self.path.stat().st_size - size))
            return file.read()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under an id that has no name
        return str(os.getuid())


def _line(entry: Mapping[str, object]) -> bytes:
    return json.dumps(entry, ensure_ascii=False, sort_keys=True, default=str).encode() + b"\n"


def _digest(entry: Mapping[str, object]) -> str:
    return hashlib.sha256(_line(entry)).hexdigest()


def _read(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _sentence(detail: object) -> str:
    if isinstance(detail, Mapping):
        return ", ".join(f"{name}={value}" for name, value in detail.items())
    return "" if detail is None else str(detail)
