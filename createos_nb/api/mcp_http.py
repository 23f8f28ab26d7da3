"""MCP over HTTP: the HTTP client below the SDK, which notes what became of each request.

The SDK turns what happens below it into errors of its own: a refused key becomes a group of exceptions, a
connection that breaks takes the whole session with it. So each call carries a note, in a context variable
that the SDK hands on to the task that speaks HTTP; this client writes there what really happened, and gives
the SDK an answer it can live with.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Generator, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import httpx2

from createos_nb.settings import Settings

MAX_BODY_BYTES = 80 * 1024 * 1024
_NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)


@dataclass
class Note:
    """What became of the HTTP request behind a call."""

    handshake: bool = False
    unsent: str = ""
    unanswered: str = ""
    begun: bool = False
    in_session: bool = False
    events: bool = False
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)

    @property
    def hopeless(self) -> bool:
        """Whether the next request of a handshake would fare no better."""
        return bool(self.unsent or self.unanswered or self.status in {401, 403, 429} or self.status >= 500)


NOTE: ContextVar[Note | None] = ContextVar("createos_nb.mcp", default=None)


def _of_others(_record: logging.LogRecord) -> bool:
    """Let the SDK's log lines pass unless they are of our calls: they hold arguments and answers in clear."""
    return NOTE.get() is None


for _name in ("client.streamable_http", "client.client", "client.session", "shared.jsonrpc_dispatcher"):
    logging.getLogger(f"mcp.{_name}").addFilter(_of_others)


class Key(httpx2.Auth):
    """Puts the key into each request on its way out; nowhere else is it in clear."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Sign a request."""
        if self._settings.header == "X-Api-Key":
            request.headers["X-Api-Key"] = self._settings.credential.reveal()
        else:
            request.headers["Authorization"] = f"Bearer {self._settings.credential.reveal()}"
        yield request


class _Events(httpx2.AsyncByteStream):
    """A stream of events that ends quietly when it breaks; its note says that it did."""

    def __init__(self, stream: httpx2.AsyncByteStream, note: Note) -> None:
        self._stream = stream
        self._note = note

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._stream:
                yield chunk
        except httpx2.TransportError as error:
            self._note.unanswered = type(error).__name__

    async def aclose(self) -> None:
        await self._stream.aclose()


class Http(httpx2.AsyncClient):
    """Speaks HTTP for the SDK: takes notes, follows no redirect, and raises nothing of the network."""

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Send one request of the SDK's and note what becomes of it."""
        note = NOTE.get()
        if request.method == "GET" or note is None or (note.handshake and note.hopeless):
            # No stream for what a server may want to say by itself, or again.
            return httpx2.Response(405, request=request)
        if request.method != "POST":
            with suppress(httpx2.HTTPError):
                return await super().send(request, **options)
            return httpx2.Response(500, request=request)
        note.begun, note.in_session = True, "mcp-session-id" in request.headers
        try:
            answer = await super().send(request, **options)
            return await self._noted(answer, note)
        except _NOT_SENT as error:
            note.unsent = type(error).__name__
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            note.unanswered = type(error).__name__
        return httpx2.Response(500, request=request)

    async def _noted(self, answer: httpx2.Response, note: Note) -> httpx2.Response:
        note.status = answer.status_code
        note.headers = {name.lower(): value for name, value in answer.headers.items()}
        kind = answer.headers.get("content-type", "").lower()
        if answer.status_code == 200 and kind.startswith("text/event-stream"):
            assert isinstance(answer.stream, httpx2.AsyncByteStream)
            note.events = True
            answer.stream = _Events(answer.stream, note)
            return answer
        try:
            chunks, size = [], 0
            async for chunk in answer.aiter_bytes():
                chunks.append(chunk)
                size += len(chunk)
                if size > MAX_BODY_BYTES:
                    note.unanswered = f"it is longer than {MAX_BODY_BYTES >> 20} MB"
                    return httpx2.Response(500, request=answer.request)
        finally:
            await answer.aclose()
        note.body = b"".join(chunks)
        status = 500 if 300 <= answer.status_code < 400 else answer.status_code
        kept = {name: answer.headers[name] for name in ("content-type", "mcp-session-id") if name in answer.headers}
        return httpx2.Response(status, headers=kept, content=note.body, request=answer.request)
