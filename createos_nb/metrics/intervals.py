"""Intervals: the requests over time of one environment, in order and checked, as arrays.

What the metrics that look at neighbouring intervals start with. A row that is missing stays missing: it is a
gap, not an interval without requests.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from createos_nb.errors import FrameError
from createos_nb.schema import REQUESTS_OVER_TIME

Whole = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

TARGET = ("project", "environment")
INTERVALS = (*TARGET, "timestamp", "requests", "status_5xx", "interval_s", "partial")
"""Columns of `schema.REQUESTS_OVER_TIME` that intervals are made of."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_S = 366 * 86_400
_MOST = 10**12
_COUNTS = ("requests", "status_2xx", "status_3xx", "status_4xx", "status_5xx")


@dataclass(frozen=True)
class Intervals:
    """The intervals of one environment, oldest first, none of them overlapping.

    Attributes
    ----------
    project, environment
        Whose they are.
    start_us, end_us
        Start and end of each, in unix microseconds.
    requests, errors
        All requests, and those answered 5xx.
    partial
        The window holds only part of the interval, or it is not over.
    complete
        False when the frame said that something is missing.
    """

    project: str
    environment: str
    start_us: Whole
    end_us: Whole
    requests: Whole
    errors: Whole
    partial: Flags
    complete: bool = True

    def __len__(self) -> int:
        return len(self.start_us)

    def __getitem__(self, chosen: slice | Flags) -> Intervals:
        return Intervals(
            self.project,
            self.environment,
            self.start_us[chosen],
            self.end_us[chosen],
            self.requests[chosen],
            self.errors[chosen],
            self.partial[chosen],
            self.complete,
        )

    @property
    def names(self) -> dict[str, Any]:
        """Project, environment and completeness, as every row of a frame begins and ends."""
        return {"project": self.project, "environment": self.environment, "complete": self.complete}

    @property
    def start(self) -> datetime:
        """Start of the first interval."""
        return moment(self.start_us[0])

    @property
    def end(self) -> datetime:
        """End of the last interval."""
        return moment(self.end_us[-1])

    @property
    def covered(self) -> float:
        """Of the time from start to end, how much has rows, 0 to 1."""
        return float((self.end_us - self.start_us).sum() / (self.end_us[-1] - self.start_us[0]))

    @property
    def rpm(self) -> float | None:
        """Requests per minute over the whole intervals; None when all are partial."""
        whole = ~self.partial
        minutes = (self.end_us - self.start_us)[whole].sum() / 60e6
        return float(self.requests[whole].sum() / minutes) if minutes else None


def moment(unix_us: int) -> datetime:
    """Return unix microseconds as an aware time."""
    return _EPOCH + timedelta(microseconds=int(unix_us))


def intervals(over_time: pd.DataFrame) -> Iterator[Intervals]:
    """Return the intervals of each environment of a frame, in the order in which they first come.

    Parameters
    ----------
    over_time
        Requests over time; needs the columns of `INTERVALS`, and ``complete`` is heeded where it is there.

    Raises
    ------
    FrameError
        A needed column is missing or of another kind, holds counts that cannot be, or two rows of an
        environment cover the same time.
    """
    taken = _joined(checked(over_time, INTERVALS))
    taken["start_us"] = taken["timestamp"].astype("int64")
    taken = taken.sort_values("start_us", kind="stable")
    groups = taken.groupby(list(TARGET), sort=False)
    first_seen = taken.sort_index().drop_duplicates(list(TARGET))
    for project, environment in zip(first_seen["project"], first_seen["environment"], strict=True):
        yield _of(project, environment, groups.get_group((project, environment)))


def with_complete(frame: object, names: Sequence[str]) -> list[str]:
    """Return names of columns, and ``complete`` where the frame has it: a frame of one's own need not."""
    has_it = isinstance(frame, pd.DataFrame) and "complete" in list(frame.columns)
    return [*names, "complete"] if has_it else list(names)


