"""Comparison: did the error rate fall? An answer with its uncertainty, or an honest "unclear".

Plain counts in, so that a plan can ask without a frame. Sources: E. B. Wilson, "Probable inference, the law
of succession, and statistical inference", JASA 22 (1927), for the interval of one rate; R. G. Newcombe,
"Interval estimation for the difference between independent proportions", Statistics in Medicine 17 (1998),
method 10, for the interval of the difference between two.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot, sqrt
from statistics import NormalDist
from typing import Literal

from createos_nb.errors import InvalidArgument

CONFIDENCE = 0.95
MIN_REQUESTS = 100
"""Requests on each side below which two error-free windows are not called the same."""

Verdict = Literal["fell", "rose", "same", "unclear"]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Counts:
    """Requests of a window, and how many of them were answered 5xx."""

    requests: int
    server_errors: int

    @property
    def error_rate(self) -> float | None:
        """Share of 5xx answers, 0 to 1; None without requests."""
        return self.server_errors / self.requests if self.requests else None


@dataclass(frozen=True)
class Comparison:
    """Two error rates, and what can be said about them.

    Attributes
    ----------
    verdict
        ``"fell"`` or ``"rose"`` when chance alone explains the difference in at most one of twenty cases;
        ``"same"`` when neither window has an error and both have enough requests; else ``"unclear"``.
    before, after
        The counts.
    before_rate, after_rate
        Shares of 5xx answers, 0 to 1; None without requests.
    before_interval, after_interval
        Wilson intervals of the rates, 95 %, two-sided.
    difference_interval
        Newcombe interval of ``after_rate - before_rate``, 90 % two-sided, so that each end is a 95 %
        one-sided bound.
    detail
        One sentence for people.
    """

    verdict: Verdict
    before: Counts
    after: Counts
    before_rate: float | None
    after_rate: float | None
    before_interval: Interval
    after_interval: Interval
    difference_interval: Interval
    detail: str


def counts(requests: int, server_errors: int) -> Counts:
    """Return the counts of a window.

    Parameters
    ----------
    requests
        All requests, 0 or more.
    server_errors
        Those answered 5xx, at most ``requests``.

    Raises
    ------
    InvalidArgument
        A count is negative, or there are more errors than requests.

    Examples
    --------
    >>> counts(200, 50).error_rate
    0.25
    """
    if not 0 <= server_errors <= requests:
        raise InvalidArgument(
            f"{server_errors} errors in {requests} requests cannot be. Pass all requests, then those answered 5xx."
        )
    return Counts(requests, server_errors)


def wilson_interval(observed: Counts, *, confidence: float = CONFIDENCE, dispersion: float = 1.0) -> Interval:
    """Return the Wilson score interval of an error rate.

    Parameters
    ----------
    observed
        Requests and errors.
    confidence
        Two-sided confidence level, between 0 and 1.
    dispersion
        Variance beside that of independent requests, 1 or more; the requests count as so many times fewer.

    Returns
    -------
    Lower and upper bound, 0 to 1; (0, 1) without requests.

    Raises
    ------
    InvalidArgument
        ``confidence`` is not between 0 and 1.

    Notes
    -----
    Unlike the textbook interval it stays within 0 and 1 and is right for small counts and for no errors at
    all. Source: Wilson (1927); L. D. Brown et al., "Interval Estimation for a Binomial Proportion",
    Statistical Science 16 (2001); for ``dispersion``, Rao and Scott, Biometrics 48 (1992).

    Examples
    --------
    >>> low, high = wilson_interval(counts(100, 0))
    >>> f"{low:.3f} to {high:.3f}"
    '0.000 to 0.037'
    """
    if not 0 < confidence < 1:
        raise InvalidArgument(f"confidence={confidence!r} is not between 0 and 1. Use 0.95.")
    rate, n = observed.error_rate, observed.requests / dispersion
    if rate is None:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    centre = rate + z * z / (2 * n)
    margin = z * sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # At no errors, and at nothing but errors, the bound is exact; rounding must not move it.
    low = 0.0 if observed.server_errors == 0 else (centre - margin) / scale
    high = 1.0 if observed.server_errors == observed.requests else (centre + margin) / scale
    return low, high


def difference_interval(
    before: Counts, after: Counts, *, confidence: float = CONFIDENCE, dispersion: float = 1.0
) -> Interval:
    """Return the interval of the difference between two error rates, after minus before.

    Parameters
    ----------
    before, after
        Requests and errors of two windows.
    confidence
        Two-sided confidence level, between 0 and 1.
    dispersion
        As for `wilson_interval`.

    Returns
    -------
    Lower and upper bound, -1 to 1; both when one of the windows has no requests.

    Notes
    -----
    Source: Newcombe (1998), method 10: the Wilson intervals of the two rates, put together.

    Examples
    --------
    >>> low, high = difference_interval(counts(80, 48), counts(70, 56))
    >>> f"{low:.4f} to {high:.4f}"
    '0.0524 to 0.3339'
    """
    if before.error_rate is None or after.error_rate is None:
        return -1.0, 1.0
    before_low, before_high = wilson_interval(before, confidence=confidence, dispersion=dispersion)
    after_low, after_high = wilson_interval(after, confidence=confidence, dispersion=dispersion)
    difference = after.error_rate - before.error_rate
    return (
        difference - hypot(after.error_rate - after_low, before_high - before.error_rate),
        difference + hypot(after_high - after.error_rate, before.error_rate - before_low),
    )


def compare_error_rates(
    before: Counts, after: Counts, *, min_requests: int = MIN_REQUESTS, dispersion: float = 1.0
) -> Comparison:
    """Say whether the error rate fell, rose or stayed, or that it cannot be told.

    Parameters
    ----------
    before, after
        Requests and errors of two windows, from `counts`.
    min_requests
        Requests each window needs before two windows without errors are called the same.
    dispersion
        As for `wilson_interval`.

    Returns
    -------
    `Comparison`, with verdict, rates, intervals and a sentence.

    Notes
    -----
    "Fell" means that the upper bound of the difference is below zero, at 95 % one-sided. Requests are
    taken as independent; a burst of retries is not, so a verdict close to the bound deserves a longer window.
    Source: Newcombe (1998), method 10.

    Examples
    --------
    >>> compare_error_rates(counts(280, 81), counts(120, 0)).verdict
    'fell'
    >>> compare_error_rates(counts(280, 81), counts(3, 0)).verdict
    'unclear'
    """
    difference = difference_interval(before, after, confidence=2 * CONFIDENCE - 1, dispersion=dispersion)
    verdict = _verdict(before, after, difference, min_requests)
    before_interval, after_interval = (wilson_interval(each, dispersion=dispersion) for each in (before, after))
    return Comparison(
        verdict=verdict,
        before=before,
        after=after,
        before_rate=before.error_rate,
        after_rate=after.error_rate,
        before_interval=before_interval,
        after_interval=after_interval,
        difference_interval=difference,
        detail=(
            f"{_OPENINGS[verdict]}: {_told(before, before_interval)} before, {_told(after, after_interval)} after."
        ),
    )


def _verdict(before: Counts, after: Counts, difference: Interval, min_requests: int) -> Verdict:
    low, high = difference
    if high < 0:
        return "fell"
    if low > 0:
        return "rose"
    enough = min(before.requests, after.requests) >= min_requests
    return "same" if enough and before.server_errors == after.server_errors == 0 else "unclear"


_OPENINGS: dict[Verdict, str] = {
    "fell": "The error rate fell",
    "rose": "The error rate rose",
    "same": "There were no errors",
    "unclear": "It cannot be told whether the error rate changed",
}


def _told(observed: Counts, interval: Interval) -> str:
    if observed.error_rate is None:
        return "no requests"
    low, high = interval
    return (
        f"{observed.error_rate:.1%} of {observed.requests:,} requests "
        f"(95 % interval {100 * low:.1f} to {100 * high:.1f} %)"
    )
