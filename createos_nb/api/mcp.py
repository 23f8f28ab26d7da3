"""MCP: sends requests as tool calls over Streamable HTTP, blocking and awaiting.

The protocol is the official SDK's, which is loaded when the first request is sent: it takes half a second.
It is asynchronous, so the blocking transport runs it in a thread with an event loop of its own; that works
inside a running loop too, such as a notebook's, where nothing may block or be nested.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any

from createos_nb.api.message import Request, Response, closed
from createos_nb.errors import NotOverMCP
from createos_nb.settings import Settings

if TYPE_CHECKING:
    from createos_nb.api.mcp_session import Session

EMBEDDED = "createos-nb"
"""The name by which an embedded platform's MCP server introduces itself."""

STATUS = "createos/status"
"""The key in a result's ``_meta`` for the HTTP status that the same call has over REST."""

ENDPOINT = "/mcp"
"""Where the server is, below the API's origin."""


def _refuse_without_tool(request: Request) -> None:
    if request.tool is None:
        raise NotOverMCP(
            f"{request.operation} has no MCP tool. Call it over REST: Client(transport='rest').",
            operation=request.operation,
        )


def _session(settings: Settings, timeout_s: float) -> Session:
    from createos_nb.api.mcp_session import Session

    return Session(settings, timeout_s=timeout_s)


class _Worker:
    """A session, and the thread with an event loop that it lives in."""

    def __init__(self, settings: Settings, timeout_s: float) -> None:
        self._process = os.getpid()
        self._session = _session(settings, timeout_s)
        self._started = threading.Event()
        self._thread = threading.Thread(
            target=asyncio.run, args=[self._live()], daemon=True, name="createos-nb-mcp"
        )
        self._thread.start()
        self._started.wait()

    def _run(self) -> None:
        asyncio.run(self._live())

    async def _live(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._started.set()
        await self._stop.wait()
        await self._session.aclose()

    def send(self, request: Request) -> Response:
        """Send one request from any thread, and wait; what interrupts the wait ends the request."""
        future = asyncio.run_coroutine_threadsafe(self._session.send(request), self._loop)
        try:
            return future.result()
        finally:
            future.cancel()

    def end(self) -> None:
        """Close the session and end the thread."""
        if self._process == os.getpid():  # A fork has no threads but its own; the session is its parent's.
            self._loop.call_soon_threadsafe(self._stop.set)
            if self._thread is not threading.current_thread():  # where the garbage may be collected too
                self._thread.join()


class McpTransport:
    """Sends requests as tool calls, blocking. Safe to use from several threads.

    Parameters
    ----------
    settings
        Where to, and the key.
    timeout_s
        Seconds without a byte until a request counts as unanswered.
    """

    name = "mcp"

    def __init__(self, settings: Settings, *, timeout_s: float) -> None:
        self._settings = settings
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._worker: _Worker | None = None
        self._end: weakref.finalize[Any, Any] | None = None
        self._closed = False

    def check(self, request: Request) -> None:
        """Refuse an operation that has no tool."""
        _refuse_without_tool(request)

    def send(self, request: Request) -> Response:
        """Send one request and return its answer."""
        return self._running().send(request)

    def _running(self) -> _Worker:
        if self._process != os.getpid():
            # After a fork the thread is gone, and another may have held the lock.
            self._process, self._lock, self._worker = os.getpid(), threading.Lock(), None
        with self._lock:
            if self._closed:
                raise closed()
            if self._worker is None:
                self._worker = _Worker(self._settings, self._timeout_s)
                # Also when nobody closes it, and at the end of the interpreter.
                self._end = weakref.finalize(self, self._worker.end)
            return self._worker

    def close(self) -> None:
        """Close the connections and end the thread."""
        self._closed = True
        if self._end is not None:
            self._end()


class AsyncMcpTransport:
    """Sends requests as tool calls, awaiting; the twin of `McpTransport`."""

    name = "mcp"

    def __init__(self, settings: Settings, *, timeout_s: float) -> None:
        self._settings = settings
        self._timeout_s = timeout_s
        self._opening: asyncio.Task[Session] | None = None
        self._closed = False

    def check(self, request: Request) -> None:
        """Refuse an operation that has no tool."""
        _refuse_without_tool(request)

    async def send(self, request: Request) -> Response:
        """Send one request and return its answer."""
        if self._closed:
            raise closed()
        if self._opening is None or self._opening.get_loop() is not asyncio.get_running_loop():
            loading = asyncio.to_thread(_session, self._settings, self._timeout_s)
            self._opening = asyncio.create_task(loading)
        session = await asyncio.shield(self._opening)
        return await session.send(request)

    async def aclose(self) -> None:
        """Close the connections."""
        self._closed = True
        if self._opening is not None and self._opening.get_loop() is asyncio.get_running_loop():
            await (await self._opening).aclose()
