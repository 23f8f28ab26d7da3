"""Forwarding: a request on its way through the gateway, and the headers that may leave it."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from multidict import CIMultiDict
from yarl import URL

from createos_nb.settings import LOCAL_KEY

if TYPE_CHECKING:
    from createos_nb.platform.accesslog import AccessLog
    from createos_nb.platform.routes import Upstream

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]

_HOP_BY_HOP = {
    *(b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection"),
    *(b"te", b"trailer", b"trailers", b"transfer-encoding", b"upgrade"),
}
# Credentials of the platform, and what only a proxy or the platform itself may say.
_NEVER_TO_APPLICATIONS = {b"x-api-key", b"x-access-token", b"forwarded", b"x-real-ip", b"expect", b"http2-settings"}
_OURS = (b"x-forwarded-", b"x-createos-")
# A client may take an application for the API: its key is no application's to have, whatever header it is in.
_KEY = LOCAL_KEY.encode()
# Applications below WSGI or CGI read these names with either sign, and take the one for the other.
_FRAMING = {b"host", b"content-length"}
_COOKIE_DOMAIN = re.compile(rb";\s*domain\s*(?:=[^;]*)?(?=;|$)", re.IGNORECASE)

# RFC 9110, section 5.5: they are to be refused or replaced.
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


@dataclass(slots=True)
class Request:
    """A request, or a websocket's beginning, and what becomes of it."""

    scope: MutableMapping[str, Any]
    receive: Receive
    send: Send
    log: AccessLog
    arrived: float = field(default_factory=time.time)
    began: float = field(default_factory=time.perf_counter)
    upstream: Upstream | None = None
    environment_id: str | None = None
    status: int = 502
    bytes_sent: int = 0
    content: bytes | None = None
    body_read: bool = True
    waiting: bool = True
    started: bool = False
    client_gone: bool = False
    recorded: bool = False

    @property
    def hosts(self) -> list[str]:
        """The values of its ``Host`` headers."""
        return [value.decode("latin-1") for name, value in self.scope["headers"] if name == b"host"]

    @property
    def is_plainly_framed(self) -> bool:
        """Whether every reader sees the same end of its body; the parser lets more pass than that."""
        encodings = [value for name, value in self.scope["headers"] if name == b"transfer-encoding"]
        return not encodings or (
            [value.lower() for value in encodings] == [b"chunked"] and self.scope["http_version"] == "1.1"
        )

    @property
    def path(self) -> str:
        """Its path as it travelled, without the query."""
        raw: bytes = self.scope.get("raw_path") or self.scope["path"].encode()
        return raw.partition(b"?")[0].decode("latin-1")

    def url(self, upstream: Upstream) -> URL:
        """Where to send it: the path and query as they came, the rest from the routes."""
        host = f"[{upstream.host}]" if ":" in upstream.host else upstream.host
        query = self.scope["query_string"].decode("latin-1")
        return URL(f"http://{host}:{upstream.port}{self.path}{'?' if query else ''}{query}", encoded=True)

    async def start(self, status: int, headers: Headers) -> None:
        """Begin the answer."""
        self.status, self.started = status, True
        await self.send({"type": "http.response.start", "status": status, "headers": headers})

    async def body(self, content: bytes, *, more: bool) -> None:
        """Continue the answer, or end it."""
        self.bytes_sent += len(content)
        if not more:
            self.end()
        await self.send({"type": "http.response.body", "body": content, "more_body": more})

    def end(self) -> None:
        """Record it, once: before the last byte leaves, so that who has the answer finds it counted."""
        if not self.recorded:
            self.recorded = True
            self.log.record(
                environment_id=self.environment_id,
                deployment_id=self.upstream.deployment_id if self.upstream else None,
                replica=self.upstream.replica if self.upstream else None,
                method=self.scope.get("method", "GET"),
                path=self.path,
                status=self.status,
                duration_ms=(time.perf_counter() - self.began) * 1000,
                bytes_sent=self.bytes_sent,
                at=self.arrived,
            )

    async def refuse(self, status: int, sentence: str) -> None:
        """Answer for the gateway itself, in plain text."""
        content = f"{sentence}\n".encode()
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", str(len(content)).encode()),
            (b"x-content-type-options", b"nosniff"),
        ]
        if status == 400:  # What follows on the connection is not to be trusted either.
            headers.append((b"connection", b"close"))
        if self.scope["type"] == "http":
            await self.start(status, headers)
            await self.body(content, more=False)
            return
        self.status = status
        self.end()
        await self.send({"type": "websocket.http.response.start", "status": status, "headers": headers})
        await self.send({"type": "websocket.http.response.body", "body": content})


def _named_by_connection(headers: Headers) -> set[bytes]:
    return {
        token.strip().lower()
        for name, value in headers
        if name.lower() == b"connection"
        for token in value.split(b",")
    } - _FRAMING


def forwarded(scope: MutableMapping[str, Any]) -> CIMultiDict[str]:
    """Return the headers for the application: the client's own, and who it is."""
    dropped = _HOP_BY_HOP | _NEVER_TO_APPLICATIONS | _named_by_connection(scope["headers"])
    websocket = scope["type"] == "websocket"
    headers: CIMultiDict[str] = CIMultiDict()
    for name, value in scope["headers"]:
        meant = name.replace(b"_", b"-")
        if (
            meant in dropped
            or (meant != name and meant in _FRAMING)
            or meant.startswith(_OURS)
            or _KEY in value
            or (websocket and name.startswith(b"sec-websocket-"))
        ):
            continue
        headers.add(name.decode("latin-1"), _text(value))
    client = scope.get("client")
    headers["X-Forwarded-For"] = client[0] if client else "127.0.0.1"
    headers["X-Forwarded-Host"] = headers["Host"]
    headers["X-Forwarded-Proto"] = {"ws": "http", "wss": "https"}.get(scope["scheme"], scope["scheme"])
    return headers


def _text(value: bytes) -> str:
    # The client library writes UTF-8; bytes that are none would otherwise be encoded twice.
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def returned(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Return the application's headers for the client; cookies stay with the host that set them."""
    dropped = _HOP_BY_HOP | _named_by_connection(headers)
    kept = [(name.lower(), _CONTROL.sub(b" ", value)) for name, value in headers if name.lower() not in dropped]
    return [(name, _COOKIE_DOMAIN.sub(b"", value) if name == b"set-cookie" else value) for name, value in kept]
