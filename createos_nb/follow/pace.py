"""Pace: how long to wait between two looks at a log. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from createos_nb.api.budget import BACKGROUND

FASTEST_S, SLOWEST_S = 1.0, 15.0
HORIZON_S = 900.0
"""Seconds over which what is left of the hour's requests is spread: places come back as they grow old."""


def pause_s(*, lines_per_s: float, quiet: int, budget: Mapping[str, Any], followers: int = 1) -> float:
    """Return the seconds to wait before the next look.

    Parameters
    ----------
    lines_per_s
        New lines a second that the last look found.
    quiet
        How many looks in a row found none.
    budget
        As of `createos_nb.api.budget.Budget.state`.
    followers
        Environments that are followed with it.

    Examples
    --------
    >>> full = {name: {"limit": n, "remaining": n} for name, n in (("minute", 100), ("hour", 1000))}
    >>> pause_s(lines_per_s=1000, quiet=0, budget=full), pause_s(lines_per_s=0, quiet=9, budget=full)
    (1.125, 15.0)
    >>> short = full | {"hour": {"limit": 1000, "remaining": 260}}
    >>> round(pause_s(lines_per_s=1000, quiet=0, budget=short))
    15
    """
    wanted = min(2.0 * 1.5**quiet, SLOWEST_S) if quiet else max(FASTEST_S, 2.0 / (1 + lines_per_s / 100))
    affordable = max(_spread(budget["minute"], 30.0), _spread(budget["hour"], HORIZON_S)) * followers
    return max(wanted, affordable)


def _spread(window: Mapping[str, int], over_s: float) -> float:
    left = window["remaining"] - (1 - BACKGROUND) * window["limit"]
    return over_s / max(1.0, left)
