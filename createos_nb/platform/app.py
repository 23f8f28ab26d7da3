"""App: the API as an ASGI application; every declared operation routed to its handler."""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from createos_nb.api.operation import OPERATIONS, Operation
from createos_nb.errors import BadRequest, OperationFailed, RateLimited, Unauthorized
from createos_nb.markup import one_line
from createos_nb.platform.answers import failure, success
from createos_nb.platform.guards import Guards
from createos_nb.platform.handlers import HANDLERS
from createos_nb.platform.platform import Context, Platform

REQUESTS_A_MINUTE = 6000
"""Generous, since this platform is yours alone; the real one documents 100."""

MAX_JSON_BYTES = 24 * 2**20
MAX_ZIP_BYTES = 50 * 2**20

_log = logging.getLogger(__name__)


class _Budget:
    """Counts a key's requests of the last minute."""

    def __init__(self) -> None:
        self._times: dict[str, deque[float]] = {}

    def take(self, key_id: str) -> dict[str, str]:
        """Count one request and return the headers that tell what is left; raise when nothing is."""
        now = time.time()
        times = self._times.setdefault(key_id, deque())
        while times and times[0] <= now - 60:
            times.popleft()
        reset = int((times[0] if times else now) + 60) + 1
        if len(times) >= REQUESTS_A_MINUTE:
            raise RateLimited.answer(f"More than {REQUESTS_A_MINUTE} requests a minute. Wait {reset - int(now)} s.")
        times.append(now)
        return {
            "X-RateLimit-Limit": str(REQUESTS_A_MINUTE),
            "X-RateLimit-Remaining": str(REQUESTS_A_MINUTE - len(times)),
            "X-RateLimit-Reset": str(reset),
        }


def create_app(platform: Platform) -> Guards:
    """Return the API of a platform.

    Parameters
    ----------
    platform
        What the handlers work on.
    """
    budget = _Budget()
    app = Starlette(
        # A path with fewer parameters first, so that /projects/supported is not taken for a project's id.
        routes=[
            Route(operation.path, _endpoint(operation, platform, budget), methods=[operation.method])
            for operation in sorted(OPERATIONS.values(), key=lambda operation: operation.path.count("{"))
        ],
        exception_handlers={HTTPException: _not_routed},
    )
    return Guards(app)


def _endpoint(
    operation: Operation[..., Any], platform: Platform, budget: _Budget
) -> Callable[[Request], Awaitable[Response]]:
    handler = HANDLERS[operation.name]
    created = 201 if operation.method == "POST" and operation.safety == "creates" else 200

    async def endpoint(request: Request) -> Response:
        headers = {"X-Request-Id": secrets.token_hex(8)}
        try:
            user, key = _authenticated(request, platform)
            headers |= budget.take(key)
            body = await _body(request, operation)
            arguments = operation.receive(request.path_params, request.query_params, body)
            result = await handler(Context(platform, user), **arguments)
            return success(operation.answer(result), status=created, headers=headers)
        except OperationFailed as error:
            if isinstance(error, RateLimited):
                headers["Retry-After"] = "60"
            return failure(error.http_status, error.detail, headers=headers)
        except HTTPException as error:
            return failure(error.status_code, str(error.detail), headers=headers)
        except ClientDisconnect:
            return Response(status_code=499)
        except Exception:  # noqa: BLE001 - whatever a handler does, the client gets an envelope
            _log.exception("%s failed (request %s).", operation.name, headers["X-Request-Id"])
            sentence = f"The platform failed; its log has the reason (request {headers['X-Request-Id']})."
            return failure(500, sentence, headers=headers)

    return endpoint


def _authenticated(request: Request, platform: Platform) -> tuple[str, str]:
    given = [*request.headers.getlist("x-api-key"), *request.headers.getlist("x-access-token")]
    if len(given) != 1:
        raise Unauthorized.answer("Send exactly one API key, in the header X-Api-Key.")
    found = platform.store.user_of_key(given[0])
    if found is None:
        raise Unauthorized.answer("The API key is unknown, expired or revoked.")
    user, key = found
    return user.id, key.id


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
    try:
        return json.loads(limited)
    except (ValueError, RecursionError):
        raise BadRequest.answer("The body is not JSON.") from None


async def _limited(request: Request, limit: int) -> bytes:
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise HTTPException(413, f"The body is larger than {limit >> 20} MB. Send less.")
        chunks.append(chunk)
    return b"".join(chunks)


async def _file(request: Request) -> bytes:
    if int(request.headers.get("content-length", "0") or 0) > MAX_ZIP_BYTES + 4096:
        raise HTTPException(413, f"The archive is larger than {MAX_ZIP_BYTES >> 20} MB. Send less.")
    async with request.form(max_files=1, max_fields=1) as form:
        file = form.get("file")
        if file is None or isinstance(file, str):
            raise BadRequest.answer("The form has no file in the field file.")
        data = await file.read(MAX_ZIP_BYTES + 1)
    if len(data) > MAX_ZIP_BYTES:
        raise HTTPException(413, f"The archive is larger than {MAX_ZIP_BYTES >> 20} MB. Send less.")
    return data


async def _not_routed(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == 405:
        return failure(405, f"{request.method} is not possible here.")
    return failure(status, f"There is nothing at {one_line(request.url.path)}.")
