"""Answers: the envelope that everything goes out in."""

from __future__ import annotations

import json
from email.utils import formatdate
from typing import Any

from pydantic import BaseModel
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from createos_nb.api.listing import Page
from createos_nb.api.wire import wire
from createos_nb.platform.clock import Clock

_REMEMBERED = 2048

_written: dict[int, tuple[object, bytes]] = {}
"""Rows of pages as they travel, by the model's identity; a model is held, so that no other takes its place."""


class Dated:
    """Gives every answer its date by the platform's clock, which limits and expiries go by.

    Parameters
    ----------
    app
        What answers.
    clock
        Of the platform.
    """

    def __init__(self, app: ASGIApp, clock: Clock) -> None:
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = formatdate(self._clock.time(), usegmt=True).encode()
                message["headers"] = [*message["headers"], (b"date", date)]
            await send(message)

        await self._app(scope, receive, dated)


def success(data: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return an answer that it was done.

    Parameters
    ----------
    data
        What it came to: models, or plain values.
    status, headers
        Of the answer.
    """
    if isinstance(data, Page):
        rows = b",".join(map(_row, data.data))
        content = b'{"status":"success","data":{"data":[%s],"pagination":%s}}' % (rows, _json(data.pagination))
        return Response(content, status, headers, media_type="application/json")
    return JSONResponse({"status": "success", "data": wire(data)}, status, headers)


def failure(status: int, sentence: str, *, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return an answer that it was not done, and why."""
    return JSONResponse({"status": "error" if status >= 500 else "fail", "data": sentence}, status, headers)


def _row(row: object) -> bytes:
    """Return a row of a page; the same one, which the store keeps, was written before."""
    known = _written.get(id(row))
    if known is not None and known[0] is row:
        return known[1]
    text = _json(row)
    if isinstance(row, BaseModel):
        if len(_written) >= _REMEMBERED:
            _written.clear()
        _written[id(row)] = (row, text)
    return text


def _json(value: object) -> bytes:
    return json.dumps(wire(value), ensure_ascii=False, separators=(",", ":")).encode()
