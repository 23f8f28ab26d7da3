from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from createos_nb import charts, metrics, schema
from createos_nb.charts.intervals import MAX_INTERVALS, in_words, step_s, together
from createos_nb.errors import FrameError

NOON = pd.Timestamp("2026-11-23T12:00:00Z")
COUNTS = ["requests", "status_5xx"]


def over_time(minutes, *, start=NOON, partial=(), environments=("production",)):
    return schema.REQUESTS_OVER_TIME.frame(
        {
            "project": "shop",
            "environment": environment,
            "timestamp": start + pd.Timedelta(minutes=minute),
            "requests": 3,
            "status_2xx": 2,
            "status_3xx": 0,
            "status_4xx": 0,
            "status_5xx": 1,
            "interval_s": 60,
            "partial": minute in partial,
        }
        for environment in environments
        for minute in minutes
    )


@given(st.integers(1, 3600), st.floats(1, 400 * 86400))
def test_there_are_never_more_intervals_than_a_chart_can_show(interval_s, span_s):
    step = step_s(interval_s, span_s)
    assert step % interval_s == 0
    assert span_s / step <= MAX_INTERVALS + 1


def test_environments_are_summed():
    summed = together(over_time(range(3), environments=("production", "staging")), COUNTS)
    assert summed["requests"].tolist() == [6, 6, 6]


@pytest.mark.parametrize(
    "draw",
    [
        charts.requests_over_time,
        charts.error_rate,
        charts.rpm,
        charts.fleet,
        metrics.error_rate,
        metrics.rpm,
        metrics.summary,
    ],
    ids=lambda draw: f"{draw.__module__}.{draw.__name__}",
)
def test_windows_that_overlap_are_refused_and_not_drawn_doubled(draw):
    half, whole = over_time(range(30, 60)), over_time(range(60))
    with pytest.raises(FrameError, match="cover the same time"):
        draw(pd.concat([half, whole]))
    draw(pd.concat([over_time(range(30)), half]))


def test_environments_are_kept_apart_where_asked():
    summed = together(over_time(range(3), environments=("a", "b")), COUNTS, by=["environment"])
    assert len(summed) == 6


def test_a_long_window_is_put_into_round_intervals_and_nothing_is_lost():
    given_ = over_time(range(1440))
    summed = together(given_, COUNTS)
    assert len(summed) == 144
    assert set(summed["end"] - summed["start"]) == {pd.Timedelta("10min")}
    assert summed["requests"].sum() == given_["requests"].sum()
    assert (summed["start"].dt.minute % 10 == 0).all()
    assert not summed["partial"].any()


def test_an_interval_is_partial_when_some_of_it_is_not_in_the_data():
    summed = together(over_time(range(5, 1440), partial={700}), COUNTS)
    assert summed["partial"].tolist() == [index in {0, 70} for index in range(144)]


def test_an_interval_without_data_is_not_made_up():
    assert len(together(over_time([0, 1, 5]), COUNTS)) == 3


@pytest.mark.parametrize("length", ["7D", "1h", "45s"])
def test_lengths_are_told_in_the_largest_unit_that_fits(length):
    assert in_words(pd.Timedelta(length)) == {"7D": "7 days", "1h": "hour", "45s": "45 seconds"}[length]
