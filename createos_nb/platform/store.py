"""Store: what the platform knows, in SQLite; every statement of SQL is here.

One connection writes, under one lock. What a method has returned from survives a killed process. To survive
a failing machine as well, what was changed must reach the disk before it is acknowledged. That is awaited
(`Store.on_disk`), since the gateway answers on the same event loop and a disk takes milliseconds: in WAL mode
a transaction is durable as soon as the log is synchronised, which ``synchronous = FULL`` would do within each
commit, blocking (https://sqlite.org/pragma.html#pragma_synchronous).

The file is locked for that one connection. Before version 3.51.3, SQLite could damage a file in WAL mode when two
connections wrote it and copied its log back at one moment; here there never are two, so any version will do.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shlex
import sqlite3
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from createos_nb.api.account import User
from createos_nb.api.api_keys import APIKey
from createos_nb.api.apps import App
from createos_nb.api.deployments import Deployment
from createos_nb.api.domains import Domain
from createos_nb.api.environments import Environment
from createos_nb.api.model import RECEIVED, Model
from createos_nb.api.projects import Project, Transfer
from createos_nb.errors import Conflict, NotFound, PlatformError, Unprocessable
from createos_nb.platform.clock import Clock

VERSION = 3
"""Of the schema; an older file is brought up to it, a newer one is refused and left as it is."""

_SCHEMA = """
-- Times are ISO 8601 in UTC. Columns named *_json hold what only this package reads.
CREATE TABLE users (id TEXT PRIMARY KEY, username TEXT NOT NULL, display_name TEXT, created_at TEXT NOT NULL);
CREATE TABLE api_keys (
    id TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES users, name TEXT NOT NULL, description TEXT,
    digest TEXT NOT NULL UNIQUE,           -- SHA-256 of the key, which itself is nowhere
    created_at TEXT NOT NULL, updated_at TEXT NOT NULL, expired_at TEXT, revoked_at TEXT
);
CREATE TABLE projects (
    id TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES users, unique_name TEXT NOT NULL COLLATE NOCASE,
    display_name TEXT NOT NULL, type TEXT NOT NULL, status TEXT NOT NULL, description TEXT, app_id TEXT,
    source_json TEXT, settings_json TEXT, enabled_security_scan INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL, updated_at TEXT NOT NULL, deleted_at TEXT
);
-- The name of a deleted project is free again.
CREATE UNIQUE INDEX project_names ON projects (unique_name) WHERE deleted_at IS NULL;
CREATE TABLE environments (
    id TEXT PRIMARY KEY, project_id TEXT NOT NULL REFERENCES projects, unique_name TEXT NOT NULL COLLATE NOCASE,
    display_name TEXT NOT NULL, description TEXT, status TEXT NOT NULL, branch TEXT,
    is_auto_promote_enabled INTEGER NOT NULL, project_deployment_id TEXT, resources_json TEXT NOT NULL,
    settings_json TEXT NOT NULL,
    live_variables_json TEXT,              -- what the live deployment was started with: changed ones wait
    wanted_deployment_id TEXT,             -- is being promoted; survives a crash, unlike the work on it
    created_at TEXT NOT NULL, updated_at TEXT NOT NULL,
    UNIQUE (project_id, unique_name)
);
CREATE TABLE deployments (
    id TEXT PRIMARY KEY, project_id TEXT NOT NULL REFERENCES projects, version_number INTEGER NOT NULL,
    status TEXT NOT NULL, source_json TEXT, settings_json TEXT, artefact_json TEXT, cancel_reason TEXT,
    cancelled_at TEXT, created_at TEXT NOT NULL, updated_at TEXT NOT NULL,
    UNIQUE (project_id, version_number)
);
CREATE TABLE domains (
    id TEXT PRIMARY KEY, project_id TEXT NOT NULL REFERENCES projects, name TEXT NOT NULL COLLATE NOCASE UNIQUE,
    status TEXT NOT NULL, environment_id TEXT, message TEXT, records_json TEXT,
    failed_verification_count INTEGER NOT NULL DEFAULT 0, last_failed_verified_at TEXT,
    created_at TEXT NOT NULL, updated_at TEXT NOT NULL
);
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""

_ADDED = {
    2: """
CREATE TABLE apps (
    id TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES users, name TEXT NOT NULL, description TEXT, color TEXT,
    created_at TEXT NOT NULL, updated_at TEXT NOT NULL
);
CREATE TABLE transfers (
    id TEXT PRIMARY KEY, project_id TEXT NOT NULL REFERENCES projects, from_user_id TEXT NOT NULL,
    to_user_id TEXT,                       -- null: the token was not used yet
    digest TEXT NOT NULL UNIQUE,           -- SHA-256 of the token
    expires_at TEXT NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL
);
""",
    3: "ALTER TABLE environments ADD COLUMN asleep_at TEXT; -- null: what is live runs, or should\n",
}
"""What each version of the schema added to the one before."""

