"""Websockets through the gateway (SAFETY G05): who may open one, what passes, and what is left of it; as bytes."""

from __future__ import annotations

import hashlib
import os
import socket
import struct
from contextlib import ExitStack, closing, suppress

import pytest

from tests.platform.conftest import eventually
from tests.platform.puppet import UPGRADE, frame, mark, room_for, wait_for_end

SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: {accept}\r\n"
)
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


@pytest.fixture(autouse=True)
def closed(puppet):
    yield
    puppet.leave()


@pytest.fixture
def hidden(puppet):
    """A request that must not reach the application in a tunnel that was never opened; and what it would say."""
    word = mark()
    return word, f"GET /?mark={word} HTTP/1.1\r\nHost: {puppet.host}\r\n\r\n".encode()


def arrived(puppet, word):
    """What the application received with a mark, and not through the gateway's own parser."""
    heads = [each.get("head", each.get("tail", "")) for each in puppet.ledger(word)["heads"]]
    return [head for head in heads if "X-Forwarded-For: 127.0.0.1" not in head]


# --- the handshake ----------------------------------------------------------------------------------------------

ANSWERS = {
    "a page": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "a page that stays open": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
    "a refusal": b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
    "another version": b"HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n",
    "a redirect": b"HTTP/1.1 302 Found\r\nLocation: //elsewhere.example/\r\nContent-Length: 0\r\n\r\n",
    "no acceptance": SWITCHED.replace(b"Sec-WebSocket-Accept: {accept}\r\n", b"") + b"\r\n",
    "a wrong acceptance": SWITCHED.replace(b"{accept}", b"AAAAAAAAAAAAAAAAAAAAAAAAAAA=") + b"\r\n",
    "another protocol": SWITCHED.replace(b"websocket", b"h2c", 1) + b"\r\n",
    "no upgrade": SWITCHED.replace(b"Upgrade: websocket\r\n", b"", 1) + b"\r\n",
    "no connection": SWITCHED.replace(b"Connection: Upgrade\r\n", b"") + b"\r\n",
    "something that is no HTTP": b"hello\r\n\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_an_application_that_does_not_accept_gets_no_tunnel(puppet, hidden, answer):
    """Nor a client, who could else send past the gateway whatever it likes."""
    word, request = hidden
    before = puppet.descriptors()
    socket_ = puppet.upgrade(answer=answer, mark=word)
    told = socket_.head()
    assert told.status != 101
    # A connection on which the application changed the protocol, or did not end, is not used for the next.
    again = puppet.upgrade(talk="1")
    assert again.head().status == 101
    again.connection.close()
    with suppress(ConnectionError):
        socket_.send(request, request)
    # Whatever became of those, each was one request among others, or none.
    socket_.connection.settimeout(0.3)
    with suppress(TimeoutError, ConnectionError):
        while socket_.connection.recv(65_536):
            pass
    socket_.connection.close()
    assert not arrived(puppet, word)
    eventually(lambda: not puppet.ledger(word)["open"])
    puppet.at_rest(before)


HANDSHAKES = {
    "an old version": UPGRADE.replace(b"13", b"8"),
    "no version": UPGRADE.replace(b"Sec-WebSocket-Version: 13\r\n", b""),
    "no key": UPGRADE.replace(b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", b""),
    "a key that is none": UPGRADE.replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"x"),
    "two keys": UPGRADE + b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
    "two versions": UPGRADE + b"Sec-WebSocket-Version: 8\r\n",
    "a body": UPGRADE + b"Content-Length: 5\r\n",
    "chunks": UPGRADE + b"Transfer-Encoding: chunked\r\n",
}


@pytest.mark.parametrize("lines", HANDSHAKES.values(), ids=HANDSHAKES)
def test_a_handshake_that_is_none_opens_no_tunnel(puppet, hidden, lines):
    word, request = hidden
    rest = b"hello" if b"Length" in lines else b"0\r\n\r\n" if b"chunked" in lines else b""
    # The application is a liar, and says yes to everything.
    socket_ = puppet.upgrade(answer=SWITCHED + b"\r\n", lines=lines, more=rest, mark=word)
    assert socket_.head().status in {400, 426, 502}
    with suppress(ConnectionError):
        socket_.send(request)
    socket_.connection.close()
    assert not arrived(puppet, word)


def test_a_redirect_of_a_websocket_leads_the_gateway_nowhere(puppet):  # G04
    with closing(socket.create_server(("127.0.0.1", 0))) as stranger:
        place = b"127.0.0.1:%d/x" % stranger.getsockname()[1]
        for status in (301, 302, 303, 307, 308):
            for prefix in (b"http://", b"ws://", b"//", b"https://"):
                said = b"HTTP/1.1 %d Elsewhere\r\nLocation: %s%s\r\nContent-Length: 0\r\n\r\n"
                socket_ = puppet.upgrade(answer=said % (status, prefix, place))
                assert socket_.head().status in {status, 502}
                socket_.connection.close()
        stranger.setblocking(False)
        with pytest.raises(BlockingIOError):
            stranger.accept()


@pytest.mark.parametrize("method", ["POST", "HEAD", "DELETE"])
def test_only_get_opens_a_websocket(puppet, method, hidden):
    word, request = hidden
    with closing(puppet.connect()) as connection:
        head = f"{method} /ws?mark={word} HTTP/1.1\r\nHost: {puppet.host}\r\n".encode()
        connection.sendall(head + UPGRADE + b"\r\n")
        assert not connection.recv(65_536).startswith(b"HTTP/1.1 101 ")
        with suppress(ConnectionError):
            connection.sendall(request)
    assert not arrived(puppet, word)


def test_the_client_is_not_told_yes_before_the_application_says_it(puppet):
    word = mark()
    socket_ = puppet.upgrade(wait="1", talk="1", mark=word)
    eventually(lambda: puppet.ledger(word)["heads"])
    socket_.connection.settimeout(0.5)
    with pytest.raises(TimeoutError):
        socket_.connection.recv(1)
    socket_.connection.settimeout(20)
    puppet.go_on(word)
    assert socket_.head().status == 101
    socket_.send(frame(TEXT, b"hello"))
    assert socket_.receive() == (TEXT, b"hello")
    socket_.connection.close()


@pytest.mark.parametrize(
    ("offered", "chosen", "expected"),
    [
        ("first, second", "second", {b"second"}),
        ("first, second", "first", {b"first"}),
        ("first, second", "", {b"first", b"second", None}),  # To choose none is the application's right.
        ("", "", {None}),
        ("first", "other", {None}),  # It was not offered: the connection fails, or nothing is chosen.
        ("", "other", {None}),
    ],
)
def test_the_application_chooses_among_the_offered_subprotocols(puppet, offered, chosen, expected):
    lines = UPGRADE + (b"Sec-WebSocket-Protocol: " + offered.encode() + b"\r\n" if offered else b"")
    socket_ = puppet.upgrade(lines=lines, talk="1", **({"chosen": chosen} if chosen else {}))
    answer = socket_.head()
    if answer.status == 101:
        told = answer.all(b"sec-websocket-protocol")
        if not (chosen and chosen not in offered):
            assert set(told or [None]) <= (expected if chosen or not offered else {None})
        else:
            assert told in ([], [chosen.encode()]), "the client will fail it"
    else:
        assert (answer.status, chosen) == (502, "other")
    socket_.connection.close()


@pytest.mark.parametrize("host", ["evil.example", "localhost", "x.production.shop.localhost", "127.0.0.1"])
def test_a_websocket_of_another_host_is_refused_before_it_is_one(puppet, host):
    with closing(puppet.connect()) as connection:
        connection.sendall(f"GET /ws HTTP/1.1\r\nHost: {host}\r\n".encode() + UPGRADE + b"\r\n")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 421 ")


ORIGINS = [b"http://attacker.example", b"null", b"http://localhost", b"file://", b"https://a.b.localhost", b""]


@pytest.mark.parametrize("origin", ORIGINS, ids=repr)
def test_an_origin_is_for_the_application_to_judge_and_refused_by_the_api(puppet, platform, origin):
    """Applications are public; the API has no websockets, and nothing for a page of another site."""
    word = mark()
    socket_ = puppet.upgrade(lines=UPGRADE + b"Origin: " + origin + b"\r\n", mark=word)
    assert socket_.head().status == 101
    socket_.connection.close()
    [head] = [each["head"] for each in puppet.ledger(word)["heads"] if "head" in each]
    assert f"\r\norigin: {origin.decode()}\r\n" in head.lower().replace("origin:\r\n", "origin: \r\n")
    port = int(platform.api_url.rpartition(":")[2])
    key = b"X-Api-Key: " + platform.api_key().reveal().encode() + b"\r\n"
    for path in ("/mcp", "/v1/users/me", "/"):
        asked = f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\n".encode() + UPGRADE.replace(
            b"Upgrade\r", b"Upgrade, close\r"
        )
        answer = puppet.raw(asked + key + b"Origin: " + origin + b"\r\n\r\n", port=port)
        assert answer.status == 403


