"""Questions: what can be asked of an archive's tables, one definition each, for DuckDB and Spark alike.

Ibis table in, Ibis expression out; nothing is computed before ``.to_pandas()`` or the like. They use nothing
that only DuckDB has; Ibis compiles the same definitions for Spark, Trino and BigQuery, too. The formulas and
their sources are those of the functions of the same names in `createos_nb.metrics`.

Examples
--------
>>> import ibis
>>> import pyarrow as pa
>>> from createos_nb import schema
>>> from createos_nb.archive import questions
>>> traffic = ibis.memtable(pa.Table.from_pandas(schema.sample("REQUESTS_OVER_TIME")))
>>> questions.rpm(traffic)["rpm"].max().to_pandas()
71.0
"""

from __future__ import annotations

from datetime import timedelta

import ibis
from ibis import _

from createos_nb.errors import InvalidArgument
from createos_nb.metrics.options import share
from createos_nb.timerange import duration

_TARGET = ["project", "environment"]
_MOMENT = "timestamp('UTC', 6)"
_CLASSES = ["status_2xx", "status_3xx", "status_4xx", "status_5xx"]
_FAILED = ["build_error", "error", "crashing", "failed"]


def over_time(traffic: ibis.Table, *, every: str | timedelta = "1h") -> ibis.Table:
    """Return the requests of each environment in longer intervals.

    Parameters
    ----------
    traffic
        Requests over time, with the columns of `schema.REQUESTS_OVER_TIME`.
    every
        Length of an interval, such as ``"5m"``, ``"1h"`` or ``"1d"``, a multiple of the rows' own; they begin at
        UTC midnight where they divide a day.

    Returns
    -------
    Table
        The columns of `schema.REQUESTS_OVER_TIME`, so that whatever takes those takes these. An interval of which
        some is not there is ``partial``, as the last one mostly is.
    """
    length = _seconds(every)
    bucketed = traffic.mutate(at_s=_bucket(traffic, "timestamp", every))
    total = bucketed.group_by([*_TARGET, "at_s"]).agg(
        **{name: _sum(bucketed[name]) for name in ["requests", *_CLASSES]},
        covered_s=_sum(bucketed["interval_s"]),
        longest_s=bucketed["interval_s"].max(),
        parts=_sum(bucketed["partial"].cast("int64")),
        incomplete=_sum((~bucketed["complete"]).cast("int64")),
    )
    return total.select(
        *_TARGET,
        _moment(total["at_s"]).name("timestamp"),
        "requests",
        *_CLASSES,
        interval_s=ibis.greatest(total["longest_s"], length).cast("int64"),
        # More is in it where the length is no multiple of the rows'.
        partial=(total["parts"] > 0) | (total["covered_s"] != length),
        complete=total["incomplete"] == 0,
    )


def error_rate(traffic: ibis.Table) -> ibis.Table:
    """Return the share of requests answered with a 5xx status, per interval.

    Parameters
    ----------
    traffic
        Requests over time, or what `over_time` made of them.

    Returns
    -------
    Table
        As `createos_nb.metrics.error_rate`: ``project environment timestamp requests error_rate``.
    """
    return traffic.select(
        *_TARGET, "timestamp", "requests", error_rate=_share(traffic["status_5xx"], traffic["requests"])
    )


def rpm(traffic: ibis.Table) -> ibis.Table:
    """Return the requests per minute of each interval, missing where it is partial.

    Parameters
    ----------
    traffic
        Requests over time, with the columns of `schema.REQUESTS_OVER_TIME`.

    Returns
    -------
    Table
        As `createos_nb.metrics.rpm`: ``project environment timestamp rpm``.
    """
    return traffic.select(*_TARGET, "timestamp", rpm=_rpm(traffic))


def success_share(traffic: ibis.Table) -> ibis.Table:
    """Return the share of requests that succeeded, per environment, in both ways of counting.

    Parameters
    ----------
    traffic
        Requests over time, with the columns of `schema.REQUESTS_OVER_TIME`.

    Returns
    -------
    Table
        As `createos_nb.metrics.success_share`: ``project environment requests share_2xx share_2xx_3xx``.
    """
    total = traffic.group_by(_TARGET).agg(
        requests=_sum(traffic["requests"]), ok=_sum(traffic["status_2xx"]), moved=_sum(traffic["status_3xx"])
    )
    return total.select(
        *_TARGET,
        "requests",
        share_2xx=_share(total["ok"], total["requests"]),
        share_2xx_3xx=_share(total["ok"] + total["moved"], total["requests"]),
    )


