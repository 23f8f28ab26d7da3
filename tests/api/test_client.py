"""The client against real sockets, in both colours."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import logging
import signal
import socket
import sys
import threading
import traceback
import zlib
from collections.abc import Callable

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from createos_nb import errors
from createos_nb.api.api_keys import NewAPIKey
from createos_nb.api.client import AsyncClient, Client
from createos_nb.api.deployments import SourceFile
from createos_nb.api.secret import Secret

KEY = "skp_0123456789abcdef"
FILES = [SourceFile(path="main.py", content="print()")]
pytestmark = pytest.mark.anyio


class Caller:
    """Calls operations in one of the two colours, under one spelling."""

    def __init__(self, colour: str) -> None:
        self.colour = colour
        self.kind = Client if colour == "blocking" else AsyncClient

    async def __call__(self, url, noun, method, *args, key=KEY, timeout_s=5.0, **kwargs):
        if self.colour == "awaiting":
            async with AsyncClient(url, api_key=key, timeout_s=timeout_s) as client:
                return await getattr(getattr(client, noun), method)(*args, **kwargs)
        with Client(url, api_key=key, timeout_s=timeout_s) as client:
            return await asyncio.to_thread(getattr(getattr(client, noun), method), *args, **kwargs)


@pytest.fixture(params=["blocking", "awaiting"])
def call(request):
    return Caller(request.param)


class Recorder:
    """A server that keeps what it was sent and answers as it is told."""

    def __init__(self) -> None:
        self.forget()
        self.app = Starlette(
            routes=[Route("/{rest:path}", self._take, methods=["GET", "POST", "PUT", "DELETE", "PATCH"])]
        )
        self.url = ""

    def forget(self) -> None:
        self.seen: list[Request] = []
        self.bodies: list[bytes] = []
        self.answer = lambda _request: JSONResponse({"status": "success", "data": "x"})

    async def _take(self, request: Request) -> Response:
        self.seen.append(request)
        self.bodies.append(await request.body())
        return self.answer(request)


@contextlib.contextmanager
def serving(recorder):
    config = uvicorn.Config(recorder.app, port=0, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        recorder.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        # Before the thread runs, so that a request that comes at once waits in the queue.
        listening.listen()
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield recorder
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def _server():
    with serving(Recorder()) as recorder:
        yield recorder


@pytest.fixture
def server(_server):
    """One server for all tests, with a clean record for each."""
    _server.forget()
    return _server


class Cutter:
    """A server of raw sockets that reads a whole request, answers with these bytes, and cuts."""

    def __init__(self, answer: bytes | Callable[[], None]) -> None:
        self.requests = 0
        self._answer = answer
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                with connection:
                    data = b""
                    while b"\r\n\r\n" not in data:
                        data += connection.recv(65536)
                    head, _, body = data.partition(b"\r\n\r\n")
                    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                    left = int(lengths[0].split(b":")[1]) - len(body) if lengths else 0
                    while left > 0:
                        left -= len(connection.recv(65536))
                    self.requests += 1
                    if isinstance(self._answer, bytes):
                        connection.sendall(self._answer)
                    else:
                        self._answer()
                        connection.recv(1)  # until the client gives up

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


@pytest.fixture
def cutting():
    cutters: list[Cutter] = []

    def make(answer) -> Cutter:
        cutters.append(Cutter(answer))
        return cutters[-1]

    yield make
    for cutter in cutters:
        cutter.close()


async def test_the_key_travels_in_its_header_and_nowhere_else(call, server):
    server.answer = lambda _request: JSONResponse({"status": "success", "data": {"id": "u"}})
    assert (await call(server.url, "account", "user")).id == "u"

    (request,) = server.seen
    assert request.headers["x-api-key"] == KEY
    assert request.url.path == "/v1/users/me"
    assert KEY not in str(request.url)
    assert "authorization" not in request.headers


async def test_a_body_travels_as_json_with_variables_in_clear(call, server):
    await call(server.url, "environments", "update_variables", "p", "e", run_envs={"TOKEN": Secret("s3cret")})

    assert server.seen[0].headers["content-type"] == "application/json"
    assert json.loads(server.bodies[0]) == {"runEnvs": {"TOKEN": "s3cret"}}


async def test_a_query_is_quoted(call, server):
    page = {"data": [], "pagination": {"total": 0}}
    server.answer = lambda _request: JSONResponse({"status": "success", "data": page})
    await call(server.url, "projects", "list", name="a&b=c #é")

    assert dict(server.seen[0].query_params) == {"name": "a&b=c #é", "limit": "20", "offset": "0"}


async def test_an_archive_travels_as_a_form_with_one_file(call, server):
    server.answer = lambda _request: JSONResponse({"status": "success", "data": {"id": "d"}})
    await call(server.url, "deployments", "upload_zip", "p", file=b"PK\x00data")

    assert server.seen[0].headers["content-type"].startswith("multipart/form-data")
    assert b'name="file"' in server.bodies[0]
    assert b"PK\x00data" in server.bodies[0]


async def test_a_compressed_answer_is_read(call, server):
    body = zlib.compress(json.dumps({"status": "success", "data": "ok"}).encode())
    server.answer = lambda _request: Response(body, headers={"Content-Encoding": "deflate"})
    assert await call(server.url, "projects", "delete", "p") == "ok"


async def test_a_new_key_is_a_secret_from_the_first_moment(call, server):
    server.answer = lambda _request: JSONResponse({"status": "success", "data": {"id": "1", "secret": "skp_new"}})
    created = await call(server.url, "api_keys", "create", name="ci-key", expiry_at="2027-01-31T00:00:00Z")

    assert isinstance(created, NewAPIKey)
    assert "skp_new" not in repr(created)


@pytest.mark.parametrize("target", ["another host", "another port", "http to https", "the same host", "a user"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    ("noun", "method", "args", "kwargs"),
    [("projects", "get", ["p"], {}), ("deployments", "upload_files", ["p"], {"files": FILES})],
    ids=["reading", "creating"],
)
async def test_a_redirect_is_not_followed_and_no_key_reaches_the_target(
    call, server, noun, method, args, kwargs, status, target
):
    with serving(Recorder()) as other:
        locations = {
            "another host": other.url.replace("127.0.0.1", "localhost") + "/v1/stolen",
            "another port": other.url + "/v1/stolen",
            "http to https": other.url.replace("http:", "https:") + "/v1/stolen",
            "the same host": server.url + "/v1/stolen",
            "a user": other.url.replace("//", "//ada:s3cret@") + "/v1/stolen",
        }
        server.answer = lambda _request: RedirectResponse(locations[target], status)

        with pytest.raises(errors.UnexpectedResponse, match=r"redirected to .*stolen") as caught:
            await call(server.url, noun, method, *args, **kwargs)

        assert "s3cret" not in str(caught.value)

        assert other.seen == []
        assert len(server.seen) == 1


async def test_nothing_listening_is_said_in_one_sentence_that_helps(call):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(errors.ConnectionFailed, match="Is the platform running"):
            await call(url, "deployments", "upload_files", "p", files=FILES)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
CUTS = {
    "before the answer": b"",
    "in the status line": b"HTTP/1.1 20",
    "in the headers": b"HTTP/1.1 200 OK\r\nContent-Type: appl",
    "after the headers": HEAD,
    "in the body": HEAD + b'{"status": "success", "data": {"id": "1"',
    "in a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{",
    "no http": b"SSH-2.0-OpenSSH_9.2\r\n",
    "not the encoding it says": HEAD.replace(b"1000", b"4").replace(
        b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n"
    )
    + b"gzip",
}
CREATING = [
    ("projects", "delete", ["p"], {}),
    ("deployments", "upload_files", ["p"], {"files": FILES}),
    ("deployments", "upload_zip", ["p"], {"file": b"PK"}),
    ("domains", "create", ["p"], {"name": "shop.example"}),
    ("api_keys", "revoke", ["k"], {}),
]


@pytest.mark.parametrize("answer", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize(("noun", "method", "args", "kwargs"), CREATING, ids=[f"{n}.{m}" for n, m, *_ in CREATING])
async def test_a_cut_connection_leaves_the_outcome_of_a_change_unknown_and_it_is_sent_once(
    call, cutting, answer, noun, method, args, kwargs
):
    cutter = cutting(answer)
    with pytest.raises(errors.OutcomeUnknown, match="may have happened"):
        await call(cutter.url, noun, method, *args, **kwargs)
    assert cutter.requests == 1


@pytest.mark.parametrize("answer", CUTS.values(), ids=CUTS)
async def test_a_cut_connection_is_tried_again_where_that_does_no_harm(call, cutting, answer):
    cutter = cutting(answer)
    with pytest.raises(errors.TimedOut, match="3 attempts"):
        await call(cutter.url, "projects", "get", "p")
    assert cutter.requests == 3


async def test_silence_counts_as_no_answer(call):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(errors.OutcomeUnknown, match="ReadTimeout"):
            await call(url, "projects", "delete", "p", timeout_s=1)


async def test_an_answer_without_end_is_refused(call, server, monkeypatch):
    monkeypatch.setattr("createos_nb.api.rest._MAX_BODY_BYTES", 1 << 20)
    server.answer = lambda _request: Response(b"x" * (3 << 20))
    with pytest.raises(errors.UnexpectedResponse, match="Ask for a smaller window"):
        await call(server.url, "projects", "get", "p")


async def test_a_bad_argument_is_refused_before_anything_is_sent(call, server):
    with pytest.raises(errors.InvalidArgument):
        await call(server.url, "projects", "get", "..")
    with pytest.raises(errors.InvalidArgument):
        await call(server.url, "deployments", "upload_files", "p", files=[])
    assert server.seen == []


async def test_a_proxy_of_the_environment_is_not_asked_about_this_machine(call, server, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert await call(server.url, "projects", "delete", "p") == "x"


@pytest.mark.parametrize("answer", [b"", HEAD, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"], ids=repr)
async def test_no_key_is_in_the_traceback_with_local_values_or_in_the_debug_log(call, cutting, caplog, answer):
    caplog.set_level(logging.DEBUG)
    with pytest.raises(errors.CreateOSError) as raised:
        await call(cutting(answer).url, "deployments", "upload_files", "p", files=FILES, key=Secret(KEY))

    trace = traceback.TracebackException.from_exception(raised.value, capture_locals=True)
    while trace is not None:
        assert KEY not in "".join(trace.format(chain=False))
        trace = trace.__cause__ or trace.__context__
    assert KEY not in caplog.text
    assert KEY not in repr([vars(record) for record in caplog.records])


def interrupt_main_thread() -> None:
    """Interrupt it as soon as it waits for an answer."""
    main = threading.main_thread().ident
    while "_receive_response_headers" not in {
        frame.f_code.co_name for frame, _ in traceback.walk_stack(sys._current_frames()[main])
    }:
        threading.Event().wait(0.001)
    signal.pthread_kill(main, signal.SIGINT)


def test_an_interrupted_request_shows_no_key_either(cutting):
    """As when a person stops a cell: no code of ours translates the error."""
    cutter = cutting(interrupt_main_thread)
    with Client(cutter.url, api_key=Secret(KEY)) as client, pytest.raises(KeyboardInterrupt) as raised:
        client.projects.get("p")
    trace = traceback.TracebackException.from_exception(raised.value, capture_locals=True)
    assert KEY not in "".join(trace.format())


def test_one_client_serves_many_threads(server):
    server.answer = lambda request: JSONResponse({"status": "success", "data": request.path_params["rest"]})
    answers: list[str] = []
    with Client(server.url, api_key=KEY) as client:
        threads = [
            threading.Thread(target=lambda n=n: answers.append(client.projects.delete(f"p{n}"))) for n in range(40)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(answers) == sorted(f"v1/projects/p{n}" for n in range(40))


# --- against the embedded platform --------------------------------------------------------------------


async def test_the_platform_refuses_a_wrong_key(call, platform):
    with pytest.raises(errors.Unauthorized, match="Check the API key"):
        await call(platform.api_url, "account", "user", key="skp_wrong")


async def test_an_unknown_project_is_not_found(call, platform):
    with pytest.raises(errors.NotFound, match="Check the id") as raised:
        await call(platform.api_url, "projects", "get", "no-such-project", key=platform.api_key())
    assert raised.value.operation == "GetProject"
    assert raised.value.request_id


async def test_the_platforms_list_is_read_whole(call, platform, shop):
    key = platform.api_key()
    listing = await call(platform.api_url, "projects", "list", key=key, page_size=2)
    assert listing.complete
    assert shop.project in {project.unique_name for project in listing}


async def test_info_names_the_platform_and_the_source_but_not_the_key(call):
    client = call.kind("http://127.0.0.1:1", api_key=KEY)
    told = client.info()
    assert told.pop("budget")["limits"] == "documented"
    assert told == {
        "api_url": "http://127.0.0.1:1",
        "transport": "rest",
        "credential": str(Secret(KEY)),
        "header": "X-Api-Key",
        "source": "argument",
        "proxy": None,
        "project_link": None,
    }
    closed = client.close() if isinstance(client, Client) else client.aclose()
    if inspect.isawaitable(closed):
        await closed
