"""Requests on one connection, slow ones, old ones and ones without end: as bytes, at a gateway within the test."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from createos_nb.platform.gateway import clients
from createos_nb.platform.gateway.routes import Routes, Upstream
from tests.platform.gateways import Recorded, gateway

pytestmark = pytest.mark.anyio

HOST = "production.shop.localhost"


class Application:
    """An upstream of raw bytes: it answers each request with what stands for its path."""

    def __init__(self):
        self.answers: dict[bytes, bytes] = {}
        self.seen: list[bytes] = []
        self.connections = 0
        self.go_on = asyncio.Event()

    async def __call__(self, reader, writer):
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                path = head.split(b" ")[1]
                self.seen.append(path)
                if b"content-length: " in head:
                    await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
                if path == b"/wait":
                    await self.go_on.wait()
                if path == b"/leave":
                    return
                if path == b"/part":
                    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n")
                    await self.go_on.wait()
                    return
                body = path[1:]
                writer.write(
                    self.answers.get(path) or b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
async def application():
    return Application()


@pytest.fixture
def recorded(tmp_path):
    recorded = Recorded(tmp_path)
    yield recorded
    recorded.close()


@pytest.fixture
def answer_within_s():
    return 60.0


@pytest.fixture
async def port(application, recorded, answer_within_s):
    routes = Routes()
    async with await asyncio.start_server(application, "127.0.0.1", 0) as server:
        target = Upstream("127.0.0.1", server.sockets[0].getsockname()[1], "env", "dep", 0)
        routes.replace("env", [HOST], [target])
        async with gateway(routes, recorded.recorder, answer_within_s=answer_within_s) as port:
            yield port
        application.go_on.set()


def asked(path, *lines, method="GET", version="1.1"):
    return "\r\n".join([f"{method} {path} HTTP/{version}", f"Host: {HOST}", *lines, "", ""]).encode()


LAST = "Connection: close"


async def said(port, *parts):
    """Send bytes and return what comes back until the connection closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
    content = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    return content


def paths(recorded):
    recorded.log.flush()
    return recorded.log._database.execute("select path, status from requests order by arrived_us").fetchall()


async def test_requests_in_a_row_are_answered_in_their_order_on_one_connection(port, application, recorded):
    many = [f"/{number}" for number in range(200)]
    content = await said(port, b"".join(map(asked, many)), asked("/last", LAST))
    assert content.split(b"\r\n\r\n", 1)[1].count(b"HTTP/1.1 200 OK") == 200
    bodies = [part.split(b"HTTP/1.1")[0] for part in content.split(b"\r\n\r\n")[1:]]
    assert bodies == [each[1:].encode() for each in many] + [b"last"]
    assert application.connections == 1
    assert [path for path, _ in paths(recorded)] == [*many, "/last"]


async def test_a_request_waits_for_the_answer_to_the_one_before(port, application):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    application.answers[b"/wait"] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst"
    writer.write(asked("/wait") + asked("/second", LAST))
    while not application.seen:
        await asyncio.sleep(0.005)
    assert application.seen == [b"/wait"]
    application.go_on.set()
    content = await asyncio.wait_for(reader.read(), 20)
    assert content.index(b"first") < content.index(b"second")
    writer.close()


async def test_what_follows_a_refused_request_is_passed_on_to_nobody(port, application):
    refused = asked("/x", "Transfer-Encoding: identity", "Transfer-Encoding: chunked", method="POST") + b"0\r\n\r\n"
    for doubtful in (refused, b"garbage\r\n\r\n", asked("*")):
        content = await said(port, asked("/fine"), doubtful + asked("/hidden") * 3)
        assert content.count(b"HTTP/1.1 200 ") == 1
        assert content.count(b"HTTP/1.1 400 ") == 1
        assert b"connection: close" in content
    assert application.seen == [b"/fine"] * 3


@pytest.mark.parametrize("lines", [[], ["Connection: keep-alive"]])
async def test_a_client_of_http_1_0_gets_an_answer_that_ends_with_its_connection(port, application, lines):
    application.answers[b"/stream"] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    for path in ("/stream", "/ok"):
        content = await said(port, asked(path, *lines, version="1.0"))
        head, body = content.split(b"\r\n\r\n")
        assert (b"transfer-encoding" in head, b"connection: close" in head, body) == (False, True, b"ok")


async def test_a_part_for_a_client_of_http_1_0_does_not_end_like_the_whole(port, application):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(asked("/part", version="1.0"))
    assert (await asyncio.wait_for(reader.readuntil(b"part"), 20)).startswith(b"HTTP/1.1 200 ")
    application.go_on.set()
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(reader.read(), 20)
    writer.close()


async def test_who_expects_a_go_ahead_gets_one_before_the_body_and_only_if_it_is_wanted(port, application):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(asked("/body", "Expect: 100-continue", "Content-Length: 5", LAST, method="POST"))
    assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20) == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"hello")
    assert (await asyncio.wait_for(reader.read(), 20)).endswith(b"\r\n\r\nbody")
    writer.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nHost: other\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    content = await asyncio.wait_for(reader.read(), 20)
    assert content.startswith(b"HTTP/1.1 421 ")
    assert b"connection: close" in content, "the body that does not come is not to be waited for"
    writer.close()


async def test_a_request_is_repeated_when_the_application_had_closed_the_connection_and_no_other(port, application):
    """It closes after each answer, as some do: what is safe goes on a new connection, what is not is refused."""
    assert b"200 OK" in await said(port, asked("/one", LAST))
    application.answers[b"/safe"] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsafe"
    before = application.connections
    content = await said(port, asked("/leave", LAST))
    assert content.startswith(b"HTTP/1.1 502 ")
    assert application.connections == before + 1, "once more, on a new connection, which says that it was read"
    assert b"200 OK" in await said(port, asked("/one", LAST))
    before = application.seen.count(b"/leave")
    content = await said(port, asked("/leave", "Content-Length: 0", LAST, method="POST"))
    assert content.startswith(b"HTTP/1.1 502 ")
    assert application.seen.count(b"/leave") == before + 1


async def test_heads_that_are_too_large_are_refused_and_held_nowhere(port, application):
    for head in (asked("/" + "a" * 70_000), asked("/", "X: " + "a" * 70_000), asked("/", *["X: 1"] * 20_000)):
        content = await said(port, head)
        assert content.startswith(b"HTTP/1.1 431 ")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nX: ")
    with suppress(ConnectionError):
        for _ in range(100):
            writer.write(b"a" * 10_000)
            await writer.drain()
    assert (await asyncio.wait_for(reader.read(), 20)).startswith(b"HTTP/1.1 431 ")
    writer.close()
    assert application.seen == []


@pytest.mark.parametrize("answer_within_s", [0.5])
async def test_a_client_that_takes_its_time_for_a_head_or_a_body_holds_nothing(port, application, monkeypatch):
    monkeypatch.setattr(clients, "HEAD_WITHIN_S", 0.3)
    content = await said(port, b"GET / HTTP/1.1\r\nHost: ")
    assert content.startswith(b"HTTP/1.1 408 ")
    assert await said(port) == b"", "nothing was asked"
    content = await said(port, asked("/body", "Content-Length: 5", method="POST"), b"he")
    assert content.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in content


async def test_of_two_answers_the_second_is_given_to_nobody(port, application):
    one = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    application.answers[b"/two"] = one + one.replace(b"ok", b"no")
    content = await said(port, asked("/two"), asked("/next", LAST))
    assert content.count(b"HTTP/1.1 200") == 2
    assert b"no" not in content
    assert content.endswith(b"next")
