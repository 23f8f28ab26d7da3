from __future__ import annotations

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from createos_nb.metrics.intervals import intervals
from createos_nb.metrics.shares import dispersion, fisher
from tests.metrics.traffic import drawn, traffic

WINDOW = st.integers(0, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))


def exactly(n_a, k_a, n_b, k_b):
    """In whole numbers, every outcome counted."""
    errors, every = k_a + k_b, comb(n_a + n_b, k_a + k_b)
    chance = {
        x: Fraction(comb(n_a, x) * comb(n_b, errors - x), every)
        for x in range(max(0, errors - n_b), min(n_a, errors) + 1)
    }
    is_lower = k_a * n_b <= k_b * n_a
    return float(min(1, 2 * sum(p for x, p in chance.items() if (x <= k_a if is_lower else x >= k_a))))


@settings(deadline=None, max_examples=60)
@given(WINDOW, WINDOW)
def test_the_test_is_fishers_counted_out(a, b):
    assert fisher(*a, *b) == pytest.approx(exactly(*a, *b), rel=1e-9)


@pytest.mark.parametrize(
    ("table", "p_value"),
    [((4, 3, 4, 1), 2 * 17 / 70), ((12, 10, 12, 3), 0.0122), ((13, 10, 17, 2), 2 * 0.0004652)],
    ids=["lady tasting tea", "tails of 12", "Fisher's twins"],
)
def test_the_test_is_that_of_textbooks(table, p_value):
    """Fisher (1935), tea; 10 of 13 monozygotic and 2 of 17 dizygotic twins convicted: one tail 0.0004652."""
    assert fisher(*table) == pytest.approx(p_value, rel=0.02)


@pytest.mark.parametrize("scale", [10**3, 10**5, 10**7])
def test_large_counts_cost_no_accuracy_that_matters(scale):
    """Against the normal approximation, which is good there."""
    from statistics import NormalDist

    errors = round(0.01 * scale)
    more = round(errors + 3 * (2 * errors * 0.99) ** 0.5)
    pooled = (errors + more) / (2 * scale)
    z = (more - errors - 1) / (scale * pooled * (1 - pooled) * 2) ** 0.5
    assert fisher(scale, errors, scale, more) == pytest.approx(2 * NormalDist().cdf(-z), rel=0.05)


def test_what_can_hardly_be_is_small_and_not_nothing():
    assert 0 < fisher(10**6, 0, 10**6, 10**6) < 1e-300
    assert fisher(10**6, 0, 10**6, 0) == 1


def of(requests, errors):
    (each,) = intervals(traffic(requests, errors))
    return each


@pytest.mark.parametrize(("rpm", "rate"), [(12, 0.05), (60, 0.02), (600, 0.3)])
def test_independent_requests_are_hardly_dispersed(rpm, rate):
    chance = np.random.default_rng(5)
    seen = [dispersion(of(*drawn(chance, [rate] * 240, rpm))) for _ in range(40)]
    assert 1 <= np.mean(seen) < 1.3


@pytest.mark.parametrize("factor", [3, 8])
def test_errors_that_come_in_bursts_are_dispersed_by_as_much(factor):
    chance = np.random.default_rng(6)
    rho = (factor - 1) / 199
    a, b = 0.1 * (1 / rho - 1), 0.9 * (1 / rho - 1)
    seen = [dispersion(of(np.full(240, 200), chance.binomial(200, chance.beta(a, b, 240)))) for _ in range(40)]
    assert np.mean(seen) == pytest.approx(factor, rel=0.25)


def test_a_change_of_level_is_not_taken_for_dispersion():
    chance = np.random.default_rng(7)
    seen = [dispersion(of(*drawn(chance, [0.01] * 60 + [0.4] * 60))) for _ in range(20)]
    assert np.mean(seen) < 1.4


@settings(deadline=None, max_examples=60)
@given(st.lists(WINDOW, min_size=1, max_size=20))
def test_it_is_one_or_more_and_a_number(counts):
    assert 1 <= dispersion(of(*zip(*counts, strict=True))) < float("inf")
