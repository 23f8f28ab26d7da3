"""Connection: transports of httpx that are one connection each, and whose answers have a deadline."""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from importlib.util import find_spec
from typing import Any
from urllib.parse import unquote, urlsplit

import httpcore
import httpx

from createos_nb.api.message import Unanswered
from createos_nb.errors import SettingsError
from createos_nb.settings import Settings

_KEPT_IDLE_S = 5.0
"""How long a connection without a request is used again: as long as uvicorn and httpx keep one."""

Options = Iterable[httpcore.SOCKET_OPTION] | None


class _Deadline:
    """When the answer that is being read has to be over."""

    def __init__(self) -> None:
        self._at_s: float | None = None
        self._begun = False

    def clear(self) -> None:
        """Begin anew: something is sent, whose answer has all its time before it."""
        self._at_s, self._begun = None, False

    def left_s(self, timeout_s: float | None) -> float | None:
        """Return how long to wait for the next piece of an answer that may take ``timeout_s`` as a whole."""
        if timeout_s is None:
            return None
        if self._at_s is None:
            self._at_s = time.monotonic() + timeout_s
        left_s = self._at_s - time.monotonic()
        if left_s <= 0:
            self.passed()
        return max(0.001, left_s)

    def came(self, piece: bytes) -> bytes:
        """Take note that the answer has begun."""
        self._begun = True
        return piece

    def passed(self) -> None:
        """Say so, if it has begun; what is silent from the start is a timeout like others."""
        if self._begun:
            raise Unanswered("the answer did not end")


class _Stream(httpcore.NetworkStream):
    """A stream of which a read timeout bounds the whole answer, not each piece: one that drips ends, too."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream
        self._deadline = _Deadline()

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            return self._deadline.came(self._stream.read(max_bytes, self._deadline.left_s(timeout)))
        except httpcore.ReadTimeout:
            self._deadline.passed()
            raise

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._deadline.clear()
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend(httpcore.SyncBackend):
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Options = None,
    ) -> httpcore.NetworkStream:
        return _Stream(super().connect_tcp(host, port, timeout, local_address, socket_options))


class _AsyncStream(httpcore.AsyncNetworkStream):
    """The twin of `_Stream`, awaiting."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._deadline = _Deadline()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            return self._deadline.came(await self._stream.read(max_bytes, self._deadline.left_s(timeout)))
        except httpcore.ReadTimeout:
            self._deadline.passed()
            raise

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._deadline.clear()
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        return _AsyncStream(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _AsyncBackend(httpcore.AnyIOBackend):
    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Options = None,
    ) -> httpcore.AsyncNetworkStream:
        return _AsyncStream(await super().connect_tcp(host, port, timeout, local_address, socket_options))


class Origin:
    """The platform's origin, and how to make a connection to it.

    Parameters
    ----------
    settings
        Which origin, and through which proxy: the one that `Client.info` shows, and no other.
    """

    def __init__(self, settings: Settings) -> None:
        parts = urlsplit(settings.api_url)
        self._scheme = parts.scheme.encode()
        self._name = (parts.hostname or "").encode("idna")
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._origin = httpcore.Origin(self._scheme, self._name, self._port)
        # Reading the certificates takes longer than a call: once for all connections.
        self._tls = _verifying() if parts.scheme == "https" else None
        self._proxy = settings.proxy
        scheme = urlsplit(self._proxy).scheme if self._proxy else "http"
        if scheme not in ({"http", "https"} | ({"socks5", "socks5h"} if find_spec("socksio") else set())):
            raise SettingsError(
                f"The proxy {settings.shown_proxy} cannot be used: HTTPS_PROXY takes http:// or https://, and "
                "socks5:// once socksio is installed. To do without a proxy, name the platform in NO_PROXY."
            )

    def connection(self) -> httpcore.HTTPConnection | httpcore.ConnectionPool:
        """Return a connection, which is opened when it is first used."""
        if self._proxy is None:
            return httpcore.HTTPConnection(
                self._origin, ssl_context=self._tls, keepalive_expiry=_KEPT_IDLE_S, network_backend=_Backend()
            )
        proxy = httpcore.SOCKSProxy if self._proxy.startswith("socks") else httpcore.HTTPProxy
        return proxy(**self._through(self._proxy), network_backend=_Backend())

    def async_connection(self) -> httpcore.AsyncHTTPConnection | httpcore.AsyncConnectionPool:
        """Return the twin of `connection`, awaiting."""
        if self._proxy is None:
            return httpcore.AsyncHTTPConnection(
                self._origin, ssl_context=self._tls, keepalive_expiry=_KEPT_IDLE_S, network_backend=_AsyncBackend()
            )
        proxy = httpcore.AsyncSOCKSProxy if self._proxy.startswith("socks") else httpcore.AsyncHTTPProxy
        return proxy(**self._through(self._proxy), network_backend=_AsyncBackend())

    def _through(self, proxy: str) -> dict[str, Any]:
        parts = urlsplit(proxy)
        user = (unquote(parts.username or ""), unquote(parts.password or "")) if parts.username else None
        return {
            "proxy_url": f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}",
            "proxy_auth": user,
            "ssl_context": self._tls,
            "max_connections": 1,
            "keepalive_expiry": _KEPT_IDLE_S,
        } | ({"proxy_ssl_context": self._tls} if parts.scheme == "https" else {})


def _outgoing(request: httpx.Request) -> httpcore.Request:
    url = request.url
    return httpcore.Request(
        request.method,
        httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        headers=request.headers.raw,
        content=request.stream,
        extensions=request.extensions,
    )


class _Content(httpx.SyncByteStream):
    """An answer's content as it comes."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    def close(self) -> None:
        self._stream.close()


class Connection(httpx.BaseTransport):
    """One connection to the platform, opened when it is first used, for one request at a time.

    Parameters
    ----------
    origin
        Where to.
    """

    def __init__(self, origin: Origin) -> None:
        self._carrier = origin.connection()

    @property
    def is_reusable(self) -> bool:
        """Whether it, having been used, can be used again."""
        return _is_reusable(self._carrier)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return its answer, whose content is still to be read; raises errors of httpcore."""
        answer = self._carrier.handle_request(_outgoing(request))
        return httpx.Response(answer.status, headers=answer.headers, stream=_Content(answer.stream))

    def close(self) -> None:
        """Close it."""
        self._carrier.close()


class _AsyncContent(httpx.AsyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


class AsyncConnection(httpx.AsyncBaseTransport):
    """The twin of `Connection`, awaiting."""

    def __init__(self, origin: Origin) -> None:
        self._carrier = origin.async_connection()

    @property
    def is_reusable(self) -> bool:
        """Whether it, having been used, can be used again."""
        return _is_reusable(self._carrier)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return its answer, whose content is still to be read; raises errors of httpcore."""
        answer = await self._carrier.handle_async_request(_outgoing(request))
        return httpx.Response(answer.status, headers=answer.headers, stream=_AsyncContent(answer.stream))

    async def aclose(self) -> None:
        """Close it."""
        await self._carrier.aclose()


def _is_reusable(carrier: Any) -> bool:
    if isinstance(carrier, httpcore.ConnectionPool | httpcore.AsyncConnectionPool):
        return True  # A proxy's sees to that by itself.
    return not (carrier.is_closed() or carrier.has_expired())


def _verifying() -> ssl.SSLContext:
    """Return what checks certificates: of ``SSL_CERT_FILE`` or ``SSL_CERT_DIR``, if set."""
    return httpx.create_ssl_context()
