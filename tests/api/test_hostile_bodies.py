"""Answers that would fill the memory or never end: one of our errors, in bounded memory and time (SAFETY H16)."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import subprocess
import sys
import threading
import time
import zlib

import pytest

from createos_nb import AsyncClient, errors
from createos_nb.api.client import Client

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n"
MB = 1024 * 1024


def zeros(write):
    """1 GB of zeros, which are 1 MB on the way."""
    pack = zlib.compressobj(9, wbits=31)
    write(HEAD + b"content-encoding: gzip\r\n\r\n")
    write(pack.compress(b'{"status": "success", "data": "'))
    for _ in range(1024):
        write(pack.compress(bytes(MB)))
    write(pack.flush())


def gigabyte(write):
    write(HEAD + b"content-length: 1073741824\r\n\r\n")
    for _ in range(1024):
        write(b"x" * MB)


def whole(body):
    return lambda write: write(HEAD + b"content-length: %d\r\n\r\n" % len(body) + body)


def dripping(write):
    write(HEAD + b"\r\n")
    for _ in range(300):
        write(b" ")
        time.sleep(0.1)


BODIES = {
    "a gzip bomb": zeros,
    "a gigabyte": gigabyte,
    "deep arrays": whole(b'{"status": "success", "data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "deep objects": whole(b'{"status": "success", "data": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001),
    "a long number": whole(b'{"status": "success", "data": {"id": "1", "username": ' + b"9" * 100_000 + b"}}"),
    "lone surrogates": whole(b'{"status": "success", "data": {"id": "\\ud800", "username": ["\\udfff"]}}'),
}


@contextlib.contextmanager
def serving(answer):
    """Answer every request with these bytes, over and over."""

    def serve():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                with connection, contextlib.suppress(OSError):
                    connection.recv(65536)
                    answer(connection.sendall)

    listening = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()


CLIENT = """
import asyncio, resource, sys
from createos_nb import AsyncClient, Client
from createos_nb.errors import CreateOSError

on_linux = sys.platform == "linux"

async def awaiting():
    async with AsyncClient(sys.argv[1], api_key="skp_local_x") as client:
        await client.account.user()

def blocking():
    with Client(sys.argv[1], api_key="skp_local_x") as client:
        client.account.user()

for call in (blocking, lambda: asyncio.run(awaiting())):
    try:
        call()
    except CreateOSError as error:
        assert len(str(error)) < 500
        print(type(error).__name__)
# Not ru_maxrss alone, which begins with the size of the process that started this one.
peaks = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")] if on_linux else []
print(int(peaks[0]) // 1024 if peaks else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_it_is_one_of_our_errors_within_200_mb(body):
    with serving(body) as url:
        run = subprocess.run(
            [sys.executable, "-c", CLIENT, url], capture_output=True, text=True, check=True, timeout=60
        )
    *kinds, peak_mb = run.stdout.split()
    assert kinds == ["UnexpectedResponse"] * 2
    assert int(peak_mb) <= 200


def dripping_head(write):
    write(HEAD)
    for number in range(300):
        write(b"x-%d: y\r\n" % number)
        time.sleep(0.1)


def dripping_promises(write):
    for _ in range(300):
        write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        time.sleep(0.1)


def blocking(url):
    with Client(url, api_key="skp_local_x", timeout_s=1.5) as client:
        client.projects.delete("p")


def awaiting(url):
    async def run():
        async with AsyncClient(url, api_key="skp_local_x", timeout_s=1.5) as client:
            await client.projects.delete("p")

    asyncio.run(run())


@pytest.mark.parametrize("delete", [blocking, awaiting])
@pytest.mark.parametrize("drips", [dripping, dripping_head, dripping_promises])
def test_an_answer_that_drips_ends_with_the_calls_own_time(drips, delete):
    with serving(drips) as url:
        began = time.monotonic()
        with pytest.raises(errors.OutcomeUnknown, match="did not end"):
            delete(url)
        assert time.monotonic() - began < 25, "not the 30 s of the answer"


@pytest.mark.parametrize("delete", [blocking, awaiting])
def test_an_answer_that_comes_packed_is_read_and_one_that_cannot_be_unpacked_is_none(delete):
    body = b'{"status": "success", "data": "deleted"}'
    with serving(lambda write: write(HEAD + b"content-encoding: gzip\r\n\r\n" + gzip.compress(body))) as url:
        delete(url)
    with (
        serving(lambda write: write(HEAD + b"content-encoding: gzip\r\n\r\n" + body)) as url,
        pytest.raises(errors.OutcomeUnknown, match="DecodingError"),
    ):
        delete(url)
