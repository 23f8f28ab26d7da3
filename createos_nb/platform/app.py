"""App: the API as an ASGI application; every declared operation routed to its handler."""

from __future__ import annotations

import json
import logging
import math
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message

from createos_nb.api.operation import OPERATIONS, Operation
from createos_nb.errors import BadRequest, OperationFailed, RateLimited, Unauthorized
from createos_nb.markup import one_line
from createos_nb.platform.answers import failure, success
from createos_nb.platform.archives import MAX_ARCHIVE_BYTES
from createos_nb.platform.guards import REQUEST_ID, Guards
from createos_nb.platform.handlers import HANDLERS
from createos_nb.platform.platform import Context, Platform

REQUESTS_A_MINUTE = 600_000
"""Generous, since this platform is yours alone; the real one documents 100."""

MAX_JSON_BYTES = 24 * 2**20
MAX_FORM_BYTES = MAX_ARCHIVE_BYTES + 2**16
"""An archive, and what a form adds to it."""

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")

_log = logging.getLogger(__name__)


class _Budget:
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


def create_app(platform: Platform, *, requests_a_minute: int = REQUESTS_A_MINUTE) -> Guards:
    """Return the API of a platform.

    Parameters
    ----------
    platform
        What the handlers work on.
    requests_a_minute
        How many requests each key has.
    """
    budget = _Budget(requests_a_minute)
    app = Starlette(
        # A path with fewer parameters first, so that /projects/supported is not taken for a project's id.
        routes=[
            Route(operation.path, _endpoint(operation, platform, budget), methods=[operation.method])
            for operation in sorted(map(OPERATIONS.__getitem__, HANDLERS), key=lambda each: each.path.count("{"))
        ],
        exception_handlers={HTTPException: _not_routed},
    )
    # A path has one spelling; a redirect to another would lead the key astray.
    app.router.redirect_slashes = False
    return Guards(app)


def _endpoint(
    operation: Operation[..., Any], platform: Platform, budget: _Budget
) -> Callable[[Request], Awaitable[Response]]:
    handler = HANDLERS[operation.name]
    created = 201 if operation.method == "POST" and operation.safety == "creates" else 200

    async def endpoint(request: Request) -> Response:
        headers: dict[str, str] = {}
        try:
            identity = _identity(request, platform)
            wait, headers = budget.take(identity[1] if identity else "")
            if wait:
                raise RateLimited.answer(f"All requests of this minute are used up. Wait {wait} s.")
            if identity is None:
                raise Unauthorized.answer("Send exactly one good API key, in the header X-Api-Key.")
            body = await _body(request, operation)
            arguments = operation.receive(request.path_params, request.query_params, body)
            result = await handler(Context(platform, identity[0]), **arguments)
            if operation.safety != "read":
                await platform.store.on_disk()
            return success(operation.answer(result), status=created, headers=headers)
        except OperationFailed as error:
            return failure(error.http_status, error.detail, headers=headers)
        except HTTPException as error:
            return failure(error.status_code, str(error.detail), headers=headers)
        except ClientDisconnect:
            return Response(status_code=499)
        except Exception:  # noqa: BLE001 - whatever a handler does, the client gets an envelope
            request_id = request.scope[REQUEST_ID]
            _log.exception("%s failed (request %s).", operation.name, request_id)
            sentence = f"The platform failed; its log has the reason (request {request_id})."
            return failure(500, sentence, headers=headers)

    return endpoint


def _identity(request: Request, platform: Platform) -> tuple[str, str] | None:
    """Return whose request it is, and the key's id; None without exactly one good key."""
    given = [*request.headers.getlist("x-api-key"), *request.headers.getlist("x-access-token")]
    found = platform.store.user_of_key(given[0]) if len(given) == 1 else None
    return (found[0].id, found[1].id) if found is not None else None


async def _body(request: Request, operation: Operation[..., Any]) -> Any:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if operation.takes == "multipart":
        if kind != "multipart/form-data":
            raise HTTPException(415, "Send the archive as multipart/form-data, in the field file.")
        return await _file(request)
    limited = await _limited(request, MAX_JSON_BYTES)
    if operation.takes is None and not limited:
        return None
    if kind != "application/json":
        raise HTTPException(415, "Send the body as application/json.")
    return _parsed(limited)


def _parsed(body: bytes) -> Any:
    """Return what a JSON text says, unless it could not be said again: as JSON, or in UTF-8."""
    try:
        text = body.decode()
        value = json.loads(text, parse_constant=_number, parse_float=_number)
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise BadRequest.answer("The body is not JSON in UTF-8.") from None
    return value


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


async def _limited(request: Request, limit: int) -> bytes:
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise HTTPException(413, f"The body is larger than {limit // 10**6} MB. Send less.")
        chunks.append(chunk)
    return b"".join(chunks)


async def _file(request: Request) -> bytes:
    whole = await _limited(request, MAX_FORM_BYTES)

    async def replay() -> Message:
        return {"type": "http.request", "body": whole, "more_body": False}

    async with Request(request.scope, replay).form(max_files=1, max_fields=1) as form:
        file = form.get("file")
        if file is None or isinstance(file, str):
            raise BadRequest.answer("The form has no file in the field file.")
        return await file.read()


async def _not_routed(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == 405:
        return failure(405, f"{request.method} is not possible here.")
    return failure(status, f"There is nothing at {one_line(request.url.path)}.")
