"""Exchanges: a request on its way to an application, and the answer on its way back."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from createos_nb.platform.gateway import heads
from createos_nb.platform.gateway.framing import AS_IT_IS, framed
from createos_nb.platform.gateway.heads import Headers, Unsafe

if TYPE_CHECKING:
    from createos_nb.platform.gateway.clients import ClientConnection
    from createos_nb.platform.gateway.requests import Request
    from createos_nb.platform.gateway.routes import Place, Upstream
    from createos_nb.platform.gateway.upstreams import UpstreamConnection

SMALL_BYTES = 65_536
"""An answer up to this size is begun when it is there as a whole; a request waits for its application up to it."""

_ATTEMPTS = 3
_CLIENT_GONE = 499  # As other gateways record it; nobody receives it.
_NOT_LISTENING = "The application does not accept connections. See its runtime logs."
_BROKEN_OFF = "The application broke off its answer. See its runtime logs."

_log = logging.getLogger(__name__)


class Exchange:
    """One request and its answer.

    Attributes
    ----------
    client, request, begun, done
        The connection that it came on, what it asks, whether its turn came, and whether it is over.
    body_whole, whole, bodiless
        Whether all of the request has arrived, all of the answer, and whether that has no body.
    deadline
        When the application must have begun to answer, by the monotonic clock.
    """

    __slots__ = (
        *("_arrived", "_began", "_body", "_body_bytes", "_bytes_sent", "_connection", "_content", "_failure"),
        *("_framing", "_head", "_latest", "_place", "_reaching", "_repeated", "_sent_end", "_started"),
        *("_upstream", "begun", "bodiless", "body_whole", "client", "deadline", "done", "keep_alive"),
        *("request", "status", "whole"),
    )

    def __init__(self, client: ClientConnection, request: Request) -> None:
        self.client, self.request = client, request
        self.keep_alive = request.keep_alive
        self.begun = self.done = self.body_whole = self.whole = self.bodiless = False
        self.deadline = float("inf")
        self.status = 0
        self._arrived, self._began = time.time(), time.monotonic()
        self._place: Place | None = None
        self._upstream: Upstream | None = None  # that has it now
        self._latest: Upstream | None = None  # that had it last
        self._connection: UpstreamConnection | None = None
        self._reaching: asyncio.Task[None] | None = None
        self._body: list[bytes] = []
        self._body_bytes = self._bytes_sent = 0
        self._sent_end = self._repeated = self._started = False
        self._head: bytes | None = None
        self._content: list[bytes] = []
        self._framing = AS_IT_IS
        self._failure: str | None = None

    # --- the request --------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Look whether the request may pass, and pass it on: at once when there is a connection for it."""
        self.begun = True
        if self.request.flaw is not None:
            self.keep_alive = False  # What follows on the connection is not to be trusted either.
            self.refuse(*self.request.flaw)
            return
        gateway = self.client.gateway
        self._place = gateway.routes.place_of(self.request.host)
        if self._place is not None and (upstream := gateway.routes.next_of(self._place)) is not None:
            self._count(upstream)
            if (connection := self._kept(upstream)) is not None:
                self._attach(connection)
                return
        self._reaching = asyncio.get_running_loop().create_task(self._reach())

    def spoil(self, status: int, sentence: str) -> None:
        """Refuse the request: what arrives of it cannot be understood."""
        self.request.flaw = status, sentence
        self.keep_alive = False
        if self.begun:
            self.broken_off(sentence, status)

    async def _reach(self) -> None:
        """Find an application and connect to it; wake it if it sleeps."""
        gateway, host = self.client.gateway, self.request.host
        try:
            # A replica that does not accept the connection has seen nothing of the request: ask another.
            for _ in range(_ATTEMPTS):
                if self._place is None:
                    self._place = await gateway.routes.found(host)
                if self._place is None:
                    self.refuse(421, f"No application has the host {host[:200]!a}. Check the address.")
                    return
                upstream = self._upstream
                if upstream is None and (upstream := gateway.routes.next_of(self._place)) is not None:
                    self._count(upstream)
                if upstream is None:
                    if (reason := await gateway.routes.ready(self._place)) is not None:
                        self.refuse(503, reason)
                        return
                    continue
                connection = self._kept(upstream) or await gateway.connect(upstream)
                if connection is not None:
                    self._reaching = None
                    self._attach(connection)
                    self.client.regulate()
                    return
                if not self._repeated:
                    self._uncount()
            # One that is asked again has ended, and the request may be why: no other is to meet the same end.
            self.refuse(502, _BROKEN_OFF if self._repeated else _NOT_LISTENING)
        except ConnectionError:  # of the channel to the platform
            self.refuse(503, "The platform is not there to say what answers. Try again in a moment.")
        except Exception:  # noqa: BLE001 - whatever happened, the client is to be told
            _log.exception("A request was not passed on.")
            self.refuse(502, "The gateway failed. See the platform's own log.")

    def _kept(self, upstream: Upstream) -> UpstreamConnection | None:
        """Return a connection that was kept from another request, None when there is none that may be used."""
        # The application may be closing it just now: not for what must not be sent twice, or has failed on one.
        usable = self.request.is_repeatable and not self._repeated
        return self.client.gateway.idle_connection(upstream) if usable else None

    def _count(self, upstream: Upstream) -> None:
        if self._place is not None:
            self._upstream = self._latest = upstream
            self.client.gateway.routes.begun(self._place, upstream)

    def _uncount(self) -> None:
        if self._place is not None and self._upstream is not None:
            self.client.gateway.routes.ended(self._place, self._upstream)
        self._upstream = None

    def _attach(self, connection: UpstreamConnection) -> None:
        """Send the request on a connection."""
        try:
            head = heads.forwarded(
                self.request.method,
                self.request.target,
                self.request.headers,
                client=self.client.address,
                framing=self.request.framing,
                withheld=self.client.gateway.withheld,
                upgrade=self.request.websocket,
            )
        except Unsafe:
            connection.release(reusable=False)
            self.keep_alive = False
            self.refuse(400, "There is a line break in a header. Send none.")
            return
        self._connection = connection
        connection.take(self)
        self.deadline = time.monotonic() + self.client.gateway.answer_within_s
        self._pass_body(head)
        if self.request.expects and not self.body_whole:
            self.client.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if not self.client.writable:
            self.hold(back=True)

    def arrived(self, content: bytes) -> None:
        """Take a part of the request's body."""
        if not self.done:
            self._body.append(content)
            self._body_bytes += len(content)

    def pass_body(self) -> None:
        """Pass on what has arrived of the request's body."""
        if self._connection is not None and not self._connection.tunnelled and not self._sent_end:
            self._pass_body(b"")

    def _pass_body(self, head: bytes) -> None:
        content = b"".join(self._body) if self._body else b""
        self._body.clear()
        self._body_bytes = 0
        if self.request.chunked:
            content = b"%x\r\n%b\r\n" % (len(content), content) if content else b""
            if self.body_whole:
                content += b"0\r\n\r\n"
        self._sent_end = self.body_whole
        if self._connection is not None and (head or content):
            self._connection.transport.write(head + content)
            if not self._started:
                self.deadline = time.monotonic() + self.client.gateway.answer_within_s

    @property
    def congested(self) -> bool:
        """Whether the client is to wait before it sends more of the request."""
        if self._connection is not None:
            return not self._connection.writable
        return self._body_bytes > SMALL_BYTES and not self.done

    # --- the answer ---------------------------------------------------------------------------------------------

    def interim(self, status: int, headers: Headers) -> None:
        """Pass on what the application says before its answer."""
        if status != 100 and self.request.version == "1.1":  # We have said 100 ourselves.
            try:
                self.client.write(heads.returned(status, headers, framing=b""))
            except Unsafe:
                self._failure = _BROKEN_OFF

    def answered(self, status: int, headers: Headers) -> None:
        """Take the head of the application's answer."""
        self.status = status
        self.deadline = float("inf")
        self.bodiless = self.request.method == b"HEAD" or status in {204, 304}
        if status == 101 or (self.request.websocket and status < 400):
            if not (status == 101 and self.request.is_accepted_by(headers)):
                self._failure = "The application did not accept the websocket."
                return
        elif (framing := framed(status, headers, bodiless=self.bodiless, version=self.request.version)) is None:
            self._failure = _BROKEN_OFF
            return
        else:
            self._framing = framing
        self.keep_alive = self.keep_alive and self.body_whole and self._framing.ends
        line = self._framing.line
        if not self.keep_alive and status != 101:
            line += b"\r\nconnection: close" if line else b"connection: close"
        try:
            self._head = heads.returned(status, headers, framing=line, upgrade=status == 101)
        except Unsafe:
            self._failure = _BROKEN_OFF

    def part(self, content: bytes) -> None:
        """Take a part of the answer's body."""
        self._content.append(content)

    def flush(self) -> None:
        """Pass on what there is of the answer."""
        if self._failure is not None:
            self.broken_off(self._failure)
            return
        if self._head is None and not self._started:
            return
        if self._framing.size <= SMALL_BYTES and not self.whole:
            return
        content = b"".join(self._content)
        self._content.clear()
        self._bytes_sent += len(content)
        if self._framing.chunked:
            content = b"%x\r\n%b\r\n" % (len(content), content) if content else b""
            if self.whole:
                content += b"0\r\n\r\n"
        if self._head is not None:
            content = self._head + content
            self._head, self._started = None, True
        if self.whole:
            self._record()  # Before the last byte leaves, so that who has the answer finds it counted.
        if content:
            self.client.write(content)
        if self.whole:
            self._end(reusable=self._sent_end)

    def switched(self, rest: bytes) -> None:
        """Begin to pass on a websocket's bytes: the application has accepted it."""
        if self._failure is not None or self.status != 101 or self._head is None or self._connection is None:
            self.broken_off(self._failure or _BROKEN_OFF)
            return
        self._started, self._connection.tunnelled = True, True
        self.client.write(self._head)
        self._head = None
        self.to_client(rest)
        self._connection.transport.write(self.client.early())
        self.client.regulate()

    def to_client(self, content: bytes) -> None:
        """Pass on bytes of a websocket."""
        self._bytes_sent += len(content)
        self.client.write(content)

    def to_application(self, content: bytes) -> None:
        """Pass on bytes of a websocket."""
        if self._connection is not None:
            self._connection.transport.write(content)

    @property
    def tunnelled(self) -> bool:
        """Whether it is a websocket now."""
        return self._connection is not None and self._connection.tunnelled

    def hold(self, *, back: bool) -> None:
        """Have the application wait until the client has taken what there is, or let it go on."""
        if self._connection is not None:
            if back:
                self._connection.transport.pause_reading()
            else:
                self._connection.transport.resume_reading()

    # --- the end ------------------------------------------------------------------------------------------------

    def refuse(self, status: int, sentence: str) -> None:
        """Answer for the gateway itself, in plain text."""
        self._reaching = None
        if self.done:
            return
        self.status, self.keep_alive = status, self.keep_alive and self.body_whole
        answer = heads.refusal(
            status, sentence, close=not self.keep_alive, head_only=self.request.method == b"HEAD"
        )
        self._bytes_sent = len(answer) - answer.index(b"\r\n\r\n") - 4
        self._record()
        self.client.write(answer)
        self._end(reusable=False)

    def broken_off(self, sentence: str = _BROKEN_OFF, status: int = 502) -> None:
        """End what the application does not bring to an end itself."""
        if self.done:
            return
        if not self._started:
            self.refuse(status, sentence)
            return
        # The client must not take a part for the whole.
        self._record()
        self.client.cut(reset=not self._framing.ends)
        self._end(reusable=False)

    def overdue(self) -> None:
        """End it: the application has not begun to answer in time, or the client has not sent its request."""
        self.deadline = float("inf")
        within = f"within {self.client.gateway.answer_within_s:g} s"
        if self.body_whole or self.congested:
            self.broken_off(f"The application did not answer {within}. See its runtime logs.", 504)
        else:
            self.broken_off(f"The request did not arrive as a whole {within}. Send it again.", 408)

    def upstream_lost(self, connection: UpstreamConnection, *, orderly: bool) -> None:
        """End it, or begin again: the connection to the application is gone."""
        if self.done:
            return
        if connection.tunnelled:
            self._record()
            self.client.finish()
            self._end(reusable=False)
        elif self._framing.until_end and orderly and self._failure is None:
            self.whole = True
            self.flush()
        elif connection.served and not (connection.answering or self._repeated) and self.request.is_repeatable:
            # It closed an idle connection just when we used it; if it still listens, it is asked once more.
            self._repeated, self._connection = True, None
            self._reaching = asyncio.get_running_loop().create_task(self._reach())
        else:
            self.broken_off()

    def client_lost(self) -> None:
        """End it: nobody waits for the answer."""
        if self.done:
            return
        if not self._started:
            self.status = _CLIENT_GONE
        if self.begun:
            self._record()
        self._end(reusable=False)

    def _end(self, *, reusable: bool) -> None:
        self.done = True
        self.deadline = float("inf")
        self._body.clear()
        self._content.clear()
        if self._reaching is not None:
            self._reaching.cancel()
            self._reaching = None
        connection, self._connection = self._connection, None
        if connection is not None:
            if connection.tunnelled:
                connection.exchange = None
                connection.transport.close()
            else:
                connection.release(reusable=reusable)
        self._uncount()
        self.client.ended(self)

    def _record(self) -> None:
        if not self.request.target:
            return  # It was no request.
        upstream = self._latest
        self.client.gateway.recorder.record(
            environment_id=self._place.environment_id if self._place else None,
            deployment_id=upstream.deployment_id if upstream else None,
            replica=upstream.replica if upstream else None,
            method=self.request.method.decode("ascii"),
            path=self.request.path or "-",
            status=self.status,
            duration_ms=(time.monotonic() - self._began) * 1000,
            bytes_sent=self._bytes_sent,
            at=self._arrived,
        )
