"""Transitions: when a state ends, at once, after a time, or by hand, so that what is brief can be looked at."""

from __future__ import annotations

import asyncio
from typing import Literal

from createos_nb.platform.clock import Clock

Noun = Literal["deployment", "environment"]
Mode = Literal["at once", "timed", "by hand"]

STATES: dict[str, frozenset[str]] = {
    "deployment": frozenset({"queue", "building", "deploying"}),
    "environment": frozenset({"promoting", "resizing", "updating"}),
}
"""The states that can be held, by noun."""


class Transitions:
    """How long things stay in a state after its work is done; rules end with the platform.

    Parameters
    ----------
    clock
        Of the platform; timed states end sooner when it is moved.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rules: dict[tuple[str, str], float | None] = {}
        self._held: dict[tuple[str, str], list[asyncio.Event]] = {}

    def set(self, noun: Noun, status: str, mode: Mode, seconds: float = 0.0) -> None:
        """Set when a state ends; those that were held by hand end when it no longer is.

        Parameters
        ----------
        noun, status
            One of `STATES`.
        mode
            ``"at once"`` when its work is done, ``"timed"`` some seconds later, ``"by hand"`` with `advance`.
        seconds
            Of the platform's clock, for ``"timed"``.
        """
        if mode == "at once":
            self._rules.pop((noun, status), None)
        else:
            self._rules[noun, status] = seconds if mode == "timed" else None
        if mode != "by hand":
            self.advance(noun, status)

    def advance(self, noun: Noun, status: str) -> int:
        """End a state for all that are held in it now; return how many."""
        held = self._held.pop((noun, status), [])
        for event in held:
            event.set()
        return len(held)

    async def leave(self, noun: Noun, status: str) -> None:
        """Return when a state may be left, whose work is done."""
        if (noun, status) not in self._rules:
            return
        seconds = self._rules[noun, status]
        if seconds is not None:
            await self._clock.sleep(seconds)
            return
        event = asyncio.Event()
        self._held.setdefault((noun, status), []).append(event)
        await event.wait()
