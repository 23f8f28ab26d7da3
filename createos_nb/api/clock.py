"""Clock: what time it is on the platform, as far as its answers tell."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from createos_nb.api.envelope import served_at
from createos_nb.api.message import Response

NOTICED_S = 5.0
"""A smaller difference is not told from the whole seconds of the header and the time an answer is under way."""

_LEARNS_EVERY_S = 60.0


class PlatformClock:
    """The platform's clock: this machine's, put right by the ``Date`` of the platform's answers.

    A window of the last 15 minutes would be an empty one on a machine whose clock is an hour ahead.
    """

    def __init__(self) -> None:
        self._offset_s = 0.0
        self._learnt_s = float("-inf")

    def learn(self, response: Response) -> None:
        """Take in when an answer was given; once a minute is enough."""
        now_s = time.monotonic()
        if now_s - self._learnt_s < _LEARNS_EVERY_S:
            return
        at = served_at(response)
        if at is not None:
            offset_s = at.timestamp() - time.time()
            self._offset_s = offset_s if abs(offset_s) > NOTICED_S else 0.0
            self._learnt_s = now_s

    @property
    def offset_s(self) -> float:
        """Seconds that the platform's clock is ahead of this machine's; 0 while that is not known."""
        return self._offset_s

    def now(self) -> datetime:
        """Return the present, aware UTC."""
        return datetime.now(UTC) + timedelta(seconds=self._offset_s)
