"""MCP: the same operations over tool calls give the same models and the same errors as over REST."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import json
import logging
import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
import pytest

import createos_nb as cos
from createos_nb import errors
from createos_nb.api.client import AsyncClient, Client
from createos_nb.api.deployments import SourceFile
from createos_nb.api.mcp import AsyncMcpTransport, McpTransport
from createos_nb.api.message import Request
from createos_nb.api.operation import OPERATIONS
from createos_nb.api.secret import Secret
from createos_nb.settings import resolve
from tests.api.played import nouns
from tests.conftest import delete

KEY = "skp_canary_0123456789"
MODERN = "2026-07-28"
pytestmark = pytest.mark.anyio

Answer = Callable[[dict[str, Any]], bytes | None]


# --- a server that does as it is told ---------------------------------------------------------------------------


def http(status: int, body: bytes | str = b"", **headers: str) -> bytes:
    """One HTTP answer as bytes; underscores in header names stand for hyphens."""
    body = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} Some", f"content-length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def rpc(message: dict[str, Any], result: dict[str, Any], **headers: str) -> bytes:
    answer = {"jsonrpc": "2.0", "id": message["id"], "result": result}
    return http(200, json.dumps(answer), content_type="application/json", **headers)


def text(said: str, *, is_error: bool = False, meta: dict[str, Any] | None = None, **headers: str) -> Answer:
    """A tool's result with one text."""
    result = {
        "content": [{"type": "text", "text": said}],
        "isError": is_error,
        "resultType": "complete",
        "_meta": meta or {},
    }
    return lambda message: rpc(message, result, **headers)


def raw(status: int, body: bytes | str = b"", **headers: str) -> Answer:
    return lambda _message: http(status, body, **headers)


DONE = text(json.dumps({"status": "success", "data": "done"}))
NO_PROJECTS = text(json.dumps({"status": "success", "data": {"data": [], "pagination": {"total": 0}}}))


def cut(_message: dict[str, Any]) -> None:
    """Close the connection in place of an answer."""


class Fake:
    """A server of raw sockets that speaks as much MCP as a tool call needs, and answers it as it is told."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.url = "http://{}:{}".format(*address)
        self.forget()

    def forget(self) -> None:
        self.seen: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.answers: list[Answer] = []
        self.otherwise: Answer = DONE
        self.handshake: Answer | None = None
        self.name = "another-server"
        self.legacy = False
        self.drops = b""
        self.sessions: set[str] = set()
        self.called = threading.Event()
        self.released = threading.Event()

    @property
    def calls(self) -> list[dict[str, Any]]:
        return [message["params"] for method, _headers, message in self.seen if method == "tools/call"]

    def hang(self, _message: dict[str, Any]) -> None:
        """Say nothing until the test is over."""
        self.released.wait(20)

    def answer(self, verb: str, headers: dict[str, str], body: bytes) -> bytes | None:
        message = json.loads(body) if body else {}
        method = message.get("method", verb)
        self.seen.append((method, headers, message))
        if method == "tools/call":
            self.called.set()
            if self.legacy and headers.get("mcp-session-id") not in self.sessions:
                return http(404, "unknown session")
            return (self.answers.pop(0) if self.answers else self.otherwise)(message)
        if self.handshake is not None:
            return self.handshake(message)
        who = {"name": self.name, "version": "1"}
        if method == "server/discover" and not self.legacy:
            facts = {"supportedVersions": [MODERN], "capabilities": {"tools": {}}, "resultType": "complete"}
            meta = {"io.modelcontextprotocol/serverInfo": who}
            return rpc(message, {**facts, "ttlMs": 0, "cacheScope": "private", "_meta": meta})
        if method == "initialize" and self.legacy:
            session = uuid.uuid4().hex
            self.sessions.add(session)
            facts = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": who}
            return rpc(message, facts, mcp_session_id=session)
        if method == "notifications/initialized":
            return http(202)
        return http(404 if verb == "POST" else 405)


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        fake: Fake = self.server.fake  # type: ignore[attr-defined] # it is set where the server is made
        with contextlib.suppress(ConnectionError):
            while (line := self.rfile.readline()).strip():
                headers = {}
                while (header := self.rfile.readline().decode().strip()) != "":
                    name, _, value = header.partition(":")
                    headers[name.lower()] = value.strip()
                body = self.rfile.read(int(headers.get("content-length", 0)))
                answer = fake.answer(line.decode().split()[0], headers, body)
                if answer is None:
                    return
                self.wfile.write(answer)
                while fake.drops and fake.called.is_set() and not fake.released.wait(0.05):
                    self.wfile.write(fake.drops)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


@contextlib.contextmanager
def faking():
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.fake = Fake(server.server_address)  # type: ignore[attr-defined] # for its handlers
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.fake
        finally:
            server.fake.released.set()
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def _fake():
    with faking() as fake:
        yield fake


@pytest.fixture
def fake(_fake):
    _fake.forget()
    yield _fake
    _fake.released.set()


class Caller:
    """Calls operations over MCP in one of the two colours, under one spelling."""

    def __init__(self, colour: str) -> None:
        self.blocking = colour == "blocking"

    async def __call__(self, url, noun, method, *args, timeout_s=5.0, transport="mcp", **kwargs):
        options = {"api_key": KEY, "timeout_s": timeout_s, "transport": transport}
        if self.blocking:
            with Client(url, **options) as client:
                return await asyncio.to_thread(getattr(getattr(client, noun), method), *args, **kwargs)
        async with AsyncClient(url, **options) as client:
            return await getattr(getattr(client, noun), method)(*args, **kwargs)


@pytest.fixture(params=["blocking", "awaiting"])
def call(request):
    return Caller(request.param)


FILES = [SourceFile(path="main.py", content="print()")]
UPLOAD = ("deployments", "upload_files", "p")


# --- equal to REST, on the platform -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def over_mcp(platform):
    with Client(platform.api_url, api_key=platform.api_key(), transport="mcp") as client:
        yield client


@pytest.fixture(scope="module")
def world(client):
    """Ids of things that are there, by the names that paths have for them."""
    from createos_nb.api.environments import EnvironmentSettings, Resources
    from createos_nb.api.projects import UploadSettings

    project_id = client.projects.create(
        unique_name=f"mcp-{uuid.uuid4().hex[:8]}",
        display_name="Over MCP",
        type="upload",
        settings=UploadSettings(runtime="static", run_envs={"TOKEN": Secret("s3cret")}),
    ).id
    environment_id = client.environments.create(
        project_id,
        unique_name="production",
        display_name="Production",
        description="It is live",
        resources=Resources(cpu=200, memory=500, replicas=1),
        settings=EnvironmentSettings(run_envs={"TOKEN": Secret("s3cret")}),
    ).id
    index = SourceFile(path="index.html", content="<p>It works")
    deployment_id = client.deployments.upload_files(project_id, files=[index]).id
    client.deployments.wait(project_id, deployment_id, timeout_s=60)
    domain_id = client.domains.create(project_id, name=f"{uuid.uuid4().hex[:8]}.example").id
    yield {
        "project_id": project_id,
        "environment_id": environment_id,
        "deployment_id": deployment_id,
        "domain_id": domain_id,
        "api_key_id": client.api_keys.list()[0].id,
    }
    delete(client, project_id)


TOOLS = {name: declared for name, declared in OPERATIONS.items() if declared.tool is not None}
ONE_TIME = {"DownloadDeployment", "GetProjectTransferUri"}
"""What is another each time: an address with a token."""

NOWHERE = "00000000-0000-4000-8000-000000000000"


def method_of(client: Any, name: str) -> Callable[..., Any]:
    """The client's method for an operation."""
    for resource in nouns(client).values():
        for kind in type(resource).__mro__:
            for attribute, value in vars(kind).items():
                if value is OPERATIONS[name]:
                    return getattr(resource, attribute)
    pytest.fail(f"No attribute of the client has {name}.")


