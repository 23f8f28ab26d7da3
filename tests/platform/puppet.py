"""A puppet: an application on a real platform that answers the bytes it is told to, and keeps what it received.

Both ends are raw sockets, so that only the gateway between them speaks a protocol. It says nothing of how the
gateway is made: only what goes in on its port, and what comes out at the application.
"""

from __future__ import annotations

import base64
import json
import resource
import secrets
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import psutil

from tests.platform.conftest import Site, eventually

SOURCE = r'''
import asyncio, base64, hashlib, json, os, struct, urllib.parse

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
LEDGER, OPEN, GATES = {}, {}, {}


def told(value):
    body = json.dumps(value).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body


async def body_of(reader, headers):
    if b"chunked" in headers.get(b"transfer-encoding", b""):
        body = b""
        while size := int((await reader.readline()).split(b";")[0], 16):
            body += await reader.readexactly(size)
            await reader.readline()
        while (await reader.readline()).strip():
            pass
        return body
    return await reader.readexactly(int(headers.get(b"content-length", b"0")))


async def frame_of(reader):
    first, second = await reader.readexactly(2)
    size = second & 127
    if size >= 126:
        size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8), "big")
    key = await reader.readexactly(4) if second & 128 else bytes(4)
    content = await reader.readexactly(size)
    if any(key) and content:
        mask = int.from_bytes((key * (size // 4 + 1))[:size], "big")
        content = (int.from_bytes(content, "big") ^ mask).to_bytes(size, "big")
    return first, content


def frame(first, content):
    size = len(content)
    head = bytes([first, size]) if size < 126 else bytes([first, 126]) + struct.pack(">H", size)
    return (head if size < 65536 else bytes([first, 127]) + struct.pack(">Q", size)) + content


async def talk(reader, writer, mark):
    """Answer each message by its size and digest, or by itself when it is short."""
    while True:
        first, content = await frame_of(reader)
        if first & 15 == 8:
            LEDGER[mark].append({"closed": content.hex()})
            writer.write(frame(0x88, content))
            return
        if content == b"kill":
            os._exit(9)
        if content == b"leave":
            return
        if content.startswith(b"close "):
            writer.write(frame(0x88, struct.pack(">H", int(content[6:])) + b"told to"))
        elif first & 15 == 9:
            writer.write(frame(0x8A, content))
        elif len(content) > 1000:
            writer.write(frame(0x81, b"%d %s" % (len(content), hashlib.sha256(content).hexdigest().encode())))
        else:
            writer.write(frame(first | 0x80, content))
        await writer.drain()


async def serve(reader, writer):
    number = id(writer)
    OPEN[number] = ""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.split(b"\r\n")
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines[1:])
            }
            method, target = lines[0].split(b" ")[:2]
            path, _, query = target.decode("latin-1").partition("?")
            asked = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
            mark = asked.get("mark", "")
            OPEN[number] = "" if path in ("/ledger", "/go") else mark
            body = await body_of(reader, headers)
            if path == "/ledger":
                writer.write(told({
                    "heads": LEDGER.get(mark, []),
                    "open": [each for each in OPEN.values() if each == mark] if mark else len(OPEN) - 1,
                    "pid": os.getpid(),
                    "port": int(os.environ["PORT"]),
                }))
                continue
            entries = LEDGER.setdefault(mark, [])
            entries.append({"head": head.decode("latin-1"), "body": body[:1000].decode("latin-1")})
            if path == "/go":
                for _ in range(int(asked["times"])):
                    GATES.setdefault(mark, asyncio.Semaphore(0)).release()
                writer.write(told("gone on"))
                continue
            if b"upgrade" not in headers and path != "/say":
                writer.write(told({"head": head.decode("latin-1"), "body": body.decode("latin-1")}))
                await writer.drain()
                continue
            if "wait" in asked:
                await GATES.setdefault(mark, asyncio.Semaphore(0)).acquire()
            accept = base64.b64encode(hashlib.sha1(headers.get(b"sec-websocket-key", b"") + GUID).digest())
            if "answer" in asked:
                body = base64.b64decode(asked["answer"]).replace(b"{accept}", accept)
            if path == "/say":
                step = 1 if "drip" in asked else len(body) or 1
                for at in range(0, len(body), step):
                    if "drip" in asked:
                        await GATES.setdefault(mark, asyncio.Semaphore(0)).acquire()
                    writer.write(body[at : at + step])
                    await writer.drain()
                while "endless" in asked:
                    writer.write(asked["endless"].encode("latin-1") * 1000)
                    await writer.drain()
                if "keep" not in asked:
                    return
                continue
            if "answer" in asked:
                writer.write(body)
                if not body:
                    return
                if not body.startswith(b"HTTP/1.1 101"):
                    continue
            else:
                chosen = b"Sec-WebSocket-Protocol: %s\r\n" % asked["chosen"].encode() if "chosen" in asked else b""
                writer.write(
                    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    b"Sec-WebSocket-Accept: " + accept + b"\r\n" + chosen + b"\r\n"
                )
            await writer.drain()
            if "talk" in asked:
                await talk(reader, writer, mark)
                return
            while content := await reader.read(65536):
                entries.append({"tail": content.decode("latin-1")})
            return
    except (asyncio.IncompleteReadError, ConnectionError, ValueError):
        pass
    finally:
        del OPEN[number]
        writer.close()


async def main():
    server = await asyncio.start_server(
        serve, "127.0.0.1", int(os.environ["PORT"]), limit=2**22, backlog=1024
    )
    await server.serve_forever()


asyncio.run(main())
'''

