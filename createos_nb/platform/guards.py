"""Guards: what is refused before a request to the API is looked at.

Whoever may call the API may run programs as its user, so that "it is only on this machine" is no defence:
any page in a browser can send requests to this machine. Hence: only names of this machine, no requests
from other sites, JSON only (a form or a text needs no permission from the browser), and a key on every call.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from createos_nb.platform.answers import failure

_PORT = r"(?::\d{1,5})?"
_LOOPBACK = r"localhost|127\.0\.0\.1|\[::1\]"

REQUEST_ID = "createos_nb.request_id"
"""Where a request's scope has its id."""
TARGET = "createos_nb.target"
"""The extension in a request's scope that has what was asked for, as it was sent."""

# Answers hold variables in clear, and nothing in them is a page.
_MARKS = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]


class Guards:
    """Refuses requests that a client of this machine would not send; gives every answer its marks and an id.

    Parameters
    ----------
    app
        What answers the others.
    announced
        The headers on how many requests are left, for answers that were not counted.
    """

    def __init__(self, app: ASGIApp, announced: Callable[[Headers], Mapping[str, str]]) -> None:
        self._app = app
        self._announced = announced

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            raise RuntimeError(f"The API speaks HTTP only, not {scope['type']}.")
        scope[REQUEST_ID] = request_id = secrets.token_hex(8)
        marks = [(b"x-createos-local", b"1"), (b"x-request-id", request_id.encode()), *_MARKS]

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *marks]
                if not any(name == b"x-ratelimit-limit" for name, _ in message["headers"]):
                    MutableHeaders(raw=message["headers"]).update(self._announced(headers))
            await send(message)

        headers = Headers(scope=scope)
        refusal = _refusal(headers, scope)
        await (failure(*refusal) if refusal else self._app)(scope, receive, marked)


def _refusal(headers: Headers, scope: Scope) -> tuple[int, str] | None:
    # The address that a connection came to: no name can be made to lead to a literal, as it can to an address.
    own = (scope.get("server") or ("127.0.0.1",))[0]
    literal = re.escape(f"[{own}]" if ":" in own else own)
    answered = re.compile(rf"(?:{_LOOPBACK}|{literal}){_PORT}", re.IGNORECASE)
    hosts = headers.getlist("host")
    # A target may name a host, too, which then is the one that is meant: RFC 9112, 3.2.2.
    target = scope.get("extensions", {}).get(TARGET, {"target": b"/"})["target"]
    named = [] if target.startswith(b"/") else [target.decode("latin-1").partition("://")[2].partition("/")[0]]
    if len(hosts) != 1 or not all(answered.fullmatch(host) for host in (*hosts, *named)):
        return 421, f"This API answers only to localhost, 127.0.0.1, [::1] and {own}, not to other names."
    sites, origins = headers.getlist("sec-fetch-site"), headers.getlist("origin")
    if not {*sites} <= {"none", "same-origin"} or not {*origins} <= {f"http://{hosts[0]}"}:
        return 403, "Requests from web pages of other sites are refused."
    return None
