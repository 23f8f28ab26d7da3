from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from createos_nb import metrics, schema
from createos_nb.errors import FrameError
from createos_nb.metrics.traffic import NEEDED

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
EVERY_METRIC = pytest.mark.parametrize("metric", [getattr(metrics, name) for name in NEEDED], ids=NEEDED)


def an_interval(minute, *, ok=0, redirects=0, client=0, server=0, environment="production", **changes):
    return {
        "project": "shop",
        "environment": environment,
        "timestamp": NOON + timedelta(minutes=minute),
        "requests": ok + redirects + client + server,
        "status_2xx": ok,
        "status_3xx": redirects,
        "status_4xx": client,
        "status_5xx": server,
        "interval_s": 60,
        "partial": False,
        **changes,
    }


def frame(*rows):
    return schema.REQUESTS_OVER_TIME.frame(rows)


def any_traffic(seed):
    chance = random.Random(seed)
    return [
        an_interval(
            minute,
            environment=environment,
            ok=chance.randrange(60),
            redirects=chance.randrange(9),
            client=chance.randrange(5),
            server=chance.choice([0, 0, 7]),
        )
        for environment in ("production", "staging")
        for minute in range(30)
    ]


def test_the_error_rate_counts_server_errors_only():
    rate = metrics.error_rate(frame(an_interval(0, ok=6, redirects=1, client=1, server=2)))
    assert rate["error_rate"].tolist() == [0.2]


@pytest.mark.parametrize("measure", ["error_rate", "rpm", "success_share", "summary"])
def test_a_measure_of_an_answer_that_is_not_whole_says_so(measure):
    whole = frame(an_interval(0, ok=6), an_interval(1, ok=6))
    assert getattr(metrics, measure)(whole)["complete"].all()
    told = getattr(metrics, measure)(whole.assign(complete=[True, False]))["complete"]
    assert told.tolist() == ([True, False] if len(told) == 2 else [False])
    assert getattr(metrics, measure)(whole.drop(columns="complete"))["complete"].all()


def test_an_interval_without_requests_has_no_error_rate():
    rate = metrics.error_rate(frame(an_interval(0), an_interval(1, ok=1)))["error_rate"]
    assert rate.isna().tolist() == [True, False]


def test_requests_per_minute_are_of_whole_intervals_of_any_length():
    rate = metrics.rpm(
        frame(an_interval(0, ok=30), an_interval(1, ok=30, interval_s=300), an_interval(6, ok=9, partial=True))
    )["rpm"]
    assert rate.tolist()[:2] == [30, 6]
    assert rate.isna().tolist() == [False, False, True]


def test_the_average_is_that_of_all_whole_intervals_whatever_their_lengths():
    hour = an_interval(60, ok=36_000, interval_s=3600)
    minutes = [an_interval(place, ok=60) for place in range(60)]
    [told] = metrics.summary(frame(*minutes, hour, an_interval(120, ok=9, partial=True))).to_dict("records")
    assert (
        told["rpm_average"]
        == metrics.compare(frame(*minutes, hour), frame(an_interval(-60, ok=1)))["rpm"].iloc[0]
        == 330.0
    )


HALVES = (an_interval(1, ok=2, partial=True), an_interval(1, ok=4, server=1, partial=True))


def test_the_two_parts_of_an_interval_at_which_windows_adjoin_are_its_sum():
    stitched = frame(an_interval(0, ok=3), *HALVES, an_interval(2, ok=3))
    assert [metrics.summary(stitched)["requests"].iloc[0], metrics.success_share(stitched)["requests"].iloc[0]] == [
        13
    ] * 2
    [told] = metrics.objectives(stitched).to_dict("records")
    assert (told["requests"], told["server_errors"], told["covered"]) == (13, 1, 1.0)


@pytest.mark.parametrize("metric", [metrics.summary, metrics.success_share, metrics.objectives, metrics.incidents])
@pytest.mark.parametrize(
    "rows",
    [
        [an_interval(0, ok=3)] * 2,
        [*HALVES, HALVES[0]],
        [an_interval(0, ok=3), an_interval(0, ok=3, partial=True)],
        [an_interval(0, ok=3, interval_s=3600), an_interval(5, ok=3)],
    ],
    ids=["twice", "three parts", "whole and part", "within a longer one"],
)
def test_windows_that_overlap_are_refused_by_whatever_sums(metric, rows):
    with pytest.raises(FrameError, match="Ask for one window"):
        metric(frame(*rows))


@pytest.mark.parametrize(
    ("metric", "counts", "why"),
    [
        (metrics.error_rate, {"requests": 1, "status_5xx": 5}, "status_5xx.*not between 0 and 'requests'"),
        (metrics.error_rate, {"requests": -3}, "'requests' holds -3"),
        (metrics.success_share, {"requests": 10, "status_2xx": 50}, "status_2xx.*not between"),
        (metrics.success_share, {"requests": 10, "status_2xx": 9, "status_3xx": 9}, "less than .* together"),
    ],
)
def test_counts_that_cannot_be_are_refused(metric, counts, why):
    with pytest.raises(FrameError, match=why):
        metric(frame(an_interval(0, **counts)))


def test_success_is_counted_both_ways():
    share = metrics.success_share(frame(an_interval(0, ok=6, redirects=2, client=1, server=1)))
    assert share[["share_2xx", "share_2xx_3xx"]].values.tolist() == [[0.6, 0.8]]


@pytest.mark.parametrize("seed", range(5))
def test_the_summary_of_each_environment_is_that_of_its_rows(seed):
    rows = any_traffic(seed)
    summary = metrics.summary(frame(*rows)).set_index("environment")
    for environment in ("production", "staging"):
        its = [row for row in rows if row["environment"] == environment]
        requests = sum(row["requests"] for row in its)
        told = summary.loc[environment]
        assert told["requests"] == requests
        assert told["success"] == sum(row["status_2xx"] for row in its)
        assert told["client_errors"] == sum(row["status_4xx"] for row in its)
        assert told["server_errors"] == sum(row["status_5xx"] for row in its)
        assert told["error_rate"] == pytest.approx(told["server_errors"] / requests)
        assert told["rpm_peak"] == max(row["requests"] for row in its)
        assert told["rpm_average"] == pytest.approx(requests / 30)
        assert (told["start"], told["end"]) == (NOON, NOON + timedelta(minutes=30))


def test_a_summary_of_partial_intervals_only_counts_but_has_no_rate_per_minute():
    [told] = metrics.summary(frame(an_interval(0, ok=3, partial=True))).to_dict("records")
    assert told["requests"] == 3
    assert pd.isna(told["rpm_peak"])
    assert pd.isna(told["rpm_average"])


@EVERY_METRIC
def test_columns_and_dtypes_are_the_same_empty_and_full(metric):
    empty, full = metric(schema.REQUESTS_OVER_TIME.empty()), metric(schema.sample("REQUESTS_OVER_TIME"))
    assert len(empty) == 0
    assert empty.dtypes.to_dict() == full.dtypes.to_dict()


@EVERY_METRIC
def test_a_metric_leaves_the_frame_as_it_was(metric):
    given = schema.sample("REQUESTS_OVER_TIME")
    metric(given)
    pd.testing.assert_frame_equal(given, schema.sample("REQUESTS_OVER_TIME"))


@pytest.mark.parametrize(("name", "column"), [(name, column) for name in NEEDED for column in NEEDED[name]])
def test_a_missing_column_is_named(name, column):
    with pytest.raises(FrameError, match=f"no column '{column}'"):
        getattr(metrics, name)(schema.sample("REQUESTS_OVER_TIME").drop(columns=column))
