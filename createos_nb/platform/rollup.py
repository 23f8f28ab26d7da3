"""Roll-up: the access records counted by environment, minute, path and status, so that questions read little.

It changes in the transactions that change the records, so that both always tell the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import duckdb

_TABLE = """
create table {name} (
    environment_id varchar,             -- null: no environment has the host that was asked for
    minute         bigint not null,     -- since 1970
    path           varchar not null,
    status         smallint not null,
    requests       bigint not null      -- several rows of the same minute, path and status add up
)
"""
_MINUTE = "arrived_us // 60_000_000"
_ROLLED = f"select environment_id, {_MINUTE} as minute, path, status, count(*) as requests"
# Whole minutes from the roll-up, what is left at both ends of the window from the records.
COUNTED = f"""(
    select minute, path, status, requests from hits
    where environment_id = $environment and minute >= $first and minute < $last
    union all
    select {_MINUTE}, path, status, 1 from requests
    where environment_id = $environment and arrived_us >= $start and arrived_us < least($end, $first_us)
    union all
    select {_MINUTE}, path, status, 1 from requests
    where environment_id = $environment and arrived_us < $end
      and arrived_us >= greatest($start, $first_us, $last_us)
)"""
"""Rows of ``minute``, ``path``, ``status`` and ``requests``; for the values of `window`."""
_LEAST_PARTS = 100_000


def window(environment_id: str, start_s: int, end_s: int) -> dict[str, Any]:
    """Return the values that `COUNTED` takes.

    Parameters
    ----------
    environment_id
        Whose requests.
    start_s, end_s
        Unix seconds, half open.
    """
    first, last = -(-start_s // 60), end_s // 60
    return {
        "environment": environment_id,
        "start": start_s * 1_000_000,
        "end": end_s * 1_000_000,
        "first": first,
        "last": last,
        "first_us": first * 60_000_000,
        "last_us": last * 60_000_000,
    }


def total(lowest: int | None = None, highest: int | None = None) -> str:
    """Return the expression of how many requests there were, or how many with such a status."""
    kept = "" if lowest is None else f" filter (status between {lowest} and {highest})"
    return f"coalesce(sum(requests){kept}, 0)::bigint"


@contextmanager
def transaction(database: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Make several changes one: all of them, or none."""
    database.begin()
    try:
        yield
        database.commit()
    except BaseException:
        database.rollback()
        raise


class RollUp:
    """The roll-up of one access log, whose connection, lock and transactions it shares.

    Parameters
    ----------
    database
        Of the access log; what an older version wrote is rolled up first.
    """

    def __init__(self, database: duckdb.DuckDBPyConnection) -> None:
        self._database = database
        tables = {name for (name,) in database.execute("select table_name from duckdb_tables()").fetchall()}
        if "hits" not in tables:
            with transaction(database):
                database.execute(_TABLE.format(name="hits"))
                self._insert("requests")
        self._size = self._parts = self._count()

    def _count(self) -> int:
        counted = self._database.execute("select count(*) from hits").fetchone()
        return int(counted[0]) if counted else 0

    def _insert(self, source: str) -> int:
        inserted = self._database.execute(
            f"insert into hits {_ROLLED} from {source} group by all order by environment_id, minute"
        ).fetchone()
        return int(inserted[0]) if inserted else 0

    def add(self, source: str) -> None:
        """Add the records of a table or view."""
        added = self._insert(source)
        self._parts += added
        self._size = max(self._size, added)  # No two of them add up.

    def forget(self, minute: int) -> None:
        """Delete what is older than a minute since 1970."""
        self._database.execute("delete from hits where minute < $minute", {"minute": minute})

    def tidy(self) -> None:
        """Make one row of those that add up, when there are many; in a transaction of its own."""
        if self._parts < 2 * self._size + _LEAST_PARTS:
            return
        with transaction(self._database):
            self._database.execute(_TABLE.format(name="tidied"))
            self._database.execute(
                "insert into tidied select environment_id, minute, path, status, sum(requests) from hits "
                "group by all order by environment_id, minute"
            )
            self._database.execute("drop table hits")
            self._database.execute("alter table tidied rename to hits")
        self._size = self._parts = self._count()
