from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from createos_nb import metrics, schema
from createos_nb.errors import InvalidArgument
from createos_nb.metrics.comparison import counts, wilson_interval
from tests.metrics.traffic import drawn, minute, traffic

ROUNDS = 100


def verdicts(rates, rpm, rounds=ROUNDS, *, bursts=1, seed=11, **options):
    """The frames of so many days on which the same happens, asked apart from each other."""
    chance = np.random.default_rng(seed)
    for _ in range(rounds):
        requests, errors = drawn(chance, rates, rpm)
        if bursts > 1:
            rho = (bursts - 1) / (rpm - 1)
            rate = np.asarray(rates)
            errors = chance.binomial(requests, chance.beta(rate * (1 / rho - 1), (1 - rate) * (1 / rho - 1)))
        yield metrics.change_points(traffic(requests, errors), **options)


def share(frames, verdict="changed"):
    return np.mean([frame["verdict"].iloc[0] == verdict for frame in frames])


# --- false alarms and power ---------------------------------------------------------------------------


@pytest.mark.parametrize(("rpm", "rate"), [(12, 0.05), (60, 0.002), (60, 0.3), (600, 0.01)])
def test_traffic_that_does_not_change_is_rarely_said_to(rpm, rate):
    """At 5 %, of 100 frames 5 at most on average; 11 or more come in 1 % of runs of a test that is right."""
    assert share(verdicts([rate] * 60, rpm, significance=0.05)) * ROUNDS < 11


@pytest.mark.parametrize(("rpm", "rate", "bursts"), [(60, 0.1, 5), (600, 0.02, 4)])
def test_bursts_are_rarely_taken_for_a_change(rpm, rate, bursts):
    assert share(verdicts([rate] * 60, rpm, bursts=bursts, significance=0.05)) * ROUNDS < 11


@pytest.mark.parametrize(
    ("before", "after", "split", "rpm", "least"),
    [(0.0, 0.12, 50, 12, 0.85), (0.01, 0.05, 30, 60, 0.95), (0.01, 0.1, 55, 60, 0.95), (0.3, 0.1, 20, 60, 0.95)],
    ids=["bad deployment", "small", "late", "fall"],
)
def test_a_change_is_seen_and_lies_where_it_is_said_to(before, after, split, rpm, least):
    frames = list(verdicts([before] * split + [after] * (60 - split), rpm, rounds=60))
    assert share(frames) >= least
    first = [frame.iloc[0] for frame in frames if frame["verdict"].iloc[0] == "changed"]
    right = [row["earliest"] <= minute(split) <= row["latest"] for row in first]
    assert np.mean(right) >= 0.9
    assert all((row["rate_after"] > row["rate_before"]) == (after > before) for row in first)


def test_a_time_of_errors_has_two_ends():
    told = next(verdicts([0.0] * 20 + [0.3] * 15 + [0.0] * 25, 60))
    assert told["at"].tolist() == [minute(20), minute(35)]
    assert told["requests_after"].iloc[0] == told["requests_before"].iloc[1]


# --- verdicts -----------------------------------------------------------------------------------------


def one(requests, errors, **options):
    (row,) = metrics.change_points(traffic(requests, errors), **options).to_dict("records")
    return row


def test_much_traffic_without_errors_is_no_change_seen():
    row = one([600] * 60, [0] * 60)
    assert (row["verdict"], row["rate_before"]) == ("no change seen", 0)
    assert pd.isna(row["at"])
    assert "would have shown" in row["reason"]


def test_what_could_have_been_missed_cannot_be_told():
    assert one([2] * 60, [0] * 60)["verdict"] == "cannot tell"
    assert one([20] * 60, [0] * 60)["verdict"] == "no change seen"
    assert one([20] * 60, [0] * 60, difference=0.01)["verdict"] == "cannot tell"
    assert "too few" in one([20] * 4, [0] * 4)["reason"]


@pytest.mark.parametrize("errors", [1, 2])
def test_an_error_or_two_at_the_end_blame_nobody(errors):
    assert one([3] * 60, [0] * 59 + [errors], min_requests=1)["verdict"] == "cannot tell"


@pytest.mark.parametrize("rpm", [12, 60])
def test_what_is_said_to_show_does_show_nine_times_of_ten(rpm):
    steps = (step / 100 for step in range(1, 60))
    quiet = ([rpm] * 60, [0] * 60)
    difference = next(each for each in steps if one(*quiet, difference=each)["verdict"] != "cannot tell")
    assert share(verdicts([0.0] * 30 + [difference] * 30, rpm, rounds=80)) >= 0.8


def test_significance_decides():
    traffic_of = ([20] * 20, [0] * 10 + [2] * 10)
    asked = {level: one(*traffic_of, significance=level, min_requests=20)["verdict"] for level in (1e-7, 0.01)}
    assert (asked[1e-7], asked[0.01]) == ("cannot tell", "changed")


def test_more_environments_need_more_evidence():
    """Bonferroni: the p-value is that of all that was asked together."""
    requests, errors = [60] * 40, [0] * 20 + [12] * 20
    alone = metrics.change_points(traffic(requests, errors))["p_value"].iloc[0]
    quiet = [traffic([60] * 40, [0] * 40, environment=f"e{number}") for number in range(9)]
    fleet = metrics.change_points(schema.REQUESTS_OVER_TIME.concat([traffic(requests, errors), *quiet]))
    assert fleet["p_value"].iloc[0] == pytest.approx(10 * alone)
    assert len(fleet) == 10


def test_counts_and_intervals_are_those_of_the_sides():
    row = one([60] * 40, [0] * 20 + [12] * 20)
    assert (row["requests_before"], row["errors_before"]) == (1200, 0)
    assert (row["requests_after"], row["errors_after"], row["rate_after"]) == (1200, 240, 0.2)
    assert row["dispersion"] == 1
    assert (row["rate_after_low"], row["rate_after_high"]) == pytest.approx(wilson_interval(counts(1200, 240)))


def test_rows_that_are_missing_widen_where_the_change_may_lie():
    requests = [60] * 20 + [None] * 10 + [60] * 20
    row = one(requests, [0] * 30 + [12] * 20)
    assert (row["at"], row["earliest"]) == (minute(30), minute(19))


def test_the_same_frame_has_the_same_answer_in_any_order():

    chance = np.random.default_rng(1)
    over_time = traffic(*drawn(chance, [0.0] * 30 + [0.2] * 30))
    told = metrics.change_points(over_time)
    pd.testing.assert_frame_equal(told, metrics.change_points(over_time.sample(frac=1, random_state=2)))
    assert told["verdict"].tolist() == ["changed"]


@pytest.mark.parametrize(
    "options",
    [{"significance": 0}, {"significance": 5}, {"difference": 1}, {"difference": True}, {"min_requests": 0}],
    ids=str,
)
def test_options_that_cannot_be_are_refused(options):
    with pytest.raises(InvalidArgument, match=next(iter(options))):
        metrics.change_points(schema.REQUESTS_OVER_TIME.empty(), **options)
