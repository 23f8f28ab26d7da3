"""Requests a second and added latency of the gateway, recording on, beside nginx and bare ASGI proxies.

All pass on to the same upstream and are asked by the same client, which take their share of the cores as well:
only the ratios mean something. The gateway is the platform's, a process beside that of the API, whose own answers
are timed while the gateway is at rest and while it is busy.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack

import httpx
import psutil
import pytest

from createos_nb.platform import ports, service
from createos_nb.platform.service import Address
from tests.benchmarks.size import size

SECONDS = size(2, 10) / 10
CONNECTIONS = (1, 32)
HOST = "production.shop.localhost"
REQUEST = f"GET /path?x=1 HTTP/1.1\r\nHost: {HOST}\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n".encode()

UPSTREAM = """
import asyncio, os
ANSWER = b"HTTP/1.1 200 OK\\r\\nContent-Type: text/plain\\r\\nContent-Length: 2\\r\\n\\r\\nok"
class Server(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.rest = transport, b""
    def data_received(self, data):
        *whole, self.rest = (self.rest + data).split(b"\\r\\n\\r\\n")
        self.transport.write(ANSWER * len(whole))
async def main():
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", int(os.environ["PORT"]))
    await server.serve_forever()
asyncio.run(main())
"""
SERVE = """
import asyncio, socket, uvicorn
def serve(config):
    # With the protocol named, asyncio sets TCP_NODELAY, as it does for the platform's own.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(512)
    print(listener.getsockname()[1], flush=True)
    asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))
def bare(app):
    quiet = {"lifespan": "off", "access_log": False, "log_level": "critical"}
    serve(uvicorn.Config(app, http="httptools", loop="asyncio", **quiet))
"""
PLATFORM = """
import pathlib, sys
from createos_nb.platform import __main__ as program
from createos_nb.platform.builds import Artefact
from createos_nb.platform.platform import Platform
directory, begin = pathlib.Path(sys.argv[2]).parent, Platform.begin
async def begin_with_upstream(self):
    await begin(self)
    # Without the limits that a deployment has, which would be measured instead of the gateway.
    await self.lifecycle.serving.serve(
        "env", hosts=["production.shop.localhost"], deployment_id="dep", variables={}, replicas=1, memory_mb=None,
        artefact=Artefact(directory, (sys.executable, "upstream.py"), {}, 8080),
    )
    print(self.lifecycle.serving.processes_of("env")[0].port, flush=True)
Platform.begin = begin_with_upstream
program.main()
"""
AIOHTTP = """
import aiohttp, sys
session = None
async def app(scope, receive, send):
    global session
    session = session or aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False)
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    url = f"http://127.0.0.1:{sys.argv[1]}{scope['path']}"
    async with session.request(scope["method"], url, headers=headers) as answer:
        body = await answer.read()
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.raw_headers})
        await send({"type": "http.response.body", "body": body})
bare(app)
"""
HTTPX = """
import httpx, sys
client = httpx.AsyncClient(trust_env=False, limits=httpx.Limits(max_connections=None))
async def app(scope, receive, send):
    url = f"http://127.0.0.1:{sys.argv[1]}{scope['path']}"
    answer = await client.request(scope["method"], url, headers=scope["headers"])
    await send({"type": "http.response.start", "status": answer.status_code, "headers": answer.headers.raw})
    await send({"type": "http.response.body", "body": answer.content})
bare(app)
"""
NGINX = """
worker_processes 1; daemon off; pid {directory}/pid; error_log /dev/null;
events {{ }}
http {{
  access_log {directory}/access.log; keepalive_requests 10000000;
  client_body_temp_path {directory}/a; proxy_temp_path {directory}/b; fastcgi_temp_path {directory}/c;
  uwsgi_temp_path {directory}/d; scgi_temp_path {directory}/e;
  upstream app {{ server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 10000000; }}
  server {{ listen 127.0.0.1:{port}; location / {{
    proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
  }} }}
}}
"""


def started(stack: ExitStack, *command: str) -> int:
    """Start a server that prints its port, and return it."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    stack.callback(process.stdout.close)
    stack.callback(process.wait)
    stack.callback(process.kill)
    return int(process.stdout.readline())


def nginx(stack: ExitStack, directory, upstream: int) -> int | None:
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        return None
    port = ports.free()
    (directory / "conf").write_text(NGINX.format(directory=directory, upstream=upstream, port=port))
    process = subprocess.Popen([program, "-c", str(directory / "conf"), "-e", "/dev/null"])
    stack.callback(process.wait)
    stack.callback(process.terminate)
    while not ports.taken(port):
        time.sleep(0.01)
    return port


