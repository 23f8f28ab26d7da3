"""Connection: one at a time to the platform, whose answers have a deadline; httpcore, the engine of httpx.

httpx itself takes as long for a request as everything below it, for what an API's client has no use for:
merging addresses, cookies, redirects, a pool that looks at every connection for every request.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any
from urllib.parse import unquote, urlsplit

import httpcore

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

    Attributes
    ----------
    host
        The value of the header ``Host``.
    """

    def __init__(self, settings: Settings) -> None:
        parts = urlsplit(settings.api_url)
        self.host = parts.netloc.encode("idna")
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

    def url(self, target: str) -> httpcore.URL:
        """Return the address of a path and query at this origin, as it is sent."""
        return httpcore.URL(scheme=self._scheme, host=self._name, port=self._port, target=target.encode("ascii"))

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


def reusable(connection: Any) -> bool:
    """Whether a connection that was used can be used again; a proxy's sees to that by itself."""
    if isinstance(connection, httpcore.ConnectionPool | httpcore.AsyncConnectionPool):
        return True
    return not (connection.is_closed() or connection.has_expired())


def _verifying() -> ssl.SSLContext:
    """Return what checks certificates: of ``SSL_CERT_FILE`` or ``SSL_CERT_DIR``, if set."""
    import httpx

    return httpx.create_ssl_context()