def outcome(client: Any, name: str, values: dict[str, Any]) -> Any:
    """What a call comes to: a value as it travels, or what an error says."""
    try:
        result = method_of(client, name)(**values)
    except errors.OperationFailed as error:
        return type(error), str(error), error.status, error.operation, error.method, error.path, error.detail
    rows = list(result) if isinstance(result, list | tuple) or hasattr(result, "complete") else result
    return type(result), getattr(result, "complete", None), json.loads(json.dumps(rows, default=lambda m: m.wire()))


@pytest.mark.parametrize("name", [name for name, declared in TOOLS.items() if declared.safety == "read"])
def test_a_reading_operation_gives_equal_models_over_both(client, over_mcp, world, arguments, name):
    declared = OPERATIONS[name]
    given = {key: world.get(key, NOWHERE) for key in arguments(declared) if key.endswith("_id")}
    given = {**arguments(declared), **given}
    taken = declared.signature.parameters
    given |= {key: value for key, value in {"start": 1_795_000_000, "end": 1_795_003_600}.items() if key in taken}
    ours, theirs = outcome(over_mcp, name, given), outcome(client, name, given)
    if name in ONE_TIME:
        ours, theirs = ours[:-1], theirs[:-1]
    assert ours == theirs


@pytest.mark.parametrize(
    "name", [name for name, declared in TOOLS.items() if declared.safety != "read" and "{" in declared.path]
)
def test_a_change_of_what_is_not_there_gives_equal_errors_over_both(client, over_mcp, arguments, name):
    given = arguments(OPERATIONS[name])
    given |= {key: NOWHERE for key, value in given.items() if key.endswith("_id") and isinstance(value, str)}
    kind, *said = outcome(over_mcp, name, given)
    assert issubclass(kind, errors.OperationFailed)
    assert [kind, *said] == list(outcome(client, name, given))


