"""What an application may answer that is wrong, malicious or without end (SAFETY G06), as bytes."""

from __future__ import annotations

import re
import socket
from contextlib import closing

import pytest

from tests.platform.conftest import eventually
from tests.platform.puppet import Answer, mark

OK = b"HTTP/1.1 200 OK\r\n"
EVIL = b"HTTP/1.1 200 OK\r\nX-Evil: 1\r\nContent-Length: 4\r\n\r\nevil"


@pytest.fixture(autouse=True)
def still_answers(puppet):
    """Whatever was answered, the next request gets its own answer."""
    yield
    assert puppet.answers()


# --- heads ------------------------------------------------------------------------------------------------------

REFUSED = {
    "nothing": b"",
    "no HTTP": b"garbage\r\n\r\n",
    "a half line": b"HTTP/1.1 2",
    "a half head": OK + b"X: 1\r\n",
    "HTTP/0.9": b"<html>hello</html>",
    "HTTP/2": b"HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/2 for real": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no status": b"HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n",
    "a status of two digits": b"HTTP/1.1 99 Few\r\nContent-Length: 0\r\n\r\n",
    "a status of four digits": b"HTTP/1.1 2000 Many\r\nContent-Length: 0\r\n\r\n",
    "a negative status": b"HTTP/1.1 -200 OK\r\nContent-Length: 0\r\n\r\n",
    "a change of protocol that nobody asked for": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    "a header of 1 MB": OK + b"X-Long: " + b"a" * 2**20 + b"\r\nContent-Length: 0\r\n\r\n",
    "a name of 1 MB": OK + b"X" * 2**20 + b": 1\r\nContent-Length: 0\r\n\r\n",
    "100,000 headers": OK + b"X: 1\r\n" * 100_000 + b"Content-Length: 0\r\n\r\n",
    "a reason of 1 MB": b"HTTP/1.1 200 " + b"a" * 2**20 + b"\r\nContent-Length: 0\r\n\r\n",
    "two lengths": OK + b"Content-Length: 2\r\nContent-Length: 4\r\n\r\nevil",
    "a negative length": OK + b"Content-Length: -1\r\n\r\n",
    "a length that is none": OK + b"Content-Length: ten\r\n\r\n",
    "a length of two numbers": OK + b"Content-Length: 4, 5\r\n\r\nevil",
    "a length beyond all": OK + b"Content-Length: " + b"9" * 40 + b"\r\n\r\nevil",
    "a null in a name": OK + b"X\x00Y: 1\r\nContent-Length: 0\r\n\r\n",
    "a space in a name": OK + b"X Y: 1\r\nContent-Length: 0\r\n\r\n",
    "a space before the colon": OK + b"Content-Length : 0\r\n\r\n",
    "no name": OK + b": 1\r\nContent-Length: 0\r\n\r\n",
    "no colon": OK + b"X\r\nContent-Length: 0\r\n\r\n",
    "a short body": OK + b"Content-Length: 10\r\n\r\nabc",
}


@pytest.mark.parametrize("said", REFUSED.values(), ids=REFUSED)
def test_a_head_that_is_none_becomes_a_refusal_with_a_reason(puppet, said):
    """Or is cut off where it would be taken for complete: what was begun cannot be refused any more."""
    answer = puppet.say(said)
    if answer.status == 502:
        assert answer.whole
        assert answer.all(b"content-type") == [b"text/plain; charset=utf-8"]
        assert answer.all(b"x-content-type-options") == [b"nosniff"]
        assert answer.body.startswith(b"The application ")
        assert b"aaaa" not in answer.body
    else:
        assert not answer.whole, answer.received[:200]


SPLIT = {
    "a line feed in a value": OK + b"X: a\nSet-Cookie: evil=1\r\nContent-Length: 2\r\n\r\nok",
    "a carriage return in a value": OK + b"X: a\rSet-Cookie: evil=1\r\nContent-Length: 2\r\n\r\nok",
    "a null in a value": OK + b"X: a\x00b\r\nContent-Length: 2\r\n\r\nok",
    "a folded value": OK + b"X: a\r\n Set-Cookie: evil=1\r\nContent-Length: 2\r\n\r\nok",
    "a line feed in the reason": b"HTTP/1.1 200 O\nSet-Cookie: evil=1\r\nContent-Length: 2\r\n\r\nok",
    "a carriage return in the reason": b"HTTP/1.1 200 O\rK\r\nContent-Length: 2\r\n\r\nok",
    "line feeds alone": b"HTTP/1.1 200 OK\nX: a\nContent-Length: 2\n\nok",
    "signs of a terminal": OK + b"X: \x1b[31mred\x07\r\nContent-Length: 2\r\n\r\nok",
    "bytes that are no text": OK + b"X: \xff\xfe\xe2\x80\xa8\r\nContent-Length: 2\r\n\r\nok",
    "a tag in the reason": b"HTTP/1.1 200 <script>alert(1)</script>\r\nContent-Length: 2\r\n\r\nok",
}


