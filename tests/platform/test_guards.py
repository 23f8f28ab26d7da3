"""SAFETY P01, P02, P04, P09, S03 on a real socket: what no HTTP library would send, and what it must not cost.

Keys, hosts and sites that a library can send are in test_app.py (P01, P02, P03) and test_mcp.py (P10).
"""

from __future__ import annotations

import json
import re
import socket
import sqlite3
import stat
import struct
import subprocess
import sys
import time
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil
import pytest
from click.testing import CliRunner

from createos_nb.api.client import Client
from createos_nb.api.operation import OPERATIONS
from createos_nb.cli import main
from createos_nb.errors import InvalidArgument
from createos_nb.platform import service
from createos_nb.platform.handlers import HANDLERS
from createos_nb.platform.options import Options
from createos_nb.platform.users import ADD
from tests.platform.conftest import eventually

UPGRADE = "\r\n".join(
    [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    ]
)


def port_of(address):
    return int(address.api_url.rpartition(":")[2])


def raw(address, request, *, timeout=10.0):
    """Send bytes as they are and return the first status; 0 when the connection was only closed."""
    with closing(socket.create_connection(("127.0.0.1", port_of(address)), timeout=timeout)) as connection:
        answer = b""
        with suppress(ConnectionError):  # What is refused before it is read whole is closed by a reset.
            connection.sendall(request if isinstance(request, bytes) else request.encode("latin-1"))
            while b"\r\n" not in answer and (chunk := connection.recv(65536)):
                answer += chunk
    return int(answer.split(b" ", 2)[1]) if answer else 0


