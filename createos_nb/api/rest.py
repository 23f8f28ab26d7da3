"""REST: sends requests over HTTP with httpx, blocking and awaiting."""

from __future__ import annotations

import io
from collections.abc import Callable, Generator
from typing import Any
from urllib.parse import urlsplit

import httpx

from createos_nb.api.message import Request, Response, Unanswered
from createos_nb.errors import ConnectionFailed, UnexpectedResponse
from createos_nb.settings import Settings

_MAX_BODY_BYTES = 64 * 1024 * 1024
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


def _options(settings: Settings, timeout_s: float) -> dict[str, Any]:
    loopback = urlsplit(settings.api_url).scheme == "http"
    return {
        "base_url": settings.api_url,
        "auth": _Key(settings),
        "timeout": httpx.Timeout(timeout_s, connect=5.0),
        "follow_redirects": False,  # httpx keeps X-Api-Key on a redirect to another host
        "trust_env": not loopback,  # a proxy has no business between this process and its own machine
        "limits": httpx.Limits(max_connections=32, max_keepalive_connections=32),
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


def _read(answer: httpx.Response, chunks: list[bytes]) -> Response:
    return Response(answer.status_code, {k.lower(): v for k, v in answer.headers.items()}, b"".join(chunks))


def _too_large(request: Request) -> UnexpectedResponse:
    return UnexpectedResponse(f"{request} answered more than {_MAX_BODY_BYTES >> 20} MB. Ask for a smaller window.")


def _unsent(settings: Settings, error: Exception) -> ConnectionFailed:
    return ConnectionFailed(
        f"Nothing answers at {settings.api_url} ({type(error).__name__}). Is the platform running? "
        "For the embedded one: createos-nb local up."
    )


class RestTransport:
    """Sends requests over HTTP, blocking. Safe to use from several threads."""

    name = "rest"

    def __init__(self, settings: Settings, *, timeout_s: float) -> None:
        self._settings = settings
        self._http = httpx.Client(**_options(settings, timeout_s))

    def send(self, request: Request) -> Response:
        """Send one request and return its answer."""
        try:
            with self._http.stream(**_message(request)) as answer:
                chunks, size = [], 0
                for chunk in answer.iter_bytes():
                    chunks.append(chunk)
                    size += len(chunk)
                    if size > _MAX_BODY_BYTES:
                        raise _too_large(request)
                return _read(answer, chunks)
        except _NOT_SENT as error:
            raise _unsent(self._settings, error) from None
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise Unanswered(type(error).__name__) from None

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


class AsyncRestTransport:
    """Sends requests over HTTP, awaiting; the twin of `RestTransport`."""

    name = "rest"

    def __init__(self, settings: Settings, *, timeout_s: float) -> None:
        self._settings = settings
        self._http = httpx.AsyncClient(**_options(settings, timeout_s))

    async def send(self, request: Request) -> Response:
        """Send one request and return its answer."""
        try:
            async with self._http.stream(**_message(request)) as answer:
                chunks, size = [], 0
                async for chunk in answer.aiter_bytes():
                    chunks.append(chunk)
                    size += len(chunk)
                    if size > _MAX_BODY_BYTES:
                        raise _too_large(request)
                return _read(answer, chunks)
        except _NOT_SENT as error:
            raise _unsent(self._settings, error) from None
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise Unanswered(type(error).__name__) from None

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()
