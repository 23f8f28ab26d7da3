"""Budget: how many requests a key may still send, shared by all threads and processes of its user.

CreateOS documents 100 requests a minute, 1000 an hour and 10 uploads a minute for a key. A place is booked
before each request, in advance where it has to wait: so nobody is refused, nobody is overtaken, and a wait
that is too long is known at once.

Places are counted by the second, in a small database: a window then is a range of seconds, and is taken two
seconds longer than it is, for the rounding and for requests that are not equally long under way.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from createos_nb.api.database import opened
from createos_nb.api.envelope import Announced, announced, retry_after_s
from createos_nb.api.message import Request, Response
from createos_nb.api.pace import Pace
from createos_nb.api.window import booked, first_free
from createos_nb.errors import RateLimited

_log = logging.getLogger("createos_nb.api")

UPLOADS = frozenset({"UploadDeploymentFiles", "UploadDeploymentBase64Files", "UploadDeploymentZip"})
"""Operations that also count as uploads."""

MINUTE_S, HOUR_S = 60, 3600
RESERVE = 0.05
"""Share of each window that only changes may use, so that a rollback gets through."""
BACKGROUND = 0.8
"""Share of each window that background work may use."""
LONGEST_WAIT_S = 2 * HOUR_S
LEARNED_FOR_S = 24 * HOUR_S

MOST_STOCK = 64
"""Places that are booked at once at most."""

_STOCKED_FROM = 6000
"""Requests a minute from which on places are booked several at once, one for each that many."""

_UNCOUNTED = "/local/"
"""What an embedded platform is asked about itself counts nothing there."""

_MARGIN_S = 2
_SCHEMA = """
CREATE TABLE IF NOT EXISTS spent (second INTEGER, kind TEXT, n INTEGER NOT NULL, PRIMARY KEY (second, kind))
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value REAL NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Limits:
    """Requests a minute, requests an hour, uploads a minute."""

    minute: int = 100
    hour: int = 1000
    uploads: int = 10


DOCUMENTED = Limits()


