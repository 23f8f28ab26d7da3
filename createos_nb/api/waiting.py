"""Waiting: reads something again and again until it has come to an end. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from createos_nb.api.message import Exchange, Sleep
from createos_nb.errors import TimedOut

T = TypeVar("T")


def until(
    read: Callable[[], Exchange[T]],
    done: Callable[[T], bool],
    *,
    timeout_s: float,
    what: str,
    on_change: Callable[[T], None] | None = None,
) -> Exchange[T]:
    """Read something again and again, ever more slowly, until it is done.

    From 0.5 s between reads, half as long again each time, up to 40 s: at most 35 reads in 15 minutes.

    Raises
    ------
    TimedOut
        It was not done within ``timeout_s`` seconds; the message says how it stood.
    """
    started_s: float = yield Sleep(0)
    now_s, pause_s, before = started_s, 0.5, None
    while True:
        state = yield from read()
        if on_change is not None and state != before:
            on_change(state)
        before = state
        if done(state):
            return state
        left_s = started_s + timeout_s - now_s
        if left_s <= 0:
            raise TimedOut(f"{what} was not reached within {timeout_s:g} s. It goes on: wait again, or look.")
        now_s = yield Sleep(min(pause_s, left_s))
        pause_s = min(pause_s * 1.5, 40.0)
