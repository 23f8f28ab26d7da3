"""Service: starts, finds and stops a platform, which is a process of its own."""

from __future__ import annotations

import atexit
import fcntl
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from createos_nb.api.budget import Budget
from createos_nb.api.secret import Secret
from createos_nb.errors import InvalidArgument, PlatformError
from createos_nb.markup import visible
from createos_nb.platform.options import Options
from createos_nb.settings import home, resolve

_POLL_S = 0.01
_LAST_PORT = 65_535
DATABASE = "platform.sqlite"
"""The file by which a platform's directory is known."""
ADDRESS = "address.json"
"""The file in which a running platform says where it answers."""


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
    options
        How it behaves.
    """

    api_url: str
    mcp_url: str
    gateway_url: str
    state_dir: str
    key_file: str
    pid: int
    options: Options = field(default_factory=Options)

    @classmethod
    def from_file(cls, state: Path) -> Address:
        """Return what the platform on a state wrote about itself."""
        known = json.loads((state / ADDRESS).read_text(encoding="utf-8"))
        return cls(**{**known, "options": Options(**known["options"])})

    def api_key(self) -> Secret:
        """Return the key in the key file."""
        return Secret(Path(self.key_file).read_text(encoding="utf-8").strip())

    def to_json(self) -> dict[str, str | int]:
        """Return where it answers as plain values, for other programs."""
        return {name: value for name, value in asdict(self).items() if name != "options"}


def default_state() -> Path:
    """Return the directory of the platform that `local` uses when none is named."""
    return home() / "platform"


def local_command(verb: str, state: Path | None = None) -> str:
    """Return the command line that does something to the platform on a state, to be shown to people.

    Parameters
    ----------
    verb
        Such as ``"up"``.
    state
        Its directory; default in the package's home.
    """
    named = state is not None and state.resolve() != default_state().resolve()
    return f"createos-nb local {verb}" + (f" --state {shlex.quote(str(state))}" if named else "")


def start(
    state: Path | None = None,
    *,
    ephemeral: bool = False,
    api_port: int = 0,
    gateway_port: int = 0,
    options: Options = Options(),  # noqa: B008 - it is frozen
    timeout_s: float = 20.0,
) -> Address:
    """Start a platform, or return the one that runs on this state already, if it is as asked.

    Parameters
    ----------
    state
        Its directory; default in the package's home, or a temporary one when it is ephemeral.
    ephemeral
        It ends with this process, and a temporary directory of its own goes with it.
    api_port, gateway_port
        0 for the ports of its last run, or free ones.
    options
        How it is to behave. One that runs already is returned if it does all that is asked for here other than by
        default.
    timeout_s
        Seconds until it must answer.

    Raises
    ------
    PlatformError
        It did not start, or runs already and otherwise than asked; the message has the reason.
    InvalidArgument
        A port is none.
    """
    for port in (api_port, gateway_port):
        if not 0 <= port <= _LAST_PORT:
            raise InvalidArgument(f"{port} is no port. Use one from 1 to {_LAST_PORT}, or 0 for a free one.")
    directory = _directory(state, ephemeral=ephemeral)
    running = status(directory)
    if running is not None:
        return _as_asked(running, api_port, gateway_port, options)
    command = [sys.executable, "-m", "createos_nb.platform", "--state", str(directory)]
    command += ["--api-port", str(api_port), "--gateway-port", str(gateway_port)]
    command += ["--options", options.to_json()]
    if ephemeral:
        command += ["--ephemeral", *(["--temporary"] if state is None else [])]
    log = directory / "platform.log"
    with log.open("ab") as output:
        began = output.tell()
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE if ephemeral else subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd=directory,
        )
    # It may outlive this process; should it end before, nobody else takes note of that.
    threading.Thread(target=process.wait, daemon=True, name="embedded platform").start()
    address = _wait_for(process, directory, log, began, timeout_s)
    if address.pid == process.pid:
        _forget_requests(address)
    if ephemeral:
        atexit.register(_end, process, directory if state is None else None)
    return _as_asked(address, api_port, gateway_port, options)


def _as_asked(address: Address, api_port: int, gateway_port: int, options: Options) -> Address:
    """Return the address, or raise when it is not as asked."""
    otherwise = [
        f"{name}={getattr(address.options, name)!r}, not {value!r}"
        for name, value in options.missing_from(address.options).items()
    ]
    for port, url in ((api_port, address.api_url), (gateway_port, address.gateway_url)):
        if port and not url.endswith(f":{port}"):
            otherwise.append(f"on {url}, not port {port}")
    if otherwise:
        raise PlatformError(
            f"The platform runs already, with {'; '.join(otherwise)}. To change that, stop it first: "
            f"{local_command('down', Path(address.state_dir))}."
        )
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


def _forget_requests(address: Address) -> None:
    """Give its key a new budget: it has counted no request yet, and may allow fewer than it did before."""
    account = resolve(address.api_url, api_key=Path(address.key_file)).account
    budget = Budget.of(account, home)
    budget.forget()
    budget.close()


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
            return [visible(line.rstrip("\n")) for line in deque(lines, maxlen=count)]
    except OSError:
        raise PlatformError(
            f"There is no log {log}. Start the platform with: {local_command('up', state)}."
        ) from None


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
    with suppress(OSError, ValueError, TypeError, KeyError):
        return Address.from_file(directory)
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
    """End an ephemeral platform by closing its input; it removes its temporary directory, unless it hangs."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
