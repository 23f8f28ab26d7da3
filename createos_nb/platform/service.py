"""Service: starts, finds and stops a platform, which is a process of its own."""

from __future__ import annotations

import atexit
import fcntl
import ipaddress
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from createos_nb.api.secret import Secret
from createos_nb.errors import PlatformError
from createos_nb.markup import one_line
from createos_nb.platform.options import Options
from createos_nb.settings import home

RateLimit = Literal["generous", "documented"]

LOOPBACK = "127.0.0.1"
_POLL_S = 0.01
DATABASE = "platform.sqlite"
"""The file by which a platform's directory is known."""


@dataclass(frozen=True)
class Address:
    """Where a running platform answers.

    Attributes
    ----------
    api_url
        Origin of the API, without ``/v1``.
    mcp_url
        Of its MCP server.
    gateway_url
        Where the applications answer, by their Host header.
    state_dir, key_file
        Its directory, and the file with your key.
    pid
        Its process.
    admin
        Whether it has the admin API.
    """

    api_url: str
    mcp_url: str
    gateway_url: str
    state_dir: str
    key_file: str
    pid: int
    admin: bool = False

    def api_key(self) -> Secret:
        """Return the key in the key file."""
        return Secret(Path(self.key_file).read_text(encoding="utf-8").strip())

    def to_json(self) -> dict[str, str | int]:
        """Return it as plain values."""
        return asdict(self)


def default_state() -> Path:
    """Return the directory of the platform that `local` uses when none is named."""
    return home() / "platform"


def start(
    state: Path | None = None,
    *,
    ephemeral: bool = False,
    api_port: int = 0,
    gateway_port: int = 0,
    bind: str = LOOPBACK,
    rate_limit: RateLimit = "generous",
    options: Options = Options(),  # noqa: B008 - it is frozen
    timeout_s: float = 20.0,
) -> Address:
    """Start a platform, or return the one that runs on this state already.

    Parameters
    ----------
    state
        Its directory; default in the package's home, or a temporary one when it is ephemeral.
    ephemeral
        It ends with this process, and a temporary directory of its own goes with it.
    api_port, gateway_port
        0 for the ports of its last run, or free ones.
    bind
        Address that it listens on. With another than the loopback's, other machines reach its API, which runs
        programs as you for whoever has the key, and its applications, which need none.
    rate_limit
        ``"documented"`` gives each key what the real platform gives: 100 requests a minute, 1000 an hour, 10
        uploads a minute; one that runs already keeps its own.
    options
        How else it is to behave; one that runs already keeps its own.
    timeout_s
        Seconds until it must answer.

    Raises
    ------
    PlatformError
        It did not start; the message has its reason.
    """
    try:
        ipaddress.ip_address(bind)
    except ValueError:
        raise PlatformError(f"{bind!a} is no IP address to listen on. Use 127.0.0.1, or 0.0.0.0 for all.") from None
    directory = _directory(state, ephemeral=ephemeral)
    running = status(directory)
    if running is not None:
        return _as_asked(running, api_port, gateway_port, options)
    command = [sys.executable, "-m", "createos_nb.platform", "--state", str(directory)]
    command += ["--api-port", str(api_port), "--gateway-port", str(gateway_port)]
    command += ["--bind", bind, "--options", replace(options, rate_limit=rate_limit).to_json()]
    log = directory / "platform.log"
    with log.open("ab") as output:
        began = output.tell()
        process = subprocess.Popen(
            [*command, "--ephemeral"] if ephemeral else command,
            stdin=subprocess.PIPE if ephemeral else subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd=directory,
        )
    # It may outlive this process; should it end before, nobody else takes note of that.
    threading.Thread(target=process.wait, daemon=True, name="embedded platform").start()
    address = _wait_for(process, directory, log, began, timeout_s)
    if ephemeral:
        atexit.register(_end, process, directory if state is None else None)
    return _as_asked(address, api_port, gateway_port, options)


def _as_asked(address: Address, api_port: int, gateway_port: int, options: Options) -> Address:
    """Return the address, or raise when it has not the ports, or not the admin API, that were asked for."""
    if options.admin and not address.admin:
        raise PlatformError("The platform runs already, without --admin. Stop it first: createos-nb local down.")
    for port, url in ((api_port, address.api_url), (gateway_port, address.gateway_url)):
        if port and not url.endswith(f":{port}"):
            raise PlatformError(f"The platform runs already, on {url}. Stop it first: createos-nb local down.")
    return address


