from __future__ import annotations

import pandas as pd
import pytest

from createos_nb import charts, schema
from createos_nb.charts.timeline import TIME
from createos_nb.charts.traffic import MAX_DOTS, MAX_SERIES
from createos_nb.errors import FrameError, InvalidArgument

NOON = pd.Timestamp("2026-11-23T12:00:00Z")
SAMPLE = schema.sample("REQUESTS_OVER_TIME")
DEPLOYMENTS = schema.sample("DEPLOYMENTS")
OVER_TIME = pytest.mark.parametrize("draw", [charts.requests_over_time, charts.error_rate, charts.rpm])


def over_time(minutes, *, environment="production", requests=10, errors=1):
    return schema.REQUESTS_OVER_TIME.frame(
        {
            "project": "shop",
            "environment": environment,
            "timestamp": NOON + pd.Timedelta(minutes=minute),
            "requests": requests,
            "status_2xx": requests - errors,
            "status_3xx": 0,
            "status_4xx": 0,
            "status_5xx": errors,
            "interval_s": 60,
            "partial": False,
        }
        for minute in minutes
    )


def fleet(size, minutes=range(3)):
    return schema.REQUESTS_OVER_TIME.concat(
        over_time(minutes, environment=f"env-{number}", requests=10 + number) for number in range(size)
    )


@OVER_TIME
def test_a_chart_says_what_of_whom_and_when(draw, read):
    chart = read(draw(SAMPLE, DEPLOYMENTS))
    assert chart.heading in {"Requests by status class", "Error rate", "Requests per minute"}
    assert chart.facts == "shop/production · 2026-11-23 12:00 to 12:10 UTC · dashed lines: deployments created"
    assert TIME in chart.axis_titles()
    assert chart.spec["width"] == 720
    assert chart.marked("rule")
    assert [row["label"] for text in chart.marked("text") for row in chart.rows(text)] == ["v3"]


@OVER_TIME
def test_times_are_drawn_in_utc_wherever_it_is_looked_at(draw, read):
    scales = [layer["encoding"]["x"]["scale"]["type"] for layer in read(draw(SAMPLE, DEPLOYMENTS)).layers()]
    assert set(scales) == {"utc"}


@OVER_TIME
def test_nothing_to_draw_is_said_in_words(draw, read):
    assert read(draw(schema.REQUESTS_OVER_TIME.empty())).words == "No intervals to show."
    idle = read(draw(over_time(range(3), requests=0, errors=0), DEPLOYMENTS))
    if draw is not charts.rpm:
        assert idle.words == "No requests in this window."
        assert idle.facts == "shop/production · 2026-11-23 12:00 to 12:03 UTC"


def test_no_requests_are_a_rate_of_nought(read):
    chart = read(charts.rpm(over_time(range(3), requests=0, errors=0)))
    assert [row["value"] for row in chart.rows(chart.layer("line"))] == [0, 0, 0]


def test_only_partial_intervals_have_no_rate_per_minute(read):
    assert read(charts.rpm(over_time(range(3)).assign(partial=True))).words == "No whole interval in this window."


@OVER_TIME
def test_an_incomplete_answer_is_said(draw, read):
    assert "INCOMPLETE" in read(draw(SAMPLE.assign(complete=False))).facts


@OVER_TIME
def test_a_wrong_frame_is_refused_by_the_columns_name(draw):
    with pytest.raises(FrameError, match="no column 'status_5xx'"):
        draw(SAMPLE.drop(columns="status_5xx"))


@OVER_TIME
def test_a_month_of_a_fleet_stays_small(draw, read):
    month = fleet(7, range(0, 30 * 1440, 7))
    assert read(draw(month)).largest <= 5000


@OVER_TIME
def test_charts_can_be_put_beside_each_other(draw):
    assert (draw(SAMPLE) & draw(SAMPLE, DEPLOYMENTS)).to_dict()["vconcat"]


# --- stacked ---------------------------------------------------------------------------------------------------


def test_bars_hold_every_request_of_its_class(read):
    chart = read(charts.requests_over_time(SAMPLE))
    bars = pd.DataFrame(chart.rows(chart.layer("rect")))
    assert bars.groupby("class")["requests"].sum().to_dict() == {"2xx": 510, "3xx": 59, "4xx": 21, "5xx": 83}
    assert (bars["high"] - bars["low"]).tolist() == bars["requests"].tolist()
    assert bars.groupby("time")["high"].max().tolist() == SAMPLE["requests"].tolist()


def test_server_errors_stand_at_the_bottom(read):
    chart = read(charts.requests_over_time(SAMPLE))
    assert {row["low"] for row in chart.rows(chart.layer("rect")) if row["class"] == "5xx"} == {0}


def test_answers_of_no_class_are_shown_as_other(read):
    chart = read(charts.requests_over_time(SAMPLE.assign(requests=SAMPLE["requests"] + 5)))
    assert sum(row["requests"] for row in chart.rows(chart.layer("rect")) if row["class"] == "other") == 50


