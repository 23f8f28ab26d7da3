"""Exchange: decides what to send, whether to send it again, and what the answers mean. No I/O, no clock.

Every function here is a generator that yields `Reserve`, `Request` and `Sleep` and is sent answers;
`createos_nb.api.driver` carries it out, blocking or awaiting. (The idea is httpx's ``Auth.auth_flow``.)
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import ValidationError

from createos_nb.api.envelope import data_of, failure, is_refused, retry_after_s
from createos_nb.api.garbage import held
from createos_nb.api.message import Exchange, Request, Reserve, Response, Sleep, Unanswered
from createos_nb.errors import ConnectionFailed, CreateOSError, OutcomeUnknown, TimedOut, UnexpectedResponse
from createos_nb.markup import one_line

T = TypeVar("T")

ATTEMPTS = 3
_FROM_A_PROXY = frozenset({502, 504})
"""What a proxy answers when the server behind it got the request, and did not answer."""
_LOOK = "Look at the present state before trying again: error.reconcile() reads it back."
PATIENCE_S = 20.0
"""The longest wait that a refused request is worth; beyond it the caller gets `RateLimited(retry_at)`."""


def send(request: Request) -> Exchange[Any]:
    """Send one request, again where repeating cannot do harm, and return the answer's data."""
    return data_of(request, (yield from answered(request)))


def answered(request: Request) -> Exchange[Response]:
    """Send one request, again where repeating cannot do harm, and return the answer that stands."""
    outcome: Response | CreateOSError | None = None
    for attempt in range(1, ATTEMPTS + 1):
        allowed: bool = yield Reserve(request, attempt)
        if not allowed:
            break
        pause_s: float | None = 0.2 * 2 ** (attempt - 1) * random.uniform(1.0, 1.5)
        try:
            response: Response = yield request
        except ConnectionFailed as error:
            # Nothing was sent, so that even a creating operation may be tried again.
            outcome = error
        except Unanswered as error:
            outcome = _unanswered(request, error, attempt)
            if request.safety in {"creates", "destroys"}:
                break
        else:
            outcome, pause_s = response, _worth_waiting(request, response, pause_s or 0.0)
            uncertain = response.status in _FROM_A_PROXY or (response.status >= 500 and not is_refused(response))
            if uncertain and request.safety in {"creates", "destroys"}:
                outcome = _broken(request, response)
        if pause_s is None or attempt == ATTEMPTS or request.costs:
            break
        yield Sleep(pause_s)
    if isinstance(outcome, Response):
        return outcome
    raise outcome or AssertionError("a first attempt always has a place")


def _unanswered(request: Request, error: Unanswered, attempts: int) -> CreateOSError:
    if request.safety == "read":
        times = "1 attempt" if attempts == 1 else f"{attempts} attempts"
        return TimedOut(f"{request} got no answer in {times} ({error}). Try again.")
    return OutcomeUnknown(
        f"{request} was sent, but no answer came back ({error}): it may have happened. {_LOOK}",
        operation=request.operation,
        request=request,
    )


def _broken(request: Request, response: Response) -> OutcomeUnknown:
    """Return the error of a change whose server broke, which may have been before it or after it."""
    said = failure(request, response)
    what = f"HTTP {response.status}: {one_line(said.detail if said else '', limit=200)}".rstrip(": ")
    who = "a proxy in between had no answer" if response.status in _FROM_A_PROXY else "the platform failed"
    return OutcomeUnknown(
        f"{request} was sent, but {who} ({what}): it may have happened. {_LOOK}",
        operation=request.operation,
        request=request,
        status=response.status,
        request_id=response.headers.get("x-request-id"),
    )


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


def call(request: Request, read: Callable[[Request, Response], T]) -> Exchange[T]:
    """Send a request and return what its answer says.

    Raises
    ------
    OutcomeUnknown
        It creates or destroys, and its answer says success but cannot be read.
    """
    response = yield from answered(request)
    try:
        with held(len(response)):
            return read(request, response)
    except UnexpectedResponse as error:
        error.status, error.request_id = response.status, response.headers.get("x-request-id")
        if request.safety not in {"creates", "destroys"} or not 200 <= response.status < 300:
            raise
        raise OutcomeUnknown(
            f"{error} It may have happened. {_LOOK}",
            operation=request.operation,
            request=request,
            status=error.status,
            request_id=error.request_id,
        ) from None


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
        data = None  # A verbose traceback shows it, secrets in clear.
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the answer"
        raise UnexpectedResponse(
            f"{request} answered something else than the API promises: {where}: {first['msg']}. "
            "Is this a newer CreateOS? Update createos-nb.",
            operation=request.operation,
            status=200,
        ) from None