def test_a_thing_made_over_mcp_is_the_same_over_rest(client, over_mcp, world):
    made = over_mcp.domains.create(world["project_id"], name=f"{uuid.uuid4().hex[:8]}.example")
    assert made.id in {domain.id for domain in client.domains.list(world["project_id"])}
    over_mcp.environments.update_variables(
        world["project_id"], world["environment_id"], run_envs={"TOKEN": Secret("näw")}
    )
    after = client.environments.get(world["project_id"], world["environment_id"])
    assert after.settings.run_envs["TOKEN"].reveal() == "näw"


def test_an_archive_goes_over_mcp_to_the_embedded_platform(client, over_mcp, world):
    import io
    import zipfile

    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as whole:
        whole.writestr("index.html", "<p>From an archive")
    made = over_mcp.deployments.upload_zip(world["project_id"], file=archive.getvalue())
    assert client.deployments.wait(world["project_id"], made.id, timeout_s=60).status == "deployed"


def test_an_uploaded_directory_of_many_kinds_of_text_arrives_whole(client, over_mcp, world):
    odd = "".join(map(chr, (9, 10, 34, 39, 60, 92, 0x7F, 0xE9, 0x2028, 0xFEFF, 0x1F600)))
    files = [SourceFile(path="index.html", content=odd), SourceFile(path="ä/b c.txt", content="x" * 300_000)]
    made = over_mcp.deployments.upload_files(world["project_id"], files=files)
    assert client.deployments.wait(world["project_id"], made.id, timeout_s=60).status == "deployed"


async def test_the_awaiting_client_gives_equal_models_too(platform, client, world):
    async with AsyncClient(platform.api_url, api_key=platform.api_key(), transport="mcp") as over_mcp:
        assert await over_mcp.projects.get(world["project_id"]) == client.projects.get(world["project_id"])
        assert list(await over_mcp.projects.list()) == list(client.projects.list())


def test_a_workspace_speaks_mcp_when_it_is_asked_to(platform, world):
    ws = cos.connect(platform.api_url, api_key=platform.api_key(), transport="mcp")
    with contextlib.closing(ws.api):
        assert world["project_id"] in set(ws.projects()["project_id"])
        assert ws.api.info()["transport"] == "mcp"


@pytest.mark.parametrize("make", [Client, AsyncClient, cos.connect])
def test_another_transport_is_one_clear_error(make):
    with pytest.raises(errors.InvalidArgument, match="'soap' is refused: it must be 'rest' or 'mcp'"):
        make("http://127.0.0.1:9", api_key=KEY, transport="soap")


# --- what has no tool -------------------------------------------------------------------------------------------


def test_what_has_no_tool_takes_no_place_in_the_budget():
    with Client("http://127.0.0.1:9", api_key=KEY, transport="mcp") as client:
        for _ in range(3):
            with pytest.raises(errors.NotOverMCP):
                client.projects.suspend("p")
        assert client.info()["budget"]["minute"]["remaining"] == 100