def _of(project: str, environment: str, rows: pd.DataFrame) -> Intervals:
    start = rows["start_us"].to_numpy(dtype=np.int64)
    end = start + rows["interval_s"].to_numpy(dtype=np.int64) * 1_000_000
    return Intervals(
        project,
        environment,
        start,
        end,
        rows["requests"].to_numpy(dtype=np.int64),
        rows["status_5xx"].to_numpy(dtype=np.int64),
        rows["partial"].to_numpy(dtype=np.bool_),
        bool(rows["complete"].all()) if "complete" in rows else True,
    )


def checked(over_time: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Return columns of requests over time, and ``complete`` where it is there, of which the counts can be.

    Whatever computes with requests over time begins with this.

    Parameters
    ----------
    over_time
        Requests over time.
    names
        The columns. Where the frame has ``timestamp``, ``interval_s`` and ``partial``, no two rows may cover the
        same time of an environment; only the parts of an interval at which windows adjoin stand side by side.

    Raises
    ------
    FrameError
        A column is missing or of another kind, a count cannot be, or two rows cover the same time.
    """
    taken = REQUESTS_OVER_TIME.take(over_time, with_complete(over_time, names))
    _refuse(taken, ~taken["requests"].between(0, _MOST), "requests", "is not between 0 and 10¹²")
    classes = [name for name in _COUNTS if name in taken and name != "requests"]
    for name in classes:
        wrong = (taken[name] < 0) | (taken[name] > taken["requests"])
        _refuse(taken, wrong, name, "is not between 0 and 'requests'")
    more = taken[classes].sum(axis=1) > taken["requests"]
    _refuse(taken, more, "requests", f"is less than {' and '.join(classes)} together")
    if "interval_s" in taken:
        wrong = ~taken["interval_s"].between(1, _LONGEST_S)
        _refuse(taken, wrong, "interval_s", "is not between 1 s and a year")
    if {"timestamp", "interval_s", "partial"} <= {*taken, *over_time.columns}:
        refuse_overlap(REQUESTS_OVER_TIME.take(over_time, [*TARGET, "timestamp", "interval_s", "partial"]))
    return taken


def refuse_overlap(taken: pd.DataFrame) -> None:
    """Refuse intervals of an environment that cover the same time.

    Parameters
    ----------
    taken
        ``project``, ``environment``, ``timestamp``, ``interval_s`` and ``partial``.
    """
    target = taken.groupby(list(TARGET), sort=False, dropna=False).ngroup().to_numpy()
    start = taken["timestamp"].to_numpy("datetime64[us]").astype("int64")
    order = np.lexsort((start, target))
    target, start = target[order], start[order]
    length = taken["interval_s"].to_numpy("int64")[order]
    partial = taken["partial"].to_numpy("bool")[order]
    same = target[1:] == target[:-1]
    # The interval in which one window ends and the next one begins is in both, with a part of its requests.
    parts = same & (start[1:] == start[:-1]) & (length[1:] == length[:-1]) & partial[1:] & partial[:-1]
    thrice = np.concatenate([[False], parts[:-1]])[: len(parts)]
    overlap = same & (start[1:] < start[:-1] + length[:-1] * 1_000_000) & (~parts | thrice)
    if overlap.any():
        project, environment = taken[list(TARGET)].iloc[order[1:][overlap][0]]
        raise FrameError(
            f"Some rows of {project}/{environment} cover the same time in 'timestamp', so that requests would "
            "count twice. Ask for one window that holds all of it, instead of joining windows that overlap."
        )


def _joined(taken: pd.DataFrame) -> pd.DataFrame:
    """Return rows in which the two parts of an interval are one."""
    key = [*TARGET, "timestamp", "interval_s"]
    if not taken.duplicated(key).any():
        return taken
    sums = dict.fromkeys([name for name in _COUNTS if name in taken], "sum")
    flags = dict.fromkeys([name for name in ("partial", "complete") if name in taken], "all")
    return taken.groupby(key, sort=False, as_index=False).agg(sums | flags)


def _refuse(taken: pd.DataFrame, wrong: pd.Series[bool], name: str, why: str) -> None:
    if wrong.any():
        raise FrameError(f"The column {name!r} holds {taken[name][wrong].iloc[0]}, which {why}. Look at that row.")
