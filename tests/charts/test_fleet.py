from __future__ import annotations

import pandas as pd
import pytest

from createos_nb import charts, schema
from createos_nb.charts.heatmap import MAX_ROWS
from createos_nb.errors import FrameError, InvalidArgument

NOON = pd.Timestamp("2026-11-23T12:00:00Z")


def environments(size, minutes=1):
    """The higher the number, the worse, and the fewer requests."""
    frame = pd.DataFrame(
        [
            ("shop", f"env-{number}", NOON + pd.Timedelta(minutes=minute), 1000 - number, number)
            for number in range(size)
            for minute in range(minutes)
        ],
        columns=["project", "environment", "timestamp", "requests", "status_5xx"],
    )
    frame["status_2xx"] = frame["requests"] - frame["status_5xx"]
    return schema.REQUESTS_OVER_TIME.from_columns(
        {**frame, "status_3xx": [0] * len(frame), "status_4xx": [0] * len(frame)}
        | {"interval_s": [60] * len(frame), "partial": [False] * len(frame)}
    )


def summaries(size):
    return schema.SUMMARY.frame(
        {
            "project": "shop",
            "environment": f"env-{number}",
            "start": NOON,
            "end": NOON + pd.Timedelta("1h"),
            "requests": 1000,
            "success": 1000 - number,
            "client_errors": 0,
            "server_errors": number,
            "success_percentage": 90.0,
            "error_rate": 0.1,
            "rpm_peak": 1.0,
            "rpm_average": 1.0,
        }
        for number in range(size)
    )


def rows(chart):
    return chart.layer("rect")["encoding"]["y"]["sort"]


@pytest.mark.parametrize("make", [environments, summaries], ids=["over time", "summary"])
def test_of_150_environments_the_worst_are_drawn_and_the_rest_is_told(make, read):
    chart = read(charts.fleet(make(150)))
    assert rows(chart) == [f"shop/env-{number}" for number in range(149, 149 - MAX_ROWS, -1)]
    assert "150 environments" in chart.facts
    worst_of_rest = 109 / (891 if make is environments else 1000)
    assert f"and 110 more, with at most {worst_of_rest:.2%} each" in chart.facts
    assert chart.spec["height"] / MAX_ROWS >= 14


def test_by_requests_the_busiest_come_first(read):
    chart = read(charts.fleet(environments(3), by="requests"))
    assert rows(chart) == ["shop/env-0", "shop/env-1", "shop/env-2"]
    assert {row["class"] for row in chart.rows(chart.layer("rect"))} == {"up to 1,000"}


def test_one_error_in_one_request_is_not_the_worst(read):
    unlucky = environments(1).assign(environment="unlucky", requests=1, status_2xx=0, status_5xx=1)
    busy = environments(1).assign(environment="busy", requests=1000, status_2xx=500, status_5xx=500)
    assert rows(read(charts.fleet(schema.REQUESTS_OVER_TIME.concat([unlucky, busy])))) == [
        "shop/busy",
        "shop/unlucky",
    ]


def test_a_cell_is_of_its_class_and_one_without_requests_is_no_success(read):
    frame = environments(4).assign(requests=[0, 1000, 1000, 1000], status_5xx=[0, 0, 1, 300])
    chart = read(charts.fleet(frame))
    classes = {row["environment"]: row["class"] for row in chart.rows(chart.layer("rect"))}
    assert classes == {
        "shop/env-0": "no requests",
        "shop/env-1": "none",
        "shop/env-2": "up to 0.1 %",
        "shop/env-3": "over 20 %",
    }


def test_a_fleets_day_stays_below_5000_rows_and_says_what_was_put_together(read):
    chart = read(charts.fleet(environments(150, minutes=1440)))
    assert chart.largest <= 5000
    assert "put together from 57,600 rows, one cell per 15 minutes" in chart.facts


def test_nothing_to_draw_is_said_in_words(read):
    assert read(charts.fleet(schema.REQUESTS_OVER_TIME.empty())).words == "No intervals to show."
    assert read(charts.fleet(schema.SUMMARY.empty())).words == "No intervals to show."
    idle = environments(3).assign(requests=0, status_5xx=0)
    assert read(charts.fleet(idle)).words == "No requests in this window."


def test_what_cannot_be_is_refused():
    with pytest.raises(InvalidArgument, match="error_share"):
        charts.fleet(environments(1), by="colour")
    with pytest.raises(FrameError, match="no column 'status_5xx'"):
        charts.fleet(environments(1).drop(columns="status_5xx"))