# --- what passes ------------------------------------------------------------------------------------------------


def test_messages_of_every_kind_and_size_pass_as_they_are(puppet):
    socket_ = puppet.upgrade(talk="1")
    assert socket_.head().status == 101
    for opcode, content in (
        (TEXT, b""),
        (TEXT, "hellö".encode()),
        (BINARY, b"\x00\xff" * 60),
        (BINARY, b"x" * 126),
    ):
        socket_.send(frame(opcode, content))
        assert socket_.receive() == (opcode, content)
    for size in (65_535, 65_536, 3_000_000):
        content = os.urandom(size)
        socket_.send(frame(BINARY, content))
        assert socket_.receive() == (TEXT, b"%d %s" % (size, hashlib.sha256(content).hexdigest().encode()))
    socket_.send(frame(PING, b"there?"))
    assert socket_.receive() == (PONG, b"there?")
    socket_.connection.close()


def test_what_is_sent_a_byte_at_a_time_arrives(puppet):
    socket_ = puppet.upgrade(talk="1")
    assert socket_.head().status == 101
    for byte in frame(TEXT, b"hello") + frame(TEXT, b"again"):
        socket_.send(bytes([byte]))
    assert [socket_.receive() for _ in range(2)] == [(TEXT, b"hello"), (TEXT, b"again")]
    socket_.connection.close()