def test_environments_are_summed_and_named(read):
    chart = read(charts.requests_over_time(fleet(2)))
    assert chart.facts.startswith("shop/env-0, shop/env-1 · ")
    assert sum(row["requests"] for row in chart.rows(chart.layer("rect"))) == 3 * (10 + 11)
    assert read(charts.requests_over_time(fleet(9))).facts.startswith("9 environments · ")


@pytest.mark.parametrize(("minutes", "unit"), [(60, "requests per minute"), (24 * 60, "requests per 10 minutes")])
def test_the_axis_says_how_long_an_interval_is(minutes, unit, read):
    assert unit in read(charts.requests_over_time(over_time(range(minutes)))).axis_titles()


def test_partial_intervals_are_paler_and_it_is_said(read):
    assert "pale" not in read(charts.requests_over_time(SAMPLE)).facts
    cut = read(charts.requests_over_time(SAMPLE.assign(partial=[*[False] * 9, True])))
    assert "pale: partial interval" in cut.facts
    assert cut.layer("rect")["encoding"]["opacity"]["condition"]["test"] == "datum.partial"


# --- lines -----------------------------------------------------------------------------------------------------


def test_the_error_rate_is_drawn_from_nought_in_percent(read):
    chart = read(charts.error_rate(SAMPLE))
    assert "error rate (5xx, % of requests)" in chart.axis_titles()
    y = chart.layer("line")["encoding"]["y"]
    assert y["scale"]["domain"][0] == 0
    assert y["axis"]["format"] == "~%"
    assert max(row["value"] for row in chart.rows(chart.layer("line"))) == 22 / 70


def test_a_line_breaks_where_there_is_no_data(read):
    chart = read(charts.error_rate(over_time([0, 1, 5, 6])))
    values = [row["value"] for row in chart.rows(chart.layer("line"))]
    assert values == [0.1, 0.1, None, None, None, 0.1, 0.1]


def test_many_points_lose_their_dots_unless_they_are_alone(read):
    chart = read(charts.error_rate(over_time([0, *range(2, MAX_DOTS + 5)])))
    dots = [row["dot"] for row in chart.rows(chart.layer("line"))]
    assert dots == [True, *[False] * (MAX_DOTS + 4)]


def test_each_environment_has_a_line_with_its_own_dashes(read):
    chart = read(charts.error_rate(fleet(3)))
    encoding = chart.layer("line")["encoding"]
    assert encoding["color"]["scale"]["domain"] == ["shop/env-0", "shop/env-1", "shop/env-2"]
    dashes = encoding["strokeDash"]["scale"]["range"]
    assert len({tuple(dash) for dash in dashes}) == 3
    assert encoding["color"]["legend"]["title"] == "environment"


def test_one_environment_needs_no_legend(read):
    assert read(charts.error_rate(SAMPLE)).layer("line")["encoding"]["color"]["legend"] is None


def test_of_many_environments_the_busiest_are_drawn_and_it_is_said(read):
    chart = read(charts.rpm(fleet(9)))
    drawn = chart.layer("line")["encoding"]["color"]["scale"]["domain"]
    assert drawn == [f"shop/env-{number}" for number in range(9 - MAX_SERIES, 9)]
    assert f"the {MAX_SERIES} of 9 with most requests" in chart.facts


def test_of_many_environments_the_worst_have_an_error_rate_drawn(read):
    """The two with fewest requests fail most."""
    rows = fleet(9)
    place = rows["environment"].str.removeprefix("env-").astype("int64")
    bad = rows["requests"].where(place < 2, 0) // 2
    chart = read(charts.error_rate(rows.assign(status_5xx=bad, status_2xx=rows["requests"] - bad)))
    assert {"shop/env-0", "shop/env-1"} <= set(chart.layer("line")["encoding"]["color"]["scale"]["domain"])
    assert f"the {MAX_SERIES} of 9 with the highest error rates, by the lower bound" in chart.facts


def test_the_budget_is_a_line_that_the_axis_reaches(read):
    chart = read(charts.error_rate(over_time(range(5), errors=0), objective=0.95))
    [line] = [layer for layer in chart.marked("rule") if "y" in layer["encoding"]]
    [row] = chart.rows(line)
    assert (round(row["budget"], 6), row["text"]) == (0.05, "budget 5 % (objective 95 %)")
    assert line["encoding"]["y"]["scale"]["domain"][1] > 0.05


@pytest.mark.parametrize("objective", [0, 1, 99.9, -1])
def test_an_objective_that_is_no_share_is_refused(objective):
    with pytest.raises(InvalidArgument, match="between 0 and 1"):
        charts.error_rate(SAMPLE, objective=objective)


@OVER_TIME
def test_it_says_when_rows_were_put_together(draw, read):
    assert "put together" not in read(draw(SAMPLE)).facts
    assert "put together from 1,440 rows, one" in read(draw(over_time(range(1440)))).facts


@OVER_TIME
@pytest.mark.parametrize(
    ("column", "value"), [("interval_s", 0), ("interval_s", -60), ("requests", -1), ("status_5xx", -5)]
)
def test_intervals_and_counts_that_cannot_be_are_refused_by_the_columns_name(draw, column, value):
    with pytest.raises(FrameError, match=column):
        draw(SAMPLE.assign(**{column: value}))
