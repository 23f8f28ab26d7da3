"""What hides a request inside another (SAFETY G01), sent as bytes to the gateway before real servers."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from createos_nb.platform.gateway import clients
from createos_nb.platform.gateway.recorder import Recorder
from createos_nb.platform.gateway.routes import Routes, Upstream
from tests.platform.gateways import gateway

pytestmark = pytest.mark.anyio

HOST = "production.shop.localhost"
HIDDEN = f"GET /hidden HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n"
END = "0\r\n\r\n"

PYTHON = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self):
        print(self.command, self.path, flush=True)
        if (size := self.headers.get("Content-Length")):
            self.rfile.read(int(size))
        elif self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                self.rfile.read(size + 2)
            self.rfile.readline()
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    do_GET = do_POST = answer
    def log_message(self, *values):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
"""
NODE = """
const server = require('http').createServer({insecureHTTPParser: true}, (request, answer) => {
  console.log(request.method + ' ' + request.url);
  request.on('data', () => {});
  request.on('end', () => answer.end('ok'));
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
"""
GO = """
package main

import ("fmt"; "io"; "net"; "net/http")

func main() {
    listener, _ := net.Listen("tcp", "127.0.0.1:0")
    fmt.Println(listener.Addr().(*net.TCPAddr).Port)
    http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
        fmt.Println(r.Method, r.URL.Path)
        io.Copy(io.Discard, r.Body)
        w.Write([]byte("ok"))
    }))
}
"""


def corpus() -> dict[str, str]:
    """The framings, by name: what follows the Host header of a POST, up to a hidden request."""
    size = len(HIDDEN)
    lengths = [
        "+5",
        "-1",
        "0x10",
        "1e1",
        "5,5",
        "5, 6",
        "5 5",
        "5;5",
        "",
        "\t",
        "\u0665",
        "5.0",
        "1_0",
        "0" * 30 + "x",
        "9" * 30,
    ]
    encodings = [
        *("chunked,", ",chunked", "chunked\t", "\tchunked\x0b", "chunked x", "xchunked", "chunkedx", "chunked;q=1"),
        *(
            "chunked, identity",
            "identity, chunked",
            "identity",
            "gzip, chunked",
            "chunked, chunked",
            "cow",
            '"chunked"',
        ),
        *("chunked\x00", "\x00chunked", "CHUNKED", "", "ch\u0075nked\xa0"),
    ]
    bodies = {
        "wrong end of a chunk": f"5\r\nhelloXX{END}",
        "chunk longer than it says": f"3\r\nhello\r\n{END}",
        "bare line feeds": "5\nhello\n0\n\n",
        "bare line feed at the end": "0\n\n",
        "bare line feed after the size": f"5\nhello\r\n{END}",
        "bare carriage return": f"5\rhello\r{END}",
        "signed size": f"+5\r\nhello\r\n{END}",
        "hex prefix": f"0x5\r\nhello\r\n{END}",
        "huge size": f"FFFFFFFFFFFFFFFFF\r\nhello\r\n{END}",
        "wrapping size": f"100000000000000005\r\nhello\r\n{END}",
        "underscore": f"0_5\r\nhello\r\n{END}",
        "no size": f"\r\nhello\r\n{END}",
        "space before the size": f" 5\r\nhello\r\n{END}",
        "space after the size": f"5 \r\nhello\r\n{END}",
        "extension": f"5;a=b\r\nhello\r\n{END}",
        "extension with a line feed": f"5;a\nb\r\nhello\r\n{END}",
        "extension with quotes": f'5;a="\r\nhello\r\n{END}',
        "trailer with a length": f"0\r\nContent-Length: {size}\r\n\r\n",
        "trailer with an encoding": f"0\r\n{CHUNKED}\r\n",
        "trailer with a host": "0\r\nHost: evil.example\r\n\r\n",
        "end without empty line": "0\r\n",
    }
    framings = {
        "length and chunks": f"Content-Length: 6\r\n{CHUNKED}\r\n{END}",
        "chunks and length": f"{CHUNKED}Content-Length: 6\r\n\r\n{END}",
        "chunks and length 0": f"{CHUNKED}Content-Length: 0\r\n\r\n{END}",
        "chunks and a length of all": f"{CHUNKED}Content-Length: {5 + size}\r\n\r\n{END}",
        "two lengths": f"Content-Length: 0\r\nContent-Length: {size}\r\n\r\n",
        "two lengths the other way": f"Content-Length: {size}\r\nContent-Length: 0\r\n\r\n",
        "two equal lengths": "Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
        "two encodings": f"{CHUNKED}Transfer-Encoding: identity\r\n\r\n{END}",
        "two encodings the other way": f"Transfer-Encoding: identity\r\n{CHUNKED}\r\n{END}",
        "encoding twice": f"{CHUNKED}{CHUNKED}\r\n{END}",
        "space before colon of the length": f"Content-Length : {size}\r\n\r\n",
        "space before colon of the encoding": f"Transfer-Encoding : chunked\r\n\r\n{END}",
        "tab before colon": f"Transfer-Encoding\t: chunked\r\n\r\n{END}",
        "space before the name": f"X: 1\r\n Transfer-Encoding: chunked\r\n\r\n{END}",
        "folded length": f"Content-Length:\r\n {size}\r\n\r\n",
        "folded encoding": f"Transfer-Encoding:\r\n chunked\r\n\r\n{END}",
        "folded with a tab": f"Transfer-Encoding: x,\r\n\tchunked\r\n\r\n{END}",
        "fold that holds a header": f"X: 1\r\n Content-Length: {size}\r\n\r\n",
        "header after a bare line feed": f"X: 1\nContent-Length: {size}\r\n\r\n",
        "header after a bare carriage return": f"X: 1\rContent-Length: {size}\r\n\r\n",
        "headers end with line feeds": f"Content-Length: {size}\n\n",
        "null in a name": f"Content-Length\x00: {size}\r\n\r\n",
        "null in a value": f"X: \x00\r\nContent-Length: {size}\r\n\r\n",
        "underscore for a hyphen": f"Content_Length: {size}\r\n\r\n",
        "name in brackets": f"[Content-Length]: {size}\r\n\r\n",
        "no colon": f"Content-Length {size}\r\n\r\n",
        "no name": f": {size}\r\n\r\n",
        "pipelined": "Content-Length: 0\r\n\r\n",
        "pipelined after chunks": f"{CHUNKED}\r\n5\r\nhello\r\n{END}",
        "connection takes the length": f"Content-Length: {size}\r\nConnection: Content-Length\r\n\r\n",
        "connection takes the encoding": f"{CHUNKED}Connection: Transfer-Encoding, close\r\n\r\n{END}",
        "upgrade to plain HTTP/2": "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        f"HTTP2-Settings: AA\r\nContent-Length: {size}\r\n\r\n",
        "expectation": "Expect: 100-continue\r\nContent-Length: 0\r\n\r\n",
        "expectation of something else": "Expect: x\r\nContent-Length: 0\r\n\r\n",
    }
    framings |= {f"length {value!r}": f"Content-Length: {value}\r\n\r\nhello" for value in lengths}
    framings |= {f"encoding {value!r}": f"Transfer-Encoding: {value}\r\n\r\n{END}" for value in encodings}
    framings |= {f"chunk: {name}": f"{CHUNKED}\r\n{body}" for name, body in bodies.items()}
    return framings