@pytest.mark.parametrize("code", [1000, 1001, 1011, 3000, 4001, 4999])
def test_a_close_passes_with_its_code_both_ways(puppet, code):
    word = mark()
    socket_ = puppet.upgrade(talk="1", mark=word)
    assert socket_.head().status == 101
    socket_.send(frame(TEXT, b"close %d" % code))
    opcode, content = socket_.receive()
    assert (opcode, content[:2]) == (CLOSE, struct.pack(">H", code))
    socket_.send(frame(CLOSE, content))
    assert socket_.ended()
    word = mark()
    socket_ = puppet.upgrade(talk="1", mark=word)
    assert socket_.head().status == 101
    socket_.send(frame(CLOSE, struct.pack(">H", code) + b"bye"))
    assert socket_.receive()[0] == CLOSE
    assert socket_.ended()
    eventually(lambda: puppet.ledger(word)["heads"][1:])
    closed = bytes.fromhex(puppet.ledger(word)["heads"][1]["closed"])
    assert closed[:2] == struct.pack(">H", code)


def test_a_message_of_64_mb_arrives_whole_or_is_refused_and_is_held_nowhere(puppet, figures):
    before, size, word = puppet.memory(), 64 * 2**20, mark()
    socket_ = puppet.upgrade(talk="1", mark=word)
    assert socket_.head().status == 101
    content = bytes(size)
    with suppress(ConnectionError):
        socket_.send(frame(BINARY, content))
    opcode, told = socket_.receive()
    if opcode == CLOSE:
        assert told[:2] == struct.pack(">H", 1009)
    else:
        assert told == b"%d %s" % (size, hashlib.sha256(content).hexdigest().encode())
    socket_.connection.close()
    eventually(lambda: not puppet.ledger(word)["open"])
    grown = puppet.memory() - before
    with figures():
        print(f"\nG05: a frame of 64 MB: {'refused' if opcode == CLOSE else 'whole'}, memory {grown:+.1f} MB")
    assert grown < 64


