"""Clock: the platform's time, which can be moved so that nobody waits for an hour to pass."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime


class Clock:
    """The time of one platform: this machine's, and what it was moved by. It is as it was after a restart.

    What lasts by itself stays as it is: builds, answers of applications, timeouts of the network.

    Attributes
    ----------
    on_move
        Called with by how much it is ahead, whenever it was moved.
    """

    def __init__(self) -> None:
        self.ahead_s = 0.0
        self.on_move: Callable[[float], None] | None = None
        self._moved = asyncio.Event()

    def time(self) -> float:
        """Return the unix time in seconds."""
        return time.time() + self.ahead_s

    def now(self) -> datetime:
        """Return the time in UTC."""
        return datetime.fromtimestamp(self.time(), UTC)

    def move(self, seconds: float) -> None:
        """Move it on; who sleeps by it wakes when the time has come.

        Parameters
        ----------
        seconds
            By how much; negative for back.
        """
        self.ahead_s += seconds
        if self.on_move is not None:
            self.on_move(self.ahead_s)
        self._moved.set()
        self._moved = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        """Return when that much time has passed, or was skipped."""
        until, ahead_s = self.time() + seconds, self.ahead_s
        while (left := until - self.time()) > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._moved.wait(), left)
            # What has passed has passed: moved back, it does not have to pass again.
            until, ahead_s = until + min(0.0, self.ahead_s - ahead_s), self.ahead_s