def test_what_has_no_tool_is_refused_before_anything_is_opened_or_loaded():
    script = """
import sys, threading, asyncio
from createos_nb.api.mcp import AsyncMcpTransport, McpTransport
from createos_nb.api.message import Request
from createos_nb.errors import NotOverMCP
from createos_nb.settings import resolve
request = Request("SuspendProject", "POST", "/v1/x", "/v1/x", "idempotent")
settings = resolve("http://127.0.0.1:9", api_key="k")
try:
    McpTransport(settings, timeout_s=1).check(request)
except NotOverMCP as error:
    print(error)
try:
    AsyncMcpTransport(settings, timeout_s=1).check(request)
except NotOverMCP as error:
    print(error.operation)
print("mcp" in sys.modules, "httpx2" in sys.modules, threading.active_count())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "SuspendProject has no MCP tool. Call it over REST: Client(transport='rest').",
        "SuspendProject",
        "False False 1",
    ]


async def test_an_archive_to_another_server_is_refused_and_not_sent(fake, call):
    with pytest.raises(errors.NotOverMCP, match="no documented encoding") as caught:
        await call(fake.url, "deployments", "upload_zip", "p", file=b"PK")
    assert caught.value.operation == "UploadDeploymentZip"
    assert fake.calls == []


async def test_an_archive_travels_in_base64(fake, call):
    fake.name = "createos-nb"
    fake.otherwise = text('{"status": "success", "data": {"id": "d"}}')
    assert (await call(fake.url, "deployments", "upload_zip", "p", file=b"PK\x00")).id == "d"
    assert fake.calls[0]["arguments"] == {"project_id": "p", "body": {"file": base64.b64encode(b"PK\x00").decode()}}


# --- what is sent -----------------------------------------------------------------------------------------------


async def test_a_call_names_the_tool_and_its_arguments(fake, call):
    fake.otherwise = NO_PROJECTS
    await call(fake.url, "projects", "list", type="vcs")
    assert fake.calls[0]["name"] == "ListProjects"
    assert fake.calls[0]["arguments"] == {"type": "vcs", "limit": 20, "offset": 0}


@pytest.mark.parametrize("legacy", [False, True])
async def test_every_request_is_signed_and_the_session_is_opened_once(fake, legacy):
    fake.legacy, fake.otherwise = legacy, NO_PROJECTS
    async with AsyncClient(fake.url, api_key=KEY, transport="mcp") as client:
        for _ in range(3):
            await client.projects.list()
    opening = ["server/discover", "initialize", "notifications/initialized"] if legacy else ["server/discover"]
    closing = ["DELETE"] if legacy else []
    assert [method for method, _, _ in fake.seen] == [*opening, *["tools/call"] * 3, *closing]
    assert {headers.get("x-api-key") for _, headers, _ in fake.seen} == {KEY}
    assert not [headers for _, headers, _ in fake.seen if {"authorization", "x-access-token"} & set(headers)]


async def test_an_access_token_is_sent_as_a_bearer(fake, monkeypatch):
    monkeypatch.setenv("CREATEOS_ACCESS_TOKEN", KEY)
    fake.otherwise = NO_PROJECTS
    async with AsyncClient(fake.url, transport="mcp") as client:
        await client.projects.list()
    assert {headers.get("authorization") for _, headers, _ in fake.seen} == {f"Bearer {KEY}"}
    assert not [headers for _, headers, _ in fake.seen if "x-api-key" in headers]


async def test_a_redirect_is_not_followed(fake, call):
    with faking() as elsewhere:
        for target in (elsewhere.url + "/mcp", "/mcp/"):
            for place in ("answers", "handshake"):
                fake.forget()
                told = raw(307, location=target)
                if place == "answers":
                    fake.otherwise = told
                else:
                    fake.handshake = told
                with pytest.raises(errors.UnexpectedResponse):
                    await call(fake.url, "projects", "list")
        assert elsewhere.seen == []


def test_neither_the_environment_nor_a_netrc_file_has_a_say(fake, monkeypatch, tmp_path):
    with faking() as proxy:
        netrc = tmp_path / "netrc"
        netrc.write_text("default login somebody password hunter2\n")
        monkeypatch.setenv("NETRC", str(netrc))
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        fake.otherwise = NO_PROJECTS
        with Client(fake.url, api_key=KEY, transport="mcp") as client:
            client.projects.list()
        assert proxy.seen == []
    assert not [headers for _, headers, _ in fake.seen if "authorization" in headers]


# --- refusals ---------------------------------------------------------------------------------------------------

FAIL = json.dumps({"status": "fail", "data": "No, because."})
JSON = {"content_type": "application/json"}
REFUSALS = {
    "bad request": http(400, FAIL, **JSON),
    "unauthorized": http(401, FAIL, x_request_id="r-1", **JSON),
    "forbidden": http(403, FAIL, **JSON),
    "conflict": http(409, FAIL, **JSON),
    "unprocessable": http(422, FAIL, **JSON),
    "later": http(429, FAIL, retry_after="3600", date="Tue, 24 Nov 2026 08:00:00 GMT", **JSON),
    "later, without a time": http(429, FAIL, **JSON),
    "failed": http(500, FAIL, **JSON),
    "page": http(500, "<html>Something went wrong</html>", content_type="text/html"),
    "gateway": http(502, "", content_type="text/html"),
    "unavailable": http(503, "upstream", content_type="text/plain"),
    "teapot": http(418, FAIL, **JSON),
}


@contextlib.contextmanager
def refusing(answer: bytes):
    """A REST server with one answer to everything."""
    with faking() as rest:
        rest.answer = lambda _verb, headers, _body: rest.seen.append(("", headers, {})) or answer
        yield rest


def told(error: errors.CreateOSError) -> tuple[Any, ...]:
    """What an error tells, but for the time of day: of two errors the second comes later."""
    message = str(error)
    if later := getattr(error, "retry_at", None):
        message = message.replace(f"{later:%H:%M:%S}", "<retry_at>")
    facts = {key: value for key, value in vars(error).items() if isinstance(value, str | int)}
    return type(error), message, facts, later is None


@pytest.mark.parametrize("kind", REFUSALS)
async def test_a_refusal_is_the_same_error_as_over_rest(fake, call, kind):
    with refusing(REFUSALS[kind]) as rest:
        with pytest.raises(errors.CreateOSError) as expected:
            await call(rest.url, *UPLOAD, files=FILES, transport="rest")
        sent = len(rest.seen)
    fake.otherwise = lambda _message: REFUSALS[kind]
    with pytest.raises(errors.CreateOSError) as caught:
        await call(fake.url, *UPLOAD, files=FILES)
    assert told(caught.value) == told(expected.value)
    assert len(fake.calls) == sent
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "kind", ["unauthorized", "forbidden", "later", "later, without a time", "failed", "page", "unavailable"]
)
async def test_a_refused_handshake_is_the_same_error_as_a_refused_call(fake, call, kind):
    with refusing(REFUSALS[kind]) as rest:
        with pytest.raises(errors.CreateOSError) as expected:
            await call(rest.url, *UPLOAD, files=FILES, transport="rest")
        sent = len(rest.seen)
    fake.handshake = lambda _message: REFUSALS[kind]
    with pytest.raises(errors.CreateOSError) as caught:
        await call(fake.url, *UPLOAD, files=FILES)
    assert told(caught.value) == told(expected.value)
    assert len(fake.seen) == sent
    assert fake.calls == []


@pytest.mark.parametrize(
    "answer",
    [
        raw(404, "<html>", content_type="text/html"),
        raw(405),
        raw(200, "<html>", content_type="text/html"),
        raw(200, FAIL, **JSON),
        raw(200, '{"status": "success", "data": []}', **JSON),
        raw(200, "{", **JSON),
        raw(200, "[]", **JSON),
        raw(204),
        raw(202),
        raw(302, location="/login"),
        raw(200, "data: x\r\n\r\n", content_type="text/event-stream"),
        lambda message: http(
            200, json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": {}}), content_type="application/json"
        ),
    ],
)
async def test_a_host_without_an_mcp_server_is_named(fake, call, answer):
    fake.handshake = answer
    with pytest.raises(errors.CreateOSError, match=r"no MCP server at|Nothing answers at|redirected"):
        await call(fake.url, *UPLOAD, files=FILES)
    assert fake.calls == []


async def test_a_tool_result_carries_the_status_and_the_headers_carry_the_budget(fake, call):
    fake.otherwise = text(
        FAIL, is_error=True, meta={"createos/status": 429}, retry_after="3600", x_request_id="r-2"
    )
    with pytest.raises(errors.RateLimited) as caught:
        await call(fake.url, *UPLOAD, files=FILES)
    assert caught.value.retry_at is not None
    assert caught.value.request_id == "r-2"


async def test_the_answers_headers_are_those_of_its_own_request(fake):
    fake.otherwise = text("{}", **{"X-RateLimit-Remaining": "7"})
    transport = AsyncMcpTransport(resolve(fake.url, api_key=KEY), timeout_s=5)
    request = Request("GetProject", "GET", "/v1/p", "/v1/p", "read", tool="GetProject")
    response = await transport.send(request)
    await transport.aclose()
    assert (response.status, response.body) == (200, b"{}")
    assert response.headers["x-ratelimit-remaining"] == "7"
    assert all(name == name.lower() for name in response.headers)


def unknown_tool(status: int, message: dict[str, Any]) -> bytes:
    error = {"code": -32602, "message": "No such tool"}
    return http(status, json.dumps({"jsonrpc": "2.0", "id": message["id"], "error": error}), **JSON)


SAYS_DONE = '{"status": "success", "data": {"id": "d"}}'
RESULTS = {
    "envelope without a status": (text(FAIL, is_error=True), errors.Rejected, "No, because"),
    "envelope, not called an error": (text(FAIL), errors.Rejected, "No, because"),
    "a sentence": (text("no such tool, sorry", is_error=True), errors.OperationFailed, "no such tool, sorry"),
    "an error that says success": (
        text('{"status": "success", "data": {"id": "d"}}', is_error=True),
        errors.OperationFailed,
        "UploadDeploymentFiles was refused",
    ),
    "a text that is no envelope": (text("done!"), errors.OutcomeUnknown, "not a CreateOS answer"),
    "an empty text": (text(""), errors.OutcomeUnknown, "empty"),
    "a status that is none": (text(FAIL, meta={"createos/status": "x"}), errors.Rejected, "No, because"),
    "nothing": (
        lambda message: rpc(message, {"content": [], "isError": False, "resultType": "complete"}),
        errors.UnexpectedResponse,
        "0 pieces",
    ),
    "a picture": (
        lambda message: rpc(
            message,
            {
                "content": [{"type": "image", "data": "AA==", "mimeType": "image/png"}],
                "isError": False,
                "resultType": "complete",
            },
        ),
        errors.UnexpectedResponse,
        "one text",
    ),
    "an error of the protocol": (
        lambda message: http(
            200,
            json.dumps(
                {"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32602, "message": "No such tool"}}
            ),
            content_type="application/json",
        ),
        errors.OperationFailed,
        r"MCP error -32602\): No such tool",
    ),
    "an error of the protocol with a status": (
        lambda message: http(
            400,
            json.dumps(
                {"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32602, "message": "No such tool"}}
            ),
            content_type="application/json",
        ),
        errors.OperationFailed,
        r"MCP error -32602\): No such tool",
    ),
    "not MCP": (
        raw(200, '{"status": "success", "data": {"id": "d"}}', **JSON),
        errors.UnexpectedResponse,
        "not MCP",
    ),
    "a page": (raw(200, "<html>", content_type="text/html"), errors.UnexpectedResponse, "not MCP"),
    "broken JSON": (raw(200, '{"jsonrpc": "2.0", ', **JSON), errors.UnexpectedResponse, "not MCP"),
    "another result": (lambda message: rpc(message, {"tasks": 1}), errors.UnexpectedResponse, "not MCP"),
    "accepted": (raw(202), errors.UnexpectedResponse, "not MCP"),
    "no content": (raw(204), errors.UnexpectedResponse, "not MCP"),
    "a redirect": (raw(302, location="/login"), errors.UnexpectedResponse, "redirected to /login"),
}


@pytest.mark.parametrize("kind", RESULTS)
async def test_a_result_that_is_none_is_one_typed_error(fake, call, kind, capfd):
    answer, error, said = RESULTS[kind]
    fake.otherwise = answer
    with pytest.raises(error, match=said):
        await call(fake.url, *UPLOAD, files=FILES)
    assert len(fake.calls) == 1
    assert capfd.readouterr() == ("", "")


async def test_an_answer_as_a_stream_of_events_is_read(fake, call):
    def events(message):
        told = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x"}}
        done = json.loads(NO_PROJECTS(message).partition(b"\r\n\r\n")[2])
        body = "".join(f"event: message\r\ndata: {json.dumps(each)}\r\n\r\n" for each in (told, done))
        return http(200, body, content_type="text/event-stream")

    fake.otherwise = events
    assert list(await call(fake.url, "projects", "list")) == []


# --- connections that fail --------------------------------------------------------------------------------------


@pytest.fixture
def nothing():
    """The address of a port that nobody listens on."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{reserved.getsockname()[1]}"


