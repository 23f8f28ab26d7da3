"""Collection: what is missing in an archive about one environment, asked for and written.

Each file covers a time without a gap, and only what will not change any more: intervals that are over and two
minutes old, windows likewise, log lines that are fifteen seconds old. So a run that is cut off has lost
nothing, and a second run finds less to do, or nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from math import ceil
from typing import TYPE_CHECKING

import pandas as pd

from createos_nb import schema
from createos_nb.archive.layout import DAY_S, Part, Span, folder, live, missing, runs
from createos_nb.archive.store import Store
from createos_nb.archive.tables import (
    DEPLOYMENTS,
    LOGS,
    REQUEST_DISTRIBUTION,
    SUMMARY,
    TABLES,
    TOP_ERROR_PATHS,
    TOP_HIT_PATHS,
    TRAFFIC,
    Table,
)
from createos_nb.errors import CreateOSError
from createos_nb.logs import parse
from createos_nb.timerange import TimeRange

if TYPE_CHECKING:
    from createos_nb.api.client import Client
    from createos_nb.frames import Target

SETTLED_S = 120
"""So long after its end a window's requests have all come in."""

LOGS_SETTLED_S = 15
"""So long after it was written a log line is there, and an application's clock may be behind."""

LOGS_MARGIN_S = 60
"""So much more of the log is read than is missing, so that every line stands among its neighbours."""

LOOK_BACK_S = 600
"""So much more traffic is read than is missing, so that the length of an interval shows."""

UNKNOWN_INTERVAL_S = 3600
"""Taken for the length of an interval where there is none to tell."""

MOST_FILES = 16
"""Files of a day from which on they are joined, also before the day is over."""

KEPT_S = 3600
"""How long a file stays after a longer one has taken its place, for those who are reading it."""


@dataclass(frozen=True)
class Wanted:
    """The time that is to be in the archive.

    Attributes
    ----------
    start_s, end_s
        Unix seconds.
    resumes
        Whether it begins earlier where the archive ends earlier, so that no gap is left.
    """

    start_s: int
    end_s: int
    resumes: bool

    def span(self, held: Sequence[Span], *, settled_s: float) -> Span:
        """Return it, as far as what belongs to it will not change any more."""
        start = min([self.start_s, max(end for _, end in held)]) if self.resumes and held else self.start_s
        return start, min(self.end_s, int(settled_s))


def collect(store: Store, client: Client, one: Target, wanted: Wanted, *, project: bool) -> list[schema.Row]:
    """Collect all that is missing about an environment.

    Parameters
    ----------
    store
        Where it goes.
    client
        Carries the requests out.
    one
        The environment.
    wanted
        The time that is to be there.
    project
        Whether to collect its project's deployments, too.

    Returns
    -------
    Rows of `schema.COLLECTED`: what was written.

    Raises
    ------
    CreateOSError
        Something could not be collected; all that could be was, and is kept.
    """
    written: list[schema.Row] = []
    failed: list[CreateOSError] = []
    steps: list[Callable[[Store, Client, Target, Wanted], list[schema.Row]]] = [traffic, windows, logs]
    with store.lock(str(one)):
        for step in [*steps, deployments] if project else steps:
            try:
                written += step(store, client, one, wanted)
            except CreateOSError as error:
                failed.append(error)
        for table in TABLES.values():
            if table.by_environment:
                tidy(store, table, *one.names, now=client.now())
    if failed:
        raise failed[0]
    return written


