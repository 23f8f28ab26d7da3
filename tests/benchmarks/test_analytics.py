"""All eight analytics questions of an environment: the platform's answers as frames, beside pandas by hand.

``CREATEOS_NB_BENCHMARK_RECORDS=10000000 pytest tests/benchmarks/test_analytics.py`` gives figures worth
quoting, up to 100,000,000 (a disk of 15 GB, and pandas 10 GB of memory, or leave it out with
``CREATEOS_NB_BENCHMARK_PANDAS=0``); the few records of a normal run only show that both sides still agree. The
database makes the records by itself.
"""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from itertools import count
from statistics import median
from time import perf_counter

import pandas as pd
import pytest

from createos_nb import schema
from createos_nb.platform.accesslog import AccessLog
from createos_nb.platform.gateway.recorder import Recorder
from createos_nb.timerange import TimeRange
from tests.benchmarks.size import size

RECORDS = size(20_000, 10_000_000, "RECORDS")
ROUNDS = size(1, 5)
NOON_S = 1_795_435_200
HOURS = 24
WINDOW = TimeRange(datetime.fromtimestamp(NOON_S + 6 * 3600, UTC), datetime.fromtimestamp(NOON_S + 12 * 3600, UTC))
ENVIRONMENT = "environment-2"


RECORD = """
select 'environment-' || (number % 4) as environment_id,
       ($begin + number * $step)::bigint as arrived_us,
       'deployment-1' as deployment_id,
       0 as replica,
       'GET' as method,
       case when chance % 1000 < 300 then '/' when chance % 1000 < 500 then '/products'
            when chance % 1000 < 580 then '/cart' when chance % 1000 < 640 then '/checkout'
            else '/products/' || (chance // 1000 % 200) end as path,
       case when chance // 200_000 % 100 < 90 then 200 when chance // 200_000 % 100 < 93 then 201
            when chance // 200_000 % 100 < 97 then 303 when chance // 200_000 % 100 < 99 then 404
            else 500 end as status,
       (chance // 20_000_000 % 1000) / 20 as duration_ms,
       1000 as bytes_sent,
       true as generated
from (select range as number, hash(range) as chance from range($from, $to))
"""
PART = 5_000_000


@pytest.fixture(scope="module")
def traffic(tmp_path_factory):
    """The same records in the platform's access log and as the Parquet file a person would export."""
    directory = tmp_path_factory.mktemp("analytics")
    log = AccessLog(directory / "access.duckdb", directory / "requests")
    began = perf_counter()
    for at in range(0, RECORDS, PART):
        log.add_selected(
            RECORD,
            {"begin": NOON_S * 1e6, "step": HOURS * 3.6e9 / RECORDS, "from": at, "to": min(at + PART, RECORDS)},
        )
    took = perf_counter() - began
    exported = None
    if os.environ.get("CREATEOS_NB_BENCHMARK_PANDAS", "1") == "1":
        log._database.execute(
            "copy (select environment_id, make_timestamp(arrived_us) as at, path, status from requests) "
            f"to '{directory / 'access.parquet'}'"
        )
        exported = pd.read_parquet(directory / "access.parquet")
        exported["at"] = exported["at"].dt.tz_localize("UTC")
    print(f"\n{RECORDS:,} records written and rolled up in {took:.1f} s")
    yield log, directory / "access.parquet", exported
    log.close()
    shutil.rmtree(directory)


def with_createos_nb(log):
    """The platform's answers, through the models, as frames."""
    window = (ENVIRONMENT, WINDOW.start_s, WINDOW.end_s)
    answer, over_time = log.analytics(*window), log.requests_over_time(*window)
    where = ("shop", "production")
    return {
        "summary": schema.SUMMARY.frame([schema.summary_row(*where, WINDOW, answer)]),
        "over_time": schema.REQUESTS_OVER_TIME.frame(schema.requests_over_time_rows(*where, WINDOW, over_time)),
        "paths": schema.TOP_HIT_PATHS.frame(schema.top_hit_path_rows(*where, WINDOW, answer.top_hit_paths)),
        "error_paths": schema.TOP_ERROR_PATHS.frame(
            schema.top_error_path_rows(*where, WINDOW, answer.top_error_paths)
        ),
        "distribution": schema.REQUEST_DISTRIBUTION.frame(
            schema.request_distribution_rows(*where, WINDOW, answer.request_distribution)
        ),
    }


