from __future__ import annotations

import pandas as pd
import pytest

from createos_nb import charts, schema
from createos_nb.charts.logs import MAX_BARS, MAX_UNKNOWN
from createos_nb.charts.timeline import TIME
from createos_nb.errors import FrameError

NOON = pd.Timestamp("2026-11-23T12:00:00Z")
SAMPLE = schema.sample("LOGS")


def lines(*levels, every="1s"):
    return schema.LOGS.frame(
        {
            "project": "shop",
            "environment": "production",
            "timestamp": NOON + number * pd.Timedelta(every),
            "level": level,
            "message": "hello",
            "raw": "hello",
        }
        for number, level in enumerate(levels)
    )


def bars(chart):
    return pd.DataFrame(chart.rows(chart.layer("rect")))


def test_a_chart_says_what_of_whom_and_when(read):
    chart = read(charts.log_volume(SAMPLE, schema.sample("DEPLOYMENTS")))
    assert chart.heading == "Log lines by level"
    assert chart.facts == "shop/production · 2026-11-23 12:01 to 12:09 UTC · dashed lines: deployments created"
    assert chart.axis_titles() == {TIME, "lines per 5 seconds"}
    assert chart.marked("rule")


def test_every_line_is_in_a_bar_of_its_level(read):
    chart = read(charts.log_volume(lines("INFO", "ERROR", None, "audit", "INFO", every="0s")))
    drawn = bars(chart).set_index("level")
    assert drawn["lines"].to_dict() == {"ERROR": 1, "INFO": 2, "audit": 1, "no level": 1}
    assert drawn["high"].max() == 5
    assert drawn.loc["audit", "low"] == 0
    assert drawn.loc["no level", "high"] == 5
    assert chart.layer("rect")["encoding"]["color"]["scale"]["domain"] == ["no level", "INFO", "ERROR", "audit"]


def test_many_lines_make_few_bars(read):
    chart = read(charts.log_volume(lines(*["INFO", "ERROR"] * 5000, every="7s")))
    drawn = bars(chart)
    assert drawn["time"].nunique() <= MAX_BARS + 1
    assert drawn["lines"].sum() == 10_000


def test_lines_without_a_time_are_counted_in_words(read):
    some = SAMPLE.assign(timestamp=SAMPLE["timestamp"].where(SAMPLE.index > 1))
    assert "2 without a time are not shown" in read(charts.log_volume(some)).facts
    none = read(charts.log_volume(SAMPLE.assign(timestamp=pd.NaT)))
    assert none.words == "No log lines with a time."
    assert none.facts == "shop/production · 5 without a time are not shown"


def test_the_log_of_a_deployment_alone_is_named_by_its_project(read):
    assert read(charts.log_volume(SAMPLE.assign(environment=None))).facts.startswith("shop · ")


def test_nothing_to_draw_is_said_in_words(read):
    assert read(charts.log_volume(schema.LOGS.empty())).words == "No log lines."


def test_a_wrong_frame_is_refused_by_the_columns_name():
    with pytest.raises(FrameError, match="no column 'level'"):
        charts.log_volume(SAMPLE.drop(columns="level"))


def test_levels_that_nobody_knows_do_not_fill_the_legend(read):
    chart = read(charts.log_volume(lines(*(f"level {number}" for number in range(900)))))
    assert len(set(bars(chart)["level"])) == MAX_UNKNOWN + 1
    assert bars(chart)["lines"].sum() == 900
