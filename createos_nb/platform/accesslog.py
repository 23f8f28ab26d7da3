"""Access log: one record per request the gateway answered, and the eight analytics computed over them.

Records are collected in memory and written to a DuckDB file in batches, through Arrow: row by row DuckDB
takes a hundred times as long. Every question writes what was collected first, so that an answer counts
every request that was recorded before it. A killed platform loses the last quarter of a second.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

from createos_nb.api.analytics import (
    RPM,
    Analytics,
    ErrorPathCount,
    OverallRequests,
    PathCount,
    RequestsOverTimeRow,
    StatusCount,
    SuccessPercentage,
)
from createos_nb.errors import PlatformError
from createos_nb.platform.clock import Clock
from createos_nb.platform.rollup import COUNTED, RollUp, total, transaction, window

INTERVAL_S = 60
"""Length of an interval of `AccessLog.requests_over_time`, aligned to the minute."""
TOP_PATHS = 10

_BATCH_ROWS = 1_000
_BATCH_S = 0.25
_LARGEST_INSERT = 100_000
_MOST_KEPT = 100_000
_TRY_AGAIN_S = 1.0
_MAX_PATH = 1_024

_log = logging.getLogger(__name__)

_TABLE = """
create table if not exists requests (
    environment_id varchar,             -- null: no environment has the host that was asked for
    arrived_us     bigint not null,     -- unix microseconds
    deployment_id  varchar,             -- null: answered by the gateway itself
    replica        integer,
    method         varchar not null,
    path           varchar not null,    -- without the query, as it travelled
    status         smallint not null,
    duration_ms    float not null,
    bytes_sent     bigint not null,     -- of the body
    generated      boolean not null     -- part of a scenario's made-up history
)
"""
_ARROW = pa.schema(
    [
        ("environment_id", pa.string()),
        ("arrived_us", pa.int64()),
        ("deployment_id", pa.string()),
        ("replica", pa.int32()),
        ("method", pa.string()),
        ("path", pa.string()),
        ("status", pa.int16()),
        ("duration_ms", pa.float32()),
        ("bytes_sent", pa.int64()),
        ("generated", pa.bool_()),
    ]
)


class AccessRecord(NamedTuple):
    """One answered request.

    Attributes
    ----------
    at
        Arrival in unix seconds.
    path
        As it travelled, without the query.
    duration_ms
        From its arrival to the last byte of the answer.
    bytes_sent
        Size of the answer's body.
    """

    environment_id: str | None
    at: float
    deployment_id: str | None
    replica: int | None
    method: str
    path: str
    status: int
    duration_ms: float
    bytes_sent: int


def _opened(path: Path) -> duckdb.DuckDBPyConnection:
    """Open the file; a new one is made aside, since one that was cut off while it was made never opens again."""
    if not path.exists() or not path.stat().st_size:
        aside = path.with_suffix(".new")
        for left in (aside, path.with_suffix(".new.wal")):
            left.unlink(missing_ok=True)
        duckdb.connect(str(aside)).close()
        aside.replace(path)
    database = duckdb.connect(str(path), config={"threads": 2})
    database.execute(_TABLE)
    return database


class AccessLog:
    """The access records of one platform, in a file; every method may be called from any thread.

    Parameters
    ----------
    path
        The DuckDB file; made when missing.
    clock
        Of the platform; this machine's when not given.

    Raises
    ------
    PlatformError
        The file is damaged, or another process has it open.
    """

    def __init__(self, path: Path, clock: Clock | None = None) -> None:
        self._clock = clock if clock is not None else Clock()
        self._collected: deque[AccessRecord] = deque()
        self._lock = threading.Lock()
        self._some = threading.Event()
        self._many = threading.Event()
        self._closing = False
        try:
            self._database = _opened(path)
            self._rollup = RollUp(self._database)
        except duckdb.Error as error:
            raise PlatformError(
                f"The access log {path} cannot be opened: {str(error).splitlines()[0]} "
                "Stop the other platform that uses it, or move the file away to begin a new one."
            ) from None
        self._writer = threading.Thread(target=self._write_in_batches, name="access log", daemon=True)
        self._writer.start()

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
        """Collect one record; it is in every answer from now on, and on disk a moment later.

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
        self._collected.append(
            AccessRecord(
                environment_id,
                (time.time() if at is None else at) + self._clock.ahead_s,
                deployment_id,
                replica,
                method,
                path.partition("?")[0][:_MAX_PATH],
                status,
                duration_ms,
                bytes_sent,
            )
        )
        if not self._some.is_set():
            self._some.set()
        elif len(self._collected) >= _BATCH_ROWS:
            self._many.set()

    def extend(self, records: Iterable[AccessRecord]) -> None:
        """Add a made-up history; its records are marked as generated."""
        remaining = iter(records)
        while batch := list(islice(remaining, _LARGEST_INSERT)):
            with self._lock:
                self._insert(batch, generated=True)

    def add_selected(self, query: str, rounds: Iterable[Mapping[str, Any]]) -> None:
        """Add the records that a query makes with each of the values; see `createos_nb.platform.history`."""
        with self._lock:
            with transaction(self._database):
                for values in rounds:
                    self._database.execute(f"create or replace temp table made as {query}", dict(values))
                    self._add("made")
                self._database.execute("drop table if exists made")
            self._rollup.tidy()

    def forget(self, before_s: float) -> int:
        """Delete the records of requests that arrived before a time, and return how many.

        Parameters
        ----------
        before_s
            Unix seconds; what arrived in the same minute is kept.
        """
        minute = int(before_s // 60)
        with self._lock:
            self._flush()
            with transaction(self._database):
                deleted = self._database.execute(
                    "delete from requests where arrived_us < $before", {"before": minute * 60_000_000}
                ).fetchone()
                self._rollup.forget(minute)
        return int(deleted[0]) if deleted else 0

    def flush(self) -> None:
        """Write what was collected."""
        with self._lock:
            self._flush()

    def close(self) -> None:
        """Write what was collected and close the file."""
        self._closing = True
        self._some.set()
        self._many.set()
        self._writer.join()
        with self._lock:
            self._flush()
            self._database.close()

    # --- analytics ----------------------------------------------------------------------------------------

    def overall_requests(self, environment_id: str, start_s: int, end_s: int) -> OverallRequests:
        """Return the number of requests in the window, in all and by class of status.

        Parameters
        ----------
        environment_id
            Whose requests.
        start_s, end_s
            Unix seconds, half open.
        """
        [(count, success, client, server)] = self._ask(
            f"""select {total()}, {total(200, 299)}, {total(400, 499)}, {total(500, 599)} from {COUNTED}""",
            environment_id,
            start_s,
            end_s,
        )
        return OverallRequests(total=count, success=success, client=client, server=server)

    def rpm(self, environment_id: str, start_s: int, end_s: int) -> RPM:
        """Return the busiest aligned minute's requests, and the requests per minute of the window's length."""
        [(count, peak)] = self._ask(
            f"""select coalesce(sum(requests), 0), coalesce(max(requests), 0)
                from (select sum(requests) as requests from {COUNTED} group by minute)""",
            environment_id,
            start_s,
            end_s,
        )
        return RPM(peak=peak, average=count * 60 / (end_s - start_s) if end_s > start_s else 0)

    def success_percentage(self, environment_id: str, start_s: int, end_s: int) -> SuccessPercentage:
        """Return the share of 2xx and 3xx answers, 0 to 100; 0 when there were no requests."""
        [(count, success)] = self._ask(
            f"select {total()}, {total(200, 399)} from {COUNTED}",
            environment_id,
            start_s,
            end_s,
        )
        return SuccessPercentage(success_percentage=100 * success / count if count else 0)

    def requests_over_time(self, environment_id: str, start_s: int, end_s: int) -> list[RequestsOverTimeRow]:
        """Return a row for every aligned minute that the window touches, also for those without requests.

        Only requests within the window count, so that the first and the last row may cover less than
        their minute.
        """
        rows = self._ask(
            f"""select minute * 60, {total()}, {total(200, 299)}, {total(300, 399)}, {total(400, 499)},
                       {total(500, 599)} from {COUNTED} group by minute""",
            environment_id,
            start_s,
            end_s,
        )
        counts = {minute: rest for minute, *rest in rows}
        names = ("count", "status2xx", "status3xx", "status4xx", "status5xx")
        return [
            RequestsOverTimeRow(timestamp=at, **dict(zip(names, counts.get(at, (0, 0, 0, 0, 0)), strict=True)))
            for at in range(start_s // INTERVAL_S * INTERVAL_S, end_s, INTERVAL_S)
        ]

    def top_hit_paths(self, environment_id: str, start_s: int, end_s: int) -> list[PathCount]:
        """Return the ten paths asked for most; equal counts in the paths' order."""
        rows = self._ask(
            f"select path, {total()} from {COUNTED} group by path order by 2 desc, 1 limit {TOP_PATHS}",
            environment_id,
            start_s,
            end_s,
        )
        return [PathCount(path=path, count=count) for path, count in rows]

    def top_error_paths(self, environment_id: str, start_s: int, end_s: int) -> list[ErrorPathCount]:
        """Return the ten pairs of path and status with most 4xx and 5xx answers."""
        rows = self._ask(
            f"""select path, status, {total()} from {COUNTED} where status between 400 and 599
                group by path, status order by 3 desc, 1, 2 limit {TOP_PATHS}""",
            environment_id,
            start_s,
            end_s,
        )
        return [ErrorPathCount(path=path, status=str(status), count=count) for path, status, count in rows]

    def request_distribution(self, environment_id: str, start_s: int, end_s: int) -> list[StatusCount]:
        """Return the number of answers of each status, by status."""
        rows = self._ask(
            f"select status, {total()} from {COUNTED} group by status order by status",
            environment_id,
            start_s,
            end_s,
        )
        return [StatusCount(status=str(status), count=count) for status, count in rows]

    def analytics(self, environment_id: str, start_s: int, end_s: int) -> Analytics:
        """Return all of the above but the requests over time."""
        window = (environment_id, start_s, end_s)
        return Analytics(
            overall_requests=self.overall_requests(*window),
            request_distribution=self.request_distribution(*window),
            rpm=self.rpm(*window),
            success_percentage=self.success_percentage(*window).success_percentage,
            top_error_paths=self.top_error_paths(*window),
            top_hit_paths=self.top_hit_paths(*window),
        )

    # --- the file -----------------------------------------------------------------------------------------

    def _ask(self, question: str, environment_id: str, start_s: int, end_s: int) -> list[Any]:
        with self._lock:
            self._flush()
            return list(self._database.execute(question, window(environment_id, start_s, end_s)).fetchall())

    def _add(self, source: str) -> None:
        self._database.execute(f"insert into requests by name select * from {source}")
        self._rollup.add(source)

    def _flush(self) -> None:
        # By popping: a swap of the list would lose what another thread is just appending to it.
        batch = []
        with suppress(IndexError):
            while True:
                batch.append(self._collected.popleft())
        if batch:
            try:
                self._insert(batch, generated=False)
            except duckdb.Error:
                self._collected.extendleft(reversed(batch[-_MOST_KEPT:]))
                raise

    def _insert(self, records: list[AccessRecord], *, generated: bool) -> None:
        columns = dict(zip(AccessRecord._fields, zip(*records, strict=True), strict=True))
        columns["arrived_us"] = tuple(round(at * 1_000_000) for at in columns.pop("at"))
        columns["generated"] = (generated,) * len(records)
        self._database.register("batch", pa.table(columns, schema=_ARROW))
        try:
            with transaction(self._database):
                self._add("batch")
        finally:
            self._database.unregister("batch")
        self._rollup.tidy()

    def _write_in_batches(self) -> None:
        while not self._closing:
            self._some.wait()
            self._many.wait(_BATCH_S)
            self._some.clear()
            self._many.clear()
            try:
                self.flush()
            except duckdb.Error as error:  # Of a full disk, for one; what was collected waits until there is room.
                _log.error("Access records cannot be written: %s", str(error).splitlines()[0])
                time.sleep(_TRY_AGAIN_S)
                self._some.set()