async def asked(port: int, connections: int, seconds: float = SECONDS) -> tuple[float, list[float]]:
    """Ask on so many connections at once; return requests a second and every latency in ms, ascending."""
    took: list[float] = []
    end = time.perf_counter() + seconds

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (began := time.perf_counter()) < end or not took:  # On a slow machine the time may be up by now.
            writer.write(REQUEST)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            assert await reader.readexactly(2) == b"ok"
            took.append((time.perf_counter() - began) * 1000)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(connections)))
    return len(took) / (time.perf_counter() - began), sorted(took)


def memory(pid: int) -> str:
    """Resident and proportional memory of a platform and its gateway, which an application is no part of."""
    platform = psutil.Process(pid)
    parts = {"platform": platform}
    for child in platform.children():
        name = next((name for name in ("platform.gateway", "keeper.py") if name in " ".join(child.cmdline())), None)
        if name is not None:
            parts[name] = child
    sizes = {name: process.memory_full_info() for name, process in parts.items()}
    lines = [f"{name} {size.rss / 1e6:.0f} / {size.pss / 1e6:.0f}" for name, size in sizes.items()]
    both = (sum(size.rss for size in sizes.values()), sum(size.pss for size in sizes.values()))
    return f"{', '.join(lines)}, together {both[0] / 1e6:.0f} / {both[1] / 1e6:.0f} MB"


def load(port: int, seconds: float) -> None:
    """Keep 32 connections busy, from a process of its own."""
    asyncio.run(asked(port, 32, seconds))


def listed(address: Address) -> list[float]:
    """Ask the API for a list, one request after the other, and return every latency in ms, ascending."""
    headers = {"X-Api-Key": address.api_key().reveal()}
    took = []
    with httpx.Client(base_url=address.api_url, headers=headers, trust_env=False) as http:
        end = time.perf_counter() + 2 * SECONDS
        while (began := time.perf_counter()) < end or not took:
            assert http.get("/v1/projects").status_code == 200
            took.append((time.perf_counter() - began) * 1000)
    return sorted(took)


@pytest.mark.timeout(120)
def test_the_gateway_beside_nginx_and_bare_proxies(tmp_path, figures):
    (tmp_path / "upstream.py").write_text(UPSTREAM)
    state = tmp_path / "state"
    with ExitStack() as stack:
        upstream = started(stack, sys.executable, "-c", PLATFORM, "--state", str(state))
        while (address := service.status(state)) is None:
            time.sleep(0.01)
        gateway = int(address.gateway_url.rpartition(":")[2])
        asyncio.run(asked(gateway, 1))
        at_rest = memory(address.pid)
        to = str(upstream)
        ways: dict[str, int | None] = {
            "direct": upstream,
            "createos_nb gateway, recording": gateway,
            "nginx": nginx(stack, tmp_path, upstream),
            "uvicorn + aiohttp, bare": started(stack, sys.executable, "-c", SERVE + AIOHTTP, to),
            "uvicorn + httpx, bare": started(stack, sys.executable, "-c", SERVE + HTTPX, to),
        }
        lines = []
        for connections in CONNECTIONS:
            direct: list[float] = []
            for name, port in ways.items():
                if port is None:
                    lines.append(f"{name:34}{connections:>4}  not installed")
                    continue
                asyncio.run(asked(port, connections))  # Once to warm up.
                rate, took = asyncio.run(asked(port, connections))
                direct = direct or took
                p50, p99 = (took[int(len(took) * q)] - direct[int(len(direct) * q)] for q in (0.5, 0.99))
                lines.append(f"{name:34}{connections:>4}{rate:>11,.0f}{p50:>12.2f}{p99:>12.2f}")
        lines.append("\nlist of the API, one at a time, while 32 connections keep busy:   p50 ms      p99 ms")
        for name, port in (("nobody", None), *((name, ways[name]) for name in ways if "httpx" not in name)):
            busy = multiprocessing.get_context("spawn").Process(target=load, args=(port, 4 * SECONDS + 2))
            if port is not None:
                busy.start()
                stack.callback(busy.join)
                stack.callback(busy.terminate)
                asyncio.run(asked(port, 1))  # It has begun by then.
            took = listed(address)
            lines.append(f"{name:58}{took[len(took) // 2]:>12.2f}{took[len(took) * 99 // 100]:>12.2f}")
            if port is not None:
                busy.terminate()
        lines.append(f"\nRSS / PSS at rest: {at_rest}")
        lines.append(f"afterwards: {memory(address.pid)}")
        service.stop(state)
    with figures():
        print(f"\n\n{'':34}{'c':>4}{'requests/s':>11}{'p50 +ms':>12}{'p99 +ms':>12}", *lines, sep="\n")
