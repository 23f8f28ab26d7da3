"""Gateway: serves the applications by host name, passes requests and websockets on, records each of them.

An ASGI application for a server of its own port. Requests are parsed by the server and written anew by the
client library, never copied as bytes, so that two readers cannot see two different requests. Targets come
from `Routes` alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncIterator,
    Coroutine,
    MutableMapping,
)
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

import aiohttp
import uvicorn
from multidict import CIMultiDict

from createos_nb.platform.forwarding import Receive, Request, Send, forwarded, returned
from createos_nb.platform.routes import Routes, Upstream
from createos_nb.platform.upgrades import Connection

if TYPE_CHECKING:
    from createos_nb.platform.accesslog import AccessLog

__all__ = ["Gateway", "Routes", "Upstream", "gateway_app", "gateway_config"]

ANSWER_WITHIN_S = 60.0
"""How long an application may take to begin its answer, from the request's last byte."""

_CONNECT_WITHIN_S = 5.0
# Shorter than any common server keeps an idle connection, so that it is we who close it and no request
# is written to a connection that is being closed.
_KEEP_IDLE_S = 1.5
_SMALL_BYTES = 65_536
_MESSAGE_BYTES = 16 * 2**20
_CLIENT_GONE = 499  # As other gateways record it; nobody receives it.


def gateway_app(routes: Routes, log: AccessLog, *, answer_within_s: float = ANSWER_WITHIN_S) -> Gateway:
    """Return the ASGI application that serves the applications.

    Parameters
    ----------
    routes
        What answers for which host.
    log
        Gets one record per request.
    answer_within_s
        How long an application may take to begin its answer.
    """
    return Gateway(routes, log, answer_within_s)


def gateway_config(app: Gateway, *, port: int = 0) -> uvicorn.Config:
    """Return the configuration of the server for a gateway, on the loopback interface.

    Parameters
    ----------
    app
        What `gateway_app` made.
    port
        0 for a free one.
    """
    return uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        loop="asyncio",
        http=Connection,
        ws="websockets-sansio",
        ws_max_size=_MESSAGE_BYTES,
        ws_per_message_deflate=False,
        lifespan="on",
        # A client on this machine must not choose the address that applications see.
        proxy_headers=False,
        # What the application says, and nothing about this server.
        server_header=False,
        date_header=False,
        access_log=False,
        log_level="critical",
        timeout_graceful_shutdown=2,
    )


