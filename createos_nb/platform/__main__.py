"""The platform's process: ``python -m createos_nb.platform --state DIR``; `service` starts it."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import uvicorn

from createos_nb.errors import PlatformError
from createos_nb.platform.app import create_app
from createos_nb.platform.gateway import gateway_app, gateway_config
from createos_nb.platform.platform import Platform


class _Server(uvicorn.Server):
    """A server among others in one process, which handles the signals itself."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


def _listen(port: int, preferred: str | None) -> socket.socket:
    """Return a socket that listens on the loopback interface.

    Parameters
    ----------
    port
        0 for the preferred one if it is free, else any.
    preferred
        The port of the last run, so that addresses outlive a restart.
    """
    ports = [port] if port else [*([int(preferred)] if preferred else []), 0]
    for attempt in ports:
        # With the protocol named, asyncio sets TCP_NODELAY; without it every answer takes 40 ms longer.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", attempt))
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


async def _serve(state: Path, api_port: int, gateway_port: int, *, ephemeral: bool) -> None:
    platform = Platform(state)
    api_socket = _listen(api_port, platform.store.fact("api_port"))
    gateway_socket = _listen(gateway_port, platform.store.fact("gateway_port"))
    ports = {"api_port": api_socket.getsockname()[1], "gateway_port": gateway_socket.getsockname()[1]}
    for name, port in ports.items():
        platform.store.remember(name, str(port))
    platform.gateway_url = f"http://127.0.0.1:{ports['gateway_port']}"
    api = _Server(
        uvicorn.Config(
            create_app(platform),
            loop="asyncio",
            http="httptools",
            ws="none",
            lifespan="off",
            proxy_headers=False,
            server_header=False,
            access_log=False,
            log_level="warning",
            timeout_graceful_shutdown=2,
        )
    )
    gateway = _Server(gateway_config(gateway_app(platform.routes, platform.access_log)))
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    if ephemeral:
        _stop_at_end_of_input(loop, stop)
    await platform.lifecycle.recover()
    serving = [
        asyncio.create_task(api.serve(sockets=[api_socket])),
        asyncio.create_task(gateway.serve(sockets=[gateway_socket])),
    ]
    while not (api.started and gateway.started):
        await asyncio.sleep(0.005)
    _write_address(state, f"http://127.0.0.1:{ports['api_port']}", platform.gateway_url)
    await stop.wait()
    api.should_exit = gateway.should_exit = True
    await asyncio.gather(*serving)
    await platform.close()


def _stop_at_end_of_input(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Stop when the process that started this one is gone: its end of the pipe closes, however it ends."""

    def wait() -> None:
        sys.stdin.buffer.read()
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=wait, daemon=True, name="end-of-input").start()


def _write_address(state: Path, api_url: str, gateway_url: str) -> None:
    address = {
        "api_url": api_url,
        "mcp_url": None,
        "gateway_url": gateway_url,
        "state_dir": str(state),
        "key_file": str(state / "key"),
        "pid": os.getpid(),
    }
    temporary = state / "address.json.new"
    temporary.touch(mode=0o600)
    temporary.write_text(json.dumps(address), encoding="utf-8")
    temporary.replace(state / "address.json")


def main() -> None:
    """Run a platform until it is told to stop."""
    parser = argparse.ArgumentParser(prog="createos_nb.platform", description=__doc__)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--api-port", type=int, default=0)
    parser.add_argument("--gateway-port", type=int, default=0)
    parser.add_argument("--ephemeral", action="store_true", help="end when standard input does")
    arguments = parser.parse_args()
    os.umask(0o077)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    state = arguments.state.resolve()
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (state / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            sys.exit(f"Another platform runs on {state}.")
        (state / "address.json").unlink(missing_ok=True)
        try:
            asyncio.run(_serve(state, arguments.api_port, arguments.gateway_port, ephemeral=arguments.ephemeral))
        except PlatformError as error:
            sys.exit(str(error))
        finally:
            (state / "address.json").unlink(missing_ok=True)


if __name__ == "__main__":
    main()
