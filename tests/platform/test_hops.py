"""What a client says to the gateway must not pass for what the gateway says (SAFETY G02, G03, G04), as bytes."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from tests.platform.puppet import UPGRADE, mark, wait_for_end

OWN = {b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"}
HOP_BY_HOP = {
    *(b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te", b"trailer"),
    *(b"trailers", b"upgrade", b"http2-settings"),
}


def seen_by(answer):
    """The headers of a request as the application received them, names in lower case."""
    lines = [line.partition(":") for line in answer.seen()["head"].split("\r\n")[1:] if line]
    return [(name.lower().encode("latin-1"), value.strip().encode("latin-1")) for name, _, value in lines]


def check_request(puppet, answer):
    """What holds for every request that arrives, whatever its client said."""
    headers = seen_by(answer)
    names = [name for name, _ in headers]
    assert [value for name, value in headers if name == b"host"] == [puppet.host.encode()]
    assert [value for name, value in headers if name == b"x-forwarded-for"] == [b"127.0.0.1"]
    assert [value.partition(b":")[0] for name, value in headers if name == b"x-forwarded-host"] == [
        puppet.host.encode()
    ]
    assert [value for name, value in headers if name == b"x-forwarded-proto"] == [b"http"]
    assert not HOP_BY_HOP & {name.replace(b"_", b"-") for name in names}
    assert {value.lower() for name, value in headers if name == b"connection"} <= {b"keep-alive", b"close"}
    assert len([name for name in names if name in {b"content-length", b"transfer-encoding"}]) <= 1
    assert b"planted" not in b"".join(value for _, value in headers)
    assert (b"x-kept", b"1") in headers


# --- G02 --------------------------------------------------------------------------------------------------------

REQUESTS = {
    "names the key": [b"Connection: close, X-Api-Key", b"X-Api-Key: planted"],
    "names the host": [b"Connection: close, Host"],
    "names the address": [b"Connection: close, X-Forwarded-For", b"X-Forwarded-For: planted"],
    "names all that the gateway says": [b"Connection: close, X-Forwarded-Host, X-Forwarded-Proto"],
    "names the length": [b"Connection: close, Content-Length", b"Content-Length: 5"],
    "names the encoding": [b"Connection: close, Transfer-Encoding", b"Content-Length: 5"],
    "names a header of its own": [b"Connection: close, X-Mine", b"X-Mine: planted"],
    "names it in capitals": [b"Connection: close, X-MINE", b"x-mine: planted"],
    "names it before": [b"X-Mine: planted", b"Connection: X-Mine, close"],
    "names it with spaces": [b"Connection: close ,\t X-Mine\t ,", b"X-Mine: planted"],
    "names it in a second line": [b"Connection: close", b"Connection: X-Mine", b"X-Mine: planted"],
    "names it beside nothing": [b"Connection: ,,close,,X-Mine,,", b"X-Mine: planted"],
    "names it with an underscore": [b"Connection: close, X-Mine", b"X_Mine: planted"],
    "names two of a name": [b"Connection: close, X-Mine", b"X-Mine: planted", b"X-Mine: planted"],
    "Keep-Alive": [b"Keep-Alive: timeout=planted"],
    "Keep-Alive that is named": [b"Connection: close, Keep-Alive", b"Keep-Alive: planted"],
    "Proxy-Connection": [b"Proxy-Connection: planted"],
    "Proxy-Authorization": [b"Proxy-Authorization: Basic planted"],
    "Proxy-Authenticate": [b"Proxy-Authenticate: planted"],
    "TE": [b"TE: planted"],
    "TE of trailers": [b"Connection: close, TE", b"TE: trailers"],
    "Trailer": [b"Trailer: planted"],
    "an underscore for a hyphen": [b"Proxy_Connection: planted", b"Keep_Alive: planted"],
    "an upgrade to another protocol": [b"Connection: close, Upgrade", b"Upgrade: planted/1"],
    "an upgrade to HTTP/2": [b"Connection: close, Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AA"],
    "an upgrade that is not asked for": [b"Upgrade: websocket"],
    "an upgrade without a key": [b"Connection: close, Upgrade", b"Upgrade: h2c, websocket"],
    "an expectation": [b"Expect: 100-continue"],
    "a trailer that is not announced": [b"Transfer-Encoding: chunked"],
    "a trailer that is": [b"Trailer: X-Forwarded-For", b"Transfer-Encoding: chunked"],
}
TRAILING = b"5\r\nhello\r\n0\r\nX-Forwarded-For: planted\r\nX-Api-Key: planted\r\n\r\n"


@pytest.mark.parametrize("lines", REQUESTS.values(), ids=REQUESTS)
def test_a_request_loses_what_is_of_the_connection_and_nothing_else(puppet, lines):  # G02
    body = TRAILING if b"Transfer-Encoding: chunked" in lines else b"hello"
    answer = puppet.request([*lines, b"X-Kept: 1"], body=body)
    if answer.status == 100:  # An expectation is answered first.
        answer.received = answer.received.partition(b"\r\n\r\n")[2]
    assert answer.status == 200, answer.received[:300]
    check_request(puppet, answer)
    assert answer.seen()["body"] == "hello"


RESPONSES = {
    "Keep-Alive": b"Keep-Alive: planted",
    "Proxy-Authenticate": b"Proxy-Authenticate: planted",
    "Proxy-Connection": b"Proxy-Connection: planted",
    "Proxy-Authorization": b"Proxy-Authorization: planted",
    "TE": b"TE: planted",
    "Trailer": b"Trailer: planted",
    "Upgrade": b"Connection: Upgrade\r\nUpgrade: planted",
    "Upgrade to HTTP/2": b"Upgrade: h2c",
    "a named one": b"Connection: X-Mine\r\nX-Mine: planted",
    "a named one in capitals": b"Connection: x-MINE, close\r\nX-Mine: planted",
    "a named one, before": b"X-Mine: planted\r\nConnection: keep-alive,\tX-Mine",
    "a named one in a second line": b"Connection: close\r\nConnection: X-Mine\r\nX-Mine: planted",
    "the named length": b"Connection: Content-Length",
    "the named encoding": b"Connection: Transfer-Encoding",
    "the named date": b"Connection: close, Date",
}


@pytest.mark.parametrize("chunked", [False, True], ids=["with length", "chunked"])
@pytest.mark.parametrize("lines", RESPONSES.values(), ids=RESPONSES)
def test_an_answer_loses_what_is_of_the_connection_and_nothing_else(puppet, lines, chunked):  # G02
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 5"
    body = b"5\r\nhello\r\n0\r\nX-Trailer: planted\r\n\r\n" if chunked else b"hello"
    head = b"\r\n".join([b"HTTP/1.1 200 OK", lines, framing, b"X-Kept: 1"])
    answer = puppet.say(head + b"\r\n\r\n" + body)
    assert (answer.status, answer.body, answer.whole) == (200, b"hello", True)
    names = {name for name, _ in answer.headers}
    assert not (HOP_BY_HOP | {b"x-mine"}) & names
    assert b"planted" not in answer.received
    assert answer.all(b"x-kept") == [b"1"]
    assert {value.lower() for value in answer.all(b"connection")} <= {b"close", b"keep-alive"}


# --- G03 --------------------------------------------------------------------------------------------------------

FORGED = {
    "X-Forwarded-For": b"X-Forwarded-For",
    "X-Forwarded-Host": b"X-Forwarded-Host",
    "X-Forwarded-Proto": b"X-Forwarded-Proto",
    "X-Forwarded-Port": b"X-Forwarded-Port",
    "X-Forwarded-Prefix": b"X-Forwarded-Prefix",
    "X-Forwarded-Server": b"X-Forwarded-Server",
    "X-Forwarded-User": b"X-Forwarded-User",
    "capitals": b"X-FORWARDED-FOR",
    "underscores": b"X_Forwarded_For",
    "some underscores": b"X-Forwarded_Host",
    "Forwarded": b"Forwarded",
    "X-Real-IP": b"X-Real-IP",
    "X-Real_IP": b"X-Real_IP",
    "X-Api-Key": b"X-Api-Key",
    "X_Api_Key": b"X_Api_Key",
    "X-Access-Token": b"X-Access-Token",
    "x-access_token": b"x-access_token",
    "X-CreateOS-Local": b"X-CreateOS-Local",
    "X-CreateOS-Environment": b"X-CreateOS-Environment",
    "X_CreateOS_Deployment": b"X_CreateOS_Deployment",
}


@pytest.mark.parametrize("name", FORGED.values(), ids=FORGED)
@pytest.mark.parametrize("times", [1, 2], ids=["once", "twice"])
def test_what_only_the_platform_may_say_nobody_else_does(puppet, name, times):  # G03
    answer = puppet.request([b"X-Kept: 1", *[name + b": planted"] * times])
    assert answer.status == 200
    check_request(puppet, answer)
    assert b"planted" not in answer.received


@pytest.mark.parametrize(
    "line",
    [
        "Authorization: Bearer {key}",
        "authorization: {key}",
        "Cookie: a=1; key={key}",
        "X-Own: {key}",
    ],
)
def test_a_key_of_the_platform_is_passed_to_no_application_under_any_name(puppet, platform, line):  # G03
    key = platform.api_key().reveal()
    answer = puppet.request([b"X-Kept: 1", line.format(key=key).encode()])
    check_request(puppet, answer)
    assert key.encode() not in answer.received
    own = puppet.request([b"Authorization: Bearer own", b"Cookie: a=1"])
    assert {(b"authorization", b"Bearer own"), (b"cookie", b"a=1")} <= set(seen_by(own))


def test_a_websocket_forges_no_more_than_a_request(puppet, platform):  # G03
    word = mark()
    lines = b"".join(name + b": planted\r\n" for name in FORGED.values())
    lines += b"Authorization: Bearer " + platform.api_key().reveal().encode() + b"\r\n"
    socket_ = puppet.upgrade(lines=UPGRADE + lines + b"Origin: http://attacker.example\r\n", mark=word)
    assert socket_.head().status == 101
    socket_.connection.close()
    [seen] = [each["head"] for each in puppet.ledger(word)["heads"] if "head" in each]
    assert "planted" not in seen
    assert platform.api_key().reveal() not in seen
    assert seen.lower().count("x-forwarded-for: 127.0.0.1\r\n") == seen.lower().count("x-forwarded-") - 2 == 1
    assert "\r\norigin: http://attacker.example\r\n" in seen.lower(), "the application is to judge it"


# --- G04 --------------------------------------------------------------------------------------------------------


@pytest.fixture
def stranger():
    """A server of somebody else on this machine, which nobody may be led to."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        listener.settimeout(0.2)
        yield listener