class Gateway:
    """The ASGI application; see `gateway_app`."""

    def __init__(self, routes: Routes, log: AccessLog, answer_within_s: float) -> None:
        self._routes = routes
        self._log = log
        self._answer_within_s = answer_within_s
        self._opened: list[aiohttp.ClientSession] = []
        self._targets: dict[tuple[str, int], Upstream] = {}

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request or websocket, or follow the server's life."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        request = Request(scope, receive, send, self._log)
        try:
            await self._answer(request)
        finally:
            request.end()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for session in self._opened:
            await session.close()
        await send({"type": "lifespan.shutdown.complete"})

    @cached_property
    def _session(self) -> aiohttp.ClientSession:
        # Made at the first request, since it belongs to the loop that serves it.
        return self._open(keepalive_timeout=_KEEP_IDLE_S)

    @cached_property
    def _websockets(self) -> aiohttp.ClientSession:
        # Where an application changed the protocol, even wrongly, no other request is sent.
        return self._open(force_close=True)

    def _open(self, **how: Any) -> aiohttp.ClientSession:
        opened = aiohttp.ClientSession(
            connector=_Connector(self._targets, limit=0, **how),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_WITHIN_S),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            auto_decompress=False,
            trust_env=False,
            read_bufsize=_SMALL_BYTES,
            trace_configs=[_led_nowhere()],
        )
        self._opened.append(opened)
        return opened

    async def _answer(self, request: Request) -> None:
        hosts = request.hosts
        if len(hosts) != 1:
            await request.refuse(400, "A request names its host exactly once. Send one Host header.")
            return
        if not request.is_plainly_framed:
            await request.refuse(400, "It is not clear where this request ends. Send one length, or plain chunks.")
            return
        if not request.path.startswith("/"):
            await request.refuse(400, "A request asks for a path. Send one that begins with a slash.")
            return
        request.environment_id = self._routes.environment_of(hosts[0])
        if request.environment_id is None:
            await request.refuse(421, f"No application has the host {hosts[0][:200]!a}. Check the address.")
            return
        passing = self._pass_request if request.scope["type"] == "http" else self._pass_websocket
        # A replica that does not accept the connection has seen nothing of the request: ask another.
        for _ in range(3):
            upstream = self._routes.pick(hosts[0])
            if upstream is None:
                if (reason := await self._routes.ready(request.environment_id)) is not None:
                    await request.refuse(503, reason)
                    return
                continue
            request.upstream = upstream
            self._targets[upstream.host, upstream.port] = upstream
            with suppress(aiohttp.ClientConnectorError), self._routes.using(upstream):
                await passing(request, upstream)
                return
        await request.refuse(502, "The application does not accept connections. See its runtime logs.")

    # --- requests -----------------------------------------------------------------------------------------

    async def _pass_request(self, request: Request, upstream: Upstream) -> None:
        try:
            await self._exchange(request, upstream)
        except aiohttp.ClientConnectorError:
            raise
        except TimeoutError:
            await request.refuse(
                504, f"The application did not answer within {self._answer_within_s:g} s. See its runtime logs."
            )
        except (aiohttp.ClientError, _ClientGone):
            if request.client_gone:
                request.status = request.status if request.started else _CLIENT_GONE
            elif not request.started:
                await request.refuse(502, "The application broke off its answer. See its runtime logs.")
            # An answer that has begun stays without end, which makes the server cut the connection: the
            # client must not take a part for the whole.

    async def _exchange(self, request: Request, upstream: Upstream) -> None:
        headers = forwarded(request.scope)
        async with asyncio.timeout(self._answer_within_s) as deadline:
            content = await self._content(request, headers, deadline)
            response = await self._session.request(
                request.scope["method"],
                request.url(upstream),
                headers=headers,
                data=content,
                allow_redirects=False,
            )
            request.waiting = False
        async with response:
            if response.status < 200:
                raise aiohttp.ClientPayloadError("It changes to a protocol that nobody asked for.")
            size = response.content_length
            small = request.scope["method"] == "HEAD" or (size is not None and size <= _SMALL_BYTES)
            if small:
                whole = await response.read()
                await request.start(response.status, returned(response.raw_headers))
                await request.body(whole, more=False)
            else:
                await request.start(response.status, returned(response.raw_headers))
                await _stream(request, response)

    async def _content(
        self, request: Request, headers: CIMultiDict[str], deadline: asyncio.Timeout
    ) -> bytes | AsyncIterator[bytes] | None:
        """Return the body: whole when it is small, else as it arrives, each part giving more time."""
        length = headers.get("Content-Length")
        chunked = any(name == b"transfer-encoding" for name, _ in request.scope["headers"])
        if not chunked and length in {None, "0"}:
            return None
        if request.content is not None:
            return request.content  # Read for a replica that did not accept the connection.
        parts = self._parts(request, deadline)
        request.body_read = False
        if length is not None and int(length) <= _SMALL_BYTES:
            request.content = b"".join([part async for part in parts])
            return request.content
        return parts

    async def _parts(self, request: Request, deadline: asyncio.Timeout) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        while not request.body_read:
            message = await request.receive()
            if message["type"] == "http.disconnect":
                request.client_gone = True
                raise _ClientGone
            if request.waiting:
                deadline.reschedule(loop.time() + self._answer_within_s)
            request.body_read = not message.get("more_body", False)
            if message.get("body"):
                yield message["body"]

    # --- websockets ---------------------------------------------------------------------------------------

    async def _pass_websocket(self, request: Request, upstream: Upstream) -> None:
        await request.receive()  # websocket.connect
        try:
            socket = await asyncio.wait_for(
                self._websockets.ws_connect(
                    request.url(upstream),
                    headers=forwarded(request.scope),
                    protocols=request.scope["subprotocols"],
                    max_msg_size=_MESSAGE_BYTES,
                ),
                self._answer_within_s,
            )
        except aiohttp.ClientConnectorError:
            raise
        except aiohttp.WSServerHandshakeError as refusal:
            status = refusal.status if refusal.status >= 400 else 502
            await request.refuse(status, "The application did not accept the websocket.")
            return
        except (aiohttp.ClientError, TimeoutError):
            await request.refuse(502, "The application did not answer the websocket. See its runtime logs.")
            return
        async with socket:
            request.status = 101
            await request.send({"type": "websocket.accept", "subprotocol": socket.protocol})
            await _either(_to_application(request, socket), _to_client(request, socket))


