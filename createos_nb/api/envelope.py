"""Envelope: from an HTTP answer to its data, or to one typed error.

CreateOS wraps answers as JSend, ``{"status": "success", "data": …}``, and says ``fail`` or ``error`` also
with HTTP 200. Other shapes were seen: ``{"success": …}`` and ``{"error": {"code", "message"}}``. Whatever
fits none of them is an error here, never a default value.
"""

from __future__ import annotations

import email.utils
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from createos_nb.api.message import Request, Response
from createos_nb.errors import (
    BY_STATUS,
    OperationFailed,
    RateLimited,
    Rejected,
    ServerError,
    UnexpectedResponse,
)
from createos_nb.markup import one_line

MISSING = object()
"""In place of data that is not there; data may be anything else."""

_LONGEST_WAIT_S = 24 * 3600.0


def data_of(request: Request, response: Response) -> Any:
    """Return the answer's data.

    Raises
    ------
    OperationFailed
        The platform said no, by HTTP status or in the envelope.
    UnexpectedResponse
        It is not an envelope at all: HTML, empty, truncated, or another shape.
    """
    if 300 <= response.status < 400:
        raise UnexpectedResponse(
            f"{request} was redirected to {_target(response)}; the key was not sent there. Check the API URL.",
        )
    body = _json(response)
    refused = response.status >= 400 or refusal_in(body) is not None
    if refused:
        said = request.hidden_in(refusal_in(body) or _text(response))
        body = None  # A verbose traceback shows it, what was sent in clear.
        raise _failure(request, response, said)
    data = _data(body)
    if data is MISSING:
        said = request.hidden_in(_text(response))
        body = None
        raise UnexpectedResponse(
            f"{request} answered HTTP {response.status} with something that is not a CreateOS answer "
            f"({one_line(said, limit=80) or 'empty'}). Check the API URL and any proxy in between.",
            body=said,
        )
    return data


def _target(response: Response) -> str:
    """Return where a redirect leads, without the user and the password that may stand in it."""
    return one_line(re.sub(r"//[^/?#]*@", "//…@", response.headers.get("location", "nowhere")))


def _json(response: Response) -> Any:
    try:
        return json.loads(response.body, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        return MISSING


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object's members; one with the same name twice could say both fail and success."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("the same name twice")
    return members


def _text(response: Response) -> str:
    return response.body[:2000].decode("utf-8", "replace")


def refusal_in(body: Any) -> str | None:
    """Return the platform's sentence when the envelope says that it did not happen."""
    if not isinstance(body, dict):
        return None
    error = body.get("error")
    if error and "data" not in body:
        return str(error.get("message", error)) if isinstance(error, dict) else str(error)
    if body.get("status") in ("fail", "error") or body.get("success") is False:
        said = body.get("data") or body.get("message") or "no reason given"
        return said if isinstance(said, str) else json.dumps(said)
    return None


def _data(body: Any) -> Any:
    if not isinstance(body, dict) or "data" not in body:
        return MISSING
    return body["data"] if body.get("status") == "success" or body.get("success") is True else MISSING


def data_in(body: Mapping[str, Any]) -> Any:
    """Return the data of an envelope that says nothing but success, `MISSING` for any other."""
    return _data(body) if refusal_in(body) is None else MISSING


def _failure(request: Request, response: Response, detail: str) -> OperationFailed:
    status = response.status
    default = Rejected if status < 400 else ServerError if status >= 500 else OperationFailed
    kind = BY_STATUS.get(status, default)
    said = one_line(detail, limit=300) or f"HTTP {status}"
    message = f"{request.operation} was refused (HTTP {status}): {said}"
    error = kind(
        f"{message.rstrip('.')}. {kind.advice}".rstrip(),
        operation=request.operation,
        method=request.method,
        path=request.template,
        status=status,
        detail=detail,
        request_id=response.headers.get("x-request-id"),
    )
    if isinstance(error, RateLimited):
        wait = retry_after_s(response.headers)
        error.retry_at = None if wait is None else datetime.now(UTC) + timedelta(seconds=wait)
    return error


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return how long the platform asks to wait, in seconds, or None when it does not say so usably.

    Reads ``Retry-After`` (seconds, or a date taken relative to the answer's own ``Date``), then
    ``X-RateLimit-Reset`` (a unix second, likewise), so that a wrong local clock does no harm.
    """
    date = _date(headers.get("date"))
    asked = headers.get("retry-after", "").strip()
    moment = _date(asked)
    reset = _number(headers.get("x-ratelimit-reset"))
    if (seconds := _number(asked)) is not None:
        return _bounded(seconds)
    if moment is not None and date is not None:
        return _bounded((moment - date).total_seconds())
    if reset is not None and date is not None:
        return _bounded(reset - date.timestamp())
    return None


def served_at(response: Response) -> datetime | None:
    """Return when an answer was given, by the server's own clock; None when it does not say."""
    return _date(response.headers.get("date"))


@dataclass(frozen=True)
class Announced:
    """What an answer says of the budget: its size, what is left of it, and how long its window may still be."""

    limit: int
    remaining: int | None
    window_s: float


def announced(headers: Mapping[str, str]) -> Announced | None:
    """Return what ``X-RateLimit-*`` says, None when it says nothing that could be true.

    ``X-RateLimit-Reset`` is a second of the server's clock, so it is read relative to the answer's ``Date``;
    without one that can be used, the window is taken for the minute.
    """
    limit, remaining = _number(headers.get("x-ratelimit-limit")), _number(headers.get("x-ratelimit-remaining"))
    if limit is None or not 1 <= limit <= 10**9:
        return None
    reset, date = _number(headers.get("x-ratelimit-reset")), _date(headers.get("date"))
    window_s = 0.0 if reset is None or date is None else reset - date.timestamp()
    left = int(remaining) if remaining is not None and 0 <= remaining <= limit else None
    return Announced(int(limit), left, window_s if 0 < window_s <= 86_400 else 0.0)


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), _LONGEST_WAIT_S)


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _date(text: str | None) -> datetime | None:
    try:
        moment = email.utils.parsedate_to_datetime(text or "")
    except (ValueError, IndexError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