@pytest.mark.parametrize("said", SPLIT.values(), ids=SPLIT)
def test_no_value_becomes_another_header_or_another_answer(puppet, said):
    answer = puppet.say(said)
    lines = answer.head.split(b"\r\n")
    assert not [line for line in lines if re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", line)]
    # A line feed alone may be taken for the end of a line, as every browser does; then it is written as one.
    assert not answer.all(b"set-cookie") or b"\nSet-Cookie" in said
    assert answer.status == 502 or (lines[0], answer.body) == (b"HTTP/1.1 200 OK", b"ok")


MORE_THAN_ONE = {
    "after a length": OK + b"Content-Length: 2\r\n\r\nok" + EVIL,
    "after chunks": OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + EVIL,
    "after no content": b"HTTP/1.1 204 No Content\r\n\r\n" + EVIL,
    "after no change": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\n" + EVIL,
    "after a 304 with a body": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nbody" + EVIL,
    "in a body that 204 has not": b"HTTP/1.1 204 No Content\r\nContent-Length: 100\r\n\r\n" + EVIL,
    "after the end": OK + b"Content-Length: 0\r\n\r\n\r\n\r\n" + EVIL,
}


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("said", MORE_THAN_ONE.values(), ids=MORE_THAN_ONE)
def test_an_answer_that_nobody_asked_for_is_given_to_nobody(puppet, said, method):
    """Poisoned connections: what comes after an answer is not the answer to the next request."""
    for _ in range(3):
        answer = puppet.say(said, method=method, keep="1")
        assert answer.status in {200, 204, 304, 502}
        assert b"evil" not in answer.received.lower()
        assert puppet.answers()


def test_answers_before_the_answer_are_not_taken_for_it(puppet):
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 102 Wait\r\n\r\n"
    answer = puppet.say(early + OK + b"Content-Length: 2\r\n\r\nok")
    while answer.status < 200:
        answer = Answer(answer.received.partition(b"\r\n\r\n")[2])
    assert (answer.status, answer.body) == (200, b"ok")


@pytest.mark.parametrize("endless", ["X: 1\r\n", "a"], ids=["lines", "a line"])
def test_a_head_without_end_is_refused_and_held_nowhere(puppet, endless):
    before, word = puppet.memory(), mark()
    answer = puppet.say(OK, endless=endless, mark=word)
    assert answer.status == 502
    assert puppet.memory() - before < 50
    eventually(lambda: not puppet.ledger(word)["open"])


# --- bodies -----------------------------------------------------------------------------------------------------

CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
CUT = {
    "before the end": OK + b"Content-Length: 100000\r\n\r\n" + b"a" * 90_000,
    "before the last chunk": CHUNKED + b"5\r\nhello\r\n",
    "in a chunk": CHUNKED + b"F\r\nhello",
    "in the size of a chunk": CHUNKED + b"5\r\nhello\r\n5",
    "in the trailer": CHUNKED + b"5\r\nhello\r\n0\r\nX: 1\r\n",
    "after a size that is none": CHUNKED + b"5\r\nhello\r\nxyz\r\nhello\r\n0\r\n\r\n",
    "after a negative size": CHUNKED + b"5\r\nhello\r\n-5\r\nhello\r\n0\r\n\r\n",
    "after a size beyond all": CHUNKED + b"5\r\nhello\r\n" + b"F" * 17 + b"\r\nhello\r\n0\r\n\r\n",
    "after a chunk that is too long": CHUNKED + b"3\r\nhello\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("said", CUT.values(), ids=CUT)
def test_a_part_of_an_answer_is_never_taken_for_the_whole(puppet, said):
    answer = puppet.say(said)
    assert answer.status == 502 or not answer.whole, answer.received[-200:]


def test_length_and_chunks_together_are_one_answer_or_none(puppet):
    for both in (
        b"Content-Length: 4\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nContent-Length: 4",
    ):
        answer = puppet.say(OK + both + b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + EVIL)
        assert answer.status == 502 or (answer.body, answer.whole) == (b"hello", True)
        assert not (answer.all(b"content-length") and answer.all(b"transfer-encoding"))
        assert b"evil" not in answer.received


def test_an_answer_without_a_length_ends_with_its_connection(puppet):
    for version in (b"1.0", b"1.1"):
        answer = puppet.say(b"HTTP/" + version + b" 200 OK\r\n\r\nuntil the end")
        assert (answer.status, answer.body, answer.whole) == (200, b"until the end", True)


@pytest.mark.parametrize("chunked", [False, True], ids=["with length", "chunked"])
def test_an_answer_of_a_byte_at_a_time_arrives_and_holds_up_nobody(puppet, chunked):
    """Not a second apart, but each when it is let go."""
    word, framing = mark(), b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 5"
    parts = [b"1\r\n%c\r\n" % each for each in b"hello"] + [b"0\r\n\r\n"] if chunked else [b"hello"]
    head = OK + framing + b"\r\n\r\n"
    with closing(puppet.connect()) as connection:
        size = len(head + b"".join(parts))
        asked = f"POST /say?drip=1&mark={word} HTTP/1.1\r\nHost: {puppet.host}\r\nContent-Length: {size}\r\n\r\n"
        connection.sendall(asked.encode() + head + b"".join(parts))
        puppet.go_on(word, len(head))
        received = b""
        for number, part in enumerate(parts):
            for _ in part:
                puppet.go_on(word)
                assert puppet.answers()
            # What has no length must arrive while more of it is to come.
            while not received.endswith(part[-3:] if chunked else part):
                more = connection.recv(65_536)
                assert more, (number, received)
                received += more
    assert Answer(received).body == b"hello"


def test_of_an_answer_without_end_no_more_is_read_than_is_taken(puppet):
    """A client that does not read fills no memory, and one that leaves ends the application's work."""
    word, before = mark(), puppet.memory()
    with closing(socket.socket()) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        connection.connect(("127.0.0.1", puppet.port))
        head = f"POST /say?endless=abcdefgh&mark={word} HTTP/1.1\r\nHost: {puppet.host}\r\n"
        said = OK + b"\r\n"
        connection.sendall(head.encode() + b"Content-Length: %d\r\n\r\n" % len(said) + said)
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
        for _ in range(20):
            assert puppet.answers()
        assert puppet.memory() - before < 50
        assert puppet.ledger(word)["open"]
    eventually(lambda: not puppet.ledger(word)["open"])


# --- cookies and pages ------------------------------------------------------------------------------------------

COOKIES = [
    b"a=1; Domain=localhost",
    b"a=1;Domain=.localhost",
    b"a=1; domain=localhost; Path=/",
    b"a=1; DOMAIN=LOCALHOST",
    b"a=1; Domain =localhost",
    b"a=1;\tDomain\t=\tlocalhost",
    b"a=1; Path=/; Domain=localhost; HttpOnly",
    b"a=1; Domain=a.localhost; Domain=localhost",
    b'a=1; Domain="localhost"',
    b"a=1; Domain=127.0.0.1",
    b"a=1; Domain=",
    b"a=1; Domain",
    b"a=1;;; Domain=localhost;;",
    b"a=Domain=localhost; Domain=localhost",
    b"Domain=localhost; Domain=localhost",
    b"=; Domain=localhost",
]


@pytest.mark.parametrize("cookie", COOKIES, ids=lambda cookie: cookie.decode())
def test_a_cookie_stays_with_the_host_that_set_it(puppet, cookie):
    said = OK + b"Set-Cookie: " + cookie + b"\r\nset-cookie: kept=1; Path=/\r\nContent-Length: 0\r\n\r\n"
    first, second = puppet.say(said).all(b"set-cookie")
    pair, *attributes = first.split(b";")
    assert pair.strip() == cookie.split(b";")[0].strip()
    assert not [each for each in attributes if each.partition(b"=")[0].strip().lower() == b"domain"]
    others = [each.strip() for each in cookie.split(b";")[1:] if not each.strip().lower().startswith(b"domain")]
    assert [each.strip() for each in attributes if each.strip()] == [each for each in others if each]
    assert second == b"kept=1; Path=/"


@pytest.mark.parametrize("place", [b"//elsewhere.example/", b"/\\elsewhere.example", b"\\\\x", b"http:x", b""])
def test_where_an_application_leads_to_is_passed_on_and_not_followed(puppet, place):
    answer = puppet.say(b"HTTP/1.1 302 Found\r\nLocation: " + place + b"\r\nContent-Length: 0\r\n\r\n")
    assert (answer.status, answer.all(b"location")) == (302, [place])


@pytest.mark.parametrize(
    "host", ["<script>alert(1)</script>", '"><img src=x>', "\x1b[31m.localhost", "\xff.localhost", "a" * 5000]
)
def test_a_refusal_repeats_nothing_that_a_browser_or_a_terminal_could_take_for_more(puppet, host):
    answer = puppet.raw(f"GET /<b>x HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode("latin-1"))
    assert answer.status in {400, 421}
    kinds = answer.all(b"content-type")
    assert [kind.partition(b";")[0] for kind in kinds] == [b"text/plain"]
    assert answer.body.rstrip(b"\n").isascii()
    assert answer.body.rstrip(b"\n").decode().isprintable()
    assert len(answer.body) < 1000


def test_a_gateway_that_met_all_of_this_has_nothing_left_over(puppet, figures):
    before, memory = puppet.descriptors(), puppet.memory()
    everything = [*REFUSED.values(), *SPLIT.values(), *CUT.values(), *MORE_THAN_ONE.values()]
    for said in everything:
        puppet.say(said)
    more = puppet.at_rest(before)
    with figures():
        print(
            f"\nG06: {len(everything)} wrong answers: crashes 0, descriptors {more:+}, "
            f"memory {puppet.memory() - memory:+.1f} MB"
        )