def traffic(store: Store, client: Client, one: Target, wanted: Wanted) -> list[schema.Row]:
    """Collect the requests of each interval that is over."""
    written = []
    held = _held(store, TRAFFIC, one)
    span = wanted.span(held, settled_s=client.now().timestamp() - SETTLED_S)
    for start, end in missing(span, held):
        asked = max(0, start - LOOK_BACK_S)
        answer = client.analytics.requests_over_time(*one.ids, start=asked, end=end)
        window = TimeRange(_moment(asked), _moment(end))
        rows = schema.requests_over_time_rows(*one.names, window, answer, now=_moment(end))
        frame = TRAFFIC.kind.frame(rows, complete=answer.complete)
        interval_s = int(frame["interval_s"].iloc[0]) if len(frame) else UNKNOWN_INTERVAL_S
        first = _beginning(start, asked, interval_s if len(frame) else 1, held)
        begun = frame[frame["timestamp"] >= _moment(first)]
        # An interval that is cut by the end of the window is for the next run; so is one whose first request
        # has not come yet, where the platform leaves out intervals without any.
        over = min([end, *(int(at.timestamp()) for at in begun.loc[begun["partial"], "timestamp"])])
        over -= over % interval_s
        if over > first:
            written.append(_write(store, TRAFFIC, one, (first, over), begun[begun["timestamp"] < _moment(over)]))
    return written


def _beginning(start: int, asked: int, interval_s: int, held: Sequence[Span]) -> int:
    """Return where the interval begins that a time falls into, if it was asked for and nothing of it is held."""
    first = start - start % interval_s
    return first if first >= asked and not any(begin < start and end > first for begin, end in held) else start


def windows(store: Store, client: Client, one: Target, wanted: Wanted) -> list[schema.Row]:
    """Collect what the platform says about whole windows: as long as from run to run, a day at most."""
    written = []
    # The summary is written last, so that where it is, the others are.
    held = _held(store, SUMMARY, one)
    start, end = wanted.span(held, settled_s=client.now().timestamp() - SETTLED_S)
    for span in missing((start, end - end % 60), held):
        window = TimeRange(_moment(span[0]), _moment(span[1]))
        answer = client.analytics.summary(*one.ids, start=span[0], end=span[1])
        rows: Mapping[Table, list[schema.Row]] = {
            TOP_HIT_PATHS: schema.top_hit_path_rows(*one.names, window, answer.top_hit_paths),
            TOP_ERROR_PATHS: schema.top_error_path_rows(*one.names, window, answer.top_error_paths),
            REQUEST_DISTRIBUTION: schema.request_distribution_rows(*one.names, window, answer.request_distribution),
            SUMMARY: [schema.summary_row(*one.names, window, answer)],
        }
        for table, found in rows.items():
            written.append(_write(store, table, one, span, table.kind.frame(found)))
    return written


def logs(store: Store, client: Client, one: Target, wanted: Wanted) -> list[schema.Row]:
    """Collect the log lines, each in the window that its time falls into.

    The platform tells no line's time, and gives none but the newest lines. A line's own time counts, when it
    is one at which the line can have come; a line without one belongs to the line above it. An application
    that never writes a time has its lines cut where the platform cuts: what came in the second at a seam is there
    twice rather than not at all.
    """
    held = _held(store, LOGS, one)
    now_s = client.now().timestamp()
    span = wanted.span(held, settled_s=now_s - LOGS_SETTLED_S)
    spans = missing(span, held)
    if not spans:
        return []
    seconds = ceil(now_s - spans[0][0]) + LOGS_MARGIN_S
    frame = _lines(client, one, seconds)
    came = frame["timestamp"].between(
        _moment(now_s - seconds - LOGS_SETTLED_S), _moment(now_s + LOGS_SETTLED_S), inclusive="both"
    )
    at = frame["timestamp"].where(came).ffill().bfill()
    if len(frame) and at.isna().all():
        # Only the newest lines can be told from the others; what is missing further back has to stay so.
        span = wanted.span(held, settled_s=now_s)
        newest = [s for s in missing(span, held) if s[0] >= max([span[0], *(end for _, end in held)])]
        if not newest or span[1] < int(now_s):
            return []
        frame = _lines(client, one, max(1, ceil(now_s - newest[0][0])))
        at = pd.Series(_moment(newest[-1][1] - 1), index=frame.index, dtype="datetime64[us, UTC]")
        spans = newest
    frame = frame.assign(at=at.astype("datetime64[us, UTC]"))
    written = []
    for start, end in spans:
        its = frame[(frame["at"] >= _moment(start)) & (frame["at"] < _moment(end))]
        written.append(_write(store, LOGS, one, (start, end), its.assign(line=range(1, len(its) + 1))))
    return written