async def test_a_platform_that_is_not_there_is_the_same_error_as_over_rest(nothing, call):
    with pytest.raises(errors.ConnectionFailed) as expected:
        await call(nothing, *UPLOAD, transport="rest", files=FILES)
    with pytest.raises(errors.ConnectionFailed) as caught:
        await call(nothing, *UPLOAD, files=FILES)
    assert type(caught.value) is type(expected.value) is errors.ConnectionFailed
    assert str(caught.value).replace("/mcp", "") == str(expected.value)


CUTS: dict[str, Answer] = {
    "before the answer": cut,
    "within the headers": lambda message: DONE(message)[:30],
    "within the body": lambda message: DONE(message)[:-20],
    "within an event": lambda _message: (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n5\r\ndata:\r\n"
    ),
    "no HTTP": lambda _message: b"SSH-2.0-OpenSSH_9.2\r\n",
}


class _Cutting:
    """An answer after which the connection is closed."""

    def __init__(self, fake: Fake, answer: Answer) -> None:
        self._answer = answer
        fake.otherwise = self

    def __call__(self, message):
        raise ConnectionResetError if (said := self._answer(message)) is None else _Cut(said)


class _Cut(ConnectionError):
    pass


@pytest.fixture
def cutting(monkeypatch):
    """Let the server close the connection after an answer."""
    plain = Fake.answer

    def closing(self, verb, headers, body):
        try:
            return plain(self, verb, headers, body)
        except _Cut as said:
            handler = sys._getframe(1).f_locals["self"]
            handler.wfile.write(said.args[0])
            return None

    monkeypatch.setattr(Fake, "answer", closing)


