"""Heads: what of a request and of an answer may pass, written anew."""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus

Headers = Sequence[tuple[bytes, bytes]]
"""Names in lower case, and values."""

MAX_HEAD_BYTES = 65_536
"""Of a request line or status line, with all headers."""

_HOP_BY_HOP = {
    *(b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection"),
    *(b"te", b"trailer", b"trailers", b"transfer-encoding", b"upgrade"),
}
# Credentials of the platform, and what only a proxy or the platform itself may say. How long the body is, we say
# ourselves.
_NOT_TO_APPLICATIONS = {
    *(*_HOP_BY_HOP, b"x-api-key", b"x-access-token", b"forwarded", b"x-real-ip", b"expect", b"content-length"),
    b"http2-settings",
}
_OURS = (b"x-forwarded-", b"x-createos-")
_NOT_TO_CLIENTS = {*_HOP_BY_HOP, b"content-length"}
# Applications below WSGI or CGI read these names with either sign, and take the one for the other.
_FRAMING = {b"host", b"content-length"}
_COOKIE_DOMAIN = re.compile(rb";\s*domain\s*(?:=[^;]*)?(?=;|$)", re.IGNORECASE)
# RFC 9110, section 5.5: they are to be refused or replaced; but for tabs, and the ends of lines, which are counted.
_CONTROL = bytes({*range(32), 127} - {9, 10, 13})

STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}".encode() for status in HTTPStatus}


class Unsafe(Exception):
    """A head that another reader could take for another one."""


def values(headers: Headers, name: bytes) -> list[bytes]:
    """Return the values of a header."""
    return [value for each, value in headers if each == name]


def tokens(headers: Headers, name: bytes) -> set[bytes]:
    """Return the comma-separated words of a header, in lower case."""
    return {token.strip().lower() for value in values(headers, name) for token in value.split(b",")}


def forwarded(
    method: bytes,
    target: bytes,
    headers: Headers,
    *,
    client: bytes,
    framing: bytes,
    withheld: bytes = b"",
    upgrade: bool = False,
) -> bytes:
    """Return a request's head for the application: the client's own headers, and who it is.

    Parameters
    ----------
    method, target
        Of the request; the target is a path and a query.
    headers
        As they came.
    client
        Address of the client.
    framing
        The header that says how long the body is, as a line; empty for none.
    withheld
        What a header must not hold to be passed on, whatever its name; empty for nothing.
    upgrade
        Whether it begins a websocket.

    Raises
    ------
    Unsafe
        There is a line break or another control character in one of them.
    """
    dropped = _NOT_TO_APPLICATIONS | _named_by_connection(headers)
    lines = [b"%b %b HTTP/1.1" % (method, target)]
    host = b""
    for name, value in headers:
        if name in dropped or name.startswith(_OURS) or (withheld and withheld in value):
            continue
        if b"_" in name:
            meant = name.replace(b"_", b"-")
            if meant in dropped or meant in _FRAMING or meant.startswith(_OURS):
                continue
        elif name == b"host":
            host = value
        lines.append(b"%b: %b" % (name, value))
    if framing:
        lines.append(framing)
    if upgrade:
        lines.append(b"connection: Upgrade\r\nupgrade: websocket")
    lines.append(b"X-Forwarded-For: %b\r\nX-Forwarded-Host: %b\r\nX-Forwarded-Proto: http\r\n\r\n" % (client, host))
    return _joined(lines, 4 + upgrade)


def returned(status: int, headers: Headers, *, framing: bytes, upgrade: bool = False) -> bytes:
    """Return an answer's head for the client; cookies stay with the host that set them.

    Parameters
    ----------
    status, headers
        The application's.
    framing
        The headers that say how long the body is and what becomes of the connection, as lines; empty for none.
    upgrade
        Whether it begins a websocket.

    Raises
    ------
    Unsafe
        There is a line break or another control character in one of them.
    """
    dropped = _NOT_TO_CLIENTS | _named_by_connection(headers)
    lines = [STATUS_LINES.get(status) or b"HTTP/1.1 %d " % status]
    for name, value in headers:
        if name not in dropped:
            kept = _COOKIE_DOMAIN.sub(b"", value) if name == b"set-cookie" else value
            lines.append(b"%b: %b" % (name, kept))
    if framing:
        lines.append(framing)
    if upgrade:
        lines.append(b"connection: Upgrade\r\nupgrade: websocket")
    lines.append(b"\r\n")
    return _joined(lines, 1 + upgrade + framing.count(b"\n"))


def refusal(status: int, sentence: str, *, close: bool, head_only: bool = False) -> bytes:
    """Return an answer of the gateway itself, in plain text."""
    content = f"{sentence}\n".encode()
    plain = b"content-type: text/plain; charset=utf-8\r\nx-content-type-options: nosniff"
    head = b"%b\r\n%b\r\ncontent-length: %d\r\n" % (STATUS_LINES[status], plain, len(content))
    ending = b"connection: close\r\n\r\n" if close else b"\r\n"
    return head + ending + (b"" if head_only else content)


def _named_by_connection(headers: Headers) -> set[bytes]:
    for name, _ in headers:
        if name == b"connection":
            return tokens(headers, b"connection") - _FRAMING
    return set()


def _joined(lines: list[bytes], further: int) -> bytes:
    """Return the lines as a head; ``further`` is how many line ends some of them hold on purpose."""
    head = b"\r\n".join(lines)
    ends = len(lines) - 1 + further
    if head.count(b"\n") != ends or head.count(b"\r") != ends or len(head.translate(None, _CONTROL)) != len(head):
        raise Unsafe
    return head