# --- P01 ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/mcp", "/openapi.json", "/v1/users/me", "/local/users", "/v1/projects"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_nothing_is_served_without_a_key_whatever_the_method(platform, path, method):
    for more in (
        "",
        f"{UPGRADE}\r\n",
        "Accept: text/event-stream\r\n",
        "X-Api-Key: \r\n",
        "Cookie: X-Api-Key=x\r\n",
    ):
        status = raw(platform, f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{more}Connection: close\r\n\r\n")
        assert status in {401, 405}, (more, status)


def test_a_download_is_had_only_by_the_address_that_was_given_out(platform):
    for token in ("", "x", "..", "%2e%2e", "%00", "a" * 5000):
        request = f"GET /local/downloads/{token} HTTP/1.1\r\nHost: localhost\r\n\r\n"
        assert raw(platform, request) == 404


def test_the_key_of_another_user_opens_nothing_of_this_one(platform, client, site, http_of):
    """Every operation that names a project, with a key that is good, but not for it."""
    made = client.projects.run(ADD.exchange(username=f"guest-{datetime.now(UTC):%H%M%S%f}"))
    before = client.projects.get(site.project_id)
    ids = {"project_id": site.project_id, "environment_id": site.environment_id}
    refused = 0
    with Client(platform.api_url, api_key=made.key) as stranger:
        assert len(stranger.projects.list()) == 0
        http = http_of(platform)
        http.headers["X-Api-Key"] = made.key.reveal()
        for operation in map(OPERATIONS.__getitem__, HANDLERS):
            if "{project_id}" not in operation.path:
                continue
            path = re.sub(r"\{(\w+)\}", lambda found: ids.get(found[1], "x"), operation.path)
            answer = http.request(operation.method, path, params={"token": "x", "start": 1, "end": 2})
            assert answer.status_code in {400, 404, 415}, (operation.name, answer.text)
            refused += 1
    assert refused > 50
    assert client.projects.get(site.project_id) == before


# --- P02 ----------------------------------------------------------------------------------------------------

LINES = {
    "two hosts": ("GET {path} HTTP/1.1", "Host: localhost\r\nHost: attacker.example"),
    "two good hosts": ("GET {path} HTTP/1.1", "Host: localhost\r\nHost: localhost"),
    "no host": ("GET {path} HTTP/1.1", "X-Other: 1"),
    "no host in HTTP/1.0": ("GET {path} HTTP/1.0", "X-Other: 1"),
    "an empty host": ("GET {path} HTTP/1.1", "Host:"),
    "another host in the line": ("GET http://attacker.example{path} HTTP/1.1", "Host: attacker.example"),
    "a name and a comma": ("GET {path} HTTP/1.1", "Host: localhost, attacker.example"),
    "a name with user": ("GET {path} HTTP/1.1", "Host: localhost@attacker.example"),
    "a host that goes on": ("GET {path} HTTP/1.1", "Host: localhost\r\n .attacker.example"),
    "a tunnel": ("CONNECT attacker.example:443 HTTP/1.1", "Host: attacker.example:443"),
}


@pytest.mark.parametrize("path", ["/v1/users/me", "/mcp", "/openapi.json", "/nowhere"])
@pytest.mark.parametrize(("line", "hosts"), LINES.values(), ids=LINES)
@pytest.mark.parametrize("more", ["", UPGRADE], ids=["plain", "websocket"])
def test_a_request_for_another_host_is_refused_before_anything_else(platform, path, line, hosts, more):
    key = platform.api_key().reveal()
    head = "\r\n".join(filter(None, [line.format(path=path), hosts, f"X-Api-Key: {key}", more]))
    assert raw(platform, f"{head}\r\n\r\n") in {400, 421}


# --- P04 ----------------------------------------------------------------------------------------------------


def listening(pid):
    return {found.laddr.ip for found in psutil.Process(pid).net_connections("inet") if found.status == "LISTEN"}


def test_only_this_machine_is_let_in_unless_a_flag_says_otherwise(tmp_path):
    state = tmp_path / "state"
    try:
        first = service.start(state)
        assert listening(first.pid) == {"127.0.0.1"}
        assert stat.S_IMODE((state / "address.json").stat().st_mode) == 0o600
        service.stop(state)
        shown = CliRunner().invoke(main, ["local", "up", "--state", str(state), "--bind", "0.0.0.0", "--json"])
        assert shown.exit_code == 0, shown.output
        assert "run programs as you" in shown.stderr
        second = service.status(state)
        assert json.loads(shown.stdout)["api_url"] == second.api_url == first.api_url
        assert listening(second.pid) == {"0.0.0.0"}
        key = second.api_key().reveal()
        for host, status in (("localhost", 200), ("192.168.7.7", 421), ("0.0.0.0", 421), ("attacker.example", 421)):
            request = f"GET /v1/users/me HTTP/1.1\r\nHost: {host}\r\nX-Api-Key: {key}\r\n\r\n"
            assert raw(second, request) == status, host
        port = second.api_url.rpartition(":")[2]
        there = httpx.get(f"http://{own_address()}:{port}/v1/users/me", headers={"X-Api-Key": key}, trust_env=False)
        assert there.status_code == 200, "as another machine would ask"
        again = CliRunner().invoke(main, ["local", "up", "--state", str(state)])
        assert "run programs as you" in again.stderr, "it is said whenever it is so, not when it is asked for"
    finally:
        service.stop(state)


def own_address():
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        probe.connect(("192.0.2.1", 9))  # nothing is sent; it only chooses an address of this machine
        return probe.getsockname()[0]


@pytest.mark.parametrize("bind", ["localhost", "all", "", "192.0.2.1"])
def test_what_cannot_be_listened_on_is_said(tmp_path, bind):
    with pytest.raises(InvalidArgument, match="listen on"):
        service.start(tmp_path / "state", options=Options(bind=bind))


# --- P09 ----------------------------------------------------------------------------------------------------


def form(parts, head=b""):
    body = b"".join(
        b'--b\r\nContent-Disposition: form-data; name="%s"\r\n%s\r\nx\r\n' % (name, head) for name in parts
    )
    return body + b"--b--\r\n"


def test_what_is_out_of_bounds_is_refused_in_constant_memory_and_leaves_nothing(platform, http, site, figures):
    upload = f"/v1/projects/{site.project_id}/deployments"
    zipped = {"Content-Type": "multipart/form-data; boundary=b"}
    head = f"X-Api-Key: {platform.api_key().reveal()}\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    put = f"PUT {upload}/files HTTP/1.1\r\n{head}"
    files = {"files": [{"path": f"f{number}", "content": "x"} for number in range(101)]}

    def sent(path, content):
        return http.put(f"{upload}/{path}", content=content, headers=zipped).status_code

    def cut(text):
        """Send the beginning of a body, and be gone."""
        with closing(socket.create_connection(("127.0.0.1", port_of(platform)))) as connection:
            connection.sendall(text.encode())
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        return 0

    cases = {
        "101 files": (lambda: http.put(f"{upload}/files", json=files).status_code, {400}),
        "21 a page": (lambda: http.get("/v1/projects", params={"limit": 21}).status_code, {400}),
        "a negative page": (lambda: http.get("/v1/projects", params={"offset": -1}).status_code, {400}),
        "urlencoded": (lambda: http.put(f"{upload}/upload-zip", data={"file": "x"}).status_code, {415}),
        "a part header of 1 MB": (
            lambda: sent("upload-zip", form([b"file"], b"X: " + b"x" * 2**20)),
            {400},
        ),
        "100,000 parts": (lambda: sent("upload-zip", form([b"p"] * 100_000)), {400}),
        "a part without end": (lambda: sent("upload-zip", form([b"file"])[:-10]), {400}),
        "a name of 1 MB": (lambda: sent("upload-zip", form([b"n" * 2**20])), {400}),
        "a negative length": (lambda: raw(platform, f"{put}Content-Length: -1\r\n\r\n"), {400}),
        "two lengths": (lambda: raw(platform, f"{put}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}"), {400}),
        "a length that is no number": (lambda: raw(platform, f"{put}Content-Length: 1e3\r\n\r\n"), {400}),
        "chunks of no size": (lambda: raw(platform, f"{put}Transfer-Encoding: chunked\r\n\r\nxyz\r\n"), {400}),
        "headers of 1 MB": (lambda: raw(platform, f"{put}X-Long: {'x' * 2**20}\r\n\r\n"), {0, 400, 431}),
        "gone in the middle": (lambda: cut(f"{put}Content-Length: 1000000\r\n\r\n{{"), {0}),
    }
    process = psutil.Process(platform.pid)
    temporary = Path(process.environ()["TMPDIR"])  # its own: others put files into /tmp meanwhile
    for doing, _ in cases.values():
        doing()
    before, left = process.memory_info().rss, {path.name for path in temporary.iterdir()}
    deployments = http.get(upload).json()
    for name, (doing, statuses) in cases.items():
        for _ in range(3):
            assert doing() in statuses, name
    grown = (process.memory_info().rss - before) / 1e6
    assert grown <= 20
    assert {path.name for path in temporary.iterdir()} <= left
    assert http.get(upload).json() == deployments
    with figures():
        print(f"\nP09: {len(cases)} cases, 3 times each: all refused, memory grew by {grown:.1f} MB, files left 0")


@pytest.mark.parametrize(
    "framing", ["Content-Length: 2\r\n\r\n[]", "Transfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n"]
)
def test_a_body_is_read_though_its_request_asks_for_another_protocol(platform, framing):
    """As ``curl --http2 --data`` and Java's client do; it is no reason to wait for the body for ever."""
    head = f"X-Api-Key: {platform.api_key().reveal()}\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    asked = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"
    assert raw(platform, f"POST /v1/projects HTTP/1.1\r\n{head}{asked}{framing}") == 400


def test_a_slow_body_holds_up_nobody_else(platform, http):
    head = f"X-Api-Key: {platform.api_key().reveal()}\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    slow = [socket.create_connection(("127.0.0.1", port_of(platform))) for _ in range(50)]
    try:
        for connection in slow:
            connection.sendall(f"POST /v1/projects HTTP/1.1\r\n{head}Content-Length: 1000\r\n\r\n{{".encode())
        began = time.monotonic()
        assert http.get("/v1/users/me").status_code == 200
        assert time.monotonic() - began < 5
    finally:
        for connection in slow:
            connection.close()
    eventually(lambda: http.get("/v1/users/me").status_code == 200)


# --- S03 ----------------------------------------------------------------------------------------------------


def test_one_connection_alone_writes_and_checkpoints(own):
    """SQLite before 3.51.3 may damage a file that two connections checkpoint at once: there is only one."""
    own.start()
    database = own.state / "platform.sqlite"
    opened = [file.path for file in psutil.Process(own.address.pid).open_files()]
    assert opened.count(str(database)) == 1
    # Nor can another be opened beside it: not even to read, whoever asks.
    looks = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute(sys.argv[2]).fetchall()"
    for statement in ("SELECT * FROM users", "PRAGMA wal_checkpoint(TRUNCATE)", "DELETE FROM users"):
        beside = subprocess.run([sys.executable, "-c", looks, database, statement], capture_output=True, text=True)
        assert (beside.returncode, "database is locked" in beside.stderr) == (1, True)
    assert not database.with_name("platform.sqlite-shm").exists(), "what connections would share"
    with Client(own.address.api_url, api_key=own.address.api_key()) as client:
        assert client.account.user().username == "local"
    service.stop(own.state)
    for statement in ("SELECT * FROM users", "PRAGMA integrity_check"):
        after = subprocess.run([sys.executable, "-c", looks, database, statement], capture_output=True, text=True)
        assert (after.returncode, after.stderr) == (0, "")


def test_the_version_of_sqlite_is_shown_at_the_start_and_in_the_status(own):
    own.start()
    version = sqlite3.sqlite_version
    assert [line for line in service.log_lines(own.state) if f"SQLite {version} keeps its state" in line]
    shown = CliRunner().invoke(main, ["local", "status", "--state", str(own.state)])
    assert re.search(rf"sqlite_version +{re.escape(version)}\n", shown.output)


def test_a_second_process_on_the_same_state_is_refused_by_the_lock_and_by_the_database(own):
    own.start()
    command = [sys.executable, "-m", "createos_nb.platform", "--state", str(own.state)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert second.returncode == 1
    assert "Another platform runs on" in second.stderr
    # Where file systems keep no locks of whole files, that of the database is still in the way.
    opens = "import pathlib, sys; from createos_nb.platform.store import Store; Store(pathlib.Path(sys.argv[1]))"
    database = str(own.state / "platform.sqlite")
    third = subprocess.run([sys.executable, "-c", opens, database], capture_output=True, text=True, timeout=60)
    assert third.returncode == 1
    assert "cannot be used: database is locked" in third.stderr
    assert service.status(own.state) == own.address