def summary(traffic: ibis.Table) -> ibis.Table:
    """Return the totals of each environment's requests over time, and the rates that follow.

    Parameters
    ----------
    traffic
        Requests over time, with the columns of `schema.REQUESTS_OVER_TIME`.

    Returns
    -------
    Table
        As `createos_nb.metrics.summary`: ``project environment start end requests success client_errors
        server_errors error_rate rpm_peak rpm_average``.
    """
    rated = traffic.mutate(rpm=_rpm(traffic), end_s=_end_s(traffic))
    total = rated.group_by(_TARGET).agg(
        start=rated["timestamp"].min(),
        end_s=rated["end_s"].max(),
        requests=_sum(rated["requests"]),
        success=_sum(rated["status_2xx"]),
        client_errors=_sum(rated["status_4xx"]),
        server_errors=_sum(rated["status_5xx"]),
        rpm_peak=rated["rpm"].max(),
        # Of all whole intervals together: they may differ in length.
        whole_requests=_sum(ibis.ifelse(rated["partial"], 0, rated["requests"])),
        whole_s=_sum(ibis.ifelse(rated["partial"], 0, rated["interval_s"])),
    )
    return total.select(
        *_TARGET,
        "start",
        _moment(total["end_s"]).name("end"),
        *("requests", "success", "client_errors", "server_errors"),
        _share(total["server_errors"], total["requests"]).name("error_rate"),
        "rpm_peak",
        _share(total["whole_requests"] * 60, total["whole_s"]).name("rpm_average"),
    )


def service_level(traffic: ibis.Table, *, objective: float = 0.999) -> ibis.Table:
    """Return each environment's service level, its error budget in requests, and the share of it that is spent.

    Parameters
    ----------
    traffic
        Requests over time, with the columns of `schema.REQUESTS_OVER_TIME`.
    objective
        Share of requests that must not be answered 5xx, between 0 and 1.

    Returns
    -------
    Table
        ``project environment objective requests server_errors service_level error_budget budget_spent``;
        shares are missing without requests.

    Raises
    ------
    InvalidArgument
        The objective is not between 0 and 1.

    Notes
    -----
    Source: The Site Reliability Workbook, ch. 2.
    """
    allowed = _allowed(objective)
    total = traffic.group_by(_TARGET).agg(
        requests=_sum(traffic["requests"]), server_errors=_sum(traffic["status_5xx"])
    )
    budget = total["requests"] * allowed
    return total.select(
        *_TARGET,
        ibis.literal(objective, "float64").name("objective"),
        *("requests", "server_errors"),
        (1 - _share(total["server_errors"], total["requests"])).name("service_level"),
        budget.name("error_budget"),
        _share(total["server_errors"], budget).name("budget_spent"),
    )


def burn_rate(traffic: ibis.Table, *, objective: float = 0.999, window: str | timedelta = "1h") -> ibis.Table:
    """Return how fast each environment's error budget burns over the last part of its history.

    Parameters
    ----------
    traffic
        Requests over time, with the columns of `schema.REQUESTS_OVER_TIME`.
    objective
        Share of requests that must not be answered 5xx, between 0 and 1.
    window
        Length of that part, up to the end of the environment's last interval; of its intervals, those count
        that begin in it.

    Returns
    -------
    Table
        ``project environment objective window_s requests server_errors burn_rate``; 1 spends exactly the
        budget; missing without requests.

    Raises
    ------
    InvalidArgument
        The objective is not between 0 and 1, or the window is no length of time.

    Notes
    -----
    Source: The Site Reliability Workbook, ch. 5.
    """
    allowed, window_s = _allowed(objective), _seconds(window)
    ends = traffic.group_by(_TARGET).agg(last_s=_end_s(traffic).max())
    placed = traffic.join(ends, _TARGET)
    recent = placed.filter(_seconds_of(placed, "timestamp") >= placed["last_s"] - window_s)
    total = recent.group_by(_TARGET).agg(
        requests=_sum(recent["requests"]), server_errors=_sum(recent["status_5xx"])
    )
    return total.select(
        *_TARGET,
        ibis.literal(objective, "float64").name("objective"),
        ibis.literal(window_s, "int64").name("window_s"),
        *("requests", "server_errors"),
        _share(total["server_errors"], total["requests"] * allowed).name("burn_rate"),
    )


