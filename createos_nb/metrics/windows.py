"""Windows: two of one environment beside each other, or two environments, with their uncertainty."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from createos_nb.errors import FrameError
from createos_nb.metrics.comparison import Counts, Interval, compare_error_rates
from createos_nb.metrics.intervals import INTERVALS, Intervals, intervals
from createos_nb.metrics.shares import dispersion
from createos_nb.schema import COMPARISON, Row

NEEDED: Mapping[str, tuple[str, ...]] = {"compare": INTERVALS}


def compare(over_time: pd.DataFrame, baseline: pd.DataFrame) -> pd.DataFrame:
    """Return each environment's error rate and volume beside those of a baseline, with intervals.

    Parameters
    ----------
    over_time
        Requests over time; needs ``project``, ``environment``, ``timestamp``, ``requests``, ``status_5xx``,
        ``interval_s`` and ``partial``. See `schema.REQUESTS_OVER_TIME`.
    baseline
        The same of an earlier window, or of another environment. When it holds one environment, everything
        is compared with that; when it holds several, each environment with itself.

    Returns
    -------
    DataFrame, one row per environment of ``over_time`` (`schema.COMPARISON`)
        ``verdict`` is ``"rose"`` or ``"fell"`` when the 90 % interval of the difference leaves out 0, ``"same"``
        when neither has errors and both have at least 100 requests, else ``"unclear"``.

    Raises
    ------
    FrameError
        A needed column is missing or of another kind, the baseline lacks one of the environments, or overlaps
        the window of the same one.

    Notes
    -----
    Intervals of the rates are Wilson's, of the difference Newcombe's (1998, method 10), each with the
    requests divided by ``dispersion``: how much more neighbouring intervals differ than independent requests
    would (Rao and Scott, Biometrics 48, 1992). A cause that lasts as long as the window is not in that
    figure: two environments differ in more than the error rate. Each row stands for itself; of a hundred
    environments without any difference, about ten are not "unclear".

    Examples
    --------
    >>> from createos_nb import schema
    >>> over_time = schema.sample("REQUESTS_OVER_TIME")
    >>> told = compare(over_time.iloc[4:8], over_time.iloc[:4])
    >>> told[["baseline_error_rate", "error_rate", "difference_low", "difference_high", "verdict"]].round(3)
       baseline_error_rate  error_rate  difference_low  difference_high verdict
    0                  0.0       0.288           0.245            0.335    rose
    """
    held = list(intervals(over_time))
    by_target = {(each.project, each.environment): each for each in intervals(baseline)}
    if held and not by_target:
        raise FrameError("The baseline has no rows. Ask for a window in which there were some.")
    only = next(iter(by_target.values())) if len(by_target) == 1 else None
    rows = []
    for each in held:
        found = by_target.get((each.project, each.environment)) if only is None else only
        if found is None:
            raise FrameError(
                f"The baseline has no rows of {each.project}/{each.environment}; see its columns 'project' and "
                "'environment'. Leave it out, or pass a baseline of one environment."
            )
        if _overlap(each, found):
            raise FrameError(
                f"Both windows hold some of the same time of {each.project}/{each.environment}, which would be "
                "compared with itself. Pass a baseline that ends where the other window begins, or earlier."
            )
        rows.append(_row(each, found))
    return COMPARISON.frame(rows)


def _overlap(each: Intervals, baseline: Intervals) -> bool:
    """Whether two windows of one environment share whole intervals; adjoining ones share parts of one at most."""
    if (each.project, each.environment) != (baseline.project, baseline.environment):
        return False
    ours, theirs = each[~each.partial], baseline[~baseline.partial]
    # Both are in order, and neither overlaps itself: of theirs, those begun before the end of one of ours, and not
    # ended by its start.
    begun = np.searchsorted(theirs.start_us, ours.end_us, side="left")
    return bool((begun > np.searchsorted(theirs.end_us, ours.start_us, side="right")).any())


def _row(each: Intervals, baseline: Intervals) -> Row:
    excess = dispersion(each, baseline)
    told = compare_error_rates(_counts(baseline), _counts(each), dispersion=excess)
    low, high = told.difference_interval
    before, after = told.before_rate, told.after_rate
    return {
        **each.names,
        "complete": each.complete and baseline.complete,
        "start": each.start,
        "end": each.end,
        "baseline_project": baseline.project,
        "baseline_environment": baseline.environment,
        "baseline_start": baseline.start,
        "baseline_end": baseline.end,
        "baseline_requests": told.before.requests,
        "baseline_errors": told.before.server_errors,
        **_rate("baseline_error_rate", before, told.before_interval),
        "baseline_rpm": baseline.rpm,
        "requests": told.after.requests,
        "errors": told.after.server_errors,
        **_rate("error_rate", after, told.after_interval),
        "rpm": each.rpm,
        "difference": None if before is None or after is None else after - before,
        "difference_low": low,
        "difference_high": high,
        "dispersion": excess,
        "verdict": told.verdict,
        "reason": told.detail,
    }


def _counts(each: Intervals) -> Counts:
    return Counts(int(each.requests.sum()), int(each.errors.sum()))


def _rate(name: str, rate: float | None, interval: Interval) -> Row:
    return {name: rate, f"{name}_low": interval[0], f"{name}_high": interval[1]}
