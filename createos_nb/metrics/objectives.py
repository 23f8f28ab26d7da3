"""Objectives: service level, error budget and how fast it burns.

Source: The Site Reliability Workbook (2018), ch. 2 "Implementing SLOs" for the service level as the share of
requests that were not failed, and ch. 5 "Alerting on SLOs", table 5-8, for the windows and burn rates.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from createos_nb.metrics.intervals import INTERVALS, Intervals, intervals
from createos_nb.metrics.options import share
from createos_nb.schema import BURN_RATES, OBJECTIVES, Row

MIN_COVERED = 0.95
"""Of a window, how much must have rows before it is judged."""

NEEDED: Mapping[str, tuple[str, ...]] = {"objectives": INTERVALS, "burn_rates": INTERVALS}

State = Literal["ok", "cannot tell", "ticket", "page"]


@dataclass(frozen=True)
class BurnRule:
    """A rule that fires when the error budget burns too fast over a long and a short window.

    Attributes
    ----------
    alert
        What it asks for.
    long_s, short_s
        Lengths of the windows, in seconds.
    threshold
        Burn rate that both must exceed; 1 spends exactly the budget.
    """

    alert: Literal["ticket", "page"]
    long_s: int
    short_s: int
    threshold: float


RULES = (
    BurnRule("page", 3600, 300, 14.4),
    BurnRule("page", 6 * 3600, 1800, 6.0),
    BurnRule("ticket", 3 * 86_400, 6 * 3600, 1.0),
)
"""Those of the Workbook: 2 %, 5 % and 10 % of the budget of 30 days, spent in 1 h, 6 h and 3 days."""


@dataclass(frozen=True)
class _Window:
    """What is known of the last so many seconds of a frame."""

    length_s: int
    requests: int
    errors: int
    covered: float
    burn_rate: float | None

    def row(self, name: str) -> Row:
        return {
            f"{name}_window_s": self.length_s,
            f"{name}_requests": self.requests,
            f"{name}_server_errors": self.errors,
            f"{name}_burn_rate": self.burn_rate,
            f"{name}_covered": self.covered,
        }

    def exceeds(self, threshold: float) -> bool | None:
        """Whether it burns faster than that; None when it cannot be told."""
        if self.covered < MIN_COVERED or self.burn_rate is None:
            return None
        return self.burn_rate > threshold

    def told(self, threshold: float) -> str:
        length = _length(self.length_s)
        if self.covered < MIN_COVERED:
            return f"the frame has rows for {self.covered:.0%} of the last {length}"
        if self.burn_rate is None:
            return f"there were no requests in the last {length}"
        beside = "over" if self.burn_rate > threshold else "not over"
        return (
            f"{self.errors:,} of {self.requests:,} requests failed in the last {length}, a burn rate of "
            f"{self.burn_rate:.1f}, {beside} {threshold:g}"
        )


def objectives(over_time: pd.DataFrame, *, objective: float = 0.999) -> pd.DataFrame:
    """Return each environment's service level, its error budget, what is spent of it, and what is to be done.

    Parameters
    ----------
    over_time
        Requests over time; needs ``project``, ``environment``, ``timestamp``, ``requests``, ``status_5xx``,
        ``interval_s`` and ``partial``. See `schema.REQUESTS_OVER_TIME`.
    objective
        Share of requests that must not be answered 5xx, between 0 and 1.

    Returns
    -------
    DataFrame, one row per environment (`schema.OBJECTIVES`)
        ``error_budget`` (requests) is that of the requests in the frame; ``budget_spent`` (share) is above 1
        when the objective is missed over the frame. ``state`` is the most urgent of `burn_rates`.

    Raises
    ------
    InvalidArgument
        The objective is not between 0 and 1.
    FrameError
        A needed column is missing or of another kind.

    Notes
    -----
    The budget is counted in requests, not in minutes, over the time of the frame: a budget for 30 days needs
    a frame of 30 days. Source: The Site Reliability Workbook, ch. 2 and 5.

    Examples
    --------
    >>> from createos_nb import schema
    >>> told = objectives(schema.sample("REQUESTS_OVER_TIME"), objective=0.99)
    >>> told[["service_level", "error_budget", "budget_spent", "state"]].round(3)
       service_level  error_budget  budget_spent        state
    0          0.877          6.73        12.333  cannot tell
    """
    allowed = _allowed(objective)
    return OBJECTIVES.frame(_objective(each, objective, allowed) for each in intervals(over_time))


def burn_rates(over_time: pd.DataFrame, *, objective: float = 0.999) -> pd.DataFrame:
    """Return how fast each environment's error budget burns, by each of the three rules of the SRE Workbook.

    Parameters
    ----------
    over_time
        Requests over time, as for `objectives`; three days of it for all rules.
    objective
        Share of requests that must not be answered 5xx, between 0 and 1.

    Returns
    -------
    DataFrame, three rows per environment (`schema.BURN_RATES`)
        ``state`` is what the rule asks for, ``"ok"`` when one of its windows burns slower, or
        ``"cannot tell"`` when the frame does not span a window that decides, or nothing was asked for in it.

    Raises
    ------
    InvalidArgument
        The objective is not between 0 and 1.
    FrameError
        A needed column is missing or of another kind.

    Notes
    -----
    The burn rate is the 5xx share divided by the share that the objective allows. A rule fires when both of
    its windows, which end with the frame's last whole interval, exceed its threshold: the long one says that
    it matters, the short one that it still goes on. Pages at 14.4 over 1 h and 5 min, and at 6 over 6 h and
    30 min; a ticket at 1 over 3 days and 6 h. A window is judged when rows cover 95 % of it. With few requests a
    single error can exceed any threshold (the Workbook's "Low-Traffic Services"): the counts stand beside the
    rates. Source: The Site Reliability Workbook, ch. 5, table 5-8.

    Examples
    --------
    >>> from createos_nb import schema
    >>> told = burn_rates(schema.sample("REQUESTS_OVER_TIME").head(8), objective=0.99)
    >>> told[["alert", "short_window_s", "short_burn_rate", "short_covered", "state"]].round(2)
        alert  short_window_s  short_burn_rate  short_covered        state
    0    page             300            23.14           1.00  cannot tell
    1    page            1800            15.03           0.27  cannot tell
    2  ticket           21600            15.03           0.02  cannot tell
    """
    allowed = _allowed(objective)
    return BURN_RATES.frame(
        {**each.names, "objective": objective, **row}
        for each in intervals(over_time)
        for row in _burning(each, allowed)
    )


def _allowed(objective: float) -> float:
    return 1 - share("objective", objective, "Write 0.999 for 99.9 %.")


def _objective(each: Intervals, objective: float, allowed: float) -> Row:
    requests, errors = int(each.requests.sum()), int(each.errors.sum())
    state, reason = _most_urgent(list(_burning(each, allowed)))
    return {
        **each.names,
        "start": each.start,
        "end": each.end,
        "objective": objective,
        "requests": requests,
        "server_errors": errors,
        "service_level": 1 - errors / requests if requests else None,
        "error_budget": allowed * requests,
        "budget_spent": errors / (allowed * requests) if requests else None,
        "covered": each.covered,
        "state": state,
        "reason": reason,
    }


def _most_urgent(rows: list[Row]) -> tuple[State, str]:
    urgency: tuple[State, ...] = ("page", "ticket", "cannot tell")
    for state in urgency:
        for row in rows:
            if row["state"] == state:
                return state, str(row["reason"])
    return "ok", "In none of the three rules do both windows burn too fast."


def _burning(each: Intervals, allowed: float) -> Iterator[Row]:
    # Of an interval that is not over it is not known how much it covers: what is judged ends before it.
    whole = np.flatnonzero(~each.partial)
    each = each[: int(whole[-1]) + 1] if len(whole) else each
    for rule in RULES:
        long, short = (_last(each, length_s, allowed) for length_s in (rule.long_s, rule.short_s))
        exceeded = [window.exceeds(rule.threshold) for window in (long, short)]
        # A rule needs both, so that one window that burns slower decides alone.
        state = "ok" if False in exceeded else "cannot tell" if None in exceeded else rule.alert
        deciding = [
            window.told(rule.threshold)
            for window, over in zip((long, short), exceeded, strict=True)
            if (over is False if state == "ok" else over is None if state == "cannot tell" else True)
        ]
        told = ", and ".join(deciding)
        yield {
            "alert": rule.alert,
            "threshold": rule.threshold,
            **long.row("long"),
            **short.row("short"),
            "state": state,
            "reason": f"{told[0].upper()}{told[1:]}.",
        }


def _last(each: Intervals, length_s: int, allowed: float) -> _Window:
    """Return what is known of the last seconds; an interval that begins before them does not count."""
    chosen = each[each.start_us >= each.end_us[-1] - length_s * 1_000_000]
    requests, errors = int(chosen.requests.sum()), int(chosen.errors.sum())
    return _Window(
        length_s,
        requests,
        errors,
        covered=float((chosen.end_us - chosen.start_us).sum() / (length_s * 1_000_000)),
        burn_rate=errors / requests / allowed if requests else None,
    )


def _length(seconds: int) -> str:
    for unit, name in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds % unit == 0 and (seconds > unit or unit < 86_400):
            return f"{seconds // unit} {name}"
    return f"{seconds} s"
