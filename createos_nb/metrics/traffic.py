"""Traffic: rates and shares of the requests of an environment."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from createos_nb.metrics.intervals import checked
from createos_nb.schema import (
    ERROR_RATE,
    RPM_OVER_TIME,
    SUCCESS_SHARE,
    TRAFFIC_SUMMARY,
    Kind,
)

_TARGET = ["project", "environment"]

NEEDED: Mapping[str, tuple[str, ...]] = {
    "error_rate": (*_TARGET, "timestamp", "requests", "status_5xx"),
    "rpm": (*_TARGET, "timestamp", "requests", "interval_s", "partial"),
    "success_share": (*_TARGET, "timestamp", "requests", "status_2xx", "status_3xx", "interval_s", "partial"),
    "summary": (
        *(*_TARGET, "timestamp", "requests", "status_2xx", "status_4xx", "status_5xx"),
        *("interval_s", "partial"),
    ),
}
"""Columns of `schema.REQUESTS_OVER_TIME` that each function needs."""


def error_rate(over_time: pd.DataFrame) -> pd.DataFrame:
    """Return the share of requests answered with a 5xx status, per interval.

    Parameters
    ----------
    over_time
        Requests over time; needs ``project``, ``environment``, ``timestamp``, ``requests`` and
        ``status_5xx``. See `schema.REQUESTS_OVER_TIME`.

    Returns
    -------
    DataFrame of kind `schema.ERROR_RATE`, one row per row of ``over_time``, in its order
        The share is missing where there were no requests.

    Raises
    ------
    FrameError
        A needed column is missing or of another kind, or holds counts that cannot be.

    Notes
    -----
    4xx are the caller's errors and do not count. Source: The Site Reliability Workbook, ch. 2,
    "Implementing SLOs", availability as the share of requests that the service did not fail.

    Examples
    --------
    >>> from createos_nb import schema
    >>> error_rate(schema.sample("REQUESTS_OVER_TIME"))["error_rate"].max().round(3)
    np.float64(0.314)
    """
    taken = _taken(over_time, "error_rate")
    return _of_kind(ERROR_RATE, taken.assign(error_rate=_share(taken["status_5xx"], taken["requests"])))


def rpm(over_time: pd.DataFrame) -> pd.DataFrame:
    """Return the requests per minute of each whole interval.

    Parameters
    ----------
    over_time
        Requests over time; needs ``project``, ``environment``, ``timestamp``, ``requests``,
        ``interval_s`` and ``partial``. See `schema.REQUESTS_OVER_TIME`.

    Returns
    -------
    DataFrame of kind `schema.RPM_OVER_TIME`, one row per row of ``over_time``, in its order
        The rate is missing where the interval is partial, since its requests fell into a time of unknown length.

    Raises
    ------
    FrameError
        A needed column is missing or of another kind, or holds counts that cannot be.

    Examples
    --------
    >>> from createos_nb import schema
    >>> rpm(schema.sample("REQUESTS_OVER_TIME"))["rpm"].max()
    np.float64(71.0)
    """
    taken = _taken(over_time, "rpm")
    rpm = (taken["requests"] * 60 / taken["interval_s"]).where(~taken["partial"])
    return _of_kind(RPM_OVER_TIME, taken.assign(rpm=rpm))


def success_share(over_time: pd.DataFrame) -> pd.DataFrame:
    """Return the share of requests that succeeded, per environment, in both ways of counting.

    Parameters
    ----------
    over_time
        Requests over time; needs ``project``, ``environment``, ``timestamp``, ``requests``, ``status_2xx``,
        ``status_3xx``, ``interval_s`` and ``partial``. See `schema.REQUESTS_OVER_TIME`.

    Returns
    -------
    DataFrame of kind `schema.SUCCESS_SHARE`, one row per environment
        ``share_2xx`` is what CreateOS calls ``success``, ``share_2xx_3xx`` its ``successPercentage`` divided by
        100. Shares are missing where there were no requests.

    Raises
    ------
    FrameError
        A needed column is missing or of another kind, holds counts that cannot be, or two rows cover the same
        time.

    Notes
    -----
    CreateOS counts 2xx as success in one answer and 2xx with 3xx in another, so both are named for what
    they are.

    Examples
    --------
    >>> from createos_nb import schema
    >>> success_share(schema.sample("REQUESTS_OVER_TIME")).round(3)
      project environment  requests  share_2xx  share_2xx_3xx  complete
    0    shop  production       673      0.758          0.845      True
    """
    taken = _taken(over_time, "success_share")
    total = taken.groupby(_TARGET, sort=False, as_index=False).agg(
        requests=("requests", "sum"),
        status_2xx=("status_2xx", "sum"),
        status_3xx=("status_3xx", "sum"),
        complete=("complete", "all"),
    )
    share_2xx = _share(total["status_2xx"], total["requests"])
    both = _share(total["status_2xx"] + total["status_3xx"], total["requests"])
    return _of_kind(SUCCESS_SHARE, total.assign(share_2xx=share_2xx, share_2xx_3xx=both))


def summary(over_time: pd.DataFrame) -> pd.DataFrame:
    """Return the totals of each environment's requests over time, and the rates that follow.

    Parameters
    ----------
    over_time
        Requests over time, see `schema.REQUESTS_OVER_TIME`.

    Returns
    -------
    DataFrame of kind `schema.TRAFFIC_SUMMARY`, one row per environment

    Raises
    ------
    FrameError
        A needed column is missing or of another kind, holds counts that cannot be, or two rows cover the same
        time.

    Notes
    -----
    Counts include partial intervals, the two rates per minute leave them out. The average is that of all whole
    intervals together, whatever their lengths.

    Examples
    --------
    >>> from createos_nb import schema
    >>> summary(schema.sample("REQUESTS_OVER_TIME"))[["requests", "server_errors", "rpm_peak", "rpm_average"]]
       requests  server_errors  rpm_peak  rpm_average
    0       673             83      71.0         67.3
    """
    taken = _taken(over_time, "summary")
    taken["interval_end"] = taken["timestamp"] + pd.to_timedelta(taken["interval_s"], unit="s")
    taken["rpm"] = rpm(taken)["rpm"]
    taken["whole_requests"] = taken["requests"].where(~taken["partial"], 0)
    taken["whole_s"] = taken["interval_s"].where(~taken["partial"], 0)
    total = taken.groupby(_TARGET, sort=False, as_index=False).agg(
        start=("timestamp", "min"),
        end=("interval_end", "max"),
        requests=("requests", "sum"),
        success=("status_2xx", "sum"),
        client_errors=("status_4xx", "sum"),
        server_errors=("status_5xx", "sum"),
        rpm_peak=("rpm", "max"),
        whole_requests=("whole_requests", "sum"),
        whole_s=("whole_s", "sum"),
        complete=("complete", "all"),
    )
    total["error_rate"] = _share(total["server_errors"], total["requests"])
    total["rpm_average"] = _share(total["whole_requests"] * 60, total["whole_s"])
    return _of_kind(TRAFFIC_SUMMARY, total)


def _taken(over_time: pd.DataFrame, function: str) -> pd.DataFrame:
    """Return what a function needs, and which rows are complete: all of a frame that does not say."""
    taken = checked(over_time, NEEDED[function])
    return taken if "complete" in taken else taken.assign(complete=True)


def _of_kind(kind: Kind, frame: pd.DataFrame) -> pd.DataFrame:
    dtypes: dict[str, str] = {column.name: column.dtype for column in kind.columns}
    return kind.check(frame[kind.names].astype({**dtypes, "complete": "bool"}))


def _share(part: pd.Series[int], whole: pd.Series[int]) -> pd.Series[float]:
    return part / whole.where(whole > 0)