class _Connector(aiohttp.TCPConnector):
    """Opens connections to applications, and to nobody who has the port of one that ended."""

    def __init__(self, targets: dict[tuple[str, int], Upstream], **how: Any) -> None:
        super().__init__(**how)
        self._targets = targets

    async def _create_connection(
        self, req: aiohttp.ClientRequest, traces: list[Any], timeout: aiohttp.ClientTimeout
    ) -> Any:
        upstream = self._targets[req.url.raw_host or "", req.url.port or 0]
        connection = await super()._create_connection(req, traces, timeout)
        if upstream.has_port is not None and not upstream.has_port():
            connection.close()
            raise aiohttp.ClientConnectorError(req.connection_key, OSError("the port is another program's"))
        return connection


def _led_nowhere() -> aiohttp.TraceConfig:
    """Return what keeps an application from leading the gateway elsewhere: websockets know no such option."""
    tracing = aiohttp.TraceConfig()

    async def refuse(_session: object, _context: object, redirect: aiohttp.TraceRequestRedirectParams) -> None:
        answer = redirect.response
        answer.close()
        raise aiohttp.WSServerHandshakeError(answer.request_info, (), status=answer.status)

    tracing.on_request_redirect.append(refuse)
    return tracing


class _ClientGone(Exception):
    """The client closed its connection."""


async def _either(*works: Coroutine[Any, Any, None]) -> None:
    """Run two works until one of them ends, and end the other."""
    tasks = {asyncio.ensure_future(work) for work in works}
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in done:
        task.result()


async def _stream(request: Request, response: aiohttp.ClientResponse) -> None:
    """Pass an answer on as it comes, until it ends or the client is gone."""

    async def pump() -> None:
        async for content in response.content.iter_any():
            await request.body(content, more=True)
        await request.body(b"", more=False)

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    if request.body_read:
        await _either(pump(), gone())
    else:
        await pump()


async def _to_application(request: Request, socket: aiohttp.ClientWebSocketResponse) -> None:
    while (message := await request.receive())["type"] == "websocket.receive":
        if message.get("text") is not None:
            await socket.send_str(message["text"])
        else:
            await socket.send_bytes(message["bytes"])
    await socket.close(code=_close_code(message.get("code"), lost=1001), message=message.get("reason", "").encode())


async def _to_client(request: Request, socket: aiohttp.ClientWebSocketResponse) -> None:
    async for message in socket:
        if message.type is aiohttp.WSMsgType.TEXT:
            request.bytes_sent += len(message.data.encode())
            await request.send({"type": "websocket.send", "text": message.data})
        elif message.type is aiohttp.WSMsgType.BINARY:
            request.bytes_sent += len(message.data)
            await request.send({"type": "websocket.send", "bytes": message.data})
    request.end()
    await request.send({"type": "websocket.close", "code": _close_code(socket.close_code, lost=1011)})


def _close_code(code: int | None, *, lost: int) -> int:
    """Return a code that may be sent: 1005 and 1006 only say that none came."""
    if code in {None, 1005}:
        return 1000
    return lost if code in {1006, 1015} else code
