"""How fast the embedded platform starts and lists, beside moto's server (where ``MOTO_SERVER`` names one).

moto answers in the same way: an API in Python on this machine. It is no dependency: to compare, install
``moto[server]`` anywhere else and set ``MOTO_SERVER`` to its ``moto_server`` command.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import closing, suppress

import httptools
import psutil
import pytest

from createos_nb.api.account import User
from createos_nb.api.deployments import Deployment
from createos_nb.api.projects import Project, UploadSettings
from createos_nb.platform import service
from createos_nb.platform.store import Store
from tests.benchmarks.size import size

SECONDS = size(3, 20) / 10
ROWS = 20


class Asking(asyncio.Protocol):
    """One connection, which asks again as soon as it is answered."""

    def __init__(self, request: bytes, until: float, latencies: list[float]) -> None:
        self.request, self.until, self.latencies = request, until, latencies
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport
        self.ask()

    def ask(self):
        self.parser = httptools.HttpResponseParser(self)
        self.began = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data):
        self.parser.feed_data(data)

    def on_message_complete(self):
        now = time.perf_counter()
        assert self.parser.get_status_code() == 200
        self.latencies.append(now - self.began)
        if now < self.until and self.parser.should_keep_alive():
            self.ask()
        elif now < self.until:
            self.transport.close()
            host, port = self.transport.get_extra_info("peername")[:2]
            self.again = asyncio.ensure_future(
                asyncio.get_running_loop().create_connection(lambda: self, host, port)
            )
        else:
            self.transport.close()
            self.ended.set_result(None)

    def connection_lost(self, error):
        if error is not None and not self.ended.done():
            self.ended.set_exception(error)


async def asked(port, request, connections):
    """Requests a second, and the latencies' median and 99th percentile in ms."""
    latencies, began, loop = [], time.perf_counter(), asyncio.get_running_loop()
    made = [
        (await loop.create_connection(lambda: Asking(request, began + SECONDS, latencies), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    await asyncio.gather(*(one.ended for one in made))
    seconds = time.perf_counter() - began
    latencies.sort()
    return (
        len(latencies) / seconds,
        1e3 * latencies[len(latencies) // 2],
        1e3 * latencies[len(latencies) * 99 // 100],
    )


def until_answered(url, headers, process):
    """Wait for the first answer."""
    until = time.monotonic() + 20
    while time.monotonic() < until and (process is None or process.poll() is None):
        with suppress(OSError), urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=5):
            return
        time.sleep(0.005)
    pytest.fail(f"{url} is not answered")


def get(port, path, headers):
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{lines}\r\n".encode()


@pytest.fixture
def ours(tmp_path):
    """A platform with a list of deployments, started from cold: its start, port, list and process."""
    state = tmp_path / "state"
    service.start(state)
    service.stop(state)
    store = Store(state / "platform.sqlite")
    user = store.find(User)[0]
    settings = UploadSettings(runtime="static")
    project = store.add(
        Project,
        user_id=user.id,
        unique_name="listed",
        display_name="Listed",
        type="upload",
        status="active",
        settings_json=settings,
    )
    for number in range(2 * ROWS):
        made = store.add_deployment(project, deployment_id=f"deployment-{number}", source={"files": 1})
        store.change(Deployment, made.id, status="deployed")
    store.close()
    command = [
        sys.executable,
        "-c",
        "from createos_nb.cli import main; main()",
        "local",
        "up",
        "--state",
        str(state),
    ]
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    address = service.status(state)
    headers = {"X-Api-Key": address.api_key().reveal()}
    until_answered(f"{address.api_url}/v1/users/me", headers, None)
    start_s = time.perf_counter() - began
    path = f"/v1/projects/{project.id}/deployments?limit={ROWS}"
    port = int(address.api_url.rpartition(":")[2])
    time.sleep(1)  # at rest is after its gateway has loaded
    yield start_s, port, get(port, path, headers), address.pid
    service.stop(state)


@pytest.fixture
def motos():
    """moto's server with a list of as many users; None where it is not installed."""
    command = os.environ.get("MOTO_SERVER")
    if not command:
        yield None
        return
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    began = time.perf_counter()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([command, "-p", str(port)], **quiet) as process:
        try:
            until_answered(f"http://127.0.0.1:{port}/moto-api/", {}, process)
            start_s = time.perf_counter() - began
            who = "Credential=k/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=s"
            headers = {"Authorization": f"AWS4-HMAC-SHA256 {who}"}
            for number in range(ROWS):
                path = f"/?Version=2010-05-08&Action=CreateUser&UserName=user-{number}"
                until_answered(f"http://127.0.0.1:{port}{path}", headers, process)
            yield start_s, port, get(port, "/?Version=2010-05-08&Action=ListUsers", headers), process.pid
        finally:
            process.terminate()


def measured(server):
    start_s, port, request, pid = server
    one, many = (asyncio.run(asked(port, request, connections)) for connections in (1, 32))
    return [
        f"{start_s:.2f} s",
        f"{one[0]:,.0f}",
        f"{many[0]:,.0f}",
        f"{many[1]:.1f} / {many[2]:.1f}",
        f"{psutil.Process(pid).memory_info().rss / 1e6:.0f} MB",
    ]


def test_start_and_lists_beside_motos_server(ours, motos, figures):
    labels = ["first answer", "lists/s, c = 1", "lists/s, c = 32", "p50 / p99 ms, c = 32", "memory"]
    left = measured(ours)
    right = measured(motos) if motos else ["not installed"] * len(labels)
    with figures():
        print(f"\n{'':22}{'embedded platform':>20}{'moto server':>20}")
        for label, mine, theirs in zip(labels, left, right, strict=True):
            print(f"{label:22}{mine:>20}{theirs:>20}")