class Budget:
    """The places of one key at one origin. Safe to use from several threads and processes.

    Parameters
    ----------
    path
        The database file; None for a budget of this process alone.
    reason
        Why it is of this process alone.
    clock
        Seconds that never jump and are the same in all processes of this machine.
    """

    def __init__(self, path: Path | None, *, reason: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._reason = reason
        self._clock = clock
        self._lock = threading.Lock()
        self._process = 0
        self._database: sqlite3.Connection | None = None
        self._known: dict[str, float] = {}
        self._stock: tuple[int, int] = (0, 0)

    @classmethod
    def of(cls, account: str, directory: Callable[[], Path]) -> Budget:
        """Return the budget of a key; where its file cannot be, one of this process alone.

        Parameters
        ----------
        account
            As of `createos_nb.settings.Settings`.
        directory
            Where the package keeps its files; may raise.
        """
        try:
            folder = directory() / "budget"
            folder.mkdir(mode=0o700, exist_ok=True)
        except (OSError, ValueError) as error:
            return cls(None, reason=str(error))
        return cls(folder / f"{account}.sqlite3")

    # --- what a driver asks ---------------------------------------------------------------------------

    def reserve(self, request: Request, pace: Pace) -> tuple[float, int]:
        """Book the next place that this request may have.

        Returns
        -------
        tuple of float and int
            Seconds to wait for it, and its name for `release`.

        Raises
        ------
        RateLimited
            It would have to wait longer than its pace allows; nothing is booked.
        """
        if request.template.startswith(_UNCOUNTED):
            return 0.0, 0
        if (booked := self._from_stock(request)) is not None:
            return 0.0, booked
        with self._transaction() as database:
            now = self._clock()
            database.execute("DELETE FROM spent WHERE second < ?", [int(now) - 3 * HOUR_S])
            limits = self._limits(database, now)
            start = max(now, self._fact(database, "blocked_until"))
            second, window = self._place(database, request, pace, limits, int(start))
            wait_s = max(0.0, second - now, start - now)
            if wait_s > pace.patience_s:
                raise _too_long(request, wait_s, window)
            places = self._places_at_once(database, request, limits, second) if wait_s == 0 else 1
            for kind in _kinds(request):
                database.execute(
                    "INSERT INTO spent VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n",
                    [second, kind, places],
                )
            self._stock = (second, places - 1)
            return wait_s, second

    def release(self, request: Request, second: int) -> None:
        """Give back a place that will not be used."""
        with self._transaction() as database:
            for kind in _kinds(request):
                database.execute("UPDATE spent SET n = max(0, n - 1) WHERE second = ? AND kind = ?", [second, kind])

    def learn(self, response: Response) -> None:
        """Take in what an answer says of the budget; writes only when that is new."""
        said = announced(response.headers)
        wait_s = retry_after_s(response.headers) if response.status == 429 else None
        if said is None and wait_s is None:
            return
        now = self._clock()
        if wait_s is not None:
            with self._transaction() as database:
                self._stock = (0, 0)
                until = now + min(wait_s, HOUR_S)
                self._remember(database, "blocked_until", max(until, self._fact(database, "blocked_until")))
        if said is None:
            return
        of_minute = self._is_of_a_minute(said)
        minute = float(said.limit if of_minute else said.limit * DOCUMENTED.minute / DOCUMENTED.hour)
        if self._known.get("minute") != minute or now - self._known.get("learned_at", -HOUR_S) > HOUR_S:
            with self._transaction() as database:
                self._remember(database, "minute", minute)
                self._remember(database, "learned_at", now)
        if of_minute and said.remaining is not None and said.remaining < minute / 2:
            self._notice_others(int(now), said.limit, said.remaining)

    def _is_of_a_minute(self, said: Announced) -> bool:
        """Whether what is announced is a minute's: an hour's looks like one while its last minute runs.

        It is not while the same number was an hour's within the last day. The documented number of an hour is
        taken for that from the first: too few requests for a while do less harm than too many.
        """
        if said.window_s > MINUTE_S + 1:
            if self._known.get("hour") != said.limit:
                with self._transaction() as database:
                    self._remember(database, "hour", float(said.limit))
            return False
        if "hour" not in self._known:
            with self._transaction() as database:
                self._known["hour"] = self._fact(database, "hour")
        return said.limit not in {self._known["hour"], DOCUMENTED.hour}

    def forget(self) -> None:
        """Begin anew: for whoever starts the platform, which then has counted nothing of before."""
        with self._transaction() as database:
            database.execute("DELETE FROM spent")
            database.execute("DELETE FROM facts")
            self._known.clear()
            self._stock = (0, 0)

    def state(self) -> dict[str, Any]:
        """Return what is left, for people."""
        with self._transaction() as database:
            now = self._clock()
            limits = self._limits(database, now)
            windows = {
                "minute": ("request", MINUTE_S, limits.minute),
                "hour": ("request", HOUR_S, limits.hour),
                "uploads": ("upload", MINUTE_S, limits.uploads),
            }
            left = {}
            for name, (kind, length, limit) in windows.items():
                used = booked(database, kind, int(now) - length, int(now))
                left[name] = {"limit": limit, "remaining": max(0, limit - used)}
            known = "announced" if self._learnt(database, now) else "documented"
        shared = self._path is not None
        return {**left, "limits": known, "shared": shared, **({} if shared else {"reason": self._reason})}

    # --- inside ---------------------------------------------------------------------------------------

    def _from_stock(self, request: Request) -> int | None:
        """Take a place that was booked beside another one of this second; return it, None when there is none."""
        if request.operation in UPLOADS or self._stock[1] == 0:
            return None
        with self._lock:
            second, left = self._stock
            if left == 0 or second != int(self._clock()) or self._process != os.getpid():
                return None
            self._stock = (second, left - 1)
            return second

    @staticmethod
    def _places_at_once(database: sqlite3.Connection, request: Request, limits: Limits, second: int) -> int:
        """Return how many places to book: several where so many are left that nobody will ever miss them.

        Writing to the file for each of a hundred requests a second costs more than half of what sending one does.
        Those of a stock that are not used in its second are lost, so there is none once half a window is booked.
        """
        places = min(MOST_STOCK, limits.minute // _STOCKED_FROM)
        if places < 2 or request.operation in UPLOADS:
            return 1
        for length, limit in ((MINUTE_S, limits.minute), (HOUR_S, limits.hour)):
            first = second - length - _MARGIN_S
            if booked(database, "request", first, second + LONGEST_WAIT_S) + places > limit // 2:
                return 1
        return places

    def _place(
        self, database: sqlite3.Connection, request: Request, pace: Pace, limits: Limits, start: int
    ) -> tuple[int, str]:
        """Return the first second from ``start`` at which no window is overfull, and which window is in the way."""
        windows = [("request", MINUTE_S, limits.minute, "minute"), ("request", HOUR_S, limits.hour, "hour")]
        if request.operation in UPLOADS:
            windows.append(("upload", MINUTE_S, limits.uploads, "minute's uploads"))
        latest, hindering = start, ""
        for _ in range(len(windows) + 1):
            before = latest
            for kind, length, limit, name in windows:
                allowed = _allowed(limit, request, pace)
                second = first_free(
                    database, kind, length + _MARGIN_S, allowed, latest, longest_wait_s=LONGEST_WAIT_S
                )
                if second > latest:
                    latest, hindering = second, name
            if latest == before:
                break
        return latest, hindering

    def _limits(self, database: sqlite3.Connection, now: float) -> Limits:
        minute = self._learnt(database, now)
        return Limits(int(minute), int(minute * 10), max(1, int(minute / 10))) if minute else DOCUMENTED

    def _learnt(self, database: sqlite3.Connection, now: float) -> float:
        """Return the requests a minute that an answer announced within the last day, 0 for none."""
        recent = 0 <= now - self._fact(database, "learned_at") <= LEARNED_FOR_S
        return max(0.0, self._fact(database, "minute")) if recent else 0.0

    def _notice_others(self, now: int, limit: int, remaining: int) -> None:
        """Book what somebody else has used of the same key, as far as it shows."""
        with self._transaction() as database:
            own = booked(database, "request", now - MINUTE_S - _MARGIN_S, now)
            if (others := limit - remaining - own) > 0:
                database.execute(
                    "INSERT INTO spent VALUES (?, 'request', ?) ON CONFLICT DO UPDATE SET n = n + excluded.n",
                    [now, others],
                )

    def _fact(self, database: sqlite3.Connection, name: str) -> float:
        row = database.execute("SELECT value FROM facts WHERE name = ?", [name]).fetchone()
        return float(row[0]) if row else 0.0

    def _remember(self, database: sqlite3.Connection, name: str, value: float) -> None:
        database.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", [name, value])
        self._known[name] = value

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                database = self._begun()
                yield database
            except BaseException:
                self._roll_back()
                raise
            with suppress(sqlite3.Error):  # of a full disk: a count is lost, not a request
                database.execute("COMMIT")

    def _begun(self) -> sqlite3.Connection:
        """Return the database in a new transaction."""
        try:
            database = self._opened()
            self._roll_back()  # What a call left that was interrupted anywhere.
            database.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            database = self._alone(error)
            database.execute("BEGIN IMMEDIATE")
        return database

    def _roll_back(self) -> None:
        if self._database is not None and self._database.in_transaction:
            with suppress(sqlite3.Error):
                self._database.execute("ROLLBACK")

    def _opened(self) -> sqlite3.Connection:
        """Return the database; when its file fails, one of this process alone: nobody is to be kept waiting."""
        if self._database is not None and self._process == os.getpid():
            return self._database
        self._process = os.getpid()
        try:
            database = opened(self._path, _SCHEMA, timeout_s=_TIMEOUT_S)
            # After a restart of the machine its clock begins anew: what lies far ahead is of before.
            ahead = int(self._clock()) + LONGEST_WAIT_S
            database.execute("DELETE FROM spent WHERE second > ?", [ahead])
            database.execute("DELETE FROM facts WHERE value > ? AND name NOT IN ('minute', 'hour')", [ahead])
        except (OSError, sqlite3.Error) as error:
            return self._alone(error)
        self._database = database
        return database

    def _alone(self, error: Exception) -> sqlite3.Connection:
        self._path, self._reason = None, f"its file cannot be used: {error}"
        self._database = None
        self._known.clear()
        self._stock = (0, 0)
        _log.warning("The budget of requests is no longer shared with your other processes: %s", self._reason)
        return self._opened()

    def close(self) -> None:
        """Close the file."""
        with self._lock, suppress(sqlite3.Error):
            if self._database is not None and self._process == os.getpid():
                self._database.close()
            self._database = None


_TIMEOUT_S = 30.0


def _kinds(request: Request) -> tuple[str, ...]:
    return ("request", "upload") if request.operation in UPLOADS else ("request",)


def _allowed(limit: int, request: Request, pace: Pace) -> int:
    """Return how much of a window this request may fill."""
    if request.safety != "read":
        return limit
    if pace.lane == "background":
        return max(1, int(limit * BACKGROUND))
    return max(1, limit - max(2, round(limit * RESERVE)))


def _too_long(request: Request, wait_s: float, window: str) -> RateLimited:
    retry_at = datetime.now(UTC) + timedelta(seconds=wait_s)
    what = f"the {window} of this key is used up" if window else "the platform asked to wait"
    error = RateLimited(
        f"{request.operation} was not sent: {what}; there is room again at {retry_at:%H:%M:%S} UTC, in "
        f"{wait_s:.0f} s. Wait, use fewer targets, or give the client more patience: client.paced(patience_s=…).",
        operation=request.operation,
        method=request.method,
        path=request.template,
    )
    error.retry_at = retry_at
    return error
