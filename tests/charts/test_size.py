"""However many rows a frame has, its chart holds at most 5,000."""

from __future__ import annotations

import os
from time import perf_counter

import numpy as np
import pandas as pd
import pytest

from createos_nb import charts, schema

ROWS = 1_000_000 if os.environ.get("CREATEOS_NB_SOAK") else 20_000
NOON = pd.Timestamp("2026-11-23T12:00Z").as_unit("us")
CHANCE = np.random.default_rng(5)


def many(kind, rows=ROWS, **columns):
    """Many rows of a kind, which are the sample's again and again but for some columns."""
    sample = schema.sample(kind)
    frame = sample.iloc[np.arange(rows) % len(sample)].reset_index(drop=True).assign(**columns)
    known = {column.name: column.dtype for column in schema.KINDS[kind].columns if column.dtype != "category"}
    return schema.KINDS[kind].check(frame.astype(known))


def minutes(rows=ROWS, environments=50):
    """A minute's requests in each row: of an environment after the other, of each without a gap."""
    each = -(-rows // environments)
    counts = {
        name: CHANCE.integers(0, 90, rows) for name in ("status_2xx", "status_3xx", "status_4xx", "status_5xx")
    }
    return many(
        "REQUESTS_OVER_TIME",
        rows,
        project=[f"p{row // each % 9}" for row in range(rows)],
        environment=[f"e{row // each}" for row in range(rows)],
        timestamp=NOON - pd.to_timedelta(np.arange(rows) % each, unit="min"),
        requests=sum(counts.values()),
        interval_s=60,
        partial=False,
        **counts,
    )


def lines(rows=ROWS):
    return many(
        "LOGS",
        rows,
        timestamp=NOON + pd.to_timedelta(np.arange(rows) * 400, unit="ms"),
        path=[f"/{number % 9973}" for number in range(rows)],
        level=pd.Categorical(CHANCE.choice(["INFO", "ERROR"], rows), categories=schema.LEVELS, ordered=True),
    )


def deployments(rows=ROWS):
    return many(
        "DEPLOYMENTS",
        rows,
        deployment_id=[f"d{number}" for number in range(rows)],
        version=[f"v{number}" for number in range(rows)],
        created_at=NOON - pd.to_timedelta(np.arange(rows) * 3, unit="min"),
    )


def paths(kind):
    return many(kind, rank=np.arange(ROWS) + 1, path=[f"/{number}" for number in range(ROWS)])


DRAWN = {
    "requests_over_time": lambda: charts.requests_over_time(minutes(), deployments(2_000)),
    "error_rate": lambda: charts.error_rate(minutes(), deployments(2_000), objective=0.99),
    "rpm": lambda: charts.rpm(minutes(), deployments(2_000)),
    "one environment": lambda: charts.requests_over_time(minutes(environments=1)),
    "fleet": lambda: charts.fleet(minutes(environments=400)),
    "before_after": lambda: charts.before_after(
        minutes(environments=1),
        deployments(1).assign(project="p0", created_at=NOON - pd.Timedelta(minutes=ROWS // 2)).iloc[0],
    ),
    "log_volume": lambda: charts.log_volume(lines(), deployments(2_000)),
    "drilldown": lambda: charts.drilldown(minutes(), lines(), deployments(2_000)),
    "request_distribution": lambda: charts.request_distribution(
        many("REQUEST_DISTRIBUTION", environment=[f"e{number // 9}" for number in range(ROWS)])
    ),
    "top_paths": lambda: charts.top_paths(paths("TOP_HIT_PATHS")),
    "top_error_paths": lambda: charts.top_error_paths(paths("TOP_ERROR_PATHS")),
    "deployment_timeline": lambda: charts.deployment_timeline(deployments()),
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_chart_of_very_many_rows_holds_at_most_5000(name, read, figures):
    began = perf_counter()
    chart = read(DRAWN[name]())
    if ROWS >= 1_000_000:
        with figures():
            print(f"\n{name:24}{ROWS:12,} rows: {chart.largest:6,} in the chart, {perf_counter() - began:6.1f} s")
    assert chart.words is None or name == "drilldown"  # it is drawn, and not said to be nothing
    assert 0 < chart.largest <= 5000


def test_every_chart_is_tried():
    of_other_charts = {"chart", "createos_renderer", "enable", "to_html", "to_png"}
    assert set(charts.__all__) - of_other_charts <= set(DRAWN)
