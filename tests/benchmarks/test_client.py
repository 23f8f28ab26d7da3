"""What the client costs a call, beside the libraries below it, against a server of its own that answers at once."""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import aiohttp
import httpx
import pytest

from createos_nb.api.client import AsyncClient, Client
from tests.benchmarks.size import size

CALLS = size(80, 1600)
ROUNDS = size(1, 3)
EACH = size(10, 50)  # calls, one after another
LATENCY_S = 0.02
WIDTHS = (1, 8, 20, 32)
"""Those that are offered; a fan-out takes 24."""
PROJECT = {
    "id": "p",
    "uniqueName": "shop",
    "displayName": "Shop",
    "type": "upload",
    "status": "active",
    "settings": {"runtime": "python:3.12", "port": 8000, "runEnvs": {f"NAME_{n}": "x" * 20 for n in range(40)}},
    "createdAt": "2026-11-24T12:00:00Z",
}
SERVER = f"""
import asyncio, time, uvicorn

BODY = {json.dumps({"status": "success", "data": PROJECT}).encode()!r}

async def app(scope, receive, send):
    if scope["path"].endswith("/slow"):
        await asyncio.sleep({LATENCY_S})
    reset = str(int(time.time()) + 30).encode()
    headers = [(b"content-type", b"application/json"), (b"x-ratelimit-limit", b"6000000")]
    headers += [(b"x-ratelimit-remaining", b"5999999"), (b"x-ratelimit-reset", reset)]
    await send({{"type": "http.response.start", "status": 200, "headers": headers}})
    await send({{"type": "http.response.body", "body": BODY}})

config = uvicorn.Config(app, port=0, log_level="critical", lifespan="off", http="httptools")
server = uvicorn.Server(config)
original = server.startup

async def startup(sockets=None):
    await original(sockets)
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)

server.startup = startup
server.run()
"""


@pytest.fixture(scope="module")
def url():
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    yield f"http://127.0.0.1:{int(server.stdout.readline())}"
    server.terminate()
    server.wait()
    server.stdout.close()


def cpu_s():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def in_threads(call, width, calls=CALLS):
    if width == 1:
        for _ in range(calls):
            call()
        return
    with ThreadPoolExecutor(width) as pool:
        list(pool.map(lambda _: call(), range(calls)))


async def in_flight(call, width, calls=CALLS):
    async def worker():
        while left:
            left.pop()
            await call()

    left = list(range(calls))
    await asyncio.gather(*(worker() for _ in range(width)))


def bare_httpx(url, width):
    with httpx.Client(base_url=url, limits=httpx.Limits(max_connections=32), trust_env=False) as http:
        in_threads(lambda: http.get("/v1/projects/p").json(), width)


def blocking(url, width):
    with Client(url, api_key="skp_local_x") as client:
        in_threads(lambda: client.projects.get("p"), width)


def bare_aiohttp(url, width):
    async def run():
        async with aiohttp.ClientSession(url) as session:

            async def call():
                async with session.get("/v1/projects/p") as answer:
                    await answer.json()

            await in_flight(call, width)

    asyncio.run(run())


def awaiting(url, width):
    async def run():
        async with AsyncClient(url, api_key="skp_local_x") as client:
            await in_flight(lambda: client.projects.get("p"), width)

    asyncio.run(run())


WAYS = {
    "httpx.Client": bare_httpx,
    "createos_nb.Client": blocking,
    "aiohttp": bare_aiohttp,
    "createos_nb.AsyncClient": awaiting,
}


def test_calls_beside_those_of_the_libraries(url, figures):
    table = []
    for way in WAYS.values():
        way(url, 1)  # what is loaded at first use
    for width in (1, 20, 100):
        for name, way in WAYS.items():
            if width == 100 and name in {"httpx.Client", "createos_nb.Client"}:
                continue
            began, cpu = time.perf_counter(), cpu_s()
            way(url, width)
            table.append((name, width, CALLS / (time.perf_counter() - began), (cpu_s() - cpu) / CALLS * 1e6))
    with figures():
        print(f"\n\n{'client':26}{'in flight':>10}{'calls/s':>10}{'CPU us a call':>15}")
        for name, width, rate, cost in table:
            print(f"{name:26}{width:10}{rate:10.0f}{cost:15.0f}")


def test_many_slow_calls_beside_the_limit_of_their_latency(url, figures):
    """Calls of 20 ms each: nothing can be faster than their number, times that, divided by the width."""
    table = []
    with (
        Client(url, api_key="skp_local_x") as client,
        httpx.Client(base_url=url, limits=httpx.Limits(max_connections=32), trust_env=False) as http,
    ):
        ways = {
            "createos_nb.Client": lambda: client.projects.get("slow"),
            "httpx.Client": lambda: http.get("/v1/projects/slow").json(),
        }
        for call in ways.values():
            in_threads(call, 32, 64)  # connections are made
        for width in WIDTHS:
            calls = EACH * width
            for name, call in ways.items():
                took = []
                for _ in range(ROUNDS):
                    began, cpu = time.perf_counter(), cpu_s()
                    in_threads(call, width, calls)
                    took.append((time.perf_counter() - began, (cpu_s() - cpu) / calls * 1e6))
                table.append((name, width, min(took)[0] / (calls * LATENCY_S / width), min(took)[1]))

    async def awaited():
        async with AsyncClient(url, api_key="skp_local_x") as client:
            for width in WIDTHS:
                calls = EACH * width
                took = []
                for _ in range(ROUNDS):
                    began, cpu = time.perf_counter(), cpu_s()
                    await in_flight(lambda: client.projects.get("slow"), width, calls)
                    took.append((time.perf_counter() - began, (cpu_s() - cpu) / calls * 1e6))
                limit_s = calls * LATENCY_S / width
                table.append(("createos_nb.AsyncClient", width, min(took)[0] / limit_s, min(took)[1]))

    asyncio.run(awaited())
    with figures():
        print(f"\n\n{'client, 20 ms a call':26}{'wide':>10}{'of the limit':>14}{'CPU us a call':>15}")
        for name, width, share, cost in table:
            print(f"{name:26}{width:10}{share:14.2f}{cost:15.0f}")
