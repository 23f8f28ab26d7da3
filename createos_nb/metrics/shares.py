"""Shares: exact and adjusted arithmetic on counts of errors among requests.

Sources: R. A. Fisher, "The Design of Experiments" (1935), for the exact test; J. N. K. Rao and A. J. Scott,
"A simple method for the analysis of clustered binary data", Biometrics 48 (1992), for dividing counts by how
much they vary more than independent requests would; J. von Neumann, "Distribution of the ratio of the mean
square successive difference to the variance", Annals of Mathematical Statistics 12 (1941), for measuring that
between neighbours, which a change of level does not disturb.
"""

from __future__ import annotations

from math import exp, lgamma, sqrt
from sys import float_info

import numpy as np

from createos_nb.metrics.intervals import Intervals

_CHUNK = 4096


def fisher(requests_a: int, errors_a: int, requests_b: int, errors_b: int) -> float:
    """Return the two-sided p-value of Fisher's exact test that two error rates are one.

    Twice the tail on the side of the difference, at most 1: the probability, without a difference, of errors
    divided as unevenly.

    Parameters
    ----------
    requests_a, requests_b
        All requests of the two windows.
    errors_a, errors_b
        Those answered 5xx.

    Examples
    --------
    >>> round(fisher(4, 3, 4, 1), 6)
    0.485714
    """
    if errors_a * requests_b > errors_b * requests_a:
        requests_a, errors_a, requests_b, errors_b = requests_b, errors_b, requests_a, errors_a
    return min(1.0, 2 * _tail(requests_a, errors_a, requests_b, errors_b))


def dispersion(*windows: Intervals) -> float:
    """Return how much more neighbouring intervals differ than independent requests would; 1 or more.

    Parameters
    ----------
    windows
        Intervals; only neighbours within one of them are looked at.

    Notes
    -----
    For two neighbours with N requests and errors among them, the squared difference of their error rates
    is, given the sum of their errors, on average that of a hypergeometric draw. This returns the mean of the
    ratios, which is 1 for independent requests, without the largest. Less than 1 is chance and counts as 1;
    more is raised by one standard error, since to take bursts for evidence is worse than to miss some.
    """
    # The largest may be a change that nobody has found yet.
    ratios = sorted(ratio for window in windows for ratio in _ratios(window))[:-1]
    if not ratios:
        return 1.0
    mean = float(np.mean(ratios))
    return mean * (1 + sqrt(2 / len(ratios))) if mean > 1 else 1.0


def _ratios(window: Intervals) -> list[float]:
    seen = window[window.requests > 0]
    n, k = seen.requests.astype(float), seen.errors.astype(float)
    both, failed = n[:-1] + n[1:], k[:-1] + k[1:]
    told = (failed > 0) & (failed < both)
    n_a, n_b, both, failed = n[:-1][told], n[1:][told], both[told], failed[told]
    difference = k[:-1][told] / n_a - k[1:][told] / n_b
    share = failed / both
    expected = share * (1 - share) * (1 / n_a + 1 / n_b) * both / (both - 1)
    return list(difference**2 / expected)


def _tail(requests_a: int, errors_a: int, requests_b: int, errors_b: int) -> float:
    """Return the probability of at most ``errors_a`` of all errors in the first window, whose rate is the lower."""
    errors = errors_a + errors_b
    lowest = max(0, errors - requests_b)
    logarithm = (
        _log_choose(requests_a, errors_a)
        + _log_choose(requests_b, errors_b)
        - _log_choose(requests_a + requests_b, errors)
    )
    # Downwards from what was seen, each term from the one before; below the mean they only get smaller.
    total, term, at = 1.0, 1.0, errors_a
    while at > lowest and term > 0:
        x = np.arange(at, max(lowest, at - _CHUNK), -1, dtype=float)
        terms = term * np.cumprod(x * (requests_b - errors + x) / ((errors - x + 1) * (requests_a - x + 1)))
        total += float(terms.sum())
        term, at = float(terms[-1]), int(x[-1]) - 1
        if term < 1e-18 * total:
            break
    return min(1.0, exp(logarithm) * total) if logarithm > -700 else float_info.min


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
