"""Intervals: counts over time, put together until a chart can show them apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from createos_nb.errors import FrameError
from createos_nb.metrics.intervals import TARGET, refuse_overlap

MAX_INTERVALS = 240
"""Intervals a chart shows side by side: three pixels each."""

_MULTIPLES = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 10080)


def step_s(interval_s: int, span_s: float, *, limit: int = MAX_INTERVALS) -> int:
    """Return the length of the intervals to show, a round multiple of those there are.

    Parameters
    ----------
    interval_s
        Length of an interval of the data, in seconds.
    span_s
        Length of the whole window, in seconds.
    limit
        Most intervals to show.

    Examples
    --------
    >>> step_s(60, 3600), step_s(60, 86400), step_s(60, 14 * 86400)
    (60, 600, 7200)
    """
    for multiple in _MULTIPLES:
        if span_s / (interval_s * multiple) <= limit:
            return interval_s * multiple
    return interval_s * -(-int(span_s) // (interval_s * limit))


def together(
    frame: pd.DataFrame, counts: Sequence[str], *, by: Iterable[str] = (), limit: int = MAX_INTERVALS
) -> pd.DataFrame:
    """Return counts per interval, summed over environments and over as many intervals as needed.

    Parameters
    ----------
    frame
        ``timestamp``, ``interval_s``, ``partial`` and the counts.
    counts
        Columns to sum.
    by
        Columns to keep apart.
    limit
        Most intervals to show side by side.

    Returns
    -------
    DataFrame, one row per interval that has data
        ``start`` and ``end`` (datetime64[us, UTC]), the columns of ``by``, the counts, and ``partial``:
        some of the interval is not in the data.

    Raises
    ------
    FrameError
        An interval is not longer than nothing, or a count is below it.
    """
    check(frame, counts)
    interval = int(frame["interval_s"].max())
    first, last = frame["timestamp"].min(), frame["timestamp"].max()
    step = step_s(interval, (last - first).total_seconds() + interval, limit=limit)
    start = frame["timestamp"].dt.floor(f"{step}s")
    end_of_row = frame["timestamp"] + pd.to_timedelta(frame["interval_s"], unit="s")
    keys = ["start", *by]
    grouped = (
        frame.assign(start=start, end=end_of_row)
        .groupby(keys, as_index=False, sort=True, observed=True)
        .agg(
            first=("timestamp", "min"),
            last=("end", "max"),
            partial=("partial", "any"),
            **{name: (name, "sum") for name in counts},
        )
    )
    end = grouped["start"] + pd.Timedelta(seconds=step)
    cut = grouped["partial"] | (grouped["first"] > grouped["start"]) | (grouped["last"] < end)
    return grouped.assign(end=end, partial=cut)[[*keys, "end", *counts, "partial"]]


def check(frame: pd.DataFrame, counts: Sequence[str]) -> None:
    """Refuse intervals and counts that cannot be drawn.

    Raises
    ------
    FrameError
        An interval is not longer than nothing, a count is below it, or intervals of an environment cover the same
        time, of which the requests would be drawn twice.
    """
    if "interval_s" in frame.columns and frame["interval_s"].min() <= 0:
        raise FrameError("Some rows have an 'interval_s' of 0 or less. It is a length in seconds.")
    below = next((name for name in counts if frame[name].min() < 0), None)
    if below:
        raise FrameError(f"Some rows have {below!r} below 0. Counts start at 0.")
    if {*TARGET, "timestamp", "interval_s", "partial"} <= set(frame.columns):
        refuse_overlap(frame)


def in_words(step: pd.Timedelta) -> str:
    """Return the length of an interval as one says it after "per".

    Examples
    --------
    >>> in_words(pd.Timedelta("1min")), in_words(pd.Timedelta("2h")), in_words(pd.Timedelta("90s"))
    ('minute', '2 hours', '90 seconds')
    """
    seconds = int(step.total_seconds())
    units = {"day": 86400, "hour": 3600, "minute": 60, "second": 1}
    unit = next(name for name, length in units.items() if seconds % length == 0)
    number = seconds // units[unit]
    return unit if number == 1 else f"{number} {unit}s"
