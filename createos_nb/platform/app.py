"""App: the API as an ASGI application; every declared operation routed to its handler."""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message

from createos_nb.api.operation import OPERATIONS, Operation
from createos_nb.api.parameter import Received
from createos_nb.errors import BadRequest
from createos_nb.markup import one_line
from createos_nb.platform import admin, downloads, users
from createos_nb.platform.answers import failure
from createos_nb.platform.archives import MAX_ARCHIVE_BYTES
from createos_nb.platform.budget import RATE_LIMITS, Budget, Limits
from createos_nb.platform.calls import Calls
from createos_nb.platform.guards import Guards
from createos_nb.platform.handlers import HANDLERS
from createos_nb.platform.mcp import McpEndpoint
from createos_nb.platform.platform import Platform
from createos_nb.platform.scenarios import LOAD

MAX_JSON_BYTES = 24 * 2**20
MAX_FORM_BYTES = MAX_ARCHIVE_BYTES + 2**16
"""An archive, and what a form adds to it."""

_Endpoint = Callable[[Request], Awaitable[Response]]
_OWN: tuple[Operation[..., Any], ...] = (LOAD, users.ADD, *admin.LOCAL)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def create_app(platform: Platform, *, limits: Limits = RATE_LIMITS["generous"]) -> Guards:
    """Return the API of a platform.

    Parameters
    ----------
    platform
        What the handlers work on.
    limits
        How many requests each key has.
    """
    calls = Calls(platform, Budget(limits, platform.clock.time))
    app = Starlette(
        routes=[
            Route("/mcp", McpEndpoint(calls)),
            Route("/openapi.json", _described(calls)),
            Route(downloads.PATH, platform.downloads.answer, methods=["GET"]),
            *_routes([*map(OPERATIONS.__getitem__, HANDLERS), *_OWN], calls),
        ],
        exception_handlers={HTTPException: _not_routed},
    )
    # A path has one spelling; a redirect to another would lead the key astray.
    app.router.redirect_slashes = False
    return Guards(app, calls.announced)


def _described(calls: Calls) -> _Endpoint:
    """Return the endpoint of the API's own description, which is made when it is first asked for."""
    made: list[dict[str, Any]] = []

    async def endpoint(request: Request) -> Response:
        if (refusal := calls.refusal(request.headers)) is not None:
            return refusal
        if not made:
            from createos_nb.platform.openapi import document

            served = [OPERATIONS[name] for name in HANDLERS]
            made.append(await asyncio.to_thread(document, served))
        return JSONResponse(made[0])

    return endpoint


def _routes(operations: list[Operation[..., Any]], calls: Calls) -> list[Route]:
    """Return one route a path, so that each knows all that is possible there."""
    endpoints: dict[str, dict[str, _Endpoint]] = {}
    for operation in operations:
        endpoints.setdefault(operation.path, {})[operation.method] = _endpoint(operation, calls)
    # A path with fewer parameters first, so that /projects/supported is not taken for a project's id.
    return [
        Route(path, _by_method(endpoints[path]), methods=list(endpoints[path]))
        for path in sorted(endpoints, key=lambda path: path.count("{"))
    ]


def _by_method(endpoints: dict[str, _Endpoint]) -> _Endpoint:
    async def endpoint(request: Request) -> Response:
        # What answers GET answers HEAD too.
        return await endpoints["GET" if request.method == "HEAD" else request.method](request)

    return endpoint


def _endpoint(operation: Operation[..., Any], calls: Calls) -> _Endpoint:
    async def endpoint(request: Request) -> Response:
        async def arguments() -> Received:
            body = await _body(request, operation)
            return operation.receive(request.path_params, request.query_params, body)

        try:
            return await calls.answer(operation, request, arguments)
        except ClientDisconnect:
            return Response(status_code=499)

    return endpoint


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
        allowed = error.headers if isinstance(error, HTTPException) else None
        return failure(405, f"{request.method} is not possible here.", headers=dict(allowed or {}))
    return failure(status, f"There is nothing at {one_line(request.url.path)}.")
