"""REST: sends requests over HTTP, blocking and awaiting."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpcore

from createos_nb.api.connection import Origin, reusable
from createos_nb.api.message import Request, Response, Unanswered
from createos_nb.api.secret import Secret
from createos_nb.errors import ConnectionFailed, UnexpectedResponse
from createos_nb.settings import Settings

CONNECTIONS = 32
"""Requests in flight at most, each over a connection of its own."""

_CONNECT_S = 5.0
_MAX_BODY_BYTES = 64 * 1024 * 1024
_NOT_SENT = (
    httpcore.ConnectError,
    httpcore.ConnectTimeout,
    httpcore.PoolTimeout,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)
_NOT_ANSWERED = (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError)

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
            (b"Host", self.origin.host),
            (b"Accept", b"application/json"),
            (b"Accept-Encoding", b"gzip, deflate"),
            (b"User-Agent", b"createos-nb"),
        ]

    def request(self, request: Request) -> httpcore.Request:
        """Return a request as it is sent, signed."""
        query = urlencode(request.query, quote_via=quote)
        headers, content = _content(request)
        return httpcore.Request(
            request.method,
            self.origin.url(f"{request.path}?{query}" if query else request.path),
            headers=[*self._headers, *headers, self._signature()],
            content=content,
            extensions=self._extensions,
        )

    def _signature(self) -> tuple[bytes, bytes]:
        return self._settings.header.encode(), self._settings.credential.reveal().encode()

    def response(self, request: Request, answer: httpcore.Response, body: bytes) -> Response:
        """Return an answer, the key masked where it repeats it."""
        _log.debug("%s was answered HTTP %s", request, answer.status)
        headers: dict[str, str] = {}
        for name, value in answer.headers:
            key, text = name.decode("latin-1").lower(), value.decode("latin-1")
            headers[key] = f"{headers[key]}, {text}" if key in headers else text
        return Response(answer.status, headers, body).without(self._settings.credential)

    def unsent(self, error: Exception) -> ConnectionFailed:
        """Return the error of a request that was not sent."""
        return ConnectionFailed(
            f"Nothing answers at {self._settings.api_url} ({type(error).__name__}). Is the platform running? "
            "For the embedded one: createos-nb local up."
        )


def _content(request: Request) -> tuple[list[tuple[bytes, bytes]], Any]:
    """Return the headers that describe a request's content, and the content."""
    if request.file is not None:
        import httpx

        file = ("upload.zip", _Outgoing(request.file, request.sent), "application/zip")
        form = httpx.Request("PUT", "", files={"file": file})
        kept = (b"content-type", b"content-length")
        return [(name, value) for name, value in form.headers.raw if name.lower() in kept], form.stream
    if request.body is not None:
        text = json.dumps(request.body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        return [(b"Content-Type", b"application/json"), (b"Content-Length", b"%d" % len(text))], text
    # Without its length, a server may wait for the content of what could have one.
    return ([] if request.method in {"GET", "DELETE"} else [(b"Content-Length", b"0")]), None


def _packed(answer: httpcore.Response) -> bool:
    return any(name.lower() == b"content-encoding" for name, _ in answer.headers)


def _chunks(answer: httpcore.Response) -> Iterator[bytes]:
    return _unpacked(answer) if _packed(answer) else answer.iter_stream()


def _async_chunks(answer: httpcore.Response) -> AsyncIterator[bytes]:
    return _async_unpacked(answer) if _packed(answer) else answer.aiter_stream()


def _unpacked(answer: httpcore.Response) -> Iterator[bytes]:
    import httpx

    unpacking = httpx.Response(answer.status, headers=answer.headers, content=answer.iter_stream())
    try:
        yield from unpacking.iter_bytes()
    except httpx.DecodingError as error:
        raise _unanswered(error) from None


async def _async_unpacked(answer: httpcore.Response) -> AsyncIterator[bytes]:
    import httpx

    unpacking = httpx.Response(answer.status, headers=answer.headers, content=answer.aiter_stream())
    try:
        async for chunk in unpacking.aiter_bytes():
            yield chunk
    except httpx.DecodingError as error:
        raise _unanswered(error) from None


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
    """Sends requests over HTTP, blocking. Safe to use from several threads."""

    name = "rest"

    def __init__(self, settings: Settings, *, timeout_s: float) -> None:
        self._wire = _Wire(settings, timeout_s)
        self._places = threading.BoundedSemaphore(CONNECTIONS)
        self._closed = False
        self._open: set[Any] = set()
        self._free: list[Any] = []

    def send(self, request: Request) -> Response:
        """Send one request and return its answer."""
        with self._places:
            connection = self._connection()
            try:
                answer = connection.handle_request(self._wire.request(request))
                try:
                    body = _Body(request)
                    for chunk in _chunks(answer):
                        body.add(chunk)
                finally:
                    answer.close()
                return self._wire.response(request, answer, body.whole())
            except _NOT_SENT as error:
                raise self._wire.unsent(error) from None
            except _NOT_ANSWERED as error:
                raise _unanswered(error) from None
            finally:
                self._free.append(connection)

    def _connection(self) -> Any:
        """Return the connection that was free last, which is the likeliest to be alive."""
        if self._closed:
            raise RuntimeError("The client is closed. Make a new one.")
        with suppress(IndexError):
            while True:
                connection = self._free.pop()
                if reusable(connection):
                    return connection
                self._open.discard(connection)
                connection.close()
        connection = self._wire.origin.connection()
        self._open.add(connection)
        return connection

    def close(self) -> None:
        """Close the connections."""
        self._closed = True
        for connection in list(self._open):
            connection.close()


class AsyncRestTransport:
    """Sends requests over HTTP, awaiting; the twin of `RestTransport`."""

    name = "rest"

    def __init__(self, settings: Settings, *, timeout_s: float) -> None:
        self._wire = _Wire(settings, timeout_s)
        self._places = asyncio.Semaphore(CONNECTIONS)
        self._closed = False
        self._open: set[Any] = set()
        self._free: list[Any] = []

    async def send(self, request: Request) -> Response:
        """Send one request and return its answer."""
        async with self._places:
            connection = await self._connection()
            try:
                answer = await connection.handle_async_request(self._wire.request(request))
                try:
                    body = _Body(request)
                    async for chunk in _async_chunks(answer):
                        body.add(chunk)
                finally:
                    await answer.aclose()
                return self._wire.response(request, answer, body.whole())
            except _NOT_SENT as error:
                raise self._wire.unsent(error) from None
            except _NOT_ANSWERED as error:
                raise _unanswered(error) from None
            finally:
                self._free.append(connection)

    async def _connection(self) -> Any:
        if self._closed:
            raise RuntimeError("The client is closed. Make a new one.")
        with suppress(IndexError):
            while True:
                connection = self._free.pop()
                if reusable(connection):
                    return connection
                self._open.discard(connection)
                await connection.aclose()
        connection = self._wire.origin.async_connection()
        self._open.add(connection)
        return connection

    async def aclose(self) -> None:
        """Close the connections."""
        self._closed = True
        for connection in list(self._open):
            await connection.aclose()


def fetched(address: Secret, *, max_bytes: int) -> bytes | None:
    """Fetch what an address of the platform leads to, which holds its own permission; None when it cannot be had.

    It is asked without a key, only over https or on this machine, and never followed elsewhere.
    """
    import httpx

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