def _directory(state: Path | None, *, ephemeral: bool) -> Path:
    if state is None and ephemeral:
        return Path(tempfile.mkdtemp(prefix="createos-nb-"))
    directory = (state if state is not None else default_state()).resolve()
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        strangers = {path.name for path in directory.iterdir()} - {"platform.log", "lock", "gateway.lock"}
        if strangers and not (directory / DATABASE).exists() and not (directory / "key").exists():
            raise PlatformError(
                f"{directory} holds other files, such as {min(strangers)}. Name an empty directory, or a new one."
            )
        directory.chmod(0o700)
    except OSError as error:
        raise PlatformError(
            f"Cannot use {directory} for the platform's state: {error.strerror}. Name another directory."
        ) from None
    return directory


def _wait_for(
    process: subprocess.Popen[bytes], directory: Path, log: Path, began: int, timeout_s: float
) -> Address:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        ended = process.poll() is not None
        # Written once it answers. One that a killed platform left has another process in it.
        address = status(directory) if ended else _read(directory)
        if address is not None and (ended or address.pid == process.pid):
            return address
        # With the lock in other hands somebody else was quicker, and will answer in a moment.
        if ended and not _is_locked(directory):
            with log.open("rb") as file:
                file.seek(began)
                lines = file.read().decode(errors="replace").strip().splitlines()
            raise PlatformError(f"The embedded platform did not start: {lines[-1] if lines else 'no reason given'}")
        time.sleep(_POLL_S)
    process.kill()
    raise PlatformError(
        f"The embedded platform did not answer within {timeout_s:g} s. Its log {log} may say why; try again."
    )


def status(state: Path | None = None) -> Address | None:
    """Return where the platform on a state answers, None when none runs.

    Parameters
    ----------
    state
        Its directory; default in the package's home.
    """
    directory = (state if state is not None else default_state()).resolve()
    return _read(directory) if _is_locked(directory) else None


def log_lines(state: Path | None = None, count: int = 50) -> list[str]:
    """Return the last lines of a platform's own log, also of one that has ended.

    Parameters
    ----------
    state
        Its directory; default in the package's home.
    count
        How many lines at most.

    Raises
    ------
    PlatformError
        There was never a platform in this directory.
    """
    log = (state if state is not None else default_state()).resolve() / "platform.log"
    try:
        with log.open(encoding="utf-8", errors="replace") as lines:
            return [one_line(line) for line in deque(lines, maxlen=count)]
    except OSError:
        raise PlatformError(f"There is no log {log}. Start the platform with: createos-nb local up.") from None


def _is_locked(directory: Path) -> bool:
    """Whether a platform uses the directory, also before it answers and after it has given up its address."""
    try:
        with (directory / "lock").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _read(directory: Path) -> Address | None:
    with suppress(OSError, ValueError, TypeError):
        return Address(**json.loads((directory / "address.json").read_text(encoding="utf-8")))
    return None


def stop(state: Path | None = None, *, timeout_s: float = 20.0) -> bool:
    """Stop the platform on a state, with every application it runs.

    Parameters
    ----------
    state
        Its directory; default in the package's home.
    timeout_s
        Seconds until it must have ended.

    Returns
    -------
    bool
        Whether one was running.

    Raises
    ------
    PlatformError
        It did not end in time.
    """
    directory = (state if state is not None else default_state()).resolve()
    if not _is_locked(directory):
        return False
    told: int | None = None
    deadline = time.monotonic() + timeout_s
    while _is_locked(directory):
        # One that is only starting has no address yet, and one that is ending no longer.
        if told is None and (address := _read(directory)) is not None:
            told = address.pid
            with suppress(ProcessLookupError):
                os.kill(told, signal.SIGTERM)
        if time.monotonic() > deadline:
            how = f" End it with: kill -9 {told}" if told else f" See {directory / 'platform.log'}."
            raise PlatformError(f"The platform on {directory} did not end within {timeout_s:g} s.{how}")
        time.sleep(_POLL_S)
    return True


def reset(state: Path | None = None) -> None:
    """Stop the platform on a state and delete all that it holds.

    Parameters
    ----------
    state
        Its directory; default in the package's home.

    Raises
    ------
    PlatformError
        The directory is not a platform's; nothing is deleted.
    """
    directory = (state if state is not None else default_state()).resolve()
    if not directory.exists():
        return
    if not ((directory / "lock").exists() and ((directory / DATABASE).exists() or (directory / "key").exists())):
        raise PlatformError(f"{directory} is not the state of a platform. Nothing was deleted; name another.")
    stop(directory)
    shutil.rmtree(directory)


def _end(process: subprocess.Popen[bytes], temporary: Path | None) -> None:
    """End an ephemeral platform by closing its input, and remove its temporary directory."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
    if temporary is not None:
        shutil.rmtree(temporary, ignore_errors=True)
