"""MCP: the operations as tools, over Streamable HTTP, for whoever has a key.

The protocol is the official SDK's, which is loaded at the first request: it takes half a second. Each request
is answered with JSON and stands for itself, so that there are no sessions to lose, to share or to leak.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from createos_nb.platform.answers import failure

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server

    from createos_nb.platform.calls import Calls

ANNOUNCED = "createos_nb.mcp_headers"
"""Where a request's scope has the headers that its call wants on the answer."""

_MAX_BODY_BYTES = 70_000_000
"""The largest archive in base64, and what a call adds to it."""


class McpEndpoint:
    """Answers requests to ``/mcp``.

    Parameters
    ----------
    calls
        Carries the operations out.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._loading: asyncio.Task[Server] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = Headers(scope=scope)
        refusal = self._calls.refusal(headers, bearer=True)
        if refusal is None and scope["method"] != "POST":
            # No stream for what the server may want to say by itself, and no session to delete.
            refusal = failure(405, "Send messages with POST.", headers={"Allow": "POST"})
        if refusal is None and headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            refusal = failure(415, "Send the message as application/json.")
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

        manager = StreamableHTTPSessionManager(
            await self._server(), json_response=True, stateless=True, max_request_body_size=_MAX_BODY_BYTES
        )
        scope[ANNOUNCED] = {}

        async def announced(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(raw=message["headers"]).update(scope[ANNOUNCED])
            await send(message)

        async with manager.run():
            await manager.handle_request(scope, receive, announced)

    async def _server(self) -> Server:
        if self._loading is None:

            def load() -> Server:
                from createos_nb.platform.mcp_tools import make_server

                return make_server(self._calls)

            self._loading = asyncio.create_task(asyncio.to_thread(load))
        return await asyncio.shield(self._loading)
