"""Exchange: decides what to send, whether to send it again, and what the answers mean. No I/O, no clock.

Every function here is a generator that yields `Request` and `Sleep` and is sent answers; `createos_nb.api.rest`
carries it out, blocking or awaiting. (The idea is httpx's ``Auth.auth_flow``.)
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from pydantic import ValidationError

from createos_nb.api.envelope import data_of, retry_after_s
from createos_nb.api.listing import Listing, Page
from createos_nb.api.message import Exchange, Request, Response, Sleep, Unanswered
from createos_nb.errors import ConnectionFailed, OutcomeUnknown, TimedOut, UnexpectedResponse

T = TypeVar("T")

ATTEMPTS = 3
PATIENCE_S = 20.0
"""The longest wait that a refused request is worth; beyond it the caller gets `RateLimited(retry_at)`."""


MOST_PAGES = 1000
"""Requests that one list may cost: the hour's budget of a key."""

MOST_REWINDS = 20
"""Times that a list is read again from further back before it is taken for one that cannot be read whole."""


def send(request: Request) -> Exchange[Any]:
    """Send one request, again where repeating cannot do harm, and return the answer's data."""
    for attempt in range(1, ATTEMPTS + 1):
        last = attempt == ATTEMPTS
        pause_s = 0.2 * 2 ** (attempt - 1) * random.uniform(1.0, 1.5)
        try:
            response: Response = yield request
        except ConnectionFailed:
            # Nothing was sent, so that even a creating operation may be tried again.
            if last:
                raise
        except Unanswered as error:
            if request.safety in {"creates", "destroys"} or (last and request.safety != "read"):
                raise OutcomeUnknown(
                    f"{request} was sent, but no answer came back ({error}): it may have happened. "
                    "Look at the present state before trying again.",
                    operation=request.operation,
                ) from None
            if last:
                raise TimedOut(f"{request} got no answer in {ATTEMPTS} attempts ({error}). Try again.") from None
        else:
            wait_s = _worth_waiting(request, response, pause_s)
            if wait_s is None or last:
                return data_of(request, response)
            pause_s = wait_s
        yield Sleep(pause_s)
    raise AssertionError("the last attempt returns or raises")


def _worth_waiting(request: Request, response: Response, pause_s: float) -> float | None:
    """Return how long to wait before the same request once more, None when its answer stands."""
    refused = response.status == 429
    ailing = response.status in {502, 503, 504} and request.safety in {"read", "idempotent"}
    if not refused and not ailing:
        return None
    asked_s = retry_after_s(response.headers)
    if refused and asked_s is None:
        return None
    wait_s = max(asked_s or 0.0, pause_s)
    return wait_s if wait_s <= PATIENCE_S else None


def call(request: Request, parse: Callable[[Any], T]) -> Exchange[T]:
    """Send a request and return what its answer says, as the declared type."""
    data = yield from send(request)
    return parsed(request, parse, data)


def parsed(request: Request, parse: Callable[[Any], T], data: Any) -> T:
    """Read an answer's data as the declared type.

    Raises
    ------
    UnexpectedResponse
        It does not fit; the message names the field, never its value.
    """
    try:
        return parse(data)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the answer"
        raise UnexpectedResponse(
            f"{request} answered something else than the API promises: {where}: {first['msg']}. "
            "Is this a newer CreateOS? Update createos-nb."
        ) from None


Key = Callable[[Any], object]


def pages(
    page: Callable[[int, int], Request],
    parse: Callable[[Any], Iterable[T]],
    *,
    page_size: int,
    max_rows: int | None,
    key: Key,
) -> Exchange[Listing[T]]:
    """Follow a paged list to its end, or to ``max_rows``.

    A list that changes while it is read shifts under its offsets. Each page therefore overlaps the one
    before by a few rows: when the first row of a page was not seen before, rows went missing in between, and
    it is read again from ever further back. A listing that cannot be made whole says ``complete=False``.

    Parameters
    ----------
    page
        Makes the request of one page from its limit and offset.
    parse
        Reads the rows of one page.
    page_size
        Rows a request, 1 to the platform's maximum.
    max_rows
        Rows at most; None for all.
    key
        What makes a row the same row, such as its id.
    """
    page_size = max(page_size, 2)  # a page of one row cannot overlap the one before
    seen: dict[object, T] = {}
    total: int | None = None
    offset, overlap, furthest = 0, min(2, page_size - 1), 0
    back, rewinds = page_size, 0
    for _ in range(MOST_PAGES):
        body = parsed(request := page(page_size, offset), Page.model_validate, (yield from send(request)))
        rows = list(parsed(request, parse, body.data))
        total = body.pagination.total
        if offset > 0 and not (rows and key(rows[0]) in seen):
            rewinds += 1
            if rewinds > MOST_REWINDS:
                break
            furthest = max(furthest, offset)
            overlap = max(overlap, min(overlap * 2, page_size // 2))
            offset, back = max(0, offset - back), back * 2
            continue
        back = page_size
        fresh = {key(row): row for row in rows if key(row) not in seen}
        seen.update(fresh)
        if max_rows is not None and len(seen) >= max_rows:
            whole = len(seen) == max_rows and total is not None and total <= max_rows
            return Listing(list(seen.values())[:max_rows], complete=whole, total=total)
        if total is None:
            ended = not fresh and offset >= furthest
        else:
            ended = len(rows) < page_size and offset + len(rows) >= total
        if ended or (not fresh and offset >= furthest):
            # A server that ignores `offset` sends known rows for ever; it ends here, and is said to be short.
            complete = ended and len(rows) < page_size and (total is None or len(seen) >= total)
            return Listing(list(seen.values()), complete=complete, total=total)
        offset += max(0, len(rows) - overlap)
    return Listing(list(seen.values()), complete=False, total=total)


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