@pytest.mark.parametrize("kind", CUTS)
async def test_a_cut_reading_is_repeated_and_a_cut_change_is_unknown(fake, call, kind, cutting, capfd):
    _Cutting(fake, CUTS[kind])
    with pytest.raises(errors.TimedOut, match="in 3 attempts"):
        await call(fake.url, "projects", "get", "p")
    assert len(fake.calls) == 3
    fake.forget()
    _Cutting(fake, CUTS[kind])
    with pytest.raises(errors.OutcomeUnknown) as caught:
        await call(fake.url, *UPLOAD, files=FILES)
    assert len(fake.calls) == 1
    assert caught.value.operation == "UploadDeploymentFiles"
    assert capfd.readouterr() == ("", "")


async def test_a_stream_that_would_go_on_elsewhere_is_not_followed(fake, call):
    fake.otherwise = raw(200, "id: 1\r\ndata: \r\n\r\n", content_type="text/event-stream")
    with pytest.raises(errors.OutcomeUnknown):
        await call(fake.url, *UPLOAD, files=FILES)
    assert "GET" not in {method for method, _, _ in fake.seen}


async def test_a_server_that_says_nothing_is_given_up_in_time(fake, call):
    fake.otherwise = fake.hang
    # The session is opened within this time, too, and a slow machine needs some of it for that.
    with pytest.raises(errors.OutcomeUnknown, match=r"ReadTimeout|did not come whole in time"):
        await call(fake.url, *UPLOAD, files=FILES, timeout_s=2)
    fake.forget()
    fake.handshake = fake.hang
    with pytest.raises(errors.ConnectionFailed, match=r"ReadTimeout|did not come whole in time"):
        await call(fake.url, *UPLOAD, files=FILES, timeout_s=0.2)


@pytest.mark.parametrize(
    ("kind", "drop"), [("application/json", b" "), ("text/event-stream", b": ping\n\n")], ids=["json", "events"]
)
async def test_an_answer_that_drips_is_given_up_in_time(fake, call, kind, drop):
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: 1000000\r\n\r\n".encode()
    fake.otherwise, fake.drops = (lambda _message: head), drop
    with pytest.raises(errors.OutcomeUnknown, match="did not come whole in time"):
        await call(fake.url, *UPLOAD, files=FILES, timeout_s=2)  # in which the session is opened, too


