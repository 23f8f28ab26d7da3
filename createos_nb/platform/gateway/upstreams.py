"""Upstreams: a connection to an application, with a library's parser for what it answers."""

from __future__ import annotations

import asyncio
import select
import time
from typing import TYPE_CHECKING, cast

import httptools

from createos_nb.platform.gateway.heads import MAX_HEAD_BYTES

if TYPE_CHECKING:
    from createos_nb.platform.gateway.exchanges import Exchange
    from createos_nb.platform.gateway.routes import Upstream

# Shorter than any common server keeps an idle connection, so that it is we who close it and no request
# is written to a connection that is being closed.
KEEP_IDLE_S = 1.5
CONNECT_WITHIN_S = 5.0


class UpstreamConnection(asyncio.Protocol):
    """One connection to an application, for one request at a time.

    Attributes
    ----------
    exchange
        The request that it serves now.
    idle_since
        When it became free, by the monotonic clock; infinity while it serves.
    served
        How many requests it has answered.
    tunnelled
        Whether it is no longer HTTP, but a websocket's bytes.
    writable
        Whether it takes more without being filled up.
    """

    __slots__ = (
        *("_headers", "_headers_bytes", "_in_head", "_interim", "_kept", "_open", "_over", "_parser"),
        *("_surplus", "_unfinished_bytes", "answering", "exchange", "idle_since", "served", "transport"),
        *("tunnelled", "upstream", "writable"),
    )

    def __init__(self, upstream: Upstream, connections: set[UpstreamConnection]) -> None:
        self.upstream = upstream
        self.exchange: Exchange | None = None
        self.idle_since = float("inf")
        self.served = 0
        self.tunnelled = False
        self.writable = True
        self.answering = False
        self._open = connections
        self._parser = httptools.HttpResponseParser(self)
        self._headers: list[tuple[bytes, bytes]] = []
        self._in_head = self._over = self._surplus = self._interim = self._kept = False
        self._headers_bytes = self._unfinished_bytes = 0

    # --- the pool -----------------------------------------------------------------------------------------------

    def take(self, exchange: Exchange) -> None:
        """Serve a request from now on."""
        self.exchange = exchange
        self.idle_since = float("inf")
        self.answering = self._over = self._surplus = self._kept = False
        self._headers_bytes = self._unfinished_bytes = 0

    def release(self, *, reusable: bool) -> None:
        """Serve no request any more; wait for the next one if that is possible."""
        self.exchange = None
        self.served += 1
        if reusable and self._kept and not self._surplus and not self.transport.is_closing():
            self.idle_since = time.monotonic()
            self.upstream.idle.append(self)
            self.transport.resume_reading()
        else:
            self.transport.abort()

    @property
    def ended(self) -> bool:
        """Whether the application has closed it, or spoken unasked, though the event loop has not seen it yet."""
        poll = select.poll()
        poll.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(poll.poll(0))

    # --- the transport ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin on a connection that is open."""
        self.transport = cast(asyncio.Transport, transport)
        self._open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """End, with the request that it served."""
        self._open.discard(self)
        if self in self.upstream.idle:
            self.upstream.idle.remove(self)
        del self._parser  # Which refers to this object, as this one does to it.
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.upstream_lost(self, orderly=exc is None)

    def pause_writing(self) -> None:
        """Have the client wait until the application has taken what there is."""
        self.writable = False
        if self.exchange is not None:
            self.exchange.client.regulate()

    def resume_writing(self) -> None:
        """Let the client go on."""
        self.writable = True
        if self.exchange is not None:
            self.exchange.client.regulate()

    def data_received(self, data: bytes) -> None:
        """Pass on what the application says."""
        exchange = self.exchange
        if exchange is None:
            self.transport.abort()  # It speaks without having been asked.
            return
        if self.tunnelled:
            exchange.to_client(data)
            return
        self.answering = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as stop:
            exchange.switched(data[stop.args[0] :])
            return
        except httptools.HttpParserError:
            self._surplus = True
            if not self._over:
                exchange.broken_off()
                return
        if self._in_head:
            self._unfinished_bytes += len(data)
        if self._unfinished_bytes > MAX_HEAD_BYTES or self._headers_bytes > MAX_HEAD_BYTES:
            exchange.broken_off(
                "The application answered with too many or too large headers. See its runtime logs."
            )
            return
        exchange.flush()

    # --- the parser ---------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Begin an answer."""
        if self._over:
            self._surplus = True
            return
        self._in_head = True
        self._headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take note of a header; what follows a body is dropped."""
        if self._in_head:
            self._headers.append((name.lower(), value))
            self._headers_bytes += len(name) + len(value) + 4

    def on_headers_complete(self) -> None:
        """Begin to pass the answer on."""
        if self._over or self.exchange is None:
            return
        self._in_head = False
        status = self._parser.get_status_code()
        self._interim = 100 <= status < 200 and status != 101
        if self._interim:
            self._headers_bytes += 16  # So that there is an end to them.
            self.exchange.interim(status, self._headers)
            return
        self.exchange.answered(status, self._headers)
        if self.exchange.bodiless and status != 101:
            self._kept = self._parser.should_keep_alive()
            self._end()
            # The parser of a HEAD's answer waits for a body that never comes.
            self._parser = httptools.HttpResponseParser(self)

    def on_body(self, content: bytes) -> None:
        """Pass on a part of the answer's body."""
        if self._over:
            self._surplus = True
        elif self.exchange is not None:
            self.exchange.part(content)

    def on_message_complete(self) -> None:
        """End the answer."""
        if self._interim:
            self._interim = False
            self._in_head = True
        elif not self._over and not self._surplus and self.exchange is not None and self.exchange.status != 101:
            self._kept = self._parser.should_keep_alive()
            self._end()

    def _end(self) -> None:
        self._over = True
        if self.exchange is not None:
            self.exchange.whole = True
