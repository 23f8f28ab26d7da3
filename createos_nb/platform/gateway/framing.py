"""Framing: how long an answer is for its client, from what the application says of it."""

from __future__ import annotations

import math
from typing import NamedTuple

from createos_nb.platform.gateway.heads import Headers, values


class Framing(NamedTuple):
    """How the end of an answer's body is known.

    Attributes
    ----------
    line
        The header that says so to the client; empty for none.
    size
        Bytes of the body, infinity when it is not known.
    chunked
        Whether the client gets it in chunks.
    ends
        Whether the client knows the end without that of its connection.
    until_end
        Whether it ends with the application's connection.
    """

    line: bytes = b""
    size: float = math.inf
    chunked: bool = False
    ends: bool = True
    until_end: bool = False


AS_IT_IS = Framing()
"""Of what has no body, or is no longer HTTP."""


def framed(status: int, headers: Headers, *, bodiless: bool, version: str) -> Framing | None:
    """Return how an answer is framed for a client; None when it is not clear where it ends.

    Parameters
    ----------
    status, headers
        The application's; its parser has looked at the lengths.
    bodiless
        Whether there is no body, whatever the headers say.
    version
        Of HTTP, that the client speaks.
    """
    lengths, codings = values(headers, b"content-length"), values(headers, b"transfer-encoding")
    if bodiless:
        return Framing(b"content-length: %b" % lengths[0]) if lengths and status != 204 else AS_IT_IS
    if codings and [coding.lower() for coding in codings] != [b"chunked"]:
        return None
    if lengths and not codings:
        return Framing(b"content-length: %b" % lengths[0], size=int(lengths[0]))
    if version == "1.1":
        return Framing(b"transfer-encoding: chunked", chunked=True, until_end=not codings)
    return Framing(ends=False, until_end=not codings)
