from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from createos_nb import metrics, schema
from createos_nb.errors import InvalidArgument
from tests.metrics.traffic import traffic

DAY = 1440
HOURS_12 = 720


def alerts(frame, objective=0.999):
    return metrics.burn_rates(frame, objective=objective)


def steady(rate, minutes=3 * DAY, rpm=100_000):
    return traffic([rpm] * minutes, [round(rpm * rate)] * minutes)


@pytest.mark.parametrize(
    ("budget", "rule", "hours"),
    [(0.02, 0, 1), (0.05, 1, 6), (0.10, 2, 72)],
)
def test_thresholds_are_the_workbooks_share_of_the_budget_of_thirty_days(budget, rule, hours):
    """Table 5-8: 2 % of the budget in 1 h, 5 % in 6 h, 10 % in 3 days; the short window is a twelfth."""
    found = alerts(steady(0, minutes=10)).iloc[rule]
    assert found["threshold"] == pytest.approx(budget * 30 * 24 / hours)
    assert (found["long_window_s"], found["short_window_s"]) == (hours * 3600, hours * 300)


@pytest.mark.parametrize(
    ("rate", "states"),
    [
        (0.0, ["ok", "ok", "ok"]),
        (0.00099, ["ok", "ok", "ok"]),
        (0.00101, ["ok", "ok", "ticket"]),
        (0.0059, ["ok", "ok", "ticket"]),
        (0.0061, ["ok", "page", "ticket"]),
        (0.0143, ["ok", "page", "ticket"]),
        (0.0145, ["page", "page", "ticket"]),
    ],
)
def test_each_rule_fires_from_its_burn_rate_on(rate, states):
    frame = steady(rate)
    assert alerts(frame)["state"].tolist() == states
    urgent = "page" if "page" in states else "ticket" if "ticket" in states else "ok"
    assert metrics.objectives(frame)["state"].tolist() == [urgent]


def test_a_minute_that_runs_covers_nothing_yet():
    """What the five minutes end with is the last whole one; four and a bit would be called five."""
    whole = traffic([100] * 10, [50] * 10)
    running = traffic([100] * 10 + [3], [50] * 10 + [0], partial={10})
    assert alerts(running).equals(alerts(whole))
    assert (alerts(running)["short_covered"].iloc[0], alerts(running)["short_requests"].iloc[0]) == (1.0, 500)
    assert alerts(traffic([100], [50], partial={0}))["state"].tolist() == ["cannot tell"] * 3


def test_a_burst_that_is_over_pages_nobody():
    """The long window still burns; the short one says that it does not go on."""
    frame = traffic([1000] * 60, [900] * 50 + [0] * 10)
    first = alerts(frame).iloc[0]
    assert first["long_burn_rate"] == pytest.approx(750)
    assert (first["short_burn_rate"], first["state"]) == (0, "ok")


def test_a_burst_that_has_just_begun_pages_once_the_hour_holds_enough():
    assert alerts(traffic([1000] * 60, [0] * 59 + [1000]))["state"].iloc[0] == "page"
    assert alerts(traffic([1000] * 60, [0] * 59 + [800]))["state"].iloc[0] == "ok"


def test_a_frame_that_does_not_span_the_windows_cannot_tell():
    told = alerts(traffic([1000] * 30, [1000] * 30))
    assert told["state"].tolist() == ["cannot tell"] * 3
    assert "rows for 50% of the last 1 h" in told["reason"].iloc[0]
    assert metrics.objectives(traffic([1000] * 30, [1000] * 30))["state"].tolist() == ["cannot tell"]


def test_one_window_that_burns_slowly_decides_without_the_other():
    told = alerts(traffic([1000] * 30, [0] * 30))
    assert told["state"].tolist() == ["ok", "ok", "cannot tell"]


def test_rows_that_are_missing_are_not_good_requests():
    requests = [1000] * 20 + [None] * 30 + [1000] * 10
    told = alerts(traffic(requests, [0] * 50 + [1000] * 10))
    assert told["long_covered"].iloc[0] == pytest.approx(0.5)
    assert told["state"].iloc[0] == "cannot tell"


def test_without_requests_nothing_can_be_told():
    told = alerts(traffic([0] * 60, [0] * 60)).iloc[0]
    assert told["state"] == "cannot tell"
    assert "no requests in the last 1 h" in told["reason"]


def test_intervals_longer_than_a_window_do_not_decide_it():
    told = alerts(traffic([1000] * 6, [1000] * 6, step_s=3600))
    assert told["short_covered"].tolist()[:2] == [0, 0]
    assert told["state"].tolist() == ["cannot tell"] * 3


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.integers(0, 500).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), min_size=1, max_size=40
    ),
    st.floats(0.5, 0.9999),
)
def test_the_budget_is_that_of_the_requests(counts, objective):
    requests, errors = zip(*counts, strict=True)
    told = metrics.objectives(traffic(requests, errors), objective=objective).iloc[0]
    total, failed = sum(requests), sum(errors)
    assert (told["requests"], told["server_errors"]) == (total, failed)
    assert told["error_budget"] == pytest.approx((1 - objective) * total)
    if total:
        assert told["service_level"] == pytest.approx(1 - failed / total)
        assert (told["budget_spent"] > 1 + 1e-9) <= (told["service_level"] < objective)


def test_each_environment_has_its_own_budget():
    frame = schema.REQUESTS_OVER_TIME.concat(
        [traffic([1000] * 60, [500] * 60), traffic([1000] * 60, [0] * 60, environment="staging")]
    )
    told = metrics.objectives(frame).set_index("environment")
    assert told["budget_spent"].round(6).to_dict() == {"production": 500, "staging": 0}


@pytest.mark.parametrize("objective", [0, 1, 99.9, -1, True, "0.999", None, float("nan")])
def test_an_objective_that_cannot_be_is_refused_with_the_fix(objective):
    for metric in (metrics.objectives, metrics.burn_rates):
        with pytest.raises(InvalidArgument, match=r"objective=.*0\.999"):
            metric(schema.REQUESTS_OVER_TIME.empty(), objective=objective)
