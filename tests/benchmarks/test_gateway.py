"""Requests a second and added latency of the gateway, recording on, beside nginx and bare ASGI proxies.

All pass on to the same upstream and are asked by the same client, which take their share of the cores as well:
only the ratios mean something.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack

import pytest

SECONDS = 0.7
CONNECTIONS = (1, 32)
HOST = "production.shop.localhost"
REQUEST = f"GET /path?x=1 HTTP/1.1\r\nHost: {HOST}\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n".encode()

UPSTREAM = """
import asyncio
ANSWER = b"HTTP/1.1 200 OK\\r\\nContent-Type: text/plain\\r\\nContent-Length: 2\\r\\n\\r\\nok"
class Server(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.rest = transport, b""
    def data_received(self, data):
        *whole, self.rest = (self.rest + data).split(b"\\r\\n\\r\\n")
        self.transport.write(ANSWER * len(whole))
async def main():
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
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
GATEWAY = """
import pathlib, sys
from createos_nb.platform.accesslog import AccessLog
from createos_nb.platform.gateway import gateway_app, gateway_config
from createos_nb.platform.routes import Routes, Upstream
routes = Routes()
routes.replace("env", ["production.shop.localhost"], [Upstream("127.0.0.1", int(sys.argv[1]), "env", "dep", 0)])
serve(gateway_config(gateway_app(routes, AccessLog(pathlib.Path(sys.argv[2])))))
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
    from createos_nb.platform import ports

    port = ports.free()
    (directory / "conf").write_text(NGINX.format(directory=directory, upstream=upstream, port=port))
    process = subprocess.Popen([program, "-c", str(directory / "conf"), "-e", "/dev/null"])
    stack.callback(process.wait)
    stack.callback(process.terminate)
    while not ports.taken(port):
        time.sleep(0.01)
    return port


async def asked(port: int, connections: int) -> tuple[float, list[float]]:
    """Ask on so many connections at once; return requests a second and every latency in ms, ascending."""
    took: list[float] = []
    end = time.perf_counter() + SECONDS

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (began := time.perf_counter()) < end:
            writer.write(REQUEST)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            assert await reader.readexactly(2) == b"ok"
            took.append((time.perf_counter() - began) * 1000)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(connections)))
    return len(took) / (time.perf_counter() - began), sorted(took)


@pytest.mark.timeout(120)
def test_the_gateway_beside_nginx_and_bare_proxies(tmp_path, capsys):
    with ExitStack() as stack:
        upstream = started(stack, sys.executable, "-c", UPSTREAM)
        to = str(upstream)
        ways: dict[str, int | None] = {
            "direct": upstream,
            "createos_nb gateway, recording": started(
                stack, sys.executable, "-c", SERVE + GATEWAY, to, str(tmp_path / "access.duckdb")
            ),
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
    with capsys.disabled():
        print(f"\n\n{'':34}{'c':>4}{'requests/s':>11}{'p50 +ms':>12}{'p99 +ms':>12}", *lines, sep="\n")