async def test_a_broken_call_does_not_break_the_others(fake):
    """The SDK's session would end with the first connection that breaks."""
    arrived = threading.Barrier(2)

    def one_of_two(message):
        arrived.wait(10)
        if message["params"]["arguments"]["project_id"] == "broken":
            return None
        fake.released.wait(10)
        return text('{"status": "success", "data": "Deleted."}')(message)

    fake.otherwise = one_of_two
    async with AsyncClient(fake.url, api_key=KEY, transport="mcp") as client:
        good = asyncio.create_task(client.projects.delete("good"))
        with pytest.raises(errors.OutcomeUnknown):
            await client.projects.delete("broken")
        fake.released.set()
        assert await good == "Deleted."
    assert [method for method, _, _ in fake.seen].count("server/discover") == 1


async def test_a_lost_session_is_opened_once_more(fake):
    fake.legacy, fake.otherwise = True, NO_PROJECTS
    async with AsyncClient(fake.url, api_key=KEY, transport="mcp") as client:
        await client.projects.list()
        fake.sessions.clear()
        assert list(await client.projects.list()) == []
        assert len(fake.calls) == 3
        fake.sessions.clear()
        with pytest.raises(errors.OutcomeUnknown, match="no longer knew the session"):
            await client.deployments.upload_files("p", files=FILES)
        assert len(fake.calls) == 4


async def test_a_session_that_never_lasts_ends_in_an_error(fake):
    fake.legacy = True
    plain = fake.answer

    def forgetful(verb, headers, body):
        fake.sessions.clear()
        return plain(verb, headers, body)

    fake.answer = forgetful
    async with AsyncClient(fake.url, api_key=KEY, transport="mcp") as client:
        with pytest.raises(errors.UnexpectedResponse, match="no session that lasts"):
            await client.projects.list()
    del fake.answer
    assert len(fake.calls) == 2


def test_a_platform_that_was_restarted_answers_the_same_client(tmp_path):
    from createos_nb.platform import service

    state = tmp_path / "state"
    address = service.start(state)
    try:
        with Client(address.api_url, api_key=address.api_key(), transport="mcp") as client:
            before = client.account.user()
            service.stop(state)
            with pytest.raises(errors.ConnectionFailed):
                client.account.user()
            assert service.start(state).api_url == address.api_url
            assert client.account.user() == before
    finally:
        service.stop(state)


# --- threads, loops and ends ------------------------------------------------------------------------------------


def portals() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "createos-nb-mcp"}


def connections(url: str) -> int:
    port = int(url.rpartition(":")[2])
    found = psutil.Process().net_connections("tcp")
    return sum(1 for each in found if each.raddr and each.raddr.port == port and each.status == "ESTABLISHED")


async def test_the_blocking_client_works_inside_a_running_loop(fake):
    fake.otherwise = NO_PROJECTS
    with Client(fake.url, api_key=KEY, transport="mcp") as client:
        assert list(client.projects.list()) == []
        await asyncio.sleep(0)
        assert list(client.projects.list()) == []


def test_many_threads_share_one_session(fake):
    def echo(message):
        asked = message["params"]["arguments"]["project_id"]
        return text(json.dumps({"status": "success", "data": f"{asked} is being deleted"}))(message)

    fake.otherwise = echo
    ids = [f"p{number}" for number in range(48)]
    with Client(fake.url, api_key=KEY, transport="mcp") as client, ThreadPoolExecutor(8) as pool:
        said = list(pool.map(client.projects.delete, ids))
    assert said == [f"{each} is being deleted" for each in ids]
    assert [method for method, _, _ in fake.seen].count("server/discover") == 1


def test_nothing_is_left_after_close(fake):
    fake.otherwise = NO_PROJECTS
    before = portals()
    for legacy in (False, True):
        fake.legacy = legacy
        client = Client(fake.url, api_key=KEY, transport="mcp")
        client.projects.list()
        assert len(portals() - before) == 1
        assert connections(fake.url) == 1
        client.close()
        client.close()
        assert portals() == before
        assert connections(fake.url) == 0
        with pytest.raises(errors.CreateOSError, match="closed"):
            client.projects.list()


def test_nothing_is_left_of_a_client_that_nobody_closed(fake):
    before = portals()
    fake.otherwise = NO_PROJECTS
    Client(fake.url, api_key=KEY, transport="mcp").projects.list()
    gc.collect()
    assert portals() == before


def test_a_client_that_was_never_used_has_no_thread(fake):
    before = portals()
    with Client(fake.url, api_key=KEY, transport="mcp"):
        assert portals() == before
    assert fake.seen == []


async def test_a_client_closed_during_a_call_ends_it(fake):
    fake.otherwise = fake.hang
    client = AsyncClient(fake.url, api_key=KEY, transport="mcp")
    pending = asyncio.create_task(client.deployments.upload_files("p", files=FILES))
    await asyncio.to_thread(fake.called.wait, 10)
    await client.aclose()
    with pytest.raises(errors.OutcomeUnknown):
        await pending


