"""MCP session: one conversation with an MCP server, and what became of each request in it.

What a call raises is decided by the note that `createos_nb.api.mcp_http` took of its HTTP request, not by
what the SDK makes of it.
"""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import replace
from urllib.parse import urlsplit

import httpx2
from mcp import Client, MCPError
from mcp.client.session import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp_types import (
    CONNECTION_CLOSED,
    CallToolRequest,
    CallToolRequestParams,
    CallToolResult,
    Implementation,
    TextContent,
)

from createos_nb.api.envelope import refusal_in
from createos_nb.api.mcp import EMBEDDED, ENDPOINT, STATUS
from createos_nb.api.mcp_http import MAX_BODY_BYTES, NOTE, Http, Key, Note
from createos_nb.api.message import Request, Response, Unanswered
from createos_nb.errors import ConnectionFailed, NotOverMCP, OperationFailed, UnexpectedResponse
from createos_nb.markup import one_line
from createos_nb.settings import Settings

_CLOSE_S = 2.0
_OPENING = 2
"""A session is opened by two requests."""
_SLOWEST_BYTES_S = 100_000
"""How fast an upload is taken to be at least."""
_NOT_WHOLE = "the answer did not come whole in time"


class _Link:
    """An open session; a task of its own opens and closes it, as the SDK's cancel scopes ask for."""

    def __init__(self, settings: Settings, timeout_s: float) -> None:
        self._settings = settings
        self._timeout_s = timeout_s
        self.note = Note(handshake=True)
        self.ready = asyncio.Event()
        self.session: ClientSession | None = None
        self.problem = ""
        self._stop = asyncio.Event()
        self._task = asyncio.create_task(self._own())

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that it belongs to."""
        return self._task.get_loop()

    @property
    def ended(self) -> bool:
        """Whether it never opened, or no longer is."""
        return self.ready.is_set() and self.session is None

    async def _own(self) -> None:
        NOTE.set(self.note)
        http = Http(
            auth=Key(self._settings),
            timeout=httpx2.Timeout(self._timeout_s, connect=5.0),
            follow_redirects=False,
            # A proxy has no business between this process and its own machine.
            trust_env=urlsplit(self._settings.api_url).scheme != "http",
            limits=httpx2.Limits(max_connections=32, max_keepalive_connections=32),
        )
        transport = streamable_http_client(
            self._settings.api_url + ENDPOINT, http_client=http, max_sse_event_size=MAX_BODY_BYTES
        )
        try:
            async with http, Client(transport, cache=None, client_info=_WHO) as client:
                self.session = client.session
                self.ready.set()
                await self._stop.wait()
        except Exception as error:  # noqa: BLE001 - the SDK raises groups of what its tasks raise; the note decides
            self.problem = type(error).__name__
        finally:
            self.session = None
            self.ready.set()

    async def aclose(self) -> None:
        """Say goodbye, for two seconds at most, and close the connections."""
        self._stop.set()
        await asyncio.wait([self._task], timeout=_CLOSE_S)
        self._task.cancel()
        await asyncio.wait([self._task])


class Session:
    """Sends requests as tool calls; opens a session when there is none, and once more when it was lost.

    Parameters
    ----------
    settings
        Where to, and the key.
    timeout_s
        Seconds without a byte until a request counts as unanswered.
    """

    def __init__(self, settings: Settings, *, timeout_s: float) -> None:
        self._settings = settings
        self._timeout_s = timeout_s
        self._link: _Link | None = None

    async def send(self, request: Request) -> Response:
        """Send one request and return its answer.

        Raises
        ------
        ConnectionFailed
            It was not sent.
        Unanswered
            It was sent, and no answer came.
        OperationFailed
            The MCP server refused the call itself.
        """
        credential = self._settings.credential
        told = replace(request, secrets=(*request.secrets, credential))
        return (await self._answer(told)).without(credential)

    async def _answer(self, request: Request) -> Response:
        for _ in range(2):
            link = await self._open()
            session = link.session
            if session is None:
                return self._not_open(request, link)
            if request.file is not None:
                _refuse_elsewhere(request, session)
            note = Note()
            answer = await self._called(session, request, note)
            if answer is not None:
                return answer
            if not (note.in_session and note.status == 404):
                return self._without_result(request, note)
            await self._forget(link)
            if request.safety in {"creates", "destroys"}:
                raise Unanswered("the MCP server no longer knew the session")
        raise UnexpectedResponse(
            f"{request} found no session that lasts at {self._settings.api_url}{ENDPOINT}. Try again, or use REST."
        )

    async def _called(self, session: ClientSession, request: Request, note: Note) -> Response | None:
        """Call a tool within the time that an answer may take to come whole, and that sending it may."""
        sending_s = len(request.file or b"") / _SLOWEST_BYTES_S
        try:
            async with asyncio.timeout(self._timeout_s + sending_s):
                return await _called(session, request, note)
        except TimeoutError:
            note.unanswered = note.unanswered or _NOT_WHOLE
            return None

    async def _open(self) -> _Link:
        """Return the session that is open or opening; a new one when the last has failed or ended."""
        link = self._link
        if (
            link is None
            or link.loop is not asyncio.get_running_loop()
            or (link.ready.is_set() and not link.session)
        ):
            link = self._link = _Link(self._settings, self._timeout_s)
        try:
            async with asyncio.timeout(_OPENING * self._timeout_s):
                await link.ready.wait()
        except TimeoutError:
            link.note.unanswered = _NOT_WHOLE
            await self._forget(link)
        return link

    async def _forget(self, link: _Link) -> None:
        if self._link is link:
            self._link = None
        await link.aclose()

    def _not_open(self, request: Request, link: _Link) -> Response:
        """Return or raise what a handshake's failure means for a request, which was not sent."""
        note = link.note
        if note.hopeless and note.status:
            return Response(note.status, note.headers, note.body)
        where = f"{self._settings.api_url}{ENDPOINT}"
        if note.unsent or note.unanswered:
            raise ConnectionFailed(
                f"Nothing answers at {where} ({note.unsent or note.unanswered}). Is the platform running? "
                "For the embedded one: createos-nb local up."
            )
        raise UnexpectedResponse(
            f"{request} was not sent: there is no MCP server at {where} (HTTP {note.status or link.problem}). "
            "Check the API URL, or use REST.",
            body=request.hidden_in(_text(note)),
        )

    def _without_result(self, request: Request, note: Note) -> Response:
        """Return or raise what became of a call that has no result."""
        if note.unsent or not note.begun:
            raise ConnectionFailed(
                f"Nothing answers at {self._settings.api_url}{ENDPOINT} ({note.unsent or 'the session ended'}). "
                "Is the platform running? For the embedded one: createos-nb local up."
            )
        if note.unanswered:
            raise Unanswered(note.unanswered)
        said = _rpc_error(note.body)
        if said is not None:
            raise _refused(request, said, note)
        if note.status >= 300:
            return Response(note.status, note.headers, note.body)
        raise UnexpectedResponse(
            f"{request} answered HTTP {note.status} with something that is not MCP "
            f"({one_line(request.hidden_in(_text(note)), limit=80) or 'empty'}). Check the API URL, or use REST.",
            body=request.hidden_in(_text(note)),
        )

    async def aclose(self) -> None:
        """Close the session and its connections."""
        link, self._link = self._link, None
        if link is not None and link.loop is asyncio.get_running_loop():
            await link.aclose()