def deployments(store: Store, client: Client, one: Target, _wanted: Wanted) -> list[schema.Row]:
    """Collect the project's deployments, as they are now; those that the platform forgets stay."""
    environments = client.environments.list(one.project.id)
    answer = client.deployments.list(one.project.id)
    rows = [schema.deployment_row(one.names[0], item, environments) for item in answer]
    rows.sort(key=lambda row: (row["created_at"], row["deployment_id"]))
    written = []
    for day, group in groupby(rows, key=lambda row: _day(row["created_at"])):
        part = Part(DEPLOYMENTS.name, one.names[0], None, day, day + DAY_S)
        frame = DEPLOYMENTS.kind.frame(group, complete=answer.complete)
        held: pd.DataFrame | None = None
        if part.path in store.find(folder(DEPLOYMENTS.name, one.names[0], None)):
            held = DEPLOYMENTS.decode(store.read(part.path)).to_pandas().assign(project=one.names[0])
            gone = held[~held["deployment_id"].isin(frame["deployment_id"])]
            whole = [frame.astype({"status": "str"}), gone]
            frame = pd.concat([each for each in whole if len(each)]).sort_values(["created_at", "deployment_id"])
        content = DEPLOYMENTS.encode(frame)
        new = _records(content)
        changed = len(new - _records(DEPLOYMENTS.encode(held))) if held is not None else len(new)
        if changed:
            store.put(part.path, content)
            written.append(_row(part, changed))
    return written


def tidy(store: Store, table: Table, project: str, environment: str, *, now: datetime) -> None:
    """Join the files of every day that is over or has many, and delete those that were joined an hour ago."""
    paths = store.find(folder(table.name, project, environment))
    parts = [part for part in map(Part.of, paths) if part is not None]
    counted = live(parts)
    for day, group in groupby(counted, key=lambda part: part.day):
        chosen = list(group)
        if day + DAY_S > now.timestamp() and len(chosen) < MOST_FILES:
            continue
        for run in runs(chosen):
            if len(run) > 1:
                ends = [pd.Timestamp(_moment(part.end_s)) for part in run]
                joined = Part(table.name, project, environment, run[0].start_s, run[-1].end_s)
                store.put(joined.path, table.join([store.read(part.path) for part in run], ends))
    for part in set(parts) - set(counted):
        covers = [p for p in counted if p.start_s <= part.start_s and p.end_s >= part.end_s and p.day == part.day]
        # By this machine's clock: an hour is more than clocks differ.
        if all(datetime.now(UTC) - store.changed_at(p.path) > timedelta(seconds=KEPT_S) for p in covers):
            store.delete(part.path)


def _held(store: Store, table: Table, one: Target) -> list[Span]:
    paths = store.find(folder(table.name, *one.names))
    return [part.span for part in map(Part.of, paths) if part is not None]


def _write(store: Store, table: Table, one: Target, span: Span, frame: pd.DataFrame) -> schema.Row:
    part = Part(table.name, *one.names, *span)
    store.put(part.path, table.encode(frame))
    return _row(part, len(frame))


def _row(part: Part, rows: int) -> schema.Row:
    return {
        "project": part.project,
        "environment": part.environment,
        "table": part.table,
        "start": _moment(part.start_s),
        "end": _moment(part.end_s),
        "rows": rows,
    }


def _lines(client: Client, one: Target, seconds: int) -> pd.DataFrame:
    text = client.environments.logs(*one.ids, since_seconds=seconds)
    return parse(text, project=one.names[0], environment=one.names[1])


def _records(content: bytes) -> set[tuple[object, ...]]:
    return {tuple(row.values()) for row in DEPLOYMENTS.decode(content).to_pylist()}


def _day(moment: object) -> int:
    assert isinstance(moment, datetime)
    seconds = int(moment.timestamp())
    return seconds - seconds % DAY_S


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
