"""Answers: what the platform said about windows that are over, so that none of them costs a second request.

An answer about the past does not change, so it is kept on disk, under the account and the window it belongs
to. What has only just ended may still change, as the platform's records come in; such an answer is kept for
half a minute, which is enough for several questions about one window to cost one request.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from createos_nb import settings
from createos_nb.api.client import Client
from createos_nb.api.database import opened
from createos_nb.api.wire import wire
from createos_nb.timerange import TimeRange

T = TypeVar("T")

SETTLED_AFTER = timedelta(minutes=2)
"""So long after its end a window's records have all come in."""

RECENT_S = 30.0
"""How long an answer about a window that has just ended is good."""

MOST_ANSWERS = 50_000
"""Kept at most; the oldest go first."""

_ODD = (ValueError, TypeError, KeyError, AttributeError)
"""What reading something of another shape than it should have fails with."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, kept_at REAL NOT NULL, answer BLOB NOT NULL)
    WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_age ON answers (kept_at);
"""


class Answers:
    """Answers about windows, of one account at one origin. Safe to use from several threads and processes.

    Parameters
    ----------
    path
        The database file; None to keep them in this process alone.
    clock
        Seconds that never jump, for tests.
    """

    def __init__(self, path: Path | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._process = 0
        self._database: sqlite3.Connection | None = None
        self._recent: dict[bytes, tuple[float, bytes]] = {}

    @classmethod
    def of(cls, client: Client) -> Answers:
        """Return those of a client's account; of this process alone where they cannot be kept on disk.

        The account is told by its key, of which nothing can be read from the file: another key of the same
        account asks anew.
        """
        try:
            folder = settings.home() / "answers"
            folder.mkdir(mode=0o700, exist_ok=True)
        except (OSError, ValueError):
            return cls(None)
        return cls(folder / f"{client.settings.account}.sqlite3")

    def answer(
        self,
        operation: str,
        environment_id: str,
        window: TimeRange,
        ask: Callable[[], T],
        parse: Callable[[Any], T],
        *,
        now: datetime,
        refresh: bool,
    ) -> T:
        """Return the answer that is held, else ask for it and keep it.

        Parameters
        ----------
        operation, environment_id, window
            What is asked.
        ask
            Asks the platform.
        parse
            Reads what `ask` returned from its JSON.
        now
            The present, by the platform's clock.
        refresh
            Ask, whatever is held.
        """
        if not refresh and (held := self.get(operation, environment_id, window)) is not None:
            with suppress(*_ODD):  # Another version kept it, of another shape: it is asked for again.
                return parse(held)
        answer = ask()
        self.keep(operation, environment_id, window, wire(answer), now=now)
        return answer

    def get(self, operation: str, environment_id: str, window: TimeRange) -> Any | None:
        """Return the answer, decoded from JSON; None when it is not held."""
        key = _key(operation, environment_id, window)
        held_at, recent = self._recent.get(key, (float("-inf"), b""))
        if self._clock() - held_at <= RECENT_S:
            return json.loads(recent)
        row = self._execute("SELECT answer FROM answers WHERE key = ?", [key])
        with suppress(zlib.error, *_ODD):
            return json.loads(zlib.decompress(row[0])) if row else None
        return None

    def holds(self, operation: str, environment_id: str, window: TimeRange) -> bool:
        """Whether `get` would return one."""
        return self.get(operation, environment_id, window) is not None

    def keep(self, operation: str, environment_id: str, window: TimeRange, answer: Any, *, now: datetime) -> None:
        """Keep an answer, if its window is over.

        Parameters
        ----------
        operation, environment_id, window
            What was asked.
        answer
            What JSON can hold.
        now
            When it was asked, by the platform's clock.
        """
        if window.end > now:
            return
        key, text = _key(operation, environment_id, window), json.dumps(answer, separators=(",", ":")).encode()
        if window.end + SETTLED_AFTER > now:
            with self._lock:
                now_s = self._clock()
                self._recent = {k: held for k, held in self._recent.items() if now_s - held[0] <= RECENT_S}
                self._recent[key] = (now_s, text)
            return
        self._execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", [key, time.time(), zlib.compress(text)])

    def _execute(self, statement: str, values: list[Any]) -> Any:
        """Run a statement and return its first row; a file that fails costs a request, never an answer."""
        with self._lock, suppress(sqlite3.Error, OSError):
            return self._opened().execute(statement, values).fetchone()
        return None

    def _opened(self) -> sqlite3.Connection:
        if self._database is None or self._process != os.getpid():
            self._process = os.getpid()
            database = opened(self._path, _SCHEMA, timeout_s=5.0)
            database.execute(
                "DELETE FROM answers WHERE kept_at < "
                "(SELECT min(kept_at) FROM (SELECT kept_at FROM answers ORDER BY kept_at DESC LIMIT ?))",
                [MOST_ANSWERS],
            )
            self._database = database
        return self._database


def _key(operation: str, environment_id: str, window: TimeRange) -> bytes:
    return hashlib.sha256(f"{operation}\0{environment_id}\0{window.start_s}\0{window.end_s}".encode()).digest()