UPGRADE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


def frame(opcode: int, content: bytes = b"", *, fin: bool = True) -> bytes:
    """Return a client's frame, masked with a key that changes nothing."""
    size = len(content)
    length = (
        bytes([0x80 | size])
        if size < 126
        else bytes([0x80 | 126]) + struct.pack(">H", size)
        if size < 65_536
        else bytes([0x80 | 127]) + struct.pack(">Q", size)
    )
    return bytes([(0x80 if fin else 0) | opcode]) + length + bytes(4) + content


@dataclass
class Answer:
    """What came back on a connection, as it was on the wire."""

    received: bytes

    @property
    def head(self) -> bytes:
        return self.received.partition(b"\r\n\r\n")[0]

    @property
    def status(self) -> int:
        """0 when the connection was closed without an answer."""
        return int(self.received.split(b" ", 2)[1]) if self.received else 0

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        lines = [line.partition(b":") for line in self.head.split(b"\r\n")[1:]]
        return [(name.lower(), value.strip()) for name, _, value in lines]

    def all(self, name: bytes) -> list[bytes]:
        return [value for each, value in self.headers if each == name]

    @property
    def body(self) -> bytes:
        rest = self.received.partition(b"\r\n\r\n")[2]
        return self._chunks(rest)[0] if self.all(b"transfer-encoding") else rest

    @staticmethod
    def _chunks(rest: bytes) -> tuple[bytes, bool]:
        """Return the content of chunks, and whether their end is there."""
        content = b""
        while b"\r\n" in rest:
            line, _, rest = rest.partition(b"\r\n")
            size = int(line.split(b";")[0], 16)
            if not size:
                return content, rest.startswith(b"\r\n")
            content, rest = content + rest[:size], rest[size + 2 :]
        return content, False

    @property
    def whole(self) -> bool:
        """Whether a client takes it for complete."""
        if b"\r\n\r\n" not in self.received:
            return False
        rest = self.received.partition(b"\r\n\r\n")[2]
        if self.all(b"transfer-encoding"):
            return self._chunks(rest)[1]
        lengths = self.all(b"content-length")
        return len(rest) == int(lengths[0]) if lengths else True

    def seen(self) -> dict[str, Any]:
        """What the application saw of the request, as it told."""
        return dict(json.loads(self.body))


