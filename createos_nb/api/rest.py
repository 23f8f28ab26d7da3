"""REST: sends requests over HTTP with httpx, blocking and awaiting."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import httpcore
import httpx

from createos_nb.api.connection import AsyncConnection, Connection, Origin
from createos_nb.api.message import Request, Response, Unanswered, closed
from createos_nb.api.secret import Secret
from createos_nb.errors import ConnectionFailed, UnexpectedResponse
from createos_nb.settings import Settings

CONNECTIONS = 32
"""Requests in flight at most, each over a connection of its own.

A pool of httpx looks at every connection for every request, which costs more than the request from some on
(encode/httpx#3215); and an httpx.Client takes as long for a request as its transport does, for what an API has no
use for: merging addresses, cookies, redirects. So requests and answers are httpx's, and go through its transports.
"""

_CONNECT_S = 5.0
_MAX_BODY_BYTES = 64 * 1024 * 1024
_NOT_SENT = (
    httpcore.ConnectError,
    httpcore.ConnectTimeout,
    httpcore.PoolTimeout,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)
_NOT_ANSWERED = (
    *(httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError),
    httpx.DecodingError,
)

_TELLING = re.compile(r"certificate|ssl|tls|proxy|name|address", re.IGNORECASE)

_log = logging.getLogger("createos_nb.api")


def _without_query(record: logging.LogRecord) -> bool:
    """Take the query out of what httpx logs: the permission to fetch a file stands in it."""
    if isinstance(record.args, tuple):
        record.args = tuple(
            arg.copy_with(query=None) if getattr(arg, "query", None) and hasattr(arg, "copy_with") else arg
            for arg in record.args
        )
    return True


# Of all requests that this process sends with httpx: a log line has nothing that tells whose it is.
logging.getLogger("httpx").addFilter(_without_query)


class _Outgoing(io.BytesIO):
    """A file that tells how much of it was read, which happens as it is sent."""

    def __init__(self, data: bytes, sent: Callable[[int], object] | None) -> None:
        super().__init__(data)
        self._sent = sent

    def read(self, size: int | None = -1, /) -> bytes:
        """Read the next bytes."""
        data = super().read(size)
        if self._sent is not None:
            self._sent(len(data))
        return data


class _Wire:
    """How requests and answers look on the wire, whoever carries them.

    Parameters
    ----------
    settings
        Where they go, and the key that is put into each on its way out; nowhere else is it in clear.
    timeout_s
        How long a piece may take to be sent, and an answer to come whole.
    """

    def __init__(self, settings: Settings, timeout_s: float) -> None:
        self.origin = Origin(settings)
        self._settings = settings
        self._extensions = {"timeout": {"connect": _CONNECT_S, "read": timeout_s, "write": timeout_s}}
        self._headers = [
            (b"Accept", b"application/json"),
            (b"Accept-Encoding", b"gzip, deflate"),
            (b"User-Agent", b"createos-nb"),
        ]

    def request(self, request: Request) -> httpx.Request:
        """Return a request as it is sent, signed."""
        content: dict[str, Any] = {}
        if request.file is not None:
            file = _Outgoing(request.file, request.sent)
            content["files"] = {"file": ("upload.zip", file, "application/zip")}
        elif request.body is not None:
            content["json"] = request.body
        return httpx.Request(
            request.method,
            self._settings.api_url + request.path,
            params=dict(request.query) or None,
            headers=[*self._headers, self._signature()],
            extensions=self._extensions,
            **content,
        )

    def _signature(self) -> tuple[bytes, bytes]:
        return self._settings.header.encode(), self._settings.credential.reveal().encode()

    def response(self, request: Request, answer: httpx.Response, body: bytes) -> Response:
        """Return an answer, the key masked where it repeats it."""
        _log.debug("%s was answered HTTP %s", request, answer.status_code)
        return Response(answer.status_code, dict(answer.headers), body).without(self._settings.credential)

    def unsent(self, error: Exception) -> ConnectionFailed:
        """Return the error of a request that was not sent."""
        reason = type(error).__name__
        if _TELLING.search(str(error)):  # "Connection refused" is told already.
            reason += f": {error}"
        local = urlsplit(self._settings.api_url).scheme == "http"
        advice = (
            "Is the platform running? For the embedded one: createos-nb local up."
            if local
            else "Check the address, the network, and the proxy and certificates that client.info() names."
        )
        return ConnectionFailed(f"Nothing answers at {self._settings.api_url} ({reason}). {advice}")


class _Body:
    """An answer's body as it comes, up to a size."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._chunks: list[bytes] = []
        self._size = 0

    def add(self, chunk: bytes) -> None:
        """Take what came."""
        self._chunks.append(chunk)
        self._size += len(chunk)
        if self._size > _MAX_BODY_BYTES:
            raise UnexpectedResponse(
                f"{self._request} answered more than {_MAX_BODY_BYTES >> 20} MB. Ask for a smaller window."
            )

    def whole(self) -> bytes:
        """Return all of it."""
        return b"".join(self._chunks)


def _unanswered(error: Exception) -> Unanswered:
    return Unanswered(type(error).__name__)


class RestTransport:
    """Sends requests over HTTP, blocking. Safe to use from several threads, and in a forked process."""

    name = "rest"

    def __init__(self, settings: Settings, *, timeout_s: float) -> None:
        self._wire = _Wire(settings, timeout_s)
        self._closed = False
        self._parents: list[set[Connection]] = []
        self._begin()

    def _begin(self) -> None:
        self._places = threading.BoundedSemaphore(CONNECTIONS)
        self._open: set[Connection] = set()
        self._free: list[Connection] = []
        self._process = os.getpid()

    def check(self, request: Request) -> None:
        """Refuse nothing: each operation goes over REST."""

    def send(self, request: Request) -> Response:
        """Send one request and return its answer."""
        if self._process != os.getpid():
            # Over the parent's connections each would read the other's answers. Kept, so that nobody ends them.
            self._parents.append(self._open)
            self._begin()
        with self._places:
            connection, whole = self._connection(), False
            try:
                answer = connection.handle_request(self._wire.request(request))
                try:
                    body = _Body(request)
                    for chunk in answer.iter_bytes():
                        body.add(chunk)
                finally:
                    answer.close()
                whole = True
                return self._wire.response(request, answer, body.whole())
            except _NOT_SENT as error:
                raise self._wire.unsent(error) from None
            except _NOT_ANSWERED as error:
                raise _unanswered(error) from None
            finally:
                # Also of a call that was interrupted: what comes over it yet is no answer to the next.
                # Nor is there a next one when the client was closed in the meantime.
                if whole and not self._closed:
                    self._free.append(connection)
                else:
                    self._end(connection)

    def _connection(self) -> Connection:
        """Return the connection that was free last, which is the likeliest to be alive."""
        if self._closed:
            raise closed()
        with suppress(IndexError):
            while True:
                connection = self._free.pop()
                if connection.is_reusable:
                    return connection
                self._end(connection)
        connection = Connection(self._wire.origin)
        self._open.add(connection)
        return connection

    def _end(self, connection: Connection) -> None:
        connection.close()
        self._open.discard(connection)  # Last: whatever interrupts this, `close` meets it again.

    def close(self) -> None:
        """Close the connections."""
        self._closed = True
        if self._process == os.getpid():
            for connection in list(self._open):
                self._end(connection)


class _Loop:
    """The connections of one event loop."""

    def __init__(self) -> None:
        self.places = asyncio.Semaphore(CONNECTIONS)
        self.open: set[AsyncConnection] = set()
        self.free: list[AsyncConnection] = []

    async def connection(self, origin: Origin) -> AsyncConnection:
        """Return the connection that was free last, which is the likeliest to be alive."""
        with suppress(IndexError):
            while True:
                connection = self.free.pop()
                if connection.is_reusable:
                    return connection
                await self.end(connection)
        connection = AsyncConnection(origin)
        self.open.add(connection)
        return connection

    async def end(self, connection: AsyncConnection) -> None:
        """Close a connection, also while the call that it was for is being cancelled."""
        from anyio import CancelScope

        self.open.discard(connection)
        with CancelScope(shield=True):
            await connection.aclose()


class AsyncRestTransport:
    """Sends requests over HTTP, awaiting; the twin of `RestTransport`. Each event loop has its own connections."""

    name = "rest"

    def __init__(self, settings: Settings, *, timeout_s: float) -> None:
        self._wire = _Wire(settings, timeout_s)
        self._closed = False
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _Loop] = WeakKeyDictionary()

    def check(self, request: Request) -> None:
        """Refuse nothing: each operation goes over REST."""

    async def send(self, request: Request) -> Response:
        """Send one request and return its answer."""
        loop = self._loops.setdefault(asyncio.get_running_loop(), _Loop())
        async with loop.places:
            if self._closed:
                raise closed()
            connection, whole = await loop.connection(self._wire.origin), False
            try:
                answer = await connection.handle_async_request(self._wire.request(request))
                try:
                    body = _Body(request)
                    async for chunk in answer.aiter_bytes():
                        body.add(chunk)
                finally:
                    await answer.aclose()
                whole = True
                return self._wire.response(request, answer, body.whole())
            except _NOT_SENT as error:
                raise self._wire.unsent(error) from None
            except _NOT_ANSWERED as error:
                raise _unanswered(error) from None
            finally:
                if whole and not self._closed:
                    loop.free.append(connection)
                else:
                    await loop.end(connection)

    async def aclose(self) -> None:
        """Close the connections of the loop that runs; those of one that has ended are gone with it."""
        self._closed = True
        loop = self._loops.get(asyncio.get_running_loop(), _Loop())
        for connection in list(loop.open):
            await loop.end(connection)


def fetched(address: Secret, *, max_bytes: int) -> bytes | None:
    """Fetch what an address of the platform leads to, which holds its own permission; None when it cannot be had.

    It is asked without a key, only over https or on this machine, and never followed elsewhere.
    """
    url = urlsplit(address.reveal())
    if url.scheme != "https" and url.hostname not in {"127.0.0.1", "::1", "localhost"}:
        return None
    data = bytearray()
    try:
        with (
            httpx.Client(timeout=30.0, follow_redirects=False, trust_env=False) as http,
            http.stream("GET", address.reveal()) as answer,
        ):
            for chunk in answer.iter_bytes() if answer.status_code == 200 else ():
                data += chunk
                if len(data) > max_bytes:
                    return None
            return bytes(data) if answer.status_code == 200 else None
    except (httpx.HTTPError, httpx.InvalidURL):
        return None
