"""Clients: a connection from a browser or a program, with a library's parser for what it asks."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, cast

import httptools

from createos_nb.platform.gateway.exchanges import SMALL_BYTES, Exchange
from createos_nb.platform.gateway.heads import MAX_HEAD_BYTES
from createos_nb.platform.gateway.requests import UNCLEAR, Request

if TYPE_CHECKING:
    from createos_nb.platform.gateway.server import Gateway

HEAD_WITHIN_S = 30.0
"""How long a client may take between two requests, and for the head of one."""

_LINGER_S = 2.0
_FLUSH_WITHIN_S = 10.0
_NOT_IN_TRAILERS = {b"host", b"content-length", b"transfer-encoding"}
_TOO_LARGE = "The headers of the request are too large. Send less than 64 KiB."
_RESET = struct.pack("ii", 1, 0)

_log = logging.getLogger(__name__)


class _Body(NamedTuple):
    """What a parser tells of a message whose head is known."""

    on_body: Callable[[bytes], None]
    on_message_complete: Callable[[], None]


class ClientConnection(asyncio.Protocol):
    """One connection from a client, whose requests are answered in turn.

    Parameters
    ----------
    gateway
        That it belongs to.

    Attributes
    ----------
    address
        Of the client.
    writable
        Whether it takes more without being filled up.
    """

    __slots__ = (
        *("_advancing", "_deadline", "_deaf", "_early", "_early_bytes", "_ending", "_exchanges", "_headers"),
        *("_headers_bytes", "_in_head", "_incoming", "_parser", "_paused", "_unfinished_bytes", "_upgraded"),
        *("_url", "address", "gateway", "transport", "writable"),
    )

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.writable = True
        self._parser = httptools.HttpRequestParser(self)
        self._exchanges: deque[Exchange] = deque()
        self._incoming: Exchange | None = None
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._headers_bytes = self._unfinished_bytes = self._early_bytes = 0
        self._early: list[bytes] = []
        self._in_head = self._upgraded = self._deaf = self._ending = self._paused = self._advancing = False
        self._deadline = time.monotonic() + HEAD_WITHIN_S

    # --- the transport ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin on a connection that is open."""
        self.transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]).encode() if peer else b"127.0.0.1"
        self.gateway.clients.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - a protocol's method
        """End, with the requests under way."""
        self.gateway.clients.discard(self)
        self._deaf = self._ending = True
        del self._parser  # Which refers to this object, as this one does to it.
        for exchange in tuple(self._exchanges):
            exchange.client_lost()
        self._exchanges.clear()

    def data_received(self, data: bytes) -> None:
        """Take what the client sends."""
        if self._deaf:
            return
        if self._upgraded:
            self._take_early(data)
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as stop:
            self._upgrade(data[stop.args[0] :])
        except httptools.HttpParserError as error:
            if isinstance(error, httptools.HttpParserCallbackError):
                _log.error("A request was not understood.", exc_info=error)
            self._spoil(400, UNCLEAR)
        else:
            if self._in_head:
                self._unfinished_bytes += len(data)
                if self._unfinished_bytes > MAX_HEAD_BYTES:
                    self._spoil(431, _TOO_LARGE)
        self._advance()
        if self._exchanges:
            self._exchanges[0].pass_body()

    def pause_writing(self) -> None:
        """Have the application wait until the client has taken what there is."""
        self.writable = False
        if self._exchanges:
            self._exchanges[0].hold(back=True)

    def resume_writing(self) -> None:
        """Let the application go on."""
        self.writable = True
        if self._exchanges:
            self._exchanges[0].hold(back=False)

    # --- the parser ---------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._in_head = True
        self._url = b""
        self._headers = []
        self._headers_bytes = self._unfinished_bytes = 0
        self._deadline = time.monotonic() + HEAD_WITHIN_S

    def on_url(self, url: bytes) -> None:
        """Take a part of its target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take note of a header; those that follow a body are dropped, unless they would say something else."""
        if self._in_head:
            self._headers.append((name.lower(), value))
            self._headers_bytes += len(name) + len(value) + 4
        elif name.lower() in _NOT_IN_TRAILERS:
            self._spoil(400, UNCLEAR)

    def on_headers_complete(self) -> None:
        """Line the request up."""
        self._in_head = False
        if self._deaf:
            return
        parser = self._parser
        request = Request(
            parser.get_method(),
            self._url,
            parser.get_http_version(),
            self._headers,
            keep_alive=parser.should_keep_alive(),
            upgrade=parser.should_upgrade(),
        )
        self._incoming = Exchange(self, request)
        if self._headers_bytes + len(self._url) > MAX_HEAD_BYTES:
            self._incoming.spoil(431, _TOO_LARGE)
        self._exchanges.append(self._incoming)

    def on_body(self, content: bytes) -> None:
        """Take a part of its body."""
        if self._incoming is not None:
            self._incoming.arrived(content)

    def on_message_complete(self) -> None:
        """End the request."""
        if self._incoming is not None and not self._incoming.request.body_follows:
            self._incoming.body_whole = True
            self._incoming = None

    def _upgrade(self, rest: bytes) -> None:
        """Go on after a request for another protocol, as the parser takes it."""
        incoming = self._incoming
        if incoming is None or not incoming.request.body_follows:
            self._upgraded = True
            self._take_early(rest)
            return
        # To us it is the request's body: ``curl --http2`` and Java's client ask for HTTP/2 in this way.
        incoming.request.body_follows = False
        self._parser = httptools.HttpRequestParser(_Body(self.on_body, self.on_message_complete))
        self.data_received(b"POST / HTTP/1.1\r\n%b\r\n\r\n%b" % (incoming.request.framing, rest))

    # --- its requests -------------------------------------------------------------------------------------------

    def write(self, content: bytes) -> None:
        """Send something to the client."""
        self.transport.write(content)

    def regulate(self) -> None:
        """Have the client wait while there is enough of it, or let it go on."""
        exchanges = self._exchanges
        paused = len(exchanges) > 1 or self._early_bytes > SMALL_BYTES
        paused = paused or (bool(exchanges) and exchanges[0].congested)
        if paused != self._paused:
            self._paused = paused
            if paused:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()

    def ended(self, exchange: Exchange) -> None:
        """Go on with the next request, or close the connection after the last."""
        if exchange in self._exchanges:
            self._exchanges.remove(exchange)
        if self._ending or self.transport.is_closing():
            return
        if exchange.keep_alive:
            self._deadline = time.monotonic() + HEAD_WITHIN_S
            self._advance()
        elif exchange.body_whole:
            self.finish()
        else:
            self._linger()

    def _advance(self) -> None:
        if self._advancing:
            return
        self._advancing = True
        # After the last answer nothing more is passed on, whatever has arrived already.
        while self._exchanges and not (self._ending or self._exchanges[0].begun):
            self._exchanges[0].begin()
        self._advancing = False
        self.regulate()

    def _spoil(self, status: int, sentence: str) -> None:
        """Refuse what is arriving, when its turn has come, and all that follows."""
        self._deaf = True
        spoilt, self._incoming = self._incoming, None
        if spoilt is None:
            spoilt = Exchange(self, Request(b"GET", b"", "1.1", (), keep_alive=False, upgrade=False))
            self._exchanges.append(spoilt)
        spoilt.spoil(status, sentence)

    def _take_early(self, data: bytes) -> None:
        """Pass on what belongs to a websocket, or keep it until the application has accepted that."""
        if self._exchanges and self._exchanges[0].tunnelled:
            self._exchanges[0].to_application(data)
        elif data:
            self._early.append(data)
            self._early_bytes += len(data)
            self.regulate()

    def early(self) -> bytes:
        """Return what the client has sent before its websocket was accepted."""
        early = b"".join(self._early)
        self._early.clear()
        self._early_bytes = 0
        return early

    # --- the end ------------------------------------------------------------------------------------------------

    def look(self, now: float) -> None:
        """End what takes too long."""
        if self._ending:
            if now > self._deadline:
                self.transport.abort()
        elif self._exchanges:
            if now > self._exchanges[0].deadline:
                self._exchanges[0].overdue()
        elif now > self._deadline:
            if self._in_head:
                self._spoil(
                    408, f"The head of the request did not arrive within {HEAD_WITHIN_S:g} s. Send it again."
                )
                self._advance()
            else:
                self.finish()

    def finish(self) -> None:
        """Close the connection when the client has taken what there is."""
        self._deaf = self._ending = True
        self._deadline = time.monotonic() + _FLUSH_WITHIN_S
        self._exchanges.clear()
        self.transport.close()

    def cut(self, *, reset: bool) -> None:
        """Break the connection off, for all to see.

        Parameters
        ----------
        reset
            Whether its orderly end would be taken for the answer's.
        """
        if reset:
            connection: socket.socket = self.transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._deaf = self._ending = True
            self.transport.abort()
        else:
            self.finish()

    def _linger(self) -> None:
        """Close the connection once the client had time to read the answer: what it still sends would reset it."""
        self._deaf = self._ending = True
        self._deadline = time.monotonic() + _LINGER_S
        self._exchanges.clear()
        self.transport.resume_reading()
        self.transport.write_eof()

    @property
    def idle(self) -> bool:
        """Whether nothing of it is under way, or only what has no end of its own."""
        return not self._exchanges or self._exchanges[0].tunnelled
