"""Incidents: the times in which too many requests were answered 5xx."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta

import numpy as np
import pandas as pd

from createos_nb.metrics.intervals import INTERVALS, Intervals, Whole, intervals, moment
from createos_nb.metrics.options import count, share
from createos_nb.schema import INCIDENTS, Row
from createos_nb.timerange import duration

NEEDED: Mapping[str, tuple[str, ...]] = {"incidents": INTERVALS}


def incidents(
    over_time: pd.DataFrame, *, threshold: float = 0.05, quiet: str | timedelta = "5m", min_errors: int = 5
) -> pd.DataFrame:
    """Return the times in which the 5xx share of an environment was over a threshold.

    Parameters
    ----------
    over_time
        Requests over time; needs ``project``, ``environment``, ``timestamp``, ``requests``, ``status_5xx``,
        ``interval_s`` and ``partial``. See `schema.REQUESTS_OVER_TIME`.
    threshold
        5xx share, above 0 and below 1, from which on an interval is bad.
    quiet
        Time without a bad interval that ends an incident; shorter pauses belong to it.
    min_errors
        5xx answers, 1 or more, that an incident has at least; fewer are not reported.

    Returns
    -------
    DataFrame, one row per incident, oldest first, environment by environment (`schema.INCIDENTS`)
        ``start`` and ``end`` are right to an interval. ``ongoing`` is True until the frame has ``quiet`` time
        with good requests after the last bad interval: silence is no recovery.

    Raises
    ------
    InvalidArgument
        An option is out of its range.
    FrameError
        A needed column is missing or of another kind.

    Notes
    -----
    The rule, whole: an interval is bad when its 5xx share is at least ``threshold``; bad intervals less than
    ``quiet`` apart are one incident; it counts from ``min_errors`` on. A time without rows is not taken for
    good or bad: what lies within an incident is in ``missing_s``, and an incident that borders on it, or on
    the frame's ends, or on silence, says so by ``start_seen`` and ``end_seen``. A partial interval's requests
    count. A fixed threshold is what a person can check by eye; whether a change is more than chance is what
    `change_points` tests.

    Examples
    --------
    >>> from createos_nb import schema
    >>> found = incidents(schema.sample("REQUESTS_OVER_TIME"), quiet="2m")
    >>> found[["start", "end", "server_errors", "ongoing"]]
                          start                       end  server_errors  ongoing
    0 2026-11-23 12:04:00+00:00 2026-11-23 12:08:00+00:00             81    False
    """
    threshold = share("threshold", threshold, "Write 0.05 for 5 %.")
    min_errors = count("min_errors", min_errors)
    quiet_us = round(duration(quiet).total_seconds() * 1e6)
    return INCIDENTS.frame(
        row for each in intervals(over_time) for row in _found(each, threshold, quiet_us, min_errors)
    )


def _found(each: Intervals, threshold: float, quiet_us: int, min_errors: int) -> Iterator[Row]:
    bad = (each.requests > 0) & (each.errors >= threshold * each.requests)
    places = np.flatnonzero(bad)
    if not len(places):
        return
    apart = each.start_us[places[1:]] - each.end_us[places[:-1]] >= quiet_us
    for first, last in _runs(places, np.flatnonzero(apart)):
        if each.errors[first : last + 1].sum() >= min_errors:
            yield _row(each, first, last, threshold, quiet_us)


def _runs(places: Whole, breaks: Whole) -> Iterator[tuple[int, int]]:
    starts, ends = np.append(0, breaks + 1), np.append(breaks, len(places) - 1)
    for start, end in zip(starts, ends, strict=True):
        yield int(places[start]), int(places[end])


def _row(each: Intervals, first: int, last: int, threshold: float, quiet_us: int) -> Row:
    during = each[first : last + 1]
    rates = np.divide(during.errors, during.requests, out=np.zeros(len(during)), where=during.requests > 0)
    worst = int(rates.argmax())
    start_seen = _good(each, first - 1, each.start_us[first], before=True)
    end_seen = _good(each, last + 1, each.end_us[last], before=False)
    requests, errors = int(during.requests.sum()), int(during.errors.sum())
    caveats = [
        "" if start_seen else " It may have begun earlier: the frame has no good requests right before it.",
        "" if end_seen else " It may have lasted longer: the frame has no good requests right after it.",
    ]
    return {
        **each.names,
        "start": during.start,
        "end": during.end,
        "start_seen": start_seen,
        "end_seen": end_seen,
        "ongoing": not _over(each, last, threshold, quiet_us),
        "requests": requests,
        "server_errors": errors,
        "error_rate": errors / requests,
        "peak_error_rate": float(rates[worst]),
        "peak_at": moment(during.start_us[worst]),
        "missing_s": round(float(during.start_us[1:].sum() - during.end_us[:-1].sum()) / 1e6),
        "reason": (
            f"{rates[worst]:.1%} of requests were answered 5xx at the peak, over the threshold of {threshold:.1%}."
            f"{''.join(caveats)}"
        ),
    }


def _good(each: Intervals, place: int, border_us: int, *, before: bool) -> bool:
    """Whether the interval at a place borders on an incident and had requests; bad it cannot be."""
    if not 0 <= place < len(each) or each.requests[place] == 0:
        return False
    return bool((each.end_us if before else each.start_us)[place] == border_us)


def _over(each: Intervals, last: int, threshold: float, quiet_us: int) -> bool:
    """Whether good requests came as long after the last bad interval as ends an incident."""
    after = each[last + 1 :]
    good = after[(after.requests > 0) & (after.errors < threshold * after.requests) & ~after.partial]
    return bool(len(good) and good.end_us[-1] - each.end_us[last] >= quiet_us)
