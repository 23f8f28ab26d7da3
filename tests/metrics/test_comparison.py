from __future__ import annotations

from math import sqrt
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from createos_nb.errors import InvalidArgument
from createos_nb.metrics.comparison import compare_error_rates, counts, difference_interval, wilson_interval

SOME_COUNTS = st.integers(0, 2000).flatmap(
    lambda requests: st.builds(counts, st.just(requests), st.integers(0, requests))
)


@pytest.mark.parametrize(
    ("errors", "requests", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_intervals_of_a_rate_are_the_published_ones(errors, requests, low, high):
    """Newcombe, "Two-sided confidence intervals for the single proportion" (1998), table I, method 3."""
    assert wilson_interval(counts(requests, errors)) == pytest.approx((low, high), abs=6e-5)


@pytest.mark.parametrize(
    ("after", "before", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((0, 10), (0, 10), -0.2775, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_intervals_of_a_difference_are_the_published_ones(after, before, low, high):
    """Newcombe, "Interval estimation for the difference" (1998), table II, method 10."""
    interval = difference_interval(counts(*before[::-1]), counts(*after[::-1]), confidence=0.95)
    assert interval == pytest.approx((low, high), abs=6e-5)


@given(SOME_COUNTS.filter(lambda c: c.requests > 0), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_an_interval_holds_the_rates_that_a_score_test_does_not_refuse(observed, confidence):
    """The interval inverts the score test: each bound is where the test is just at its limit."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    low, high = wilson_interval(observed, confidence=confidence)
    rate = observed.server_errors / observed.requests
    assert 0 <= low <= rate <= high <= 1
    for bound in (low, high):
        if 0 < bound < 1:
            score = abs(rate - bound) / sqrt(bound * (1 - bound) / observed.requests)
            assert score == pytest.approx(z, rel=1e-6)


def test_nothing_is_known_without_requests():
    assert wilson_interval(counts(0, 0)) == (0, 1)
    told = compare_error_rates(counts(0, 0), counts(500, 0))
    assert (told.verdict, told.before_rate, told.after_rate) == ("unclear", None, 0)
    assert "no requests before" in told.detail


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ((280, 81), (120, 0), "fell"),
        ((280, 81), (120, 4), "fell"),
        ((1000, 10), (1000, 30), "rose"),
        ((500, 0), (500, 0), "same"),
        ((500, 0), (99, 0), "unclear"),
        ((99, 0), (500, 0), "unclear"),
        ((280, 81), (3, 0), "unclear"),
        ((1, 1), (120, 40), "unclear"),
        ((500, 50), (500, 50), "unclear"),
        ((100, 3), (100, 0), "unclear"),
        ((0, 0), (0, 0), "unclear"),
    ],
)
def test_the_verdict_says_no_more_than_the_counts(before, after, verdict):
    assert compare_error_rates(counts(*before), counts(*after)).verdict == verdict


def test_two_windows_without_errors_need_as_many_requests_as_were_asked_for():
    quiet = counts(30, 0)
    assert compare_error_rates(quiet, quiet).verdict == "unclear"
    assert compare_error_rates(quiet, quiet, min_requests=30).verdict == "same"


@given(SOME_COUNTS, SOME_COUNTS)
def test_turned_round_what_fell_has_risen(before, after):
    opposite = {"fell": "rose", "rose": "fell", "same": "same", "unclear": "unclear"}
    there, back = compare_error_rates(before, after), compare_error_rates(after, before)
    assert back.verdict == opposite[there.verdict]
    assert back.difference_interval == pytest.approx([-bound for bound in reversed(there.difference_interval)])


@given(SOME_COUNTS, SOME_COUNTS)
def test_a_fall_is_a_fall_of_the_rate_and_fewer_errors_never_undo_it(before, after):
    told = compare_error_rates(before, after)
    if told.verdict == "fell":
        assert told.after_rate < told.before_rate
        assert told.difference_interval[1] < 0
        better = counts(after.requests, max(0, after.server_errors - 1))
        assert compare_error_rates(before, better).verdict == "fell"


@pytest.mark.parametrize("rate", [0.001, 0.05, 0.5])
def test_chance_alone_is_called_a_fall_in_about_one_of_twenty_cases(rate):
    """Exact, not simulated: the binomial probabilities of every outcome that is called a fall."""
    n = 200
    binomial = [1.0]
    for _ in range(n):
        binomial = [
            (binomial[k] * (1 - rate) if k < len(binomial) else 0) + (binomial[k - 1] * rate if k else 0)
            for k in range(len(binomial) + 1)
        ]
    likely = [k for k, chance in enumerate(binomial) if chance > 1e-7]
    wrong = sum(
        binomial[b] * binomial[a]
        for b in likely
        for a in likely
        if a < b and compare_error_rates(counts(n, b), counts(n, a)).verdict == "fell"
    )
    assert wrong < 0.06


def test_the_sentence_holds_both_rates_and_their_intervals():
    detail = compare_error_rates(counts(280, 81), counts(1200, 0)).detail
    assert detail == (
        "The error rate fell: 28.9% of 280 requests (95 % interval 23.9 to 34.5 %) before, "
        "0.0% of 1,200 requests (95 % interval 0.0 to 0.3 %) after."
    )


@pytest.mark.parametrize(("requests", "errors"), [(10, 11), (-1, 0), (10, -1), (-5, -5)])
def test_counts_that_cannot_be_are_refused(requests, errors):
    with pytest.raises(InvalidArgument, match="cannot be"):
        counts(requests, errors)


@pytest.mark.parametrize("confidence", [0, 1, 95, -0.5])
def test_a_confidence_that_cannot_be_is_refused(confidence):
    with pytest.raises(InvalidArgument, match=r"Use 0\.95"):
        wilson_interval(counts(10, 1), confidence=confidence)
