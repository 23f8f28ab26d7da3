from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from createos_nb import metrics, schema
from createos_nb.errors import FrameError
from createos_nb.metrics.comparison import counts, difference_interval
from tests.metrics.traffic import drawn, minute, traffic


def one(after, before):
    """Compare two windows; one that is not said to be earlier is that of the day before."""
    if not before["timestamp"].max() < after["timestamp"].min():
        before = before.assign(timestamp=before["timestamp"] - pd.Timedelta("1D"))
    (row,) = schema.COMPARISON.check(metrics.compare(after, before)).to_dict("records")
    return row


@pytest.mark.parametrize(
    ("after", "before", "low", "high"),
    [((56, 70), (48, 80), 0.0524, 0.3339), ((9, 10), (3, 10), 0.1705, 0.8090), ((0, 10), (0, 20), -0.1611, 0.2775)],
)
def test_without_dispersion_the_intervals_are_the_published_ones(after, before, low, high):
    """Newcombe (1998), table II, method 10, at 95 %: one interval each, so there are no neighbours to differ."""
    row = one(traffic([after[1]], [after[0]], at=60), traffic([before[1]], [before[0]]))
    assert row["dispersion"] == 1
    interval = difference_interval(counts(*before[::-1]), counts(*after[::-1]), confidence=0.95)
    assert interval == pytest.approx((low, high), abs=6e-5)
    narrower = difference_interval(counts(*before[::-1]), counts(*after[::-1]), confidence=0.9)
    assert (row["difference_low"], row["difference_high"]) == pytest.approx(narrower)


def test_two_windows_of_an_environment():
    row = one(traffic([100] * 10, [20] * 10, at=30), traffic([50] * 10, [0] * 10))
    assert (row["verdict"], row["difference"]) == ("rose", 0.2)
    assert (row["baseline_start"], row["baseline_end"]) == (minute(0), minute(10))
    assert (row["start"], row["end"]) == (minute(30), minute(40))
    assert (row["baseline_rpm"], row["rpm"]) == (50, 100)
    assert (row["baseline_requests"], row["requests"], row["errors"]) == (500, 1000, 200)


def test_two_environments():
    row = one(traffic([100] * 10, [0] * 10, environment="staging"), traffic([100] * 10, [5] * 10))
    assert (row["environment"], row["baseline_environment"], row["verdict"]) == ("staging", "production", "fell")


def test_several_environments_are_each_compared_with_themselves():
    def both(production, staging, at=0):
        each = [
            traffic([100] * 5, [production] * 5, at=at),
            traffic([100] * 5, [staging] * 5, at=at, environment="staging"),
        ]
        return schema.REQUESTS_OVER_TIME.concat(each)

    told = metrics.compare(both(0, 30, at=5), both(30, 0)).set_index("environment")["verdict"]
    assert told.to_dict() == {"production": "fell", "staging": "rose"}


def test_bursts_widen_the_intervals():
    steady = one(traffic([100] * 12, [10] * 12), traffic([100] * 12, [5] * 12))
    bursts = one(traffic([100] * 12, [0, 40, 0, 0] * 3), traffic([100] * 12, [20, 0, 0, 0] * 3))
    assert (steady["difference"], steady["verdict"]) == (pytest.approx(bursts["difference"]), "rose")
    assert bursts["dispersion"] > 5
    assert bursts["verdict"] == "unclear"


def test_without_a_difference_a_rise_is_seen_in_about_one_of_twenty_cases():
    chance = np.random.default_rng(3)
    rose = [
        one(traffic(*drawn(chance, [0.05] * 20)), traffic(*drawn(chance, [0.05] * 20)))["verdict"] == "rose"
        for _ in range(120)
    ]
    assert np.mean(rose) < 0.12


def test_few_and_no_requests_are_unclear():
    assert one(traffic([3], [0]), traffic([3], [0]))["verdict"] == "unclear"
    row = one(traffic([0], [0]), traffic([3], [0]))
    assert (row["verdict"], row["error_rate_low"], row["error_rate_high"]) == ("unclear", 0, 1)
    assert row["difference"] != row["difference"]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.integers(0, 99).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), min_size=1, max_size=9)
)
def test_beside_itself_nothing_rose_or_fell(window):
    frame = traffic(*zip(*window, strict=True))
    row = one(frame, frame)
    assert row["verdict"] in {"same", "unclear"}
    assert row["difference_low"] <= 0 <= row["difference_high"]


def test_windows_that_overlap_are_refused_unless_they_are_of_two_environments():
    with pytest.raises(FrameError, match="some of the same time of shop/production"):
        metrics.compare(traffic([5] * 6, [0] * 6, at=5), traffic([5] * 6, [0] * 6))
    metrics.compare(traffic([5] * 6, [0] * 6, at=6), traffic([5] * 6, [0] * 6))
    seam = [False] * 5 + [True]
    metrics.compare(
        traffic([5] * 6, [0] * 6, at=5).assign(partial=seam[::-1]), traffic([5] * 6, [0] * 6).assign(partial=seam)
    )
    metrics.compare(traffic([5] * 6, [0] * 6), traffic([5] * 6, [0] * 6, environment="staging"))
    around = schema.REQUESTS_OVER_TIME.concat([traffic([5] * 6, [0] * 6), traffic([5] * 6, [0] * 6, at=12)])
    metrics.compare(traffic([5] * 6, [0] * 6, at=6), around)
    with pytest.raises(FrameError, match="some of the same time"):
        metrics.compare(traffic([5] * 6, [0] * 6, at=7), around)


def test_a_baseline_that_lacks_an_environment_is_refused():
    two = schema.REQUESTS_OVER_TIME.concat([traffic([1], [0]), traffic([1], [0], environment="staging")])
    other = schema.REQUESTS_OVER_TIME.concat([two, traffic([1], [0], environment="test")])
    with pytest.raises(FrameError, match="no rows of shop/test"):
        metrics.compare(other, two.assign(timestamp=two["timestamp"] - pd.Timedelta("1D")))
    with pytest.raises(FrameError, match="no rows"):
        metrics.compare(two, schema.REQUESTS_OVER_TIME.empty())