def test_an_interrupt_ends_the_call_and_the_next_one_works(fake):
    fake.answers = [fake.hang]
    fake.otherwise = NO_PROJECTS

    began: list[float] = []

    def interrupt():
        fake.called.wait(10)
        began.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    with Client(fake.url, api_key=KEY, transport="mcp") as client:
        killer = threading.Thread(target=interrupt)
        killer.start()
        with pytest.raises(KeyboardInterrupt):
            client.projects.list()
        assert time.monotonic() - began[0] < 10, "not the 20 s of the silence"
        killer.join()
        assert list(client.projects.list()) == []
        assert connections(fake.url) == 1
        assert [method for method, _, _ in fake.seen].count("server/discover") == 1


async def test_a_cancelled_call_leaves_the_session_usable(fake):
    fake.answers = [fake.hang]
    fake.otherwise = NO_PROJECTS
    async with AsyncClient(fake.url, api_key=KEY, transport="mcp") as client:
        pending = asyncio.create_task(client.projects.list())
        await asyncio.to_thread(fake.called.wait, 10)
        pending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pending
        assert list(await client.projects.list()) == []


def test_one_awaiting_client_works_in_one_loop_after_another(fake):
    fake.otherwise = NO_PROJECTS
    client = AsyncClient(fake.url, api_key=KEY, transport="mcp")

    async def once(*, last: bool = False):
        found = await client.projects.list()
        if last:
            await client.aclose()
        return list(found)

    assert asyncio.run(once()) == []
    assert asyncio.run(once(last=True)) == []


def test_a_forked_process_opens_a_session_of_its_own(platform):
    script = f"""
import os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from pathlib import Path
from createos_nb.api.client import Client
client = Client({platform.api_url!r}, api_key=Path({platform.key_file!r}), transport="mcp")
mine = client.account.user()
child = os.fork()
if child == 0:
    assert client.account.user() == mine
    client.close()
    sys.exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert client.account.user() == mine
print("both")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr, done.returncode) == ("both\n", "", 0)


# --- the key and the variables ----------------------------------------------------------------------------------


def frames(error: BaseException) -> str:
    """The traceback as a verbose one shows it, without what the test itself has in hand."""
    whole: traceback.TracebackException | None
    whole, shown = traceback.TracebackException.from_exception(error, capture_locals=True), []
    while whole is not None:
        shown += [f"{frame.name} {frame.locals}" for frame in whole.stack if frame.filename != __file__]
        whole = whole.__cause__ or whole.__context__
    return "\n".join(shown)


def shown(value: Any, depth: int = 0) -> str:
    """What a debugger or a verbose traceback would show of an object and what it holds."""
    inner = getattr(value, "__dict__", {}) if depth < 6 else {}
    return repr(value) + "".join(shown(each, depth + 1) for each in inner.values() if each is not value)


@pytest.mark.parametrize("broken", [False, True])
def test_the_key_and_the_variables_are_shown_nowhere(fake, caplog, broken):
    caplog.set_level(logging.DEBUG)
    for name in [*logging.root.manager.loggerDict]:
        logging.getLogger(name).setLevel(logging.NOTSET)
    fake.otherwise = cut if broken else raw(500, FAIL, **JSON)
    variable = "s3cret-variable"
    with Client(fake.url, api_key=KEY, transport="mcp") as client:
        with pytest.raises(errors.CreateOSError) as caught:
            client.environments.update_variables("p", "e", run_envs={"TOKEN": Secret(variable)})
        assert fake.calls[0]["arguments"]["body"] == {"runEnvs": {"TOKEN": variable}}
        seen = shown(client._driver.transport)
    error = caught.value
    assert KEY not in seen
    for secret in (KEY, variable):
        assert secret not in frames(error)
        assert secret not in caplog.text
        assert secret not in str(error) + repr(vars(error))


async def test_the_awaiting_client_shows_them_nowhere_either(fake, caplog):
    caplog.set_level(logging.DEBUG)
    fake.otherwise = text(FAIL, is_error=True)
    async with AsyncClient(fake.url, api_key=KEY, transport="mcp") as client:
        with pytest.raises(errors.Rejected) as caught:
            await client.environments.update_variables("p", "e", run_envs={"TOKEN": Secret("s3cret-variable")})
    for secret in (KEY, "s3cret-variable"):
        assert secret not in frames(caught.value) + caplog.text


def test_the_sdks_log_lines_of_others_are_left_alone(fake, caplog):
    fake.otherwise = NO_PROJECTS
    with Client(fake.url, api_key=KEY, transport="mcp") as client:
        client.projects.list()
    caplog.set_level(logging.DEBUG)
    logging.getLogger("mcp.client.streamable_http").debug("somebody else's")
    assert "somebody else's" in caplog.text


def test_the_transport_is_the_same_for_blocking_and_awaiting():
    assert McpTransport.name == AsyncMcpTransport.name == "mcp"
