"""Pace: how a client waits for its places in the budget."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Literal

Lane = Literal["interactive", "background"]
"""Whom a request is for: a person who waits, or work that can."""


@dataclass(frozen=True)
class Pace:
    """How a client waits for its places.

    Attributes
    ----------
    lane
        ``"interactive"``, or ``"background"`` for work that leaves room for a person.
    patience_s
        Seconds to wait for a place at most; beyond it `RateLimited` is raised at once.
    stop
        Once it is set, waits end and nothing more is sent: `GivenUp`.
    """

    lane: Lane = "interactive"
    patience_s: float = 20.0
    stop: threading.Event | None = None
