"""All eight analytics questions of an environment: the platform's answers as frames, beside pandas by hand.

``CREATEOS_NB_BENCHMARK_RECORDS=1000000 pytest tests/benchmarks/test_analytics.py`` gives figures worth
quoting; the few records of a normal run only show that both sides still agree.
"""

from __future__ import annotations

import os
import random
from datetime import UTC, datetime
from statistics import median
from time import perf_counter

import pandas as pd
import pytest

from createos_nb import schema
from createos_nb.platform.accesslog import AccessLog, AccessRecord
from createos_nb.timerange import TimeRange

RECORDS = int(os.environ.get("CREATEOS_NB_BENCHMARK_RECORDS", "20000"))
ROUNDS = 5
NOON_S = 1_795_435_200
HOURS = 24
WINDOW = TimeRange(datetime.fromtimestamp(NOON_S + 6 * 3600, UTC), datetime.fromtimestamp(NOON_S + 12 * 3600, UTC))
ENVIRONMENT = "environment-2"


def records():
    chance = random.Random(5)
    paths = ["/", "/products", "/cart", "/checkout", *(f"/products/{number}" for number in range(200))]
    weights = [300, 200, 80, 60, *(2 for _ in range(200))]
    asked = chance.choices(paths, weights, k=RECORDS)
    statuses = chance.choices([200, 201, 303, 404, 500], [90, 3, 4, 2, 1], k=RECORDS)
    for number, (path, status) in enumerate(zip(asked, statuses, strict=True)):
        yield AccessRecord(
            environment_id=f"environment-{number % 4}",
            at=NOON_S + HOURS * 3600 * number / RECORDS,
            deployment_id="deployment-1",
            replica=0,
            method="GET",
            path=path,
            status=status,
            duration_ms=chance.expovariate(0.1),
            bytes_sent=1000,
        )


@pytest.fixture(scope="module")
def traffic(tmp_path_factory):
    """The same records in the platform's access log and as the Parquet file a person would export."""
    directory = tmp_path_factory.mktemp("analytics")
    held = list(records())
    log = AccessLog(directory / "access.duckdb")
    log.extend(held)
    exported = pd.DataFrame(held)
    exported["at"] = pd.to_datetime(exported["at"], unit="s", utc=True)
    exported.to_parquet(directory / "access.parquet")
    yield log, directory / "access.parquet", exported
    log.close()


def with_createos_nb(log):
    """The platform's answers, through the models, as frames."""
    window = (ENVIRONMENT, WINDOW.start_s, WINDOW.end_s)
    answer, over_time = log.analytics(*window), log.requests_over_time(*window)
    where = ("shop", "production")
    return {
        "summary": schema.SUMMARY.frame([schema.summary_row(*where, WINDOW, answer)]),
        "over_time": schema.REQUESTS_OVER_TIME.frame(schema.requests_over_time_rows(*where, WINDOW, over_time)),
        "paths": schema.TOP_HIT_PATHS.frame(schema.top_hit_path_rows(*where, answer.top_hit_paths)),
        "error_paths": schema.TOP_ERROR_PATHS.frame(schema.top_error_path_rows(*where, answer.top_error_paths)),
        "distribution": schema.REQUEST_DISTRIBUTION.frame(
            schema.request_distribution_rows(*where, answer.request_distribution)
        ),
    }


def with_pandas(everything):
    """The same questions, asked of the records the way an analyst would."""
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


def test_the_platforms_answers_beside_pandas(traffic, capsys):
    log, parquet, exported = traffic
    ways = {
        "createos_nb: DuckDB access log, as frames": lambda: with_createos_nb(log),
        "pandas, records already in memory": lambda: with_pandas(exported),
        "pandas, records read from Parquet": lambda: with_pandas(pd.read_parquet(parquet)),
    }
    for way in ways.values():
        way()
    # In turns, so that whatever else the machine does falls on all of them.
    seconds = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            seconds[name].append(timed(way))
    ours, *_ = (median(times) for times in seconds.values())
    with capsys.disabled():
        print(f"\n\nEight questions about 6 of 24 hours of 1 of 4 environments, {RECORDS:,} records in all")
        print(f"{'':44}{'ms':>9}{'ratio':>8}")
        for name, times in seconds.items():
            print(f"{name:44}{1000 * median(times):9.1f}{median(times) / ours:8.2f}")


def test_both_ways_give_the_same_numbers(traffic):
    log, _, exported = traffic
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
