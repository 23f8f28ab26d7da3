"""Traffic: rates and shares of the requests of an environment."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from createos_nb.metrics.intervals import refuse_counts, refuse_lengths
from createos_nb.schema import REQUESTS_OVER_TIME

_TARGET = ["project", "environment"]

NEEDED: Mapping[str, tuple[str, ...]] = {
    "error_rate": (*_TARGET, "timestamp", "requests", "status_5xx"),
    "rpm": (*_TARGET, "timestamp", "requests", "interval_s", "partial"),
    "success_share": (*_TARGET, "requests", "status_2xx", "status_3xx"),
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
    DataFrame, one row per row of ``over_time``, in its order
        ``project``      str
        ``environment``  str
        ``timestamp``    datetime64[us, UTC]  start of the interval
        ``requests``     int64                count
        ``error_rate``   float64              0 to 1; missing where there were no requests

    Raises
    ------
    FrameError
        A needed column is missing or of another kind.

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
    taken = REQUESTS_OVER_TIME.take(over_time, NEEDED["error_rate"])
    rate = _share(taken["status_5xx"], taken["requests"])
    return taken.drop(columns="status_5xx").assign(error_rate=rate)


def rpm(over_time: pd.DataFrame) -> pd.DataFrame:
    """Return the requests per minute of each whole interval.

    Parameters
    ----------
    over_time
        Requests over time; needs ``project``, ``environment``, ``timestamp``, ``requests``,
        ``interval_s`` and ``partial``. See `schema.REQUESTS_OVER_TIME`.

    Returns
    -------
    DataFrame, one row per row of ``over_time``, in its order
        ``project``      str
        ``environment``  str
        ``timestamp``    datetime64[us, UTC]  start of the interval
        ``rpm``          float64              requests/min; missing where the interval is partial, since its
                                              requests fell into a time of unknown length

    Raises
    ------
    FrameError
        A needed column is missing or of another kind.

    Examples
    --------
    >>> from createos_nb import schema
    >>> rpm(schema.sample("REQUESTS_OVER_TIME"))["rpm"].max()
    np.float64(71.0)
    """
    taken = REQUESTS_OVER_TIME.take(over_time, NEEDED["rpm"])
    refuse_lengths(taken)
    refuse_counts(taken)
    rpm = (taken["requests"] * 60 / taken["interval_s"]).where(~taken["partial"])
    return taken[[*_TARGET, "timestamp"]].assign(rpm=rpm)


def success_share(over_time: pd.DataFrame) -> pd.DataFrame:
    """Return the share of requests that succeeded, per environment, in both ways of counting.

    Parameters
    ----------
    over_time
        Requests over time; needs ``project``, ``environment``, ``requests``, ``status_2xx`` and
        ``status_3xx``. See `schema.REQUESTS_OVER_TIME`.

    Returns
    -------
    DataFrame, one row per environment
        ``project``                str
        ``environment``            str
        ``requests``               int64    count
        ``share_2xx``              float64  0 to 1; what CreateOS calls ``success``
        ``share_2xx_3xx``          float64  0 to 1; CreateOS's ``successPercentage`` divided by 100
        Shares are missing where there were no requests.

    Raises
    ------
    FrameError
        A needed column is missing or of another kind.

    Notes
    -----
    CreateOS counts 2xx as success in one answer and 2xx with 3xx in another, so both are named for what
    they are.

    Examples
    --------
    >>> from createos_nb import schema
    >>> success_share(schema.sample("REQUESTS_OVER_TIME")).round(3)
      project environment  requests  share_2xx  share_2xx_3xx
    0    shop  production       673      0.758          0.845
    """
    taken = REQUESTS_OVER_TIME.take(over_time, NEEDED["success_share"])
    refuse_counts(taken)
    total = taken.groupby(_TARGET, sort=False, as_index=False).sum()
    return total[[*_TARGET, "requests"]].assign(
        share_2xx=_share(total["status_2xx"], total["requests"]),
        share_2xx_3xx=_share(total["status_2xx"] + total["status_3xx"], total["requests"]),
    )


def summary(over_time: pd.DataFrame) -> pd.DataFrame:
    """Return the totals of each environment's requests over time, and the rates that follow.

    Parameters
    ----------
    over_time
        Requests over time, see `schema.REQUESTS_OVER_TIME`.

    Returns
    -------
    DataFrame, one row per environment
        ``project``        str
        ``environment``    str
        ``start``          datetime64[us, UTC]  start of the first interval
        ``end``            datetime64[us, UTC]  end of the last interval
        ``requests``       int64                count
        ``success``        int64                2xx answers
        ``client_errors``  int64                4xx answers
        ``server_errors``  int64                5xx answers
        ``error_rate``     float64              5xx share, 0 to 1; missing without requests
        ``rpm_peak``       float64              requests/min of the busiest whole interval
        ``rpm_average``    float64              requests/min over the whole intervals; both are missing when
                                                every interval is partial

    Raises
    ------
    FrameError
        A needed column is missing or of another kind.

    Notes
    -----
    Counts include partial intervals, the two rates per minute leave them out.

    Examples
    --------
    >>> from createos_nb import schema
    >>> summary(schema.sample("REQUESTS_OVER_TIME"))[["requests", "server_errors", "rpm_peak", "rpm_average"]]
       requests  server_errors  rpm_peak  rpm_average
    0       673             83      71.0         67.3
    """
    taken = REQUESTS_OVER_TIME.take(over_time, NEEDED["summary"])
    refuse_lengths(taken)
    refuse_counts(taken)
    taken["interval_end"] = taken["timestamp"] + pd.to_timedelta(taken["interval_s"], unit="s")
    taken["rpm"] = rpm(taken)["rpm"]
    total = taken.groupby(_TARGET, sort=False, as_index=False).agg(
        start=("timestamp", "min"),
        end=("interval_end", "max"),
        requests=("requests", "sum"),
        success=("status_2xx", "sum"),
        client_errors=("status_4xx", "sum"),
        server_errors=("status_5xx", "sum"),
        rpm_peak=("rpm", "max"),
        rpm_average=("rpm", "mean"),
    )
    total.insert(8, "error_rate", _share(total["server_errors"], total["requests"]))
    return total.astype({"start": "datetime64[us, UTC]", "end": "datetime64[us, UTC]"})


def _share(part: pd.Series[int], whole: pd.Series[int]) -> pd.Series[float]:
    return part / whole.where(whole > 0)
