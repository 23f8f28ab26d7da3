"""Server: takes connections from clients, opens those to applications, and ends what takes too long."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import suppress
from functools import partial

from createos_nb.platform.gateway.clients import ClientConnection
from createos_nb.platform.gateway.recorder import Recorder
from createos_nb.platform.gateway.routes import Routes, Upstream
from createos_nb.platform.gateway.upstreams import CONNECT_WITHIN_S, KEEP_IDLE_S, UpstreamConnection

ANSWER_WITHIN_S = 60.0
"""How long an application may take to begin its answer, from the request's last byte."""
BACKLOG = 512

_LOOK_AFTER_S = 1.0
_PAUSE_S = 0.01


class Gateway:
    """Serves the applications by host name, and records each request.

    Parameters
    ----------
    routes
        What answers for which host.
    recorder
        Gets one record per request.
    withheld
        What no header may hold that is passed on to an application: a client may take one for the platform's API,
        whose keys are nobody's to have. Empty for nothing.
    answer_within_s
        How long an application may take to begin its answer.

    Attributes
    ----------
    clients
        The connections that are open.
    """

    def __init__(
        self, routes: Routes, recorder: Recorder, *, withheld: bytes = b"", answer_within_s: float = ANSWER_WITHIN_S
    ) -> None:
        self.routes = routes
        self.recorder = recorder
        self.withheld = withheld
        self.answer_within_s = answer_within_s
        self.clients: set[ClientConnection] = set()
        self._connections: set[UpstreamConnection] = set()
        self._server: asyncio.Server | None = None
        self._looking: asyncio.Task[None] | None = None

    async def begin(self, listener: socket.socket) -> None:
        """Answer on a socket from now on."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(partial(ClientConnection, self), sock=listener, backlog=BACKLOG)
        self._looking = loop.create_task(self._look())

    async def end(self, *, within_s: float = 0.0) -> None:
        """Take no more connections, and end those that there are.

        Parameters
        ----------
        within_s
            How long the requests under way may take.
        """
        if self._server is not None:
            self._server.close()
        until = time.monotonic() + within_s
        while time.monotonic() < until and not all(client.idle for client in self.clients):
            await asyncio.sleep(_PAUSE_S)
        if self._looking is not None:
            self._looking.cancel()
        for client in self.clients:
            client.transport.abort()
        for connection in self._connections:
            connection.transport.abort()
        await asyncio.sleep(0)  # They take note of it.

    def idle_connection(self, upstream: Upstream) -> UpstreamConnection | None:
        """Return a connection to an application that waits for a request, None when there is none."""
        idle = upstream.idle
        while idle:
            connection = idle.pop()
            if not connection.transport.is_closing():
                if time.monotonic() - connection.idle_since < KEEP_IDLE_S and not connection.ended:
                    return connection
                connection.transport.abort()
        return None

    async def connect(self, upstream: Upstream) -> UpstreamConnection | None:
        """Open a connection to an application; None when it does not accept it, or another has its port."""
        loop = asyncio.get_running_loop()
        connection: UpstreamConnection | None = None
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(CONNECT_WITHIN_S):
                _, connection = await loop.create_connection(
                    partial(UpstreamConnection, upstream, self._connections), upstream.host, upstream.port
                )
        if connection is None:
            return None
        try:
            owned = upstream.has_port is None or await upstream.has_port()
        except BaseException:
            connection.transport.abort()
            raise
        if not owned:
            connection.transport.abort()
        return None if connection.transport.is_closing() else connection

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(min(_LOOK_AFTER_S, self.answer_within_s / 5))
            now = time.monotonic()
            for client in tuple(self.clients):
                client.look(now)
            for connection in tuple(self._connections):
                if now - connection.idle_since >= KEEP_IDLE_S:
                    connection.transport.abort()
