"""Requests: what a client asks, and whether every reader would understand it alike."""

from __future__ import annotations

import base64
import hashlib
import re

import httptools

from createos_nb.platform.gateway.heads import Headers, values

UNCLEAR = "It is not clear where this request ends. Send one length, or plain chunks."

_READ = frozenset(
    {
        *(b"host", b"content-length", b"transfer-encoding", b"upgrade", b"expect"),
        *(b"sec-websocket-key", b"sec-websocket-version"),
    }
)
_REPEATABLE = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE"})
_KEY = re.compile(rb"[A-Za-z0-9+/]{22}==")
_WEBSOCKET = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
_NO_BODY = frozenset({b"", b"content-length: 0"})


class Request:
    """The head of a request.

    Parameters
    ----------
    method, target, version, headers
        As the parser tells them, the headers' names in lower case.
    keep_alive
        Whether another may follow on its connection.
    upgrade
        Whether it asks for another protocol.

    Attributes
    ----------
    flaw
        Status and sentence to refuse it with; None when it may pass.
    target
        The path and query to send it to; what else was in it chooses nothing.
    path
        The path alone; empty for none.
    host
        Whose application it asks for.
    framing
        The header that says how long its body is, as a line; empty for none.
    chunked, expects, websocket
        Whether its body comes in chunks, it waits for a go-ahead with it, and it begins a websocket.
    body_follows
        Whether there is a body that the parser takes for another protocol, which the request asked for.
    """

    __slots__ = (
        *("_read", "body_follows", "chunked", "expects", "flaw", "framing", "headers", "host", "keep_alive"),
        *("method", "path", "target", "version", "websocket"),
    )

    def __init__(
        self, method: bytes, target: bytes, version: str, headers: Headers, *, keep_alive: bool, upgrade: bool
    ) -> None:
        self.method, self.target, self.version, self.headers = method, target, version, headers
        self.keep_alive = keep_alive and version == "1.1" and not upgrade
        self.path = self.host = ""
        self.framing = b""
        self.chunked = self.expects = self.body_follows = False
        self.websocket = upgrade
        self._read: dict[bytes, list[bytes]] = {}
        for name, value in headers:
            if name in _READ:
                self._read.setdefault(name, []).append(value)
        doubt = self._doubt()
        self.flaw = None if doubt is None else (400, doubt)

    def _doubt(self) -> str | None:
        """Return why it may not pass, None when it may."""
        try:
            url = httptools.parse_url(self.target)
        except httptools.HttpParserInvalidURLError:
            url = None
        if url is not None and url.path and self.target.isascii():
            self.path = url.path.decode("ascii")
            self.target = url.path if url.query is None else url.path + b"?" + url.query
        if not self.path.startswith("/"):
            return "A request asks for a path. Send one that begins with a slash, in ASCII."
        read = self._read
        if codings := read.get(b"transfer-encoding"):
            # The parser lets more pass than what every reader understands alike.
            if [coding.lower() for coding in codings] != [b"chunked"] or self.version != "1.1":
                return UNCLEAR
            self.chunked, self.framing = True, b"transfer-encoding: chunked"
        elif lengths := read.get(b"content-length"):
            self.framing = b"content-length: %d" % int(lengths[0])
        hosts = read.get(b"host", ())
        if len(hosts) != 1:
            return "A request names its host exactly once. Send one Host header."
        self.host = hosts[0].decode("latin-1")
        if self.websocket:
            # Any other upgrade is ignored, as HTTP has it; its request may have a body.
            self.websocket = [each.strip().lower() for each in read.get(b"upgrade", ())] == [b"websocket"]
            if self.websocket:
                return self._doubtful_handshake()
            self.body_follows = self.framing not in _NO_BODY
        expected = b",".join(read.get(b"expect", ())).lower().split(b",")
        self.expects = self.version == "1.1" and b"100-continue" in map(bytes.strip, expected)
        return None

    def _doubtful_handshake(self) -> str | None:
        """Return why it does not begin a websocket, None when it does."""
        keys = [key.strip() for key in self._read.get(b"sec-websocket-key", ())]
        versions = [version.strip() for version in self._read.get(b"sec-websocket-version", ())]
        if self.framing not in _NO_BODY:
            return "A websocket's request has no body."
        plain = self.method == b"GET" and self.version == "1.1" and versions == [b"13"]
        if plain and len(keys) == 1 and _KEY.fullmatch(keys[0]):
            return None
        return "This does not begin a websocket. Send GET with one Sec-WebSocket-Key of 16 bytes, and version 13."

    @property
    def is_repeatable(self) -> bool:
        """Whether it does no harm when it arrives twice."""
        return self.method in _REPEATABLE and not self.framing

    def is_accepted_by(self, answer: Headers) -> bool:
        """Whether the headers of an answer accept the websocket that it begins."""
        if not self.websocket:
            return False
        key = self._read[b"sec-websocket-key"][0].strip()
        wanted = base64.b64encode(hashlib.sha1(key + _WEBSOCKET, usedforsecurity=False).digest())
        accepted = [each.strip() for each in values(answer, b"sec-websocket-accept")]
        upgraded = [each.strip().lower() for each in values(answer, b"upgrade")]
        return (accepted, upgraded) == ([wanted], [b"websocket"])
