"""Budget: how many requests each key has, and the headers that say so."""

from __future__ import annotations

import math
import time
from collections import Counter


class Budget:
    """Counts each key's requests of the present minute; those without a good key share one budget."""

    def __init__(self, requests_a_minute: int) -> None:
        self._limit = requests_a_minute
        self._minute = 0
        self._counts: Counter[str] = Counter()

    def take(self, key_id: str) -> tuple[int, dict[str, str]]:
        """Count a request; return how many seconds it must wait, 0 for none, and the headers that say so."""
        now = time.time()
        if now // 60 != self._minute:
            self._minute = int(now // 60)
            self._counts.clear()
        self._counts[key_id] += 1
        left = self._limit - self._counts[key_id]
        reset = (self._minute + 1) * 60
        headers = {
            "X-RateLimit-Limit": str(self._limit),
            "X-RateLimit-Remaining": str(max(0, left)),
            "X-RateLimit-Reset": str(reset),
        }
        if left >= 0:
            return 0, headers
        wait = math.ceil(reset - now)
        return wait, headers | {"Retry-After": str(wait)}
