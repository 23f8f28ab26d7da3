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
    taken = REQUESTS_OVER_TIME.take(over_time, with_complete(over_time, INTERVALS))
    refuse_counts(taken)
    _refuse(
        taken,
        (taken["status_5xx"] < 0) | (taken["status_5xx"] > taken["requests"]),
        "status_5xx",
        "is not between 0 and 'requests'",
    )
    refuse_lengths(taken)
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
    if (start[1:] < end[:-1]).any():
        raise FrameError(
            f"Some rows of {project}/{environment} cover the same time in 'timestamp', so that requests would "
            "count twice. Leave them out with .drop_duplicates(['project', 'environment', 'timestamp'])."
        )
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


def refuse_counts(taken: pd.DataFrame) -> None:
    """See to it that ``requests`` are counts that can be summed.

    Raises
    ------
    FrameError
        One is negative, or more than a million millions.
    """
    _refuse(taken, ~taken["requests"].between(0, _MOST), "requests", "is not between 0 and 10¹²")


def refuse_lengths(taken: pd.DataFrame) -> None:
    """See to it that ``interval_s`` are lengths of intervals.

    Raises
    ------
    FrameError
        One is not between a second and a year.
    """
    _refuse(taken, ~taken["interval_s"].between(1, _LONGEST_S), "interval_s", "is not between 1 s and a year")


def _refuse(taken: pd.DataFrame, wrong: pd.Series[bool], name: str, why: str) -> None:
    if wrong.any():
        raise FrameError(f"The column {name!r} holds {taken[name][wrong].iloc[0]}, which {why}. Look at that row.")