# --- ends -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["half close", "close", "reset"])
def test_a_client_that_goes_takes_its_connection_along(puppet, how):
    before, word = puppet.descriptors(), mark()
    socket_ = puppet.upgrade(talk="1", mark=word)
    assert socket_.head().status == 101
    assert puppet.ledger(word)["open"]
    if how == "half close":
        socket_.connection.shutdown(socket.SHUT_WR)
        assert wait_for_end(socket_.connection)
    elif how == "reset":
        socket_.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    socket_.connection.close()
    eventually(lambda: not puppet.ledger(word)["open"])
    puppet.at_rest(before)


def test_an_application_that_goes_without_a_close_takes_its_client_along(puppet):
    before = puppet.descriptors()
    socket_ = puppet.upgrade(talk="1")
    assert socket_.head().status == 101
    socket_.send(frame(TEXT, b"leave"))
    assert socket_.ended()
    socket_.connection.close()
    puppet.at_rest(before)


def test_a_client_that_does_not_read_fills_no_memory(puppet):
    before, word = puppet.memory(), mark()
    socket_ = puppet.upgrade(answer=SWITCHED + b"\r\n", mark=word)
    assert socket_.head().status == 101
    # The application reads and says nothing; what it could not take yet is not read from the client.
    eventually(lambda: puppet.answers())
    assert puppet.memory() - before < 30
    socket_.connection.close()
    eventually(lambda: not puppet.ledger(word)["open"])


def test_many_websockets_at_once_are_each_their_own_and_leave_nothing(puppet, figures):
    """Of SAFETY's 1,000 a fifth; CREATEOS_NB_SOAK=1 opens them all."""
    count, word = (1000 if os.environ.get("CREATEOS_NB_SOAK") else 200), mark()
    room_for(count)
    assert puppet.answers()
    before, memory = puppet.descriptors(), puppet.memory()
    with ExitStack() as open_ones:
        sockets = []
        for _ in range(count):
            sockets.append(puppet.upgrade(talk="1", mark=word))
            open_ones.enter_context(closing(sockets[-1].connection))
            assert sockets[-1].head().status == 101
        assert len(puppet.ledger(word)["open"]) == count
        for number, each in enumerate(sockets):
            each.send(frame(TEXT, b"%d" % number))
        assert [each.receive() for each in sockets] == [(TEXT, b"%d" % number) for number in range(count)]
        assert puppet.answers()
        held = puppet.memory() - memory
        for each in sockets[: count // 2]:
            each.send(frame(CLOSE, struct.pack(">H", 1000)))
    eventually(lambda: not puppet.ledger(word)["open"], within_s=60)
    more = puppet.at_rest(before)
    with figures():
        print(
            f"\nG05: {count} websockets at once: descriptors {more:+} afterwards, {held / count * 1000:.0f} kB each"
        )


def test_an_application_that_is_killed_ends_its_websockets_and_is_said_to_be_gone(puppet):
    """Last, since it is another process from then on."""
    before, process, word = puppet.descriptors(), puppet.ledger()["pid"], mark()
    sockets = [puppet.upgrade(talk="1", mark=word) for _ in range(20)]
    assert {each.head().status for each in sockets} == {101}
    sockets[0].send(frame(TEXT, b"kill"))
    for each in sockets:
        assert each.ended()
        each.connection.close()
    gone = puppet.request()
    assert gone.status == 200 or (gone.status in {502, 503} and gone.body)
    eventually(lambda: puppet.request().status == 200)
    assert puppet.ledger()["pid"] != process
    puppet.at_rest(before)
