"""Guards: what is refused before a request to the API is looked at.

Whoever may call the API may run programs as its user, so that "it is only on this machine" is no defence:
any page in a browser can send requests to this machine. Hence: only names of this machine, no requests
from other sites, JSON only (a form or a text needs no permission from the browser), and a key on every call.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from createos_nb.platform.answers import failure

_LOOPBACK = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?", re.IGNORECASE)


class Guards:
    """Refuses requests that a client of this machine would not send, and marks every answer.

    Parameters
    ----------
    app
        What answers the others.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-createos-local", b"1")]
            await send(message)

        refusal = _refusal(Headers(scope=scope))
        await (failure(*refusal) if refusal else self._app)(scope, receive, marked)


def _refusal(headers: Headers) -> tuple[int, str] | None:
    hosts = headers.getlist("host")
    if len(hosts) != 1 or not _LOOPBACK.fullmatch(hosts[0]):
        return 421, "This API answers only to localhost, 127.0.0.1 and [::1]."
    site = headers.get("sec-fetch-site", "none")
    origin = headers.get("origin")
    if site not in {"none", "same-origin"} or (origin is not None and urlsplit(origin).netloc != hosts[0]):
        return 403, "Requests from web pages of other sites are refused."
    return None
