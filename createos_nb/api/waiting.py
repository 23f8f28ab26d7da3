"""Waiting: reads something again and again until it has come to an end. No I/O, no clock."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from createos_nb.api.message import Exchange, Reserve, Sleep
from createos_nb.api.progress import bar
from createos_nb.errors import (
    ConnectionFailed,
    CreateOSError,
    InvalidArgument,
    NotFound,
    RateLimited,
    ServerError,
    TimedOut,
    Unauthorized,
    UnexpectedResponse,
    WaitFailed,
)

T = TypeVar("T")

_ODD_ANSWERS = 3
_OWN_PAUSES_S = 1.0
"""What `createos_nb.api.exchange` waits for by itself is shorter; longer is what the platform asked for."""
OUTAGE_S = 120.0
"""How long a wait outlives a platform that does not answer."""


def until(
    read: Callable[[], Exchange[T]],
    done: Callable[[T], bool],
    *,
    timeout_s: float,
    what: str,
    on_change: Callable[[T], None] | None = None,
    progress: bool = False,
) -> Exchange[T]:
    """Read something again and again, ever more slowly, until it is done.

    Parameters
    ----------
    read
        Begins a read.
    done
        Whether that is what was waited for; raises when it has come to another end.
    timeout_s
        Seconds to wait.
    what
        Is waited for, as the beginning of a sentence.
    on_change
        Called with the first state, and with every other one.
    progress
        Whether to show the state and the time, if anybody watches.

    Raises
    ------
    WaitFailed
        It was there and is gone: the outcome is ``"vanished"``. Whatever ``done`` raises goes through.
    Unauthorized
        The key was refused; what was waited for goes on.
    TimedOut
        It was not done within ``timeout_s`` seconds.

    Notes
    -----
    From 0.1 s between reads, 1.7 times as long each time, up to 40 s: at most 35 reads in 15 minutes. An
    outage of up to two minutes is waited out.
    """
    _check(timeout_s)
    if inspect.iscoroutinefunction(on_change):
        raise InvalidArgument("on_change is refused: it is called and not awaited, so it must be a plain function.")
    with bar(what, shown=progress, bar_format="{desc}, {elapsed}") as shown:

        def tell(state: T) -> None:
            status = getattr(state, "status", None)
            shown.set_description_str(f"{what}: {status}" if status else what)
            if on_change is not None:
                on_change(state)

        tick = None if shown.disable else shown.refresh
        return (yield from _until(read, done, timeout_s=timeout_s, what=what, tell=tell, tick=tick))


def _check(timeout_s: float) -> None:
    """Refuse a time to wait for that is none."""
    if not isinstance(timeout_s, int | float) or isinstance(timeout_s, bool) or not timeout_s >= 0:
        raise InvalidArgument(f"timeout_s={timeout_s!r} is refused: it must be a number of seconds, 0 or more.")


def _until(
    read: Callable[[], Exchange[T]],
    done: Callable[[T], bool],
    *,
    timeout_s: float,
    what: str,
    tell: Callable[[T], None],
    tick: Callable[[], object] | None,
) -> Exchange[T]:
    started_s: float = yield Sleep(0)
    now_s, pause_s, answered_s = started_s, 0.1, started_s
    before: T | None = None
    odd = 0
    while True:
        try:
            state = yield from _within(read(), now_s, started_s + timeout_s)
        except _NoTimeLeft as error:
            raise _late(what, timeout_s, error, known=before is not None) from None
        except (ConnectionFailed, ServerError, RateLimited, UnexpectedResponse) as error:
            # A page of a proxy in between goes away again; what is no CreateOS stays so.
            odd = odd + 1 if isinstance(error, UnexpectedResponse) else odd
            now_s = yield Sleep(0)
            if now_s - answered_s > OUTAGE_S or odd > _ODD_ANSWERS:
                raise
            if now_s - started_s >= timeout_s:
                raise _late(what, timeout_s, error, known=before is not None) from None
        except Unauthorized as error:
            raise _resumable(error) from None
        except NotFound as error:
            if before is None:
                raise
            raise WaitFailed(
                f"{what} will not come: it was deleted meanwhile. {error}", outcome="vanished", last=before
            ) from None
        else:
            if state != before:
                tell(state)
            before = state
            if done(state):
                return state
            answered_s, odd = now_s, 0
        left_s = started_s + timeout_s - now_s
        if left_s <= 0:
            raise _late(what, timeout_s)
        now_s = yield from _pause(min(pause_s, left_s), tick)
        pause_s = min(pause_s * 1.7, 40.0)


def _pause(seconds: float, tick: Callable[[], object] | None) -> Exchange[float]:
    """Let time pass, with a tick each second for whoever watches, and return the time then."""
    while tick is not None and seconds > 1:
        yield Sleep(1)
        tick()
        seconds -= 1
    now_s: float = yield Sleep(seconds)
    return now_s


class _NoTimeLeft(Exception):
    """There is nothing more to be learnt before the wait ends; it says what there was to learn."""


def _late(what: str, timeout_s: float, error: Exception | None = None, *, known: bool = True) -> TimedOut:
    because = f" ({str(error).rstrip('.')})" if error is not None else ""
    now = "It goes on: wait again, or look" if known else "Nothing could be read of it; what was begun goes on"
    return TimedOut(f"{what} was not reached within {timeout_s:g} s{because}. {now}.")


def _within(exchange: Exchange[T], now_s: float, until_s: float) -> Exchange[T]:
    """Carry an exchange out that is not to wait beyond a time, neither for the budget nor for the platform.

    It waits for the budget as long as there is time, and tries nothing again once there is none.

    Raises
    ------
    _NoTimeLeft
        It failed, and would be tried again only when the time is over.
    """
    beyond_s: float | None = None
    try:
        step = next(exchange)
        while True:
            if isinstance(step, Reserve):
                if step.attempt > 1:
                    now_s = max(now_s, (yield Sleep(0)))
                    if now_s >= until_s:
                        step = exchange.send(False)  # noqa: FBT003 - the answer to a Reserve
                        continue
                step = replace(step, patience_s=max(0.0, until_s - now_s))
            if isinstance(step, Sleep) and step.seconds > until_s - now_s:
                # No time passes: what was to be tried again then is refused, and says why it would have been.
                beyond_s, now_s = step.seconds, until_s
                step = exchange.send(until_s)
                continue
            try:
                answer = yield step
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the exchange's
                step = exchange.throw(error)
            else:
                step = exchange.send(answer)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return] # StopIteration carries the generator's value
    except CreateOSError as error:
        if beyond_s is None:
            raise
        later = f"; it is not to be asked again before {beyond_s:.2g} s" if beyond_s >= _OWN_PAUSES_S else ""
        raise _NoTimeLeft(f"{str(error).rstrip('.')}{later}") from None
    finally:
        exchange.close()


def _resumable(error: Unauthorized) -> Unauthorized:
    return Unauthorized(
        f"{error} What was waited for goes on: wait again with a good key and the same ids.",
        operation=error.operation,
        method=error.method,
        path=error.path,
        status=error.status,
        detail=error.detail,
        request_id=error.request_id,
    )
