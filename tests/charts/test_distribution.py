from __future__ import annotations

import pytest

from createos_nb import charts, schema
from createos_nb.errors import FrameError

SAMPLE = schema.sample("REQUEST_DISTRIBUTION")
FACTS = "shop/production · 2026-11-23 12:00 to 12:10 UTC"


def test_each_status_has_a_bar_with_its_number_and_share(read):
    chart = read(charts.request_distribution(SAMPLE))
    assert (chart.heading, chart.facts) == ("Answers by status", FACTS)
    assert chart.axis_titles() == {"HTTP status", "requests"}
    bars = {bar["status"]: bar for bar in chart.rows(chart.layer("bar"))}
    assert (bars["500"]["shown"], bars["500"]["class"]) == ("83 (12.3%)", "5xx")
    assert list(bars) == ["200", "201", "303", "404", "500"]


def test_environments_are_summed(read):
    both = schema.REQUEST_DISTRIBUTION.concat([SAMPLE, SAMPLE.assign(environment="staging")])
    chart = read(charts.request_distribution(both))
    assert chart.facts == "shop/production, shop/staging · 2026-11-23 12:00 to 12:10 UTC"
    assert {bar["status"]: bar["requests"] for bar in chart.rows(chart.layer("bar"))}["500"] == 166


def test_a_status_that_is_none_is_shown_as_other(read):
    chart = read(charts.request_distribution(SAMPLE.assign(status=["200", "timeout", "5xx", "abc", ""])))
    classes = {bar["status"]: bar["class"] for bar in chart.rows(chart.layer("bar"))}
    assert classes == {"": "other", "200": "2xx", "5xx": "5xx", "abc": "other", "timeout": "other"}


def test_nothing_to_draw_is_said_in_words(read):
    assert read(charts.request_distribution(schema.REQUEST_DISTRIBUTION.empty())).words
    idle = read(charts.request_distribution(SAMPLE.assign(requests=0)))
    assert (idle.words, idle.facts) == (
        "No requests in this window.",
        "shop/production · 2026-11-23 12:00 to 12:10 UTC",
    )


def test_a_wrong_frame_is_refused_by_the_columns_name():
    with pytest.raises(FrameError, match="no column 'status'"):
        charts.request_distribution(SAMPLE.drop(columns="status"))
