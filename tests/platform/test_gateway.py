# ruff: noqa: ARG002 - every part of the application has the signature of one
from __future__ import annotations

import asyncio
import io
import json
from contextlib import asynccontextmanager

import aiohttp
import pytest
import uvicorn
from yarl import URL

from createos_nb.platform.gateway.routes import Routes, Upstream
from tests.platform.gateways import Recorded
from tests.platform.gateways import gateway as serving_gateway

pytestmark = pytest.mark.anyio

HOST = "production.shop.localhost"


class Application:
    """An upstream that tells what it received, and misbehaves on request."""

    def __init__(self):
        self.go_on = asyncio.Event()
        self.ended = asyncio.Event()
        self.requests = 0

    async def __call__(self, scope, receive, send):
        if scope["type"] == "websocket":
            await self.websocket(scope, receive, send)
        elif scope["type"] == "http":
            self.requests += 1
            await getattr(self, scope["path"].strip("/").split("/")[0], self.echo)(scope, receive, send)

    async def answer(self, send, content=b"", status=200, headers=()):
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        await send({"type": "http.response.body", "body": content})

    async def body(self, receive):
        content, more = b"", True
        while more:
            message = await receive()
            content, more = content + message["body"], message["more_body"]
        return content

    async def echo(self, scope, receive, send):
        seen = {
            "method": scope["method"],
            "path": scope["raw_path"].decode(),
            "query": scope["query_string"].decode(),
            "headers": [[name.decode(), value.decode("latin-1")] for name, value in scope["headers"]],
            "size": len(await self.body(receive)),
        }
        await self.answer(send, json.dumps(seen).encode(), headers=[(b"content-type", b"application/json")])

    async def status(self, scope, receive, send):
        await self.answer(send, b"", int(scope["path"].rsplit("/", 1)[1]), [(b"content-length", b"0")])

    async def headers(self, scope, receive, send):
        await self.answer(
            send,
            b"x",
            302,
            [
                (b"location", b"//elsewhere.example/"),
                (b"set-cookie", b"a=1; Domain=localhost; Path=/"),
                (b"set-cookie", b"b=2; HttpOnly"),
                (b"content-encoding", b"gzip"),
                (b"x-private", b"1"),
                (b"connection", b"x-private"),
                (b"content-length", b"1"),
            ],
        )

    async def stream(self, scope, receive, send):
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]}
        )
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        await self.go_on.wait()
        await send({"type": "http.response.body", "body": b"data: 2\n\n"})

    async def endless(self, scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"more", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        self.ended.set()

    async def large(self, scope, receive, send):
        await self.answer(send, bytes(5_000_000), headers=[(b"content-length", b"5000000")])

    async def early(self, scope, receive, send):
        await self.answer(send, b"too much", 413, [(b"content-length", b"8")])

    async def hang(self, scope, receive, send):
        await self.go_on.wait()

    async def websocket(self, scope, receive, send):
        await receive()
        if scope["path"] == "/refused":
            await send({"type": "websocket.close"})
            return
        await send({"type": "websocket.accept", "subprotocol": (scope["subprotocols"] or [None])[-1]})
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        await send({"type": "websocket.send", "text": json.dumps(headers)})
        while (message := await receive())["type"] == "websocket.receive":
            if message.get("text") == "close":
                await send({"type": "websocket.close", "code": 4001})
            await send({"type": "websocket.send", **{k: message[k] for k in ("text", "bytes") if message.get(k)}})
        self.ended.set()


@asynccontextmanager
async def serving(config):
    # As Server.serve does, without its pauses of a tenth of a second.
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    yield server.servers[0].sockets[0].getsockname()[1]
    for listener in server.servers:
        listener.close()
    for connection in list(server.server_state.connections):
        connection.shutdown()
    await asyncio.gather(*server.server_state.tasks)
    await server.lifespan.shutdown()


@pytest.fixture
def routes():
    return Routes()


@pytest.fixture
def recorded(tmp_path):
    recorded = Recorded(tmp_path)
    yield recorded
    recorded.close()


@pytest.fixture
def records(recorded):
    """All access records so far, oldest first."""

    def read():
        recorded.log.flush()
        return recorded.log._database.execute(
            "select environment_id, deployment_id, replica, method, path, status, bytes_sent from requests "
            "order by arrived_us"
        ).fetchall()

    return read


@pytest.fixture
async def application():
    return Application()


@pytest.fixture
async def upstream(application):
    config = uvicorn.Config(
        application,
        port=0,
        log_level="critical",
        lifespan="off",
        ws="websockets-sansio",
        timeout_graceful_shutdown=1,
    )
    async with serving(config) as port:
        yield Upstream("127.0.0.1", port, "env", "dep", 0)
        application.go_on.set()


@pytest.fixture
def answer_within_s():
    """More than any pause of the machine; of the one test that waits for its end it is short."""
    return 60.0


@pytest.fixture
async def gateway(routes, recorded, upstream, answer_within_s):
    routes.replace("env", [HOST], [upstream])
    async with serving_gateway(routes, recorded.recorder, answer_within_s=answer_within_s) as port:
        yield port


@pytest.fixture
async def client(gateway):
    async with aiohttp.ClientSession(
        f"http://127.0.0.1:{gateway}",
        headers={"Host": HOST},
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(10),
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        yield session


async def raw(port, *parts):
    """Send bytes as they are and return everything that comes back until the connection closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
        await writer.drain()
    content = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return content


# --- requests ---------------------------------------------------------------------------------------------


async def test_a_request_arrives_as_it_was_sent(client, records):
    url = URL(str(client._base_url) + "/a%2Fb/%20c?x=1&y=%26", encoded=True)
    async with client.put(url, data=b"hello", headers={"X-Own": "1", "Accept": "text/x"}) as answer:
        content = await answer.read()
    seen = json.loads(content)
    assert (seen["method"], seen["path"], seen["query"], seen["size"]) == ("PUT", "/a%2Fb/%20c", "x=1&y=%26", 5)
    headers = dict(seen["headers"])
    assert headers["host"] == HOST
    assert (headers["x-own"], headers["accept"]) == ("1", "text/x")
    assert records() == [("env", "dep", 0, "PUT", "/a%2Fb/%20c", 200, len(content))]


async def test_no_header_is_added_that_the_client_did_not_send(gateway):
    answer = await raw(gateway, f"GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
    seen = json.loads(answer[answer.index(b"{") : answer.rindex(b"}") + 1])
    added = {"x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"}
    assert {name for name, _ in seen["headers"]} == {"host", *added}


async def test_credentials_of_the_platform_and_forged_forwarding_never_arrive(client):
    planted = {
        "X-Api-Key": "planted",
        "X-Access-Token": "planted",
        "X-Forwarded-For": "planted",
        "X-Forwarded-Host": "planted",
        "X-Forwarded-Proto": "planted",
        "X-Forwarded-Prefix": "planted",
        "X-Real-Ip": "planted",
        "Forwarded": "for=planted",
        "Proxy-Authorization": "planted",
        "X-Mine": "planted",
        "Connection": "keep-alive, X-Mine, Host, X-Forwarded-For",
        "TE": "planted",
    }
    async with client.get("/", headers=planted) as answer:
        seen = await answer.json()
    headers = dict(seen["headers"])
    assert "planted" not in json.dumps(seen)
    assert headers["host"] == headers["x-forwarded-host"] == HOST
    assert (headers["x-forwarded-for"], headers["x-forwarded-proto"]) == ("127.0.0.1", "http")


async def test_an_answers_headers_pass_except_those_of_the_connection(client):
    async with client.get("/headers", allow_redirects=False) as answer:
        assert answer.status == 302
        assert answer.headers["location"] == "//elsewhere.example/"
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers.getall("set-cookie") == ["a=1; Path=/", "b=2; HttpOnly"]
        assert "x-private" not in answer.headers
        assert await answer.read() == b"x"


@pytest.mark.parametrize("status", [200, 204, 301, 304, 404, 500, 503])
async def test_every_status_passes_and_is_recorded(client, records, status):
    async with client.get(f"/status/{status}", allow_redirects=False) as answer:
        assert answer.status == status
    assert [record[5] for record in records()] == [status]


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 3_000_000])
@pytest.mark.parametrize("chunked", [False, True], ids=["with length", "chunked"])
async def test_bodies_of_every_size_arrive(client, size, chunked):
    async def parts():
        for at in range(0, size, 100_000):
            yield bytes(min(100_000, size - at))

    async with client.post("/", data=parts() if chunked else io.BytesIO(bytes(size))) as answer:
        assert (await answer.json())["size"] == size


async def test_large_answers_arrive_whole_and_are_counted(client, records):
    async with client.get("/large") as answer:
        assert len(await answer.read()) == 5_000_000
    assert records()[0][-1] == 5_000_000


async def test_head_has_the_length_and_no_body(client, records):
    async with client.head("/large") as answer:
        assert answer.headers["content-length"] == "5000000"
        assert await answer.read() == b""
    assert records()[0][3:] == ("HEAD", "/large", 200, 0)


async def test_an_answer_streams_while_it_is_made(client, application):
    async with client.get("/stream") as answer:
        assert await answer.content.readany() == b"data: 1\n\n"
        assert not application.go_on.is_set()
        application.go_on.set()
        assert await answer.content.read() == b"data: 2\n\n"


async def test_a_request_streams_while_it_is_made(client, application, gateway):
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway)
    writer.write(f"POST / HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
    writer.write(b"5\r\nhello\r\n")
    while not application.requests:
        await asyncio.sleep(0.005)
    writer.write(b"0\r\n\r\n")
    assert b'"size": 5' in await asyncio.wait_for(reader.readuntil(b"}"), 5)
    writer.close()


async def test_an_early_refusal_of_a_large_body_arrives(client):
    async def parts():
        for _ in range(100):
            yield bytes(100_000)

    async with client.post("/early", data=parts()) as answer:
        assert answer.status == 413
        assert await answer.read() == b"too much"


async def test_a_client_that_leaves_ends_the_applications_work(client, application, records):
    async with client.get("/endless") as answer:
        await answer.content.readany()
    await asyncio.wait_for(application.ended.wait(), 5)
    while not records():
        await asyncio.sleep(0.005)
    assert [record[5] for record in records()] == [200]


# --- hosts and replicas -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "",
        "localhost",
        "127.0.0.1",
        "shop.localhost",
        f"{HOST}.",
        f"x.{HOST}",
        "169.254.169.254",
        "[::1]:80",
        "<b>x</b>",
    ],
)
async def test_an_unknown_host_gets_421_and_reaches_nothing(gateway, application, records, host):
    answer = await raw(gateway, f"GET /secret HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 421 ")
    assert b"content-type: text/plain" in answer
    assert b"nosniff" in answer
    assert application.requests == 0
    assert [record[:1] + record[5:6] for record in records()] == [(None, 421)]


@pytest.mark.parametrize("hosts", [[], [HOST, HOST], [HOST, "other.localhost"]])
async def test_a_request_without_one_host_is_refused(gateway, application, hosts):
    lines = "".join(f"Host: {host}\r\n" for host in hosts)
    answer = await raw(gateway, f"GET / HTTP/1.1\r\n{lines}Connection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert application.requests == 0


async def test_the_host_is_compared_without_case_and_port(client):
    async with client.get("/", headers={"Host": "Production.SHOP.localhost:8080"}) as answer:
        assert answer.status == 200


async def test_a_path_with_a_host_in_it_does_not_choose_the_target(gateway, application):
    request = f"GET http://evil.example/x HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"
    answer = await raw(gateway, request.encode())
    assert b'"path": "/x"' in answer
    assert application.requests == 1


@pytest.mark.parametrize(
    ("line", "path"),
    [
        (b"GET //evil.example/x", "//evil.example/x"),
        (b"GET /a/../../b/./c", "/a/../../b/./c"),
        (b"GET /%00%0d%0aX:1", "/%00%0d%0aX:1"),
        (b"GET /a;b=c@d:e", "/a;b=c@d:e"),
        (b"PURGE /x", "/x"),
        (b"OPTIONS *", None),
        (b"GET /\xff\xfe", None),
        (b"GET /x?q=\xff", None),
        (b"CONNECT evil.example:443", None),
        (b"GET http://user:password@evil.example/x", "/x"),
    ],
    ids=[
        "two slashes",
        "dots",
        "encoded",
        "signs",
        "method",
        "asterisk",
        "bytes",
        "query bytes",
        "connect",
        "userinfo",
    ],
)
async def test_a_target_reaches_the_application_unchanged_or_not_at_all(gateway, application, records, line, path):
    answer = await raw(gateway, line + f" HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
    status = int(answer.split(b" ")[1])
    if status == 200:
        assert json.loads(answer[answer.index(b"{") : answer.rindex(b"}") + 1])["path"] == path
    else:
        assert (status, path, application.requests) == (400, None, 0)
    assert application.requests <= len(records()) <= 1


async def test_replicas_take_turns(client, routes, upstream, records):
    replicas = [Upstream(upstream.host, upstream.port, "env", "dep", number) for number in range(3)]
    routes.replace("env", [HOST], replicas)
    for _ in range(9):
        async with client.get("/"):
            pass
    assert [record[2] for record in records()] == [0, 1, 2] * 3


@pytest.mark.parametrize("size", [10, 100_000])
async def test_a_replica_that_is_gone_costs_no_request(client, routes, upstream, records, size):
    routes.replace("env", [HOST], [Upstream("127.0.0.1", 1, "env", "dep", 1), upstream])
    for _ in range(6):
        async with client.post("/", data=b"x" * size) as answer:
            assert (await answer.json())["size"] == size
    assert len(records()) == 6


async def test_an_environment_that_runs_nothing_answers_503(client, routes, records):
    routes.replace("env", [HOST], [])
    async with client.get("/") as answer:
        assert answer.status == 503
        assert "Nothing runs" in await answer.text()
    assert [(record[0], record[5]) for record in records()] == [("env", 503)]


async def test_a_host_that_moved_belongs_to_its_new_environment_alone(routes, upstream):
    routes.replace("a", ["x.localhost", "y.localhost"], [])
    routes.replace("b", ["Y.localhost"], [upstream])
    assert routes.environment_of("y.localhost:80") == "b"
    routes.remove("a")
    assert routes.environment_of("x.localhost") is None
    assert routes.pick("y.localhost") == upstream


async def test_drained_waits_for_the_last_request(client, upstream, application):
    async with client.get("/stream") as answer:
        await answer.content.readany()
        drained = asyncio.create_task(upstream.drained())
        await asyncio.sleep(0)
        assert not drained.done()
        application.go_on.set()
        await answer.read()
    await asyncio.wait_for(drained, 5)
    await asyncio.wait_for(upstream.drained(), 1)


# --- failures ---------------------------------------------------------------------------------------------


async def test_an_application_that_does_not_listen_gets_502(client, routes, records):
    routes.replace("env", [HOST], [Upstream("127.0.0.1", 1, "env", "dep", 0)])
    async with client.get("/") as answer:
        assert answer.status == 502
        assert "does not accept connections" in await answer.text()
    assert [record[5] for record in records()] == [502]


@pytest.mark.parametrize("answer_within_s", [0.5])
async def test_an_application_that_is_too_slow_gets_504(client, records):
    async with client.get("/hang") as answer:
        assert answer.status == 504
        assert "did not answer within 0.5 s" in await answer.text()
    assert [record[5] for record in records()] == [504]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"", 502),
        (b"garbage\r\n\r\n", 502),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", 502),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", 502),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 502),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", 200),
    ],
    ids=["nothing", "garbage", "huge header", "short body", "two lengths", "http 1.0"],
)
async def test_a_broken_answer_becomes_one_clear_refusal(client, routes, records, sent, status):
    async def broken(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(sent)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(broken, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        routes.replace("env", [HOST], [Upstream("127.0.0.1", port, "env", "dep", 0)])
        async with client.post("/", data=b"x") as answer:
            assert answer.status == status
            await answer.read()
    assert [record[5] for record in records()] == [status]


async def test_an_answer_that_breaks_off_is_not_taken_for_whole(client, routes, records):
    async def breaking(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(breaking, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        routes.replace("env", [HOST], [Upstream("127.0.0.1", port, "env", "dep", 0)])
        with pytest.raises(aiohttp.ClientPayloadError):
            async with client.get("/") as answer:
                await answer.read()
    assert len(records()) == 1


HIDDEN = f"GET /hidden HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"
AMBIGUOUS = {
    "length and chunks": f"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{HIDDEN}",
    "chunks and length": f"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n{HIDDEN}",
    "two lengths": f"Content-Length: 0\r\nContent-Length: {len(HIDDEN)}\r\n\r\n{HIDDEN}",
    "signed length": f"Content-Length: +{len(HIDDEN)}\r\n\r\n{HIDDEN}",
    "hex length": f"Content-Length: 0x10\r\n\r\n{HIDDEN}",
    "trailing comma": f"Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n{HIDDEN}",
    "unknown encoding": f"Transfer-Encoding: chunked\tx\r\n\r\n0\r\n\r\n{HIDDEN}",
    "two encodings": f"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n{HIDDEN}",
    "space before colon": f"Content-Length : {len(HIDDEN)}\r\n\r\n{HIDDEN}",
    "bad end of a chunk": f"Transfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n{HIDDEN}",
    "bare line feed": f"Transfer-Encoding: chunked\r\n\r\n0\n\n{HIDDEN}",
}


@pytest.mark.parametrize("framing", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
async def test_an_ambiguous_request_is_refused_and_hides_none(gateway, application, records, framing):
    answer = await raw(gateway, f"POST /one HTTP/1.1\r\nHost: {HOST}\r\n{framing}".encode())
    assert answer.count(b"HTTP/1.1 400 ") == 1
    assert "/hidden" not in [record[4] for record in records()]
    assert application.requests <= len(records()) <= 1


async def test_requests_in_one_piece_are_each_answered_once(gateway, application, records):
    one = f"POST /one HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\n\r\n"
    answer = await raw(gateway, f"{one}{HIDDEN}".encode())
    assert answer.count(b"HTTP/1.1 200 ") == 2
    assert [record[4] for record in records()] == ["/one", "/hidden"]
    assert application.requests == 2


# --- websockets -------------------------------------------------------------------------------------------


async def test_websocket_messages_pass_both_ways(client, records):
    async with client.ws_connect("/ws?x=1", headers={"X-Api-Key": "planted", "X-Mine": "1"}) as socket:
        headers = json.loads((await socket.receive()).data)
        assert (headers["host"], headers["x-mine"]) == (HOST, "1")
        assert "x-api-key" not in headers
        await socket.send_str("hellö")
        assert (await socket.receive()).data == "hellö"
        await socket.send_bytes(b"\x00\xff" * 500_000)
        assert (await socket.receive()).data == b"\x00\xff" * 500_000
    while not records():
        await asyncio.sleep(0.005)
    assert [record[3:6] for record in records()] == [("GET", "/ws", 101)]


async def test_the_application_chooses_the_subprotocol(client):
    async with client.ws_connect("/ws", protocols=["first", "second"]) as socket:
        assert socket.protocol == "second"


async def test_close_codes_pass_both_ways(client, application):
    async with client.ws_connect("/ws") as socket:
        await socket.receive()
        await socket.send_str("close")
        while (message := await socket.receive()).type != aiohttp.WSMsgType.CLOSE:
            pass
        assert message.data == 4001
    application.ended.clear()
    async with client.ws_connect("/ws") as socket:
        await socket.close(code=4002)
    await asyncio.wait_for(application.ended.wait(), 5)


async def test_a_refused_websocket_is_refused_to_the_client(client, records):
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await client.ws_connect("/refused")
    assert caught.value.status == 403
    assert [record[5] for record in records()] == [403]


async def test_a_websocket_for_an_unknown_host_gets_421(client, records):
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await client.ws_connect("/ws", headers={"Host": "evil.example"})
    assert caught.value.status == 421
    assert [record[5] for record in records()] == [421]


async def test_websockets_leave_no_tasks(client, records):
    async with client.ws_connect("/ws") as socket:
        await socket.receive()
    while len(records()) < 1:
        await asyncio.sleep(0.005)
    before = len(asyncio.all_tasks())
    for _ in range(20):
        async with client.ws_connect("/ws") as socket:
            await socket.receive()
    while len(records()) < 21:
        await asyncio.sleep(0.005)
    assert len(asyncio.all_tasks()) <= before + 2


async def test_each_of_many_concurrent_requests_is_recorded_once(client, records):
    async def one(number):
        async with client.get(f"/status/{200 if number % 2 else 500}") as answer:
            return answer.status

    statuses = await asyncio.gather(*(one(number) for number in range(300)))
    assert sorted(record[5] for record in records()) == sorted(statuses)
