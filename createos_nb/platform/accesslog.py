"""Access log: one record per request the gateway answered, and the eight analytics computed over them.

The gateway writes its records to files (`createos_nb.platform.gateway.recorder`), which DuckDB reads by itself: row
by row it would take a hundred times as long. Every question takes over first what was recorded, so that an answer
counts every request that was recorded before it. How far a file was taken over is written with its records, in one
transaction, so that none counts twice, whoever is killed when.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

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
from createos_nb.platform.gateway.recorder import MAX_PATH, SUFFIX, line
from createos_nb.platform.rollup import COUNTED, RollUp, total, transaction, window

INTERVAL_S = 60
"""Length of an interval of `AccessLog.requests_over_time`, aligned to the minute."""
TOP_PATHS = 10

_LARGEST_INSERT = 100_000
_BLOCK_BYTES = 65_536

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
_FILES = """
create table if not exists files (
    name varchar primary key,
    taken bigint not null               -- bytes of it whose records are in the table
)
"""
_READ = """
create or replace temp table made as select *, $generated as generated from read_csv(
    $file, delim = '\t', header = false, quote = '', escape = '', nullstr = '', auto_detect = false,
    ignore_errors = true,               -- a line that a full disk or a power failure cut off costs that record
    columns = {
        'environment_id': 'varchar', 'arrived_us': 'bigint', 'deployment_id': 'varchar', 'replica': 'integer',
        'method': 'varchar', 'path': 'varchar', 'status': 'smallint', 'duration_ms': 'float', 'bytes_sent': 'bigint'
    }
)
"""


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
    database.execute(_FILES)
    return database


class AccessLog:
    """The access records of one platform, in a file; every method may be called from any thread.

    Parameters
    ----------
    path
        The DuckDB file; made when missing.
    recorded
        Directory with what the gateway has recorded, and goes on recording; None for no gateway.

    Raises
    ------
    PlatformError
        The file is damaged, or another process has it open.
    """

    def __init__(self, path: Path, recorded: Path | None = None) -> None:
        self._recorded = recorded
        self._batch = path.with_suffix(".batch")
        self._lock = threading.Lock()
        try:
            self._database = _opened(path)
            self._rollup = RollUp(self._database)
            self._taken: dict[str, int] = dict(self._database.execute("select name, taken from files").fetchall())
        except duckdb.Error as error:
            raise PlatformError(
                f"The access log {path} cannot be opened: {str(error).splitlines()[0]} "
                "Stop the other platform that uses it, or move the file away to begin a new one."
            ) from None

    def extend(self, records: Iterable[AccessRecord]) -> None:
        """Add a made-up history; its records are marked as generated."""
        remaining = iter(records)
        while batch := list(islice(remaining, _LARGEST_INSERT)):
            written = "".join(line(*record._replace(path=record.path[:MAX_PATH])) for record in batch)
            with self._lock:
                self._insert(written.encode(), generated=True)

    def add_selected(self, query: str, values: Mapping[str, Any]) -> None:
        """Add the records that a query makes of the values; see `createos_nb.platform.history`."""
        with self._lock:
            with transaction(self._database):
                self._database.execute(f"create or replace temp table made as {query}", dict(values))
                self._add_made()
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
        """Take over what was recorded."""
        with self._lock:
            self._flush()

    def close(self) -> None:
        """Take over what was recorded and close the file."""
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
        of = (environment_id, start_s, end_s)
        return Analytics(
            overall_requests=self.overall_requests(*of),
            request_distribution=self.request_distribution(*of),
            rpm=self.rpm(*of),
            success_percentage=self.success_percentage(*of).success_percentage,
            top_error_paths=self.top_error_paths(*of),
            top_hit_paths=self.top_hit_paths(*of),
        )

    # --- the file -----------------------------------------------------------------------------------------

    def _ask(self, question: str, environment_id: str, start_s: int, end_s: int) -> list[Any]:
        with self._lock:
            self._flush()
            return list(self._database.execute(question, window(environment_id, start_s, end_s)).fetchall())

    def _add_made(self) -> None:
        self._database.execute("insert into requests by name select * from made")
        self._rollup.add("made")
        self._database.execute("drop table made")

    def _flush(self) -> None:
        files = sorted(self._recorded.glob(f"*{SUFFIX}")) if self._recorded is not None else []
        for file in files:
            taken = self._taken.get(file.name, 0)
            # The last line may just be being written.
            written = _written(file, taken)
            if whole := written[: written.rfind(b"\n") + 1]:
                self._insert(whole, generated=False, file=file.name, taken=taken + len(whole))
            if file is not files[-1]:  # There is a later one: nothing more is written to it.
                file.unlink()
                self._taken.pop(file.name, None)
                self._database.execute("delete from files where name = $name", {"name": file.name})

    def _insert(self, written: bytes, *, generated: bool, file: str = "", taken: int = 0) -> None:
        self._batch.touch(mode=0o600)
        self._batch.write_bytes(written)
        try:
            with transaction(self._database):
                self._database.execute(_READ, {"generated": generated, "file": str(self._batch)})
                self._add_made()
                if file:
                    self._database.execute(
                        "insert or replace into files values ($file, $taken)", {"file": file, "taken": taken}
                    )
        finally:
            self._batch.unlink()
        if file:
            self._taken[file] = taken
        self._rollup.tidy()


def _written(file: Path, taken: int) -> bytes:
    """Return what was written to a file beyond what was taken over; the rest of it is zeros."""
    blocks = []
    with file.open("rb") as stream:
        stream.seek(taken)
        while block := stream.read(_BLOCK_BYTES):
            end = block.find(b"\0")
            blocks.append(block if end < 0 else block[:end])
            if end >= 0:
                break
    return b"".join(blocks)