def visited(listener):
    """Whether somebody connected."""
    try:
        listener.accept()[0].close()
    except TimeoutError:
        return False
    return True


TARGETS = {
    "absolute": "http://{stranger}/own",
    "absolute with a user": "http://{host}@{stranger}/own",
    "absolute with a user and a password": "http://{host}:80@{stranger}/own",
    "absolute over TLS": "https://{stranger}/own",
    "absolute in capitals": "HTTP://{stranger}/own",
    "two slashes": "//{stranger}/own",
    "two slashes and a user": "//user@{stranger}/own",
    "a user first": "@{stranger}/own",
    "a port first": ":{port}/own",
    "backslashes": "/\\{stranger}/own",
    "a target after a null": "/%00@{stranger}/own",
    "a target after a line feed": "/%0aHost:%20{stranger}/own",
    "a target in the query": "/own?url=http://{stranger}/",
    "a fragment": "/own#@{stranger}/",
    "mapped": "http://[::ffff:127.0.0.1]:{port}/own",
    "another scheme": "gopher://{stranger}/own",
    "a file": "file:///etc/passwd",
    "only a host": "{stranger}",
    "nothing": "",
}
HOSTS = {
    "its own": "{host}",
    "its own and a port of another": "{host}:{port}",
    "another": "{stranger}",
    "its own as a user": "{host}@{stranger}",
    "another as a user": "{stranger}@{host}",
    "mapped": "[::ffff:127.0.0.1]:{port}",
    "both": "{host}, {stranger}",
    "a path": "{host}/../{stranger}",
    "a port of letters": "{host}:http",
    "a negative port": "{host}:-1",
}


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_nothing_in_a_request_chooses_where_it_goes(puppet, stranger, target):  # G04
    """Nineteen targets, each with ten hosts: it goes to the application of its host, or is refused."""
    port = stranger.getsockname()[1]
    words = {"host": puppet.host, "port": port, "stranger": f"127.0.0.1:{port}"}
    for name, host in HOSTS.items():
        line = f"GET {target.format(**words)} HTTP/1.1\r\nHost: {host.format(**words)}\r\nConnection: close\r\n\r\n"
        answer = puppet.raw(line.encode())
        allowed = {200, 400, 421} if name.startswith("its own") and "user" not in name else {400, 421}
        assert answer.status in allowed, (name, answer.received[:200])
        if answer.status == 200:
            seen = dict(seen_by(answer))
            assert seen[b"host"].partition(b":")[0] == puppet.host.encode()
            assert answer.seen()["head"].split(" ")[1].startswith("/")
    assert not visited(stranger)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_by_the_application_is_the_clients_to_follow(puppet, platform, stranger, status, method):  # G04
    for place in (
        f"http://127.0.0.1:{stranger.getsockname()[1]}/x",
        f"//127.0.0.1:{stranger.getsockname()[1]}/x",
        "/\\127.0.0.1/x",
        f"{platform.api_url}/v1/users/me",
        "javascript:alert(1)",
        "http://a.localhost/\xff",
    ):
        said = f"HTTP/1.1 {status} Elsewhere\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n".encode("latin-1")
        answer = puppet.say(said, method=method)
        assert (answer.status, answer.all(b"location")) == (status, [place.encode("latin-1")])
    assert not visited(stranger)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_application_that_closes_its_connections_without_a_word_is_not_reported_as_broken(puppet, method):
    """It answers, says nothing of closing, and closes: the next request may be there before its end is seen."""
    said = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: puppet.say(said, method=method), range(400)))
    assert [answer.received for answer in answers if answer.status != 200] == []


def test_a_tunnel_is_opened_for_nobody(puppet, stranger, platform):  # G04
    port = stranger.getsockname()[1]
    for target in (f"127.0.0.1:{port}", urlsplit(platform.api_url).netloc, f"{puppet.host}:{port}"):
        for host in (target, puppet.host):
            with closing(puppet.connect()) as connection:
                connection.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                status = connection.recv(65_536).split(b" ")[1]
                assert status in {b"400", b"405", b"421", b"501"}
                assert wait_for_end(connection)
    assert not visited(stranger)
