"""Change points: when the share of server errors changed, as far as the requests can tell.

Sources: A. J. Scott and M. Knott, "A cluster analysis method for grouping means in the analysis of variance",
Biometrics 30 (1974), for binary segmentation; D. V. Hinkley and E. A. Hinkley, "Inference about the
change-point in a sequence of binomial variables", Biometrika 57 (1970), for the likelihood ratio; and those of
`createos_nb.metrics.shares` for the test.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import floor, log, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from createos_nb.metrics.comparison import Counts, wilson_interval
from createos_nb.metrics.intervals import INTERVALS, Flags, Intervals, Whole, intervals, moment
from createos_nb.metrics.options import count, share
from createos_nb.metrics.shares import dispersion, fisher
from createos_nb.schema import CHANGE_POINTS, Row

NEEDED: Mapping[str, tuple[str, ...]] = {"change_points": INTERVALS}

_LIKELY = log(20)
"""A place is not ruled out while it is at least a twentieth as likely as the best one."""
_NINE_OF_TEN = 1.2816


@dataclass(frozen=True)
class _Question:
    """What is asked of every environment."""

    significance: float
    difference: float
    min_requests: int
    environments: int


@dataclass(frozen=True)
class _Split:
    """A division of intervals in two, and how it stands the test."""

    place: int
    first: int
    last: int
    p_value: float


def change_points(
    over_time: pd.DataFrame, *, significance: float = 0.01, difference: float = 0.05, min_requests: int = 50
) -> pd.DataFrame:
    """Return when the 5xx share of each environment changed, or that it did not, or that it cannot be told.

    Parameters
    ----------
    over_time
        Requests over time; needs ``project``, ``environment``, ``timestamp``, ``requests``, ``status_5xx``,
        ``interval_s`` and ``partial``. See `schema.REQUESTS_OVER_TIME`.
    significance
        Chance, above 0 and below 1, of a change being seen anywhere in the frame when nowhere is one.
    difference
        Rise of the 5xx share, above 0 and below 1, that is worth knowing: where such a one could have been
        missed, the verdict is ``"cannot tell"``.
    min_requests
        Requests, 1 or more, on each side of a change.

    Returns
    -------
    DataFrame, one row per change, oldest first, or one per environment without (`schema.CHANGE_POINTS`)
        ``verdict`` is ``"changed"``, ``"no change seen"`` or ``"cannot tell"``; ``at`` is right to an
        interval, and the change hardly lies outside of ``earliest`` to ``latest``: places less than a
        twentieth as likely as the best one are left out.

    Raises
    ------
    InvalidArgument
        An option is out of its range.
    FrameError
        A needed column is missing or of another kind.

    Notes
    -----
    Binary segmentation. The most likely division of the intervals in two is where the binomial likelihood
    ratio is largest; it is tested by Fisher's exact test, whose p-value is multiplied by the number of
    divisions that were possible, by the number of environments in the frame, and by two for every level of
    division (Bonferroni), so that ``significance`` holds for all that is asked together, and by the same
    numbers every time. A change is taken as one when the product is at most ``significance``; then each side
    is looked at in turn. Counts are first divided by ``dispersion`` (Rao and Scott 1992), so that errors
    which come in bursts are not taken for more evidence than they are; bursts that go on over many intervals
    are changes. "No change seen" means that a rise by ``difference`` in the middle of the frame would have
    been seen nine times of ten. The share only: a change of volume is none.

    Examples
    --------
    >>> from createos_nb import schema
    >>> found = change_points(schema.sample("REQUESTS_OVER_TIME"))
    >>> found[["verdict", "at", "errors_before", "errors_after"]]
       verdict                        at  errors_before  errors_after
    0  changed 2026-11-23 12:04:00+00:00              0            81
    1  changed 2026-11-23 12:08:00+00:00             81             2
    """
    example = "Write 0.01 for one of a hundred."
    significance = share("significance", significance, example)
    difference = share("difference", difference, example)
    min_requests = count("min_requests", min_requests)
    held = list(intervals(over_time))
    question = _Question(significance, difference, min_requests, environments=len(held))
    return CHANGE_POINTS.frame(row for each in held for row in _rows(each, question))


def _rows(each: Intervals, question: _Question) -> Iterator[Row]:
    found = sorted(_segment(each, question, 0, len(each), level=0), key=lambda split: split.place)
    if not found:
        yield _unchanged(each, question)
    borders = [0, *(split.place for split in found), len(each)]
    for index, split in enumerate(found):
        before = each[borders[index] : borders[index + 1]]
        after = each[borders[index + 1] : borders[index + 2]]
        yield _changed(each, split, before, after)


def _segment(each: Intervals, question: _Question, start: int, end: int, *, level: int) -> Iterator[_Split]:
    part = each[start:end]
    split = _best(part, question, level)
    if split is None or split.p_value > question.significance:
        return
    place = start + split.place
    yield _Split(place, start + split.first, start + split.last, split.p_value)
    yield from _segment(each, question, start, place, level=level + 1)
    yield from _segment(each, question, place, end, level=level + 1)


def _best(part: Intervals, question: _Question, level: int) -> _Split | None:
    """Return the most likely division of intervals, with the p-value of all that was asked; None without one."""
    n, k = np.cumsum(part.requests), np.cumsum(part.errors)
    places = _places(part, n, question.min_requests)
    if not len(places):
        return None
    n_a, k_a = n[places - 1], k[places - 1]
    n_b, k_b = n[-1] - n_a, k[-1] - k_a
    ratio = _log_likelihood(n_a, k_a) + _log_likelihood(n_b, k_b) - _log_likelihood(n[-1:], k[-1:])
    best = int(ratio.argmax())
    place = int(places[best])
    excess = dispersion(part[:place], part[place:])
    single = _test(int(n_a[best]), int(k_a[best]), int(n_b[best]), int(k_b[best]), excess)
    possible = places[ratio >= ratio[best] - _LIKELY * excess]
    return _Split(
        place,
        int(possible[0]),
        int(possible[-1]),
        min(1.0, single * len(places) * question.environments * 2**level),
    )


def _places(part: Intervals, n: Whole, min_requests: int) -> Whole:
    """Return where intervals may be divided: before one with requests, with enough of them on both sides."""
    places: Whole = np.arange(1, len(part))
    before = n[places - 1]
    enough: Flags = (before >= min_requests) & (n[-1] - before >= min_requests)
    return places[enough & (part.requests[places] > 0)]


def _log_likelihood(n: Whole, k: Whole) -> npt.NDArray[np.float64]:
    """Return that of the most likely share, for each pair of requests and errors."""
    rate = np.divide(k, n, out=np.zeros(len(n)), where=n > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        failed, answered = k * np.log(rate), (n - k) * np.log1p(-rate)
    return np.where(k > 0, failed, 0.0) + np.where(n > k, answered, 0.0)


def _test(n_a: int, k_a: int, n_b: int, k_b: int, excess: float) -> float:
    # The errors before the requests, so that rounding never makes more errors than requests.
    failed_a, failed_b = round(k_a / excess), round(k_b / excess)
    answered_a, answered_b = round((n_a - k_a) / excess), round((n_b - k_b) / excess)
    return fisher(failed_a + answered_a, failed_a, failed_b + answered_b, failed_b)


def _changed(each: Intervals, split: _Split, before: Intervals, after: Intervals) -> Row:
    # A change within an interval makes it a mixture, which is the last one before or the first one after.
    earliest, latest = moment(each.start_us[split.first - 1]), moment(each.end_us[split.last])
    # Of these two alone: what the test was held against has other changes in it, that were not known yet.
    excess = dispersion(before, after)
    sides = _side(before, "before", excess) | _side(after, "after", excess)
    return {
        **each.names,
        "verdict": "changed",
        "at": moment(each.start_us[split.place]),
        "earliest": earliest,
        "latest": latest,
        **sides,
        "p_value": split.p_value,
        "dispersion": excess,
        "reason": (
            f"The 5xx share went from {_told(before)} to {_told(after)}; without a change, a difference like that "
            f"comes by chance in at most {split.p_value:.2g} of such frames."
        ),
    }


def _unchanged(each: Intervals, question: _Question) -> Row:
    excess = dispersion(each)
    would_be_seen, why = _power(each, question, excess)
    best = _best(each, question, 0)
    return {
        **each.names,
        "verdict": "no change seen" if would_be_seen else "cannot tell",
        **_side(each, "before", excess),
        "requests_after": 0,
        "errors_after": 0,
        "rate_after_low": 0.0,
        "rate_after_high": 1.0,
        "p_value": best.p_value if best else None,
        "dispersion": excess,
        "reason": why,
    }


def _power(each: Intervals, question: _Question, excess: float) -> tuple[bool, str]:
    """Return whether a rise worth knowing, in the middle, would be seen nine times of ten, and a sentence."""
    n = np.cumsum(each.requests)
    places = _places(each, n, question.min_requests)
    if not len(places):
        return False, (
            f"{int(n[-1]):,} requests are too few: {question.min_requests:,} are needed on each side of a change."
        )
    middle = places[np.abs(n[places - 1] - n[-1] / 2).argmin()]
    n_a, errors = int(n[middle - 1]), int(each.errors.sum())
    n_b = int(n[-1]) - n_a
    base = errors / int(n[-1])
    raised = min(1.0, base + question.difference)
    # The lower end of what nine of ten such windows would hold.
    spread = _NINE_OF_TEN * sqrt(excess * n_b * raised * (1 - raised))
    failed = min(n_b, max(0, floor(n_b * raised - spread)))
    p_value = _test(n_a, round(base * n_a), n_b, failed, excess) * len(places) * question.environments
    rose = failed / n_b > base
    what = f"a rise by {100 * question.difference:g} percentage points in the middle of the frame"
    if rose and p_value <= question.significance:
        return True, f"The 5xx share was {_told(each)} throughout, as far as can be told; {what} would have shown."
    return False, f"The 5xx share was {_told(each)}, too little to tell: {what} could have been missed."


def _side(part: Intervals, name: str, excess: float) -> dict[str, Any]:
    requests, errors = int(part.requests.sum()), int(part.errors.sum())
    observed = Counts(requests, errors)
    low, high = wilson_interval(observed, dispersion=excess)
    return {
        f"requests_{name}": requests,
        f"errors_{name}": errors,
        f"rate_{name}": observed.error_rate,
        f"rate_{name}_low": low,
        f"rate_{name}_high": high,
    }


def _told(part: Intervals) -> str:
    requests, errors = int(part.requests.sum()), int(part.errors.sum())
    return f"{errors / requests:.1%} of {requests:,} requests" if requests else "that of no requests"