def with_pandas(everything):
    """The same questions, asked of the records the way an analyst would."""
    everything = (
        everything if everything["at"].dt.tz else everything.assign(at=everything["at"].dt.tz_localize("UTC"))
    )
    its = everything[
        (everything["environment_id"] == ENVIRONMENT)
        & (everything["at"] >= WINDOW.start)
        & (everything["at"] < WINDOW.end)
    ]
    kinds = its["status"] // 100
    minutes = its["at"].dt.floor("min")
    per_minute = minutes.value_counts()
    index = pd.date_range(WINDOW.start, WINDOW.end, freq="min", inclusive="left")
    over_time = pd.crosstab(minutes, kinds).reindex(columns=[2, 3, 4, 5], fill_value=0).reindex(index, fill_value=0)
    errors = its[its["status"] >= 400]
    return {
        "requests": len(its),
        "success": int((kinds == 2).sum()),
        "server_errors": int((kinds == 5).sum()),
        "success_percentage": 100 * kinds.isin([2, 3]).mean(),
        "rpm_peak": int(per_minute.max()),
        "rpm_average": len(its) / (WINDOW.duration.total_seconds() / 60),
        "over_time": over_time,
        "paths": its["path"].value_counts().head(10),
        "error_paths": errors.groupby(["path", "status"]).size().nlargest(10),
        "distribution": its["status"].value_counts(),
    }


def timed(function):
    began = perf_counter()
    function()
    return perf_counter() - began


def live(log, recorder, number):
    """A question right after a request, as a dashboard asks it: about the last hour, which goes on."""
    end_s = NOON_S + HOURS * 3600
    recorder.record(
        environment_id=ENVIRONMENT,
        deployment_id="deployment-1",
        replica=0,
        method="GET",
        path="/",
        status=200,
        duration_ms=1,
        bytes_sent=1,
        at=end_s - 1 - number / 1000,
    )
    return log.analytics(ENVIRONMENT, end_s - 3600 + 30, end_s)


def test_the_platforms_answers_beside_pandas(traffic, figures):
    log, parquet, exported = traffic
    recorder = Recorder(parquet.parent / "requests")
    window, day = (ENVIRONMENT, WINDOW.start_s, WINDOW.end_s), (ENVIRONMENT, NOON_S, NOON_S + HOURS * 3600)
    numbers = count()
    ways = {
        "createos_nb: DuckDB access log, as frames": lambda: with_createos_nb(log),
        "the same, seven questions, no frames": lambda: log.analytics(*window),
        "the whole day of the environment": lambda: log.analytics(*day),
        "the last hour, a request before each time": lambda: live(log, recorder, next(numbers)),
        "without the roll-up: one of the questions": lambda: log._database.execute(
            "select path, count(*) from requests where environment_id = $1 group by path", [ENVIRONMENT]
        ).fetchall(),
    }
    if exported is not None:
        ways["pandas, records already in memory"] = lambda: with_pandas(exported)
        ways["pandas, records read from Parquet"] = lambda: with_pandas(pd.read_parquet(parquet))
    for way in ways.values():
        way()
    # In turns, so that whatever else the machine does falls on all of them.
    seconds = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            seconds[name].append(timed(way))
    ours, *_ = (median(times) for times in seconds.values())
    recorder.close()
    with figures():
        print(f"\n\nEight questions about 6 of 24 hours of 1 of 4 environments, {RECORDS:,} records in all")
        print(f"{'':44}{'ms':>9}{'ratio':>8}")
        for name, times in seconds.items():
            print(f"{name:44}{1000 * median(times):9.1f}{median(times) / ours:8.2f}")


def test_both_ways_give_the_same_numbers(traffic):
    log, _, exported = traffic
    if exported is None:
        pytest.skip("pandas was left out")
    ours, theirs = with_createos_nb(log), with_pandas(exported)
    [summary] = ours["summary"].to_dict("records")
    for name in ("requests", "success", "server_errors", "rpm_peak"):
        assert summary[name] == theirs[name]
    for name in ("success_percentage", "rpm_average"):
        assert summary[name] == pytest.approx(theirs[name])
    columns = ["status_2xx", "status_3xx", "status_4xx", "status_5xx"]
    assert ours["over_time"][columns].values.tolist() == theirs["over_time"].values.tolist()
    assert ours["over_time"]["timestamp"].tolist() == theirs["over_time"].index.tolist()
    assert sorted(ours["paths"]["requests"]) == sorted(theirs["paths"])
    assert sorted(ours["error_paths"]["requests"]) == sorted(theirs["error_paths"])
    distribution = ours["distribution"].set_index("status")["requests"].to_dict()
    assert distribution == {str(status): count for status, count in theirs["distribution"].items()}
