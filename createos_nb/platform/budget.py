"""Budget: how many requests each key has, and the headers that say so."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Limits:
    """What a key may ask for; None for as much as it likes."""

    requests_a_minute: int
    requests_an_hour: int | None = None
    uploads_a_minute: int | None = None


RATE_LIMITS: Mapping[str, Limits] = MappingProxyType(
    {"generous": Limits(600_000), "documented": Limits(100, 1_000, 10)}
)
"""What ``createos-nb local up --rate-limit`` takes; `documented` are those of the real platform."""


class Budget:
    """Counts each key's requests in whole minutes and hours; those without a good key share one budget.

    Parameters
    ----------
    limits
        What each key has.
    clock
        The unix time in seconds.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.time) -> None:
        self._limits = limits
        self._clock = clock
        self._counts: dict[tuple[str, int], tuple[int, Counter[str]]] = {}

    def take(self, key_id: str, *, upload: bool = False) -> tuple[int, dict[str, str]]:
        """Count a request; return how many seconds it must wait, 0 for none, and the headers that say so.

        The headers tell of the minute, as the platform's do; ``Retry-After`` of whatever has to be waited for.
        A request that must wait does not count.
        """
        now = self._clock()
        limits = self._limits
        windows = [("requests", 60, limits.requests_a_minute), ("requests", 3600, limits.requests_an_hour)]
        if upload:
            windows.append(("uploads", 60, limits.uploads_a_minute))
        limited = [
            (self._counts_of(what, seconds, now), seconds, limit)
            for what, seconds, limit in windows
            if limit is not None
        ]
        waits = [seconds - now % seconds for counts, seconds, limit in limited if counts[key_id] >= limit]
        if not waits:
            for counts, _, _ in limited:
                counts[key_id] += 1
        headers = self.left(key_id)
        if not waits:
            return 0, headers
        wait = math.ceil(max(waits))
        return wait, headers | {"Retry-After": str(wait)}

    def used_up(self, key_id: str) -> str:
        """Return what a key that must wait has had all of, its requests or only its uploads."""
        now, limits = self._clock(), self._limits
        had = [
            (self._counts_of("requests", seconds, now)[key_id], limit)
            for seconds, limit in ((60, limits.requests_a_minute), (3600, limits.requests_an_hour))
        ]
        return "requests" if any(limit is not None and count >= limit for count, limit in had) else "uploads"

    def left(self, key_id: str) -> dict[str, str]:
        """Return the headers that say how many requests a key has left of this minute."""
        now, limit = self._clock(), self._limits.requests_a_minute
        return {
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(limit - self._counts_of("requests", 60, now)[key_id]),
            "X-RateLimit-Reset": str(int(now // 60 + 1) * 60),
        }

    def _counts_of(self, what: str, seconds: int, now: float) -> Counter[str]:
        """Return what each key has had of the present window."""
        window = int(now // seconds)
        began, counts = self._counts.get((what, seconds), (window, Counter()))
        if began != window:
            counts = Counter()
        self._counts[what, seconds] = (window, counts)
        return counts