def top_paths(paths: ibis.Table, *, limit: int = 10) -> ibis.Table:
    """Return the paths of each environment that were asked for, or failed, most.

    Parameters
    ----------
    paths
        ``archive.top_hit_paths()`` or ``archive.top_error_paths()``, whose ``status`` is heeded.
    limit
        How many of each environment.

    Returns
    -------
    Table
        ``project environment rank path requests``, and ``status`` of errors. The platform lists ten of each
        window, so that the counts of a path that was not in every list are the least there were.
    """
    key = ["path", "status"] if "status" in paths.columns else ["path"]
    total = paths.group_by([*_TARGET, *key]).agg(requests=_sum(paths["requests"]))
    order = [ibis.desc("requests"), *key]
    ranked = total.mutate(rank=ibis.row_number().over(group_by=_TARGET, order_by=order) + 1)
    return ranked.filter(ranked["rank"] <= limit)[[*_TARGET, "rank", *key, "requests"]]


def status_distribution(distribution: ibis.Table) -> ibis.Table:
    """Return how often each environment answered each status, and its share.

    Parameters
    ----------
    distribution
        ``archive.request_distribution()``.

    Returns
    -------
    Table
        ``project environment status requests share``, as `schema.REQUEST_DISTRIBUTION`.
    """
    total = distribution.group_by([*_TARGET, "status"]).agg(requests=_sum(distribution["requests"]))
    every = _sum(total["requests"]).over(group_by=_TARGET)
    return total.mutate(share=_share(total["requests"], every))


def log_volume(logs: ibis.Table, *, every: str | timedelta = "1h") -> ibis.Table:
    """Return how many log lines of each level each environment wrote, per interval.

    Parameters
    ----------
    logs
        ``archive.logs()``.
    every
        Length of an interval, as for `over_time`.

    Returns
    -------
    Table
        ``project environment timestamp level lines``; level is missing where the lines did not say.
    """
    bucketed = logs.mutate(at_s=_bucket(logs, "at", every))
    total = bucketed.group_by([*_TARGET, "at_s", "level"]).agg(lines=_.count())
    return total.select(*_TARGET, _moment(total["at_s"]).name("timestamp"), "level", "lines")


def deployments_per_day(deployments: ibis.Table) -> ibis.Table:
    """Return how many deployments of each project were made on each UTC day, and how many of them failed.

    Parameters
    ----------
    deployments
        ``archive.deployments()``.

    Returns
    -------
    Table
        ``project timestamp deployments failed``: start of the day, and counts; days without any have no row.
        Those failed that ended as ``build_error``, ``error`` or ``crashing`` (or ``failed``, which is older).
    """
    placed = deployments.mutate(at_s=_bucket(deployments, "created_at", "1d"))
    total = placed.group_by(["project", "at_s"]).agg(
        deployments=_.count(), failed=_sum(placed["status"].isin(_FAILED).cast("int64"))
    )
    return total.select("project", _moment(total["at_s"]).name("timestamp"), "deployments", "failed")


def _sum(column: ibis.Column) -> ibis.Value:
    # Without a value, engines give null, a decimal or a float; this is a whole number on all of them.
    return column.sum().fill_null(0).cast("int64")


def _share(part: ibis.Value, whole: ibis.Value) -> ibis.Value:
    return part.cast("float64") / whole.cast("float64").nullif(0.0)


def _rpm(traffic: ibis.Table) -> ibis.Value:
    rate = traffic["requests"].cast("float64") * 60 / traffic["interval_s"].cast("float64")
    return ibis.ifelse(traffic["partial"], ibis.null("float64"), rate)


def _end_s(traffic: ibis.Table) -> ibis.Value:
    return _seconds_of(traffic, "timestamp") + traffic["interval_s"]


def _seconds_of(rows: ibis.Table, time: str) -> ibis.Value:
    # An archive keeps them. They are made of the times of other tables, of whole seconds first: some engines
    # round what is left of one up, which puts it into the next hour.
    if "at_s" in rows.columns:
        return rows["at_s"]
    return rows[time].cast("timestamp").truncate("s").epoch_seconds().cast("int64")


def _bucket(rows: ibis.Table, time: str, every: str | timedelta) -> ibis.Value:
    # Engines differ in `bucket` and in the zone of `truncate`; whole seconds since 1970 are the same on all.
    length = _seconds(every)
    seconds = _seconds_of(rows, time)
    # Left as a number until it is summed up: making a time of every row takes longer than counting them.
    return seconds - seconds % length


def _moment(seconds: ibis.Value) -> ibis.Value:
    return seconds.as_timestamp("s").cast(_MOMENT)


def _seconds(length: str | timedelta) -> int:
    seconds = duration(length).total_seconds()
    if seconds != int(seconds):
        raise InvalidArgument(f"{length!r} is not a whole number of seconds. Write it like '90s' or '1h'.")
    return int(seconds)


def _allowed(objective: float) -> float:
    return 1 - share("objective", objective, "Write 0.999 for 99.9 %.")