M = TypeVar("M", bound=Model)
# What a row becomes.
_TABLES: dict[type[Model], str] = {
    User: "users",
    APIKey: "api_keys",
    Project: "projects",
    Environment: "environments",
    Deployment: "deployments",
    Domain: "domains",
    App: "apps",
    Transfer: "transfers",
}
_INTERNAL = frozenset({"digest", "artefact_json", "live_variables_json", "wanted_deployment_id", "asleep_at"})
"""Columns that stay inside the platform."""


class Store:
    """What the platform knows.

    Parameters
    ----------
    path
        The database file; made when missing.
    fresh
        False when the file must be there, since other files of the same platform are.
    clock
        Of the platform; this machine's when not given.

    Raises
    ------
    PlatformError
        The file is gone, damaged, or not of this version; it is left as it is.
    """

    def __init__(self, path: Path, *, fresh: bool = True, clock: Clock | None = None) -> None:
        self.clock = clock if clock is not None else Clock()
        if not fresh and not (path.exists() and path.stat().st_size):
            raise PlatformError(
                f"{path} is gone, but other files of this platform are there. Restore it, or start anew with: "
                f"createos-nb local reset --state {shlex.quote(str(path.parent))}"
            )
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        try:
            self._open(path)
        except sqlite3.Error as error:
            self._connection.close()
            raise PlatformError(
                f"{path} cannot be used: {error}. Restore it, or start with another --state directory."
            ) from None
        except PlatformError:
            self._connection.close()
            raise
        self._log = os.open(f"{path}-wal", os.O_RDONLY)

    def _open(self, path: Path) -> None:
        self._connection.row_factory = sqlite3.Row
        found = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if found > VERSION:
            raise PlatformError(
                f"{path} was written by another version of createos-nb (schema {found}, this one knows {VERSION}). "
                "Use that version, or another --state directory."
            )
        damage = self._connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if damage != "ok":
            raise sqlite3.DatabaseError("it is damaged")
        # Before the journal's: the index of the log is then in this process's memory, and nowhere else.
        self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute("PRAGMA foreign_keys = ON")
        steps = [_SCHEMA if found == 0 else "", *(text for version, text in _ADDED.items() if version > found)]
        if found < VERSION:
            self._connection.executescript(f"BEGIN; {''.join(steps)} PRAGMA user_version = {VERSION}; COMMIT;")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            os.close(self._log)
            self._connection.close()

    async def on_disk(self) -> None:
        """Wait until every change that was made is on disk; to be done before one is acknowledged."""
        await asyncio.to_thread(os.fsync, self._log)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make several changes one: all of them, or none."""
        with self._lock:
            if self._connection.in_transaction:
                yield
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                # After some failures, a full disk for one, SQLite has rolled back by itself.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    # --- every kind of thing --------------------------------------------------------------------------

    def get(self, kind: type[M], thing_id: str, **conditions: object) -> M:
        """Return one thing by its id.

        Raises
        ------
        NotFound
            There is none of that id that meets the conditions.
        """
        found = self.find(kind, id=thing_id, **conditions)
        if not found:
            raise NotFound.answer(f"There is no {kind.__name__.lower()} {thing_id} here.")
        return found[0]

    def find(self, kind: type[M], **conditions: object) -> list[M]:
        """Return the things whose columns have these values, newest first; None is a missing value."""
        tests = " AND ".join(f"{name} IS ?" for name in conditions) or "1"
        query = f"SELECT * FROM {_TABLES[kind]} WHERE {tests} ORDER BY created_at DESC, rowid DESC"
        with self._lock:
            rows = self._connection.execute(query, [_stored(value) for value in conditions.values()]).fetchall()
        return [_model(kind, row) for row in rows]

    def add(self, kind: type[M], **values: object) -> M:
        """Add a thing with a new id and return it.

        Raises
        ------
        Conflict
            Its name is taken.
        """
        now = self.clock.now()
        row = {"id": str(uuid.uuid4()), "created_at": now, **values}
        if kind is not User:
            row.setdefault("updated_at", now)
        marks = ", ".join("?" for _ in row)
        try:
            with self.transaction():
                self._connection.execute(
                    f"INSERT INTO {_TABLES[kind]} ({', '.join(row)}) VALUES ({marks})",
                    [_stored(value) for value in row.values()],
                )
        except sqlite3.IntegrityError:
            raise Conflict.answer(f"The name of this {kind.__name__.lower()} is taken. Choose another.") from None
        return self.get(kind, str(row["id"]))

    def change(self, kind: type[M], thing_id: str, **values: object) -> None:
        """Change columns of a thing."""
        row = {**values, "updated_at": self.clock.now()}
        sets = ", ".join(f"{name} = ?" for name in row)
        with self.transaction():
            self._connection.execute(
                f"UPDATE {_TABLES[kind]} SET {sets} WHERE id = ?",
                [*(_stored(value) for value in row.values()), thing_id],
            )

    def remove(self, kind: type[M], thing_id: str) -> None:
        """Remove a thing."""
        with self.transaction():
            self._connection.execute(f"DELETE FROM {_TABLES[kind]} WHERE id = ?", [thing_id])

    # --- particular questions ---------------------------------------------------------------------------

    def project_page(
        self, user_id: str, filters: Sequence[tuple[str, object]], limit: int, offset: int
    ) -> tuple[list[Project], int]:
        """Return one page of a user's projects, newest first, and how many there are in all.

        Parameters
        ----------
        filters
            Pairs of a column of `projects` and its value; ``unique_name`` means "contains".
        """
        tests, values = ["user_id = ?"], [user_id]
        for column, value in filters:
            tests.append("instr(lower(unique_name), lower(?)) > 0" if column == "unique_name" else f"{column} IS ?")
            values.append(_stored(value))
        return self._page(Project, " AND ".join(tests), values, limit, offset)

    def deployment_page(self, project_id: str, limit: int, offset: int) -> tuple[list[Deployment], int]:
        """Return one page of a project's deployments, newest first, and how many there are in all."""
        return self._page(Deployment, "project_id = ?", [project_id], limit, offset)

    def _page(
        self, kind: type[M], tests: str, values: Sequence[Any], limit: int, offset: int
    ) -> tuple[list[M], int]:
        table = _TABLES[kind]
        page = f"SELECT * FROM {table} WHERE {tests} ORDER BY created_at DESC, rowid DESC LIMIT ? OFFSET ?"
        with self._lock:
            total = self._connection.execute(f"SELECT count(*) FROM {table} WHERE {tests}", values).fetchone()[0]
            rows = self._connection.execute(page, [*values, limit, offset]).fetchall()
        return [_model(kind, row) for row in rows], total

    def add_deployment(self, project: Project, *, deployment_id: str, source: object) -> Deployment:
        """Add a queued deployment with the project's next version number and its settings of now.

        Raises
        ------
        Unprocessable
            The project is being deleted.
        """
        with self.transaction():
            project = self.get(Project, project.id)
            if project.status != "active":
                raise Unprocessable.answer(f"The project is {project.status}.")
            (last,) = self._connection.execute(
                "SELECT coalesce(max(version_number), 0) FROM deployments WHERE project_id = ?", [project.id]
            ).fetchone()
            return self.add(
                Deployment,
                id=deployment_id,
                project_id=project.id,
                version_number=last + 1,
                status="queue",
                source_json=source,
                settings_json=project.settings,
            )

    def artefact(self, deployment_id: str) -> str | None:
        """Return what was built, as `Artefact.to_json` wrote it."""
        return self._value("SELECT artefact_json FROM deployments WHERE id = ?", deployment_id)

    def wanted(self, environment_id: str) -> str | None:
        """Return the deployment that is being promoted, None when none is."""
        return self._value("SELECT wanted_deployment_id FROM environments WHERE id = ?", environment_id)

    def live_variables(self, environment_id: str) -> dict[str, str]:
        """Return the variables that the live deployment was started with, in clear."""
        text = self._value("SELECT live_variables_json FROM environments WHERE id = ?", environment_id)
        variables: dict[str, str] = json.loads(text or "{}")
        return variables

    def sleeps(self, environment_id: str) -> bool:
        """Return whether what is live on an environment sleeps."""
        return self._value("SELECT asleep_at FROM environments WHERE id = ?", environment_id) is not None

    def user_of_key(self, key: str) -> tuple[User, APIKey] | None:
        """Return whose key this is; None when it is not known, expired or revoked."""
        found = self.find(APIKey, digest=digest(key), revoked_at=None)
        if not found or (found[0].expired_at is not None and found[0].expired_at <= self.clock.now()):
            return None
        return self.get(User, str(found[0].user_id)), found[0]

    def fact(self, name: str) -> str | None:
        """Return something the platform remembers about itself."""
        return self._value("SELECT value FROM facts WHERE name = ?", name)

    def _value(self, query: str, key: str) -> str | None:
        with self._lock:
            row = self._connection.execute(query, [key]).fetchone()
        return row[0] if row else None

    def remember(self, name: str, value: str) -> None:
        """Remember something about the platform itself."""
        with self.transaction():
            self._connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", [name, value])


def digest(key: str) -> str:
    """Return what the store keeps of a key; keys are long and random, so no salt is needed."""
    return hashlib.sha256(key.encode()).hexdigest()


def _stored(value: object) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, Model):
        return json.dumps(value.wire())
    return json.dumps(value) if isinstance(value, dict | list) else value


@lru_cache(maxsize=2048)
def _model(kind: type[M], row: sqlite3.Row) -> M:
    """Return what a row says; the same row says the same, and reading one takes longer than fetching it."""
    return kind.model_validate(_read(row), context=RECEIVED)


def _read(row: sqlite3.Row) -> dict[str, Any]:
    columns = {name: row[name] for name in row.keys() if name not in _INTERNAL}  # noqa: SIM118 - a Row iterates over values
    return {
        name.removesuffix("_json"): json.loads(value) if name.endswith("_json") and value is not None else value
        for name, value in columns.items()
    }
