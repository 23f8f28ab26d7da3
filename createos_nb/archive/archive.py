"""Archive: collects history into a Parquet dataset, and gives it back as Ibis tables."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Protocol

import ibis
import pandas as pd
from sqlglot import parse_one
from sqlglot.expressions import Expr

from createos_nb import schema
from createos_nb.archive import questions
from createos_nb.archive.collection import Wanted, collect
from createos_nb.archive.layout import Part, live
from createos_nb.archive.store import Store
from createos_nb.archive.tables import (
    DEPLOYMENTS,
    LOGS,
    REQUEST_DISTRIBUTION,
    SUMMARY,
    TOP_ERROR_PATHS,
    TOP_HIT_PATHS,
    TRAFFIC,
    Table,
)
from createos_nb.errors import InvalidArgument
from createos_nb.markup import one_line
from createos_nb.timerange import Since, TimeRange

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

    from createos_nb.api.client import Client
    from createos_nb.frames import Target

REQUESTS = {
    "GetProjectEnvironmentAnalyticsRequestsOverTime": 1,
    "GetProjectEnvironmentAnalytics": 1,
    "GetProjectEnvironmentLogs": 1,
    "ListProjectEnvironments": 1,
    "ListDeployments": 1,
}
"""What a run sends for each environment, at least, when a day at most is missing."""


class Collectable(Protocol):
    """Environments that can be asked: a selection."""

    api: Client

    def targets(self) -> tuple[Target, ...]:
        """Return the environments."""
        ...

    def ask(
        self,
        kind: schema.Kind,
        rows: Callable[[Client, Target], Sequence[schema.Row] | pd.DataFrame],
        requests: Mapping[str, int],
        *,
        strict: bool,
        unbounded: frozenset[str] = frozenset(),
    ) -> pd.DataFrame:
        """Ask every environment for its rows."""
        ...


class Archive:
    """History as a Parquet dataset, partitioned by project, environment and UTC day; see `Workspace.archive`.

    Deployments belong to projects, and are partitioned by project and the day of their creation. Tables are
    lazy: they cost nothing until something is asked of them, and show what was collected up to the moment
    they were made. ``at_s``, the time in whole seconds since 1970, is the quickest to group and filter by.

    Parameters
    ----------
    where
        A directory, or a URL that fsspec knows.

    Attributes
    ----------
    questions
        What can be asked of the tables: see `createos_nb.archive.questions`.
    """

    questions: ModuleType = questions

    def __init__(self, where: str | os.PathLike[str]) -> None:
        self._store = Store(where)

    def __repr__(self) -> str:
        return f"<Archive at {one_line(self._store.name)}>"

    def collect(self, selection: Collectable, since: Since = "1d", *, strict: bool = False) -> pd.DataFrame:
        """Collect what the archive does not have yet, and only what will not change any more.

        It resumes where it left off, environment by environment, however long ago that was and whatever
        ``since`` says. It asks for nothing but the selection, so that cron and papermill can run it; runs
        that overlap wait for each other where they concern the same environment. Interrupted, it has lost
        nothing: what it wrote is whole, and the next run goes on from there.

        Parameters
        ----------
        selection
            The environments, such as ``ws[:]``; of ``selection.explain()`` you learn what it would cost.
        since
            How far back to go where nothing has been collected yet, such as ``"7d"``; or a `TimeRange`, to
            collect what is missing of just that time.
        strict
            Raise `PartialAnswer` instead of leaving out environments that failed.

        Returns
        -------
        DataFrame, one row for each table, environment and day that was written (`schema.COLLECTED`)
            Empty when there was nothing new.

        Raises
        ------
        PartialAnswer
            Some environments failed and ``strict`` was asked for; the others are kept.
        CreateOSError
            All of them failed.
        InvalidArgument
            That is no selection.

        Notes
        -----
        Intervals and windows are collected two minutes after their end, log lines after fifteen seconds. What
        is not known: how far back the platform remembers; a gap that is longer than that shows as rows that
        are not there. A log line without a time stands with the line above it. The lines of an application
        that never writes a time are cut where the platform cuts: those of the second at a seam may be there
        twice. Top paths are those of the windows between two runs, ten of each.
        """
        if not hasattr(selection, "targets"):
            raise InvalidArgument(
                f"Pass a selection, such as ws[:], and not {one_line(repr(selection), limit=80)}."
            )
        now = selection.api.now()
        window = TimeRange.of(since, now=now, default="1d")
        start_s, end_s = window.start_s - window.start_s % 60, int(window.end.timestamp())
        wanted = Wanted(start_s, end_s, not isinstance(since, TimeRange))
        # Of a project's environments, the first collects its deployments.
        first = {one.project.id: one for one in reversed(selection.targets())}
        return selection.ask(
            schema.COLLECTED,
            lambda client, one: collect(self._store, client, one, wanted, project=first[one.project.id] is one),
            REQUESTS,
            unbounded=frozenset(REQUESTS),
            strict=strict,
        )

    def traffic(self) -> ibis.Table:
        """Return the requests of each interval: the columns of `schema.REQUESTS_OVER_TIME`, ``at_s``, ``day``."""
        return self._table(TRAFFIC)

    def logs(self) -> ibis.Table:
        """Return the log lines: the columns of `schema.LOGS`, and ``at``, ``line``, ``at_s`` and ``day``.

        Sort by ``at`` and ``line`` to read them; ``at`` is never missing.
        """
        return self._table(LOGS)

    def deployments(self) -> ibis.Table:
        """Return the deployments, as they were when last collected: `schema.DEPLOYMENTS`, and ``day``."""
        return self._table(DEPLOYMENTS)

    def top_hit_paths(self) -> ibis.Table:
        """Return the ten paths asked for most of each window: `schema.TOP_HIT_PATHS`, ``day``."""
        return self._table(TOP_HIT_PATHS)

    def top_error_paths(self) -> ibis.Table:
        """Return the ten paths and statuses with most errors: `schema.TOP_ERROR_PATHS`, ``day``."""
        return self._table(TOP_ERROR_PATHS)

    def request_distribution(self) -> ibis.Table:
        """Return the answers of each status: `schema.REQUEST_DISTRIBUTION`, ``day``."""
        return self._table(REQUEST_DISTRIBUTION)

    def summary(self) -> ibis.Table:
        """Return the most important figures of each window: `schema.SUMMARY`, and ``day``."""
        return self._table(SUMMARY)

    def _table(self, table: Table) -> ibis.Table:
        parts = live(part for part in map(Part.of, self._store.find(table.name)) if part is not None)
        names = [column.name for column in table.columns]
        if not parts:
            held = ibis.memtable(table.arrow.empty_table())
            partitions = {name: ibis.literal("") for name in table.partitions}
            return held.mutate(**partitions, day=ibis.date("1970-01-01"))[[*names, "day"]]
        held = self._duckdb.read_parquet(
            [self._store.address(part.path) for part in parts],
            hive_partitioning=True,
            hive_types=_partition_types(table),
        )
        return held[[*names, "day"]]

    @property
    def _duckdb(self) -> Backend:
        return _local() if self._store.local else self._own

    @cached_property
    def _own(self) -> Backend:
        connection = _connected()
        # Of a kind of place, a connection takes one file system, with its credentials.
        connection.register_filesystem(self._store.filesystem)
        return connection


_OF_THREAD = threading.local()


def _local() -> Backend:
    """Return this thread's one connection for this machine's files: tables of two archives can be joined."""
    if not hasattr(_OF_THREAD, "connection"):
        _OF_THREAD.connection = _connected()
    connection: Backend = _OF_THREAD.connection
    return connection


def _connected() -> Backend:
    connection = ibis.duckdb.connect()
    connection.raw_sql("SET TimeZone = 'UTC'")
    return connection


def _partition_types(table: Table) -> Expr:
    # Told, since a project may be called 123; as DuckDB's own types, so that a filter leaves files unopened.
    types = ", ".join(f"'{name}': VARCHAR" for name in table.partitions)
    return parse_one(f"{{{types}, 'day': DATE}}", dialect="duckdb")