class Socket:
    """A client's end of a websocket, or of what it takes for one."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._rest = b""

    def send(self, *frames: bytes) -> None:
        self.connection.sendall(b"".join(frames))

    def head(self) -> Answer:
        """Read the answer to the handshake."""
        while b"\r\n\r\n" not in self._rest and (part := self.connection.recv(65_536)):
            self._rest += part
        head, end, self._rest = self._rest.partition(b"\r\n\r\n")
        return Answer(head + end)

    def _exactly(self, size: int) -> bytes:
        while len(self._rest) < size:
            part = self.connection.recv(1 << 20)
            if not part:
                raise EOFError
            self._rest += part
        content, self._rest = self._rest[:size], self._rest[size:]
        return content

    def receive(self) -> tuple[int, bytes]:
        """Return the opcode and content of the next frame."""
        first, size = self._exactly(2)
        assert not size & 0x80, "a server does not mask"
        if size >= 126:
            size = int.from_bytes(self._exactly(2 if size == 126 else 8), "big")
        return first & 15, self._exactly(size)

    def ended(self) -> bool:
        """Read on until the connection ends, answer a close, and tell that it ended."""
        with suppress(ConnectionError, EOFError):
            while True:
                opcode, content = self.receive()
                if opcode == 8:
                    self.send(frame(8, content))
        return True


@dataclass
class Puppet:
    """The application, as a client of the gateway reaches it."""

    site: Site
    port: int
    host: str
    platform_pid: int
    opened: list[socket.socket] = field(default_factory=list)

    @classmethod
    def on(cls, site: Site, platform_pid: int) -> Puppet:
        site.live(site.deploy({"main.py": SOURCE}).id)
        parts = urlsplit(site.environment.extra.endpoint)
        return cls(site, int(parts.port or 80), str(parts.hostname), platform_pid)

    def connect(self, timeout: float = 20.0) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout)

    def raw(self, content: bytes, *more: bytes, port: int | None = None) -> Answer:
        """Send bytes as they are, and return what comes back until the connection closes."""
        with closing(socket.create_connection(("127.0.0.1", port or self.port), timeout=20)) as connection:
            received = b""
            with suppress(ConnectionError):
                for part in (content, *more):
                    connection.sendall(part)
            with suppress(ConnectionError):
                while part := connection.recv(1 << 20):
                    received += part
        return Answer(received)

    def request(
        self, headers: Sequence[bytes] = (), *, target: str = "/", method: str = "POST", body: bytes = b"hello"
    ) -> Answer:
        """Ask once, and close."""
        lines = [f"{method} {target} HTTP/1.1".encode(), b"Host: " + self.host.encode(), *headers]
        if not any(line.lower().startswith((b"content-length", b"transfer-encoding")) for line in headers):
            lines.append(b"Content-Length: %d" % len(body))
        if not any(line.lower().startswith(b"connection") for line in headers):
            lines.append(b"Connection: close")
        return self.raw(b"\r\n".join(lines) + b"\r\n\r\n" + body)

    def say(self, answer: bytes, *, method: str = "POST", **asked: str) -> Answer:
        """Have the application answer these bytes, and return what the gateway made of them."""
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in asked.items())
        if method != "POST":
            query += f"&answer={quote(base64.b64encode(answer), safe='')}"
            answer = b""
        return self.request(target=f"/say?{query}", method=method, body=answer)

    def upgrade(
        self, *, answer: bytes | None = None, lines: bytes = UPGRADE, more: bytes = b"", **asked: str
    ) -> Socket:
        """Ask for a websocket; the answer is still to be read."""
        if answer is not None:
            asked["answer"] = base64.b64encode(answer).decode()
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in asked.items())
        connection = self.connect()
        self.opened.append(connection)
        connection.sendall(f"GET /ws?{query} HTTP/1.1\r\nHost: {self.host}\r\n".encode() + lines + b"\r\n" + more)
        return Socket(connection)

    def leave(self) -> None:
        """Close what `upgrade` opened."""
        while self.opened:
            self.opened.pop().close()

    def ledger(self, mark: str = "") -> dict[str, Any]:
        """What the application received with a mark, and how many such connections it has open."""
        return self.request(target=f"/ledger?mark={mark}", method="GET", body=b"").seen()

    def go_on(self, mark: str, times: int = 1) -> None:
        """Let the application answer, or its next bytes."""
        assert self.request(target=f"/go?mark={mark}&times={times}").status == 200

    def answers(self) -> bool:
        """Whether an ordinary request is still answered."""
        return self.request().seen()["body"] == "hello"

    def gateway(self) -> Iterator[psutil.Process]:
        """The processes that may hold something for the gateway: the platform, and whoever else has its port."""
        platform = psutil.Process(self.platform_pid)
        yield platform
        for process in platform.children(recursive=True):
            with suppress(psutil.Error):
                if any(each.laddr.port == self.port for each in process.net_connections("tcp") if each.laddr):
                    yield process

    def descriptors(self) -> int:
        return sum(process.num_fds() for process in self.gateway())

    def memory(self) -> float:
        """Resident memory, in MB."""
        return sum(process.memory_info().rss for process in self.gateway()) / 1e6

    def at_rest(self, before: int, *, more: int = 2) -> int:
        """Wait until not more is open than there was, and return by how much it differs."""
        eventually(lambda: self.descriptors() <= before + more, within_s=30)
        return self.descriptors() - before


def mark() -> str:
    """A word by which a test finds its own requests."""
    return f"m{secrets.token_hex(8)}"


def room_for(connections: int) -> None:
    """Let this process have so many open at once."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 2 * connections + 500), hard), hard))


def wait_for_end(connection: socket.socket, within_s: float = 20.0) -> bool:
    """Whether the other end closes the connection in time."""
    connection.settimeout(0.2)
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            if not connection.recv(65_536):
                return True
        except TimeoutError:
            continue
        except ConnectionError:
            return True
    return False
