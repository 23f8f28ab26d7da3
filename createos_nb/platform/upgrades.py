"""Upgrades: requests that ask for another protocol, which is nearly always refused by not answering to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class Connection(HttpToolsProtocol):
    """A client's connection, on which an upgrade that is not offered is ignored, as HTTP has it.

    The parser takes what follows such a request for the other protocol. To us it is the request's body:
    ``curl --http2`` and Java's client ask for HTTP/2 in this way, whatever they send.
    """

    def _framing(self) -> bytes:
        lines = [line for line in self.headers if line[0] in {b"content-length", b"transfer-encoding"}]
        return b"".join(b"%s: %s\r\n" % line for line in lines)

    def on_message_complete(self) -> None:
        """End a request, unless its body is still to come."""
        if not (self.parser.should_upgrade() and not self._should_upgrade() and self._framing()):
            super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Read on."""
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            rest, framing = data[upgrade.args[0] :], self._framing()
            if self._should_upgrade() and framing:
                self.send_400_response("A websocket begins with a request that has no body.")
            elif self._should_upgrade():
                self.handle_websocket_upgrade()
            elif framing:
                self.cycle.keep_alive = False  # What this parser reads after the body would be nobody's.
                self.parser = httptools.HttpRequestParser(_Body(self.on_body, super().on_message_complete))
                self.data_received(b"POST / HTTP/1.1\r\n" + framing + b"\r\n" + rest)
            elif rest:
                self.data_received(rest)
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")


class _Body(NamedTuple):
    """What a parser tells of a message whose head is known."""

    on_body: Callable[[bytes], None]
    on_message_complete: Callable[[], None]