async def _called(session: ClientSession, request: Request, note: Note) -> Response | None:
    """Call a tool and return its result; None when there is none, and the note says why."""
    token = NOTE.set(note)
    refusal: OperationFailed | None = None
    try:
        result = await session.send_request(_message(request), CallToolResult)
    except MCPError as error:
        if error.code == CONNECTION_CLOSED and not note.unsent:
            note.unanswered = note.unanswered or "the connection closed"
        elif note.events and not note.unanswered:
            refusal = _refused(request, (error.code, error.message), note)
    except Exception as error:  # noqa: BLE001 - whatever the SDK makes of an answer it cannot read
        note.body = note.body or type(error).__name__.encode()
    else:
        return _response(request, result, note)
    finally:
        NOTE.reset(token)
    if refusal is not None:
        raise refusal
    return None


def _message(request: Request) -> CallToolRequest:
    arguments = dict(request.arguments)
    if request.file is not None:
        arguments["body"] = {"file": base64.b64encode(request.file).decode("ascii")}
    return CallToolRequest(params=CallToolRequestParams(name=str(request.tool), arguments=arguments))


def _response(request: Request, result: CallToolResult, note: Note) -> Response:
    """Return a result as the answer that REST would have given."""
    if len(result.content) != 1 or not isinstance(result.content[0], TextContent):
        raise UnexpectedResponse(
            f"{request} answered {len(result.content)} pieces of content where one text is expected. Use REST."
        )
    text = result.content[0].text
    status = (result.meta or {}).get(STATUS, 200)
    if not isinstance(status, int) or not 100 <= status <= 599:
        status = 200
    if result.is_error and status < 400 and not _says_no(text):
        raise _refused(request, (0, text), note)
    # What kind of text the protocol itself travels as says nothing of the one within.
    return Response(status, {**note.headers, "content-type": "application/json"}, text.encode())


def _text(note: Note) -> str:
    return note.body[:2000].decode("utf-8", "replace")


def _says_no(text: str) -> bool:
    """Whether a text is an envelope that says that it was not done."""
    try:
        return refusal_in(json.loads(text)) is not None
    except (ValueError, RecursionError):
        return False


def _rpc_error(body: bytes) -> tuple[int, str] | None:
    """Return the code and the sentence of an error of the protocol itself."""
    try:
        message = json.loads(body)
        error = message["error"]
        return (int(error["code"]), str(error["message"])) if message["jsonrpc"] == "2.0" else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _refused(request: Request, said: tuple[int, str], note: Note) -> OperationFailed:
    code, detail = said[0], request.hidden_in(said[1])
    which = f"MCP error {code}" if code else "MCP"
    sentence = one_line(detail, limit=300).rstrip(".")
    return OperationFailed(
        f"{request.operation} was refused ({which}): {sentence or 'no reason given'}.",
        operation=request.operation,
        method=request.method,
        path=request.template,
        status=note.status,
        detail=detail,
        request_id=note.headers.get("x-request-id"),
    )


def _refuse_elsewhere(request: Request, session: ClientSession) -> None:
    """Refuse an archive that no documented encoding takes to this server."""
    who = session.server_info
    if who is None or who.name != EMBEDDED:
        raise NotOverMCP(
            f"{request.operation} has no documented encoding over MCP; only the embedded platform is known to take "
            "base64. Call it over REST: Client(transport='rest').",
            operation=request.operation,
        )


_WHO = Implementation(name="createos_nb", version="0")
