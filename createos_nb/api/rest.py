"""REST: sends requests over HTTP with httpx, blocking and awaiting."""

from __future__ import annotations

import asyncio
import io
import logging
import threading
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import httpx

from createos_nb.api.message import Request, Response, Unanswered
from createos_nb.api.secret import Secret
from createos_nb.errors import ConnectionFailed, UnexpectedResponse
from createos_nb.settings import Settings

CONNECTIONS = 32
"""Requests in flight at most; each connection is a client of its own.

httpx's pool looks at every connection for every request, which costs more than the request from some on
(encode/httpx#3215).
"""

_MAX_BODY_BYTES = 64 * 1024 * 1024
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


def _options(settings: Settings, timeout_s: float) -> dict[str, Any]:
    loopback = urlsplit(settings.api_url).scheme == "http"
    return {
        "base_url": settings.api_url,
        "auth": _Key(settings),
        "timeout": httpx.Timeout(timeout_s, connect=5.0),
        "follow_redirects": False,  # httpx keeps X-Api-Key on a redirect to another host
        # The proxy that info() shows, and no other: httpx itself would look again, and at ~/.netrc.
        "proxy": settings.proxy,
        "trust_env": False,
        # Reading the certificates (of SSL_CERT_FILE, if set) takes longer than a call: once for all connections.
        "verify": httpx.create_ssl_context() if not loopback else False,
        "limits": httpx.Limits(max_connections=1),
    }


class _Key(httpx.Auth):
    """Puts the key into each request on its way out; nowhere else is it in clear.

    As a header among httpx's arguments it would be in their local values, which a traceback may show.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign a request."""
        request.headers[self._settings.header] = self._settings.credential.reveal()
        yield request


def _without_query(record: logging.LogRecord) -> bool:
    """Take the query out of what httpx logs: the token of a transfer stands in it."""
    if isinstance(record.args, tuple):
        record.args = tuple(
            arg.copy_with(query=None) if isinstance(arg, httpx.URL) and arg.query else arg for arg in record.args
        )
    return True


# Of all requests that this process sends with httpx: a log line has nothing that tells whose it is.
logging.getLogger("httpx").addFilter(_without_query)


class _Outgoing(io.BytesIO):
    """A file that tells how much of it was read, which httpx does as it sends."""

    def __init__(self, data: bytes, sent: Callable[[int], object] | None) -> None:
        super().__init__(data)
        self._sent = sent

    def read(self, size: int | None = -1, /) -> bytes:
        """Read the next bytes."""
        data = super().read(size)
        if self._sent is not None:
            self._sent(len(data))
        return data


def _message(request: Request) -> dict[str, Any]:
    """Return httpx's arguments for a request."""
    message: dict[str, Any] = {
        "method": request.method,
        "url": request.path,
        "params": dict(request.query) or None,
        "headers": {"Accept": "application/json"},
    }
    if request.file is not None:
        message["files"] = {"file": ("upload.zip", _Outgoing(request.file, request.sent), "application/zip")}
    elif request.body is not None:
        message["json"] = request.body
    return message


def _unsent(settings: Settings, error: Exception) -> ConnectionFailed:
    return ConnectionFailed(
        f"Nothing answers at {settings.api_url} ({type(error).__name__}). Is the platform running? "
        "For the embedded one: createos-nb local up."
    )


class _Body:
    """An answer's body as it comes, within bounds of size and time."""

    def __init__(self, request: Request, settings: Settings, timeout_s: float) -> None:
        self._request = request
        self._credential = settings.credential
        self._deadline_s = time.monotonic() + timeout_s
        self._chunks: list[bytes] = []
        self._size = 0

    def add(self, chunk: bytes) -> None:
        """Take what came; httpx's own timeout begins anew with each piece, however small."""
        self._chunks.append(chunk)
        self._size += len(chunk)
        if self._size > _MAX_BODY_BYTES:
            raise UnexpectedResponse(
                f"{self._request} answered more than {_MAX_BODY_BYTES >> 20} MB. Ask for a smaller window."
            )
        if time.monotonic() > self._deadline_s:
            raise Unanswered("the answer did not end")

    def response(self, answer: httpx.Response) -> Response:
        """Return the whole answer."""
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Response(answer.status_code, headers, b"".join(self._chunks)).without(self._credential)


class RestTransport:
    """Sends requests over HTTP, blocking. Safe to use from several threads."""

    name = "rest"

    def __init__(self, settings: Settings, *, timeout_s: float) -> None:
        self._settings = settings
        self._timeout_s = timeout_s
        self._options = _options(settings, timeout_s)
        self._places = threading.BoundedSemaphore(CONNECTIONS)
        self._clients: list[httpx.Client] = []
        self._free: list[httpx.Client] = []

    def send(self, request: Request) -> Response:
        """Send one request and return its answer."""
        with self._places:
            http = self._client()
            try:
                body = _Body(request, self._settings, self._timeout_s)
                with http.stream(**_message(request)) as answer:
                    for chunk in answer.iter_bytes():
                        body.add(chunk)
                return body.response(answer)
            except _NOT_SENT as error:
                raise _unsent(self._settings, error) from None
            except (httpx.TransportError, httpx.DecodingError) as error:
                raise Unanswered(type(error).__name__) from None
            finally:
                self._free.append(http)

    def _client(self) -> httpx.Client:
        """Return the client that was free last, whose connection is the likeliest to be alive."""
        with suppress(IndexError):
            return self._free.pop()
        http = httpx.Client(**self._options)
        self._clients.append(http)
        return http

    def close(self) -> None:
        """Close the connections."""
        for http in self._clients:
            http.close()


class AsyncRestTransport:
    """Sends requests over HTTP, awaiting; the twin of `RestTransport`."""

    name = "rest"

    def __init__(self, settings: Settings, *, timeout_s: float) -> None:
        self._settings = settings
        self._timeout_s = timeout_s
        self._options = _options(settings, timeout_s)
        self._places = asyncio.Semaphore(CONNECTIONS)
        self._clients: list[httpx.AsyncClient] = []
        self._free: list[httpx.AsyncClient] = []

    async def send(self, request: Request) -> Response:
        """Send one request and return its answer."""
        async with self._places:
            http = self._client()
            try:
                body = _Body(request, self._settings, self._timeout_s)
                async with http.stream(**_message(request)) as answer:
                    async for chunk in answer.aiter_bytes():
                        body.add(chunk)
                return body.response(answer)
            except _NOT_SENT as error:
                raise _unsent(self._settings, error) from None
            except (httpx.TransportError, httpx.DecodingError) as error:
                raise Unanswered(type(error).__name__) from None
            finally:
                self._free.append(http)

    def _client(self) -> httpx.AsyncClient:
        with suppress(IndexError):
            return self._free.pop()
        http = httpx.AsyncClient(**self._options)
        self._clients.append(http)
        return http

    async def aclose(self) -> None:
        """Close the connections."""
        for http in self._clients:
            await http.aclose()


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
