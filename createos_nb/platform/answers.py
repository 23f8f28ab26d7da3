"""Answers: the envelope that everything goes out in."""

from __future__ import annotations

from email.utils import formatdate
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from createos_nb.platform.clock import Clock


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


def success(data: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return an answer that it was done."""
    return JSONResponse({"status": "success", "data": data}, status, headers)


def failure(status: int, sentence: str, *, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return an answer that it was not done, and why."""
    return JSONResponse({"status": "error" if status >= 500 else "fail", "data": sentence}, status, headers)
