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
_LIKELY_S = 3600.0
"""The longest documented window."""


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
            operation=request.operation,
            status=response.status,
            request_id=response.headers.get("x-request-id"),
        )
    data, error = _read(request, response)
    if error is not None:
        raise error
    return data


def failure(request: Request, response: Response) -> OperationFailed | None:
    """Return what a refusal says, None where the answer is none."""
    error = _read(request, response)[1]
    return error if isinstance(error, OperationFailed) else None


def _read(request: Request, response: Response) -> tuple[Any, OperationFailed | UnexpectedResponse | None]:
    """Return the answer's data, or why there are none: no frame that holds the answer is part of a traceback."""
    body = _json(response)
    refusal = refusal_in(body)
    if response.status >= 400 or refusal is not None:
        return None, _failure(request, response, request.hidden_in(refusal or _shown(response, body)))
    data = _data(body) if is_json(response) else MISSING
    if data is not MISSING:
        return data, None
    said = request.hidden_in(_shown(response, body))
    as_what = "" if is_json(response) else f", sent as {one_line(response.headers['content-type'], limit=60)}"
    return None, UnexpectedResponse(
        f"{request} answered HTTP {response.status} with something that is not a CreateOS answer "
        f"({one_line(said, limit=80) or 'empty'}{as_what}). Check the API URL and any proxy in between.",
        body=said,
        operation=request.operation,
        status=response.status,
        request_id=response.headers.get("x-request-id"),
    )


def is_json(response: Response) -> bool:
    """Whether an answer is said to be JSON, or nothing is said of what it is."""
    return "json" in response.headers.get("content-type", "json").lower()


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


def _shown(response: Response, body: Any) -> str:
    """Return an answer for people; of JSON only what it is, since its values may be secrets."""
    if isinstance(body, str):
        return body[:2000]
    if body is not MISSING:
        return sentence(body) if body else ""
    begins_as_json = response.body[:100].lstrip()[:1] in {b"{", b"["}
    return f"{len(response):,} bytes of no JSON" if begins_as_json else text_of(response.body)


def text_of(body: bytes) -> str:
    """Return the beginning of an answer that is no JSON."""
    return body[:2000].decode("utf-8", "replace")


def refusal_in(body: Any) -> str | None:
    """Return the platform's sentence when the envelope says that it did not happen."""
    if not isinstance(body, dict):
        return None
    if error := body.get("error"):
        return sentence(error)
    # Where two say how it went, both must say that it went well.
    if str(body.get("status")).lower() in {"fail", "failed", "failure", "error"} or _is_false(body.get("success")):
        return sentence(body.get("message") or body.get("data"))
    return None


def _is_false(said: Any) -> bool:
    return said is False or str(said).lower() == "false"


def sentence(said: Any) -> str:
    """Return what the platform says of a failure: a text, or of something else no value, which may be a secret."""
    if isinstance(said, dict):
        texts = (said[name] for name in ("message", "reason", "detail") if isinstance(said.get(name), str))
        return next(filter(None, texts), f"an object with {', '.join(map(str, said)) or 'nothing'}")
    if isinstance(said, list):
        return f"a list of {len(said)}"
    return str(said) if said else "no reason given"


def is_refused(response: Response) -> bool:
    """Whether a failure of the platform's says that nothing was done.

    JSend's ``fail`` is about what was sent. Its ``error``, and whatever else a broken server says, is about the
    server, which may have broken after it had done it.
    """
    if response.status in {501, 505, 507}:
        return True
    body = _json(response)
    return isinstance(body, dict) and body.get("status") == "fail"


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
    became = "failed" if status >= 500 else "was refused"
    message = f"{request.operation} {became} (HTTP {status}): {said}"
    wait_s = retry_after_s(response.headers) if kind is RateLimited else None
    retry_at = None if wait_s is None else datetime.now(UTC) + timedelta(seconds=wait_s)
    again = "" if retry_at is None else f"There is room again at {retry_at:%H:%M:%S} UTC, in {wait_s:.0f} s. "
    error = kind(
        f"{message.rstrip('.')}. {again}{kind.advice}".rstrip(),
        operation=request.operation,
        method=request.method,
        path=request.template,
        status=status,
        detail=detail,
        request_id=response.headers.get("x-request-id"),
    )
    if isinstance(error, RateLimited):
        error.retry_at = retry_at
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
    if moment is not None and date is None:
        # This machine's time is the best there is then, unless what it makes of it is far off.
        seconds = (moment - datetime.now(UTC)).total_seconds()
        return seconds if 0 < seconds <= _LIKELY_S else None
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
