"""The platform's process: ``python -m createos_nb.platform --state DIR``; `service` starts it."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import ipaddress
import json
import logging
import os
import shutil
import signal
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import uvicorn

from createos_nb.api.mcp import ENDPOINT
from createos_nb.errors import PlatformError
from createos_nb.platform.answers import Dated
from createos_nb.platform.app import create_app
from createos_nb.platform.budget import RATE_LIMITS
from createos_nb.platform.faults import CUT
from createos_nb.platform.guards import TARGET
from createos_nb.platform.options import Options
from createos_nb.platform.platform import Platform
from createos_nb.platform.service import ADDRESS, Address, local_command
from createos_nb.platform.upgrades import Connection

_log = logging.getLogger("createos_nb.platform")


class _Connection(Connection):
    """A connection to the API, which a planned fault can cut."""

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self.scope["extensions"] = {CUT: {"abort": self.transport.abort}}

    def on_headers_complete(self) -> None:
        """Keep the target as it was sent: only its path is left of one that names a host."""
        (self.scope["extensions"] or {})[TARGET] = {"target": self.url}
        super().on_headers_complete()


class _Server(uvicorn.Server):
    """A server among others in one process, which handles the signals itself."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield

    async def begin(self, listener: socket.socket) -> _Server:
        """Answer on a socket from now on."""
        self._serving = asyncio.create_task(self.serve(sockets=[listener]))
        while not (self.started or self._serving.done()):
            await asyncio.sleep(0.005)
        return self

    async def end(self) -> None:
        """Finish the requests under way, and no longer answer."""
        self.should_exit = True
        await self._serving


def _listen(bind: str, port: int, preferred: str | None) -> socket.socket:
    """Return a socket that listens.

    Parameters
    ----------
    bind
        The address; others than the loopback's let other machines in.
    port
        0 for the preferred one if it is free, else any.
    preferred
        The port of the last run, so that addresses outlive a restart.
    """
    ports = [port] if port else [*([int(preferred)] if preferred else []), 0]
    for attempt in ports:
        # With the protocol named, asyncio sets TCP_NODELAY; without it every answer takes 40 ms longer.
        family = socket.AF_INET6 if ":" in bind else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((bind, attempt))
        except OSError as error:
            listener.close()
            if port:
                raise PlatformError(
                    f"Port {port} cannot be used ({error.strerror}). Choose another, or 0 for a free one."
                ) from None
        else:
            listener.listen(512)
            return listener
    raise PlatformError("No port is free on this machine.")


async def _serve(
    state: Path, api_port: int, gateway_port: int, *, ephemeral: bool, options: Options, lock: int
) -> None:
    platform = Platform(state, options)
    try:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, stop.set)
        if ephemeral:
            _stop_at_end_of_input(loop, stop)
        api_socket = _listen(options.bind, api_port, platform.store.fact("api_port"))
        gateway_socket = _listen(options.bind, gateway_port, platform.store.fact("gateway_port"))
        platform.api_url, platform.gateway_url = _origin(api_socket), _origin(gateway_socket)
        await platform.begin()
        server = await _Server(_api_config(platform)).begin(api_socket)
        # The gateway's socket takes connections from here on; its process starts while the API answers.
        _announce(platform, state, _origin(api_socket))
        _log.info("It runs. SQLite %s keeps its state, which no other process can open.", sqlite3.sqlite_version)
        platform.entrance.open(gateway_socket, lock)
        await stop.wait()
        await asyncio.gather(server.end(), platform.entrance.close())
    finally:
        await platform.close()


def _api_config(platform: Platform) -> uvicorn.Config:
    limits = RATE_LIMITS[platform.options.rate_limit]
    return uvicorn.Config(
        Dated(create_app(platform, limits=limits), platform.clock),
        loop="asyncio",
        http=_Connection,
        ws="none",
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        date_header=False,
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=2,
    )


def _origin(listener: socket.socket) -> str:
    bind, port = listener.getsockname()[:2]
    address = ipaddress.ip_address(bind)
    host = ("::1" if address.version == 6 else "127.0.0.1") if address.is_unspecified else bind
    return f"http://[{host}]:{port}" if address.version == 6 else f"http://{host}:{port}"


def _announce(platform: Platform, state: Path, api_url: str) -> None:
    """Write where it answers, and remember the ports, so that addresses outlive a restart."""
    for name, url in (("api_port", api_url), ("gateway_port", platform.gateway_url)):
        platform.store.remember(name, url.rpartition(":")[2])
    known = (api_url, api_url + ENDPOINT, platform.gateway_url, str(state), str(state / "key"), os.getpid())
    address = Address(*known, options=platform.options)
    temporary = state / f"{ADDRESS}.new"
    temporary.touch(mode=0o600)
    temporary.write_text(json.dumps(asdict(address)), encoding="utf-8")
    temporary.replace(state / ADDRESS)


def _stop_at_end_of_input(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Stop when the process that started this one is gone: its end of the pipe closes, however it ends."""

    def wait() -> None:
        # Not through sys.stdin: an interpreter that ends while a thread reads its buffer is aborted.
        while os.read(0, 4096):
            pass
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=wait, daemon=True, name="end-of-input").start()


def _take_lock(file: Path, *, within_s: float) -> int:
    """Hold a lock until nothing of this process is left, and return its descriptor."""
    lock = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    until = time.monotonic() + within_s
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        if time.monotonic() > until:
            stop = local_command("down", file.parent)
            raise PlatformError(f"Another platform runs on {file.parent}. Stop it with: {stop}.")
        time.sleep(0.01)


def main() -> None:
    """Run a platform until it is told to stop."""
    parser = argparse.ArgumentParser(prog="createos_nb.platform", description=__doc__)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--api-port", type=int, default=0)
    parser.add_argument("--gateway-port", type=int, default=0)
    parser.add_argument("--options", default="{}", help="createos_nb.platform.options as JSON")
    parser.add_argument("--ephemeral", action="store_true", help="end when standard input does")
    parser.add_argument("--temporary", action="store_true", help="remove the state at the end")
    arguments = parser.parse_args()
    os.umask(0o077)
    _log.setLevel(logging.INFO)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    state = arguments.state.resolve()
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        # So that no second platform uses the state. Somebody who only looks whether it runs holds it for a moment.
        _take_lock(state / "lock", within_s=1)
        # It is the gateway's, too, which outlives a platform that was killed for a moment, with the port.
        lock = _take_lock(state / "gateway.lock", within_s=10)
        (state / ADDRESS).unlink(missing_ok=True)
        try:
            ports = arguments.api_port, arguments.gateway_port
            ephemeral, options = arguments.ephemeral, Options.from_json(arguments.options)
            asyncio.run(_serve(state, *ports, ephemeral=ephemeral, options=options, lock=lock))
        finally:
            (state / ADDRESS).unlink(missing_ok=True)
            if arguments.temporary:
                shutil.rmtree(state, ignore_errors=True)
    except PlatformError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