@asynccontextmanager
async def backend(name: str, directory: Path, require):
    """A real server that prints a line for every request that it sees; yields its port and its lines."""
    if name == "python":
        command = [sys.executable, "-c", PYTHON]
    elif name == "node":
        command = [shutil.which("node") or require("node", "not on PATH"), "-e", NODE]
    else:
        (directory / "main.go").write_text(GO)
        compiler = shutil.which("go") or require("go", "not on PATH")
        await asyncio.to_thread(
            subprocess.run, [compiler, "build", "-o", "backend", "main.go"], cwd=directory, check=True
        )
        command = [str(directory / "backend")]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    port = int(await process.stdout.readline())
    seen: list[str] = []

    async def read() -> None:
        while line := await process.stdout.readline():
            seen.append(line.decode().strip())

    reading = asyncio.create_task(read())
    try:
        yield port, seen
    finally:
        process.kill()
        await process.wait()
        await reading


async def answered(port: int, content: bytes) -> bytes:
    """Send bytes, no more of them, and return what comes back until the connection closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received = b""
    with suppress(ConnectionError, TimeoutError):
        writer.write(content)
        await writer.drain()
        async with asyncio.timeout(20):
            while part := await reader.read(65_536):
                received += part
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
    return received


@pytest.mark.parametrize("server", ["python", "node", "go"])
async def test_no_request_is_smuggled_to_a_server(server, tmp_path, require, figures, monkeypatch):  # G01
    """What the gateway answered with 200 is what the server saw, and a request that is doubtful hides none."""
    monkeypatch.setattr(clients, "HEAD_WITHIN_S", 1.0)  # It is the gateway that ends each connection.
    routes, recorder = Routes(), Recorder(tmp_path / "requests")
    sent = refused = passed = 0
    faults = []
    async with backend(server, tmp_path, require) as (upstream, seen):
        routes.replace("env", [HOST], [Upstream("127.0.0.1", upstream, "env", "dep", 0)])
        async with gateway(routes, recorder, answer_within_s=15) as port:
            for name, framing in corpus().items():
                for method in ("POST", "GET"):
                    del seen[:]
                    content = f"{method} /outer HTTP/1.1\r\nHost: {HOST}\r\n{framing}{HIDDEN}".encode()
                    answers = re.findall(rb"HTTP/1\.[01] (\d{3})", await answered(port, content))
                    sent += 1
                    refused += b"400" in answers
                    passed += answers.count(b"200")
                    # A request in a body that has its length is a body; one after the end of a body that
                    # both understand alike is the next request. Any other must not be seen.
                    told = [line.split()[1] for line in seen]
                    if answers.count(b"200") != len(told) and b"400" not in answers and b"504" not in answers:
                        faults.append((name, method, answers, told))
                    if "/hidden" in told and (told.count("/outer") != 1 or answers != [b"200", b"200"]):
                        faults.append((name, method, answers, told))
                    if "/hidden" in told and name not in UNDERSTOOD:
                        faults.append((name, method, answers, told))
            del seen[:]
            answer = await answered(port, HIDDEN.encode())
            assert b" 200 " in answer
            assert seen == ["GET /hidden"]
    recorder.close()
    with figures():
        print(f"\nG01 {server}: {sent} sent, {refused} refused, {passed} passed, {len(faults)} smuggled")
    assert not faults, "\n".join(map(str, faults))


UNDERSTOOD = {
    "pipelined",
    "pipelined after chunks",
    "underscore for a hyphen",  # The name is dropped on the way, since some take it for the other.
    "expectation",
    "expectation of something else",
    "encoding 'CHUNKED'",
    "chunk: extension",
}
"""Framings that are no more than two requests in a row, for every reader."""
