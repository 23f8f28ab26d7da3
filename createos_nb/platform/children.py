"""Children: how the platform starts any other program, reads what it prints, and ends all of it.

A child has a session of its own, no standard input, an environment of allow-listed variables, and a marker
that says which platform it belongs to. It dies with the platform, as do its descendants (`keeper`). They are
found by parentage, by session and by the marker, so that a daemon does not escape.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import psutil

from createos_nb.api.secret import Secret
from createos_nb.platform.keeper import RUN

OWNER = "CREATEOS_NB_OWNER"
"""Environment variable that names the platform a process belongs to."""
CHILD = "CREATEOS_NB_CHILD"
"""Environment variable that names the child a process is, or descends from."""

Variables = Mapping[str, "str | Secret"]

# What a program needs to run, and to reach a package index from behind a proxy; nothing that is a credential
# by its purpose. Everything else of the platform's own environment (API keys, Jupyter tokens, cloud
# credentials) stays with the platform.
_RUNNING = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")
_BUILDING = (
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    *("PIP_INDEX_URL", "PIP_CERT", "PIP_FIND_LINKS", "PIP_CACHE_DIR", "PIP_DEFAULT_TIMEOUT"),
    *("NODE_EXTRA_CA_CERTS", "NPM_CONFIG_REGISTRY", "NPM_CONFIG_CACHE", "npm_config_registry", "npm_config_cache"),
    *("GOPROXY", "GOSUMDB", "GONOSUMDB", "GOFLAGS", "GOPATH", "GOCACHE", "GOMODCACHE"),
    *("CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"),
)

_LAUNCHER = Path(__file__).with_name("launcher.py")
_KEEPER = Path(__file__).with_name("keeper.py")
_CHUNK = 65_536
_MAX_LINE_BYTES = 16_384
_KILL_ROUNDS = 500
_PAUSE_S = 0.01


def environment(*additions: Variables, building: bool = False) -> dict[str, str]:
    """Return the environment for a child: allow-listed variables, then the additions, later ones winning.

    Parameters
    ----------
    additions
        Variables of the application, or of its build; a `Secret` is revealed here and nowhere before.
    building
        Whether the child may also know how to reach package indexes.
    """
    allowed = _RUNNING + _BUILDING if building else _RUNNING
    variables = {name: os.environ[name] for name in allowed if name in os.environ}
    for addition in additions:
        for name, value in addition.items():
            variables[name] = value.reveal() if isinstance(value, Secret) else value
    return variables


@dataclass
class Child:
    """A program the platform started.

    Attributes
    ----------
    pid
        Process id, also of its session.
    marker
        Unique text that it and its descendants carry in their environment.
    """

    pid: int
    marker: str
    _root: psutil.Process = field(repr=False)
    _process: subprocess.Popen[bytes] = field(repr=False)
    _ended: asyncio.Future[int] = field(repr=False)
    _reading: asyncio.Task[None] = field(repr=False)

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        *,
        directory: Path,
        variables: Mapping[str, str],
        owner: str,
        on_lines: Callable[[list[str]], None],
        entrances: Sequence[Path] = (),
    ) -> Child:
        """Start a program in its own session.

        Parameters
        ----------
        command
            Program and arguments.
        directory
            Its working directory.
        variables
            Its whole environment, see `environment`; the markers are added.
        owner
            The platform's id.
        on_lines
            Called with the next lines of its standard output and error, without their line feeds; a line
            of more than 16 KiB comes in pieces.
        entrances
            Of the control groups it is to be in from its first instruction on.
        """
        marker = secrets.token_hex(16)
        run = _kept_run()
        output, for_child = os.pipe()
        try:
            # Not through asyncio, which reaps a program as soon as it ends (see `_end_of`).
            process = subprocess.Popen(
                (
                    *(sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid())),
                    *(os.pathsep.join(map(str, entrances)), *command),
                ),
                stdin=subprocess.DEVNULL,
                stdout=for_child,
                stderr=subprocess.STDOUT,
                cwd=directory,
                env={**variables, OWNER: owner, CHILD: marker, RUN: run},
                start_new_session=True,
            )
        except BaseException:
            os.close(output)
            raise
        finally:
            os.close(for_child)
        reading = asyncio.create_task(_read(output, on_lines))
        # It is there at least as a zombie, until it is reaped.
        root = psutil.Process(process.pid)
        return cls(process.pid, marker, root, process, _end_of(process), reading)

    @property
    def began_at(self) -> float:
        """When it was started, in unix seconds of this machine."""
        return self._root.create_time()

    @property
    def running(self) -> bool:
        """Whether the program itself (not a descendant) has not ended yet."""
        return not self._ended.done()

    async def wait(self) -> int:
        """Wait for the program to end and return its exit code, negative for a signal."""
        return await asyncio.shield(self._ended)

    async def drain(self, *, within_s: float = 1.0) -> None:
        """Wait until everything it printed was read, at most ``within_s`` seconds, and stop reading.

        An error of ``on_lines`` is raised here.
        """
        await asyncio.wait({self._reading}, timeout=within_s)
        if self._reading.cancel():
            await asyncio.wait({self._reading})
        else:
            self._reading.result()

    def family(self) -> list[psutil.Process]:
        """Return the living processes that are the child or descend from it."""
        found = {process.pid: process for process in _descendants(self._root)}
        for process in psutil.process_iter():
            if process.pid not in found and self._is_of(process):
                found[process.pid] = process
        return list(found.values())

    def _is_of(self, process: psutil.Process) -> bool:
        # Once the program is reaped, its process id, and the session of this number, may be somebody else's.
        if self._process.returncode is None and _session(process.pid) == self.pid:
            return _alive(process)
        return _marked(process, CHILD, self.marker)

    async def end(self, *, grace_s: float = 5.0) -> None:
        """End the child and everything that descends from it, politely at first.

        Parameters
        ----------
        grace_s
            Seconds between the request to end and the kill.
        """
        for process in self.family():
            _signal(process, signal.SIGTERM)
        if grace_s > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self.wait()), grace_s)
        # More than once: a process may have forked while the others were being killed.
        for _ in range(_KILL_ROUNDS):
            left = self.family()
            if not left:
                break
            for process in left:
                _signal(process, signal.SIGKILL)
            await asyncio.sleep(0.01)
        await self.wait()
        self._process.wait()  # It has ended; now nothing of its session is left, and its process id is let go.
        await self.drain()


@cache
def _kept_run() -> str:
    """Return the id of this process's life, at whose end a keeper ends what was started in it."""
    run = secrets.token_hex(16)
    if sys.platform == "linux":
        # Never closed by us: it is its end by our end that the keeper waits for. No child inherits it.
        end_of_keeper, _ = os.pipe()
        os.posix_spawn(
            sys.executable,
            (sys.executable, "-I", "-S", str(_KEEPER), run),
            {},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, end_of_keeper, 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
            ],
            setsid=True,
        )
        os.close(end_of_keeper)
    return run


def end_owned(owner: str) -> int:
    """Kill every process that carries a platform's marker, and return how many there were.

    Parameters
    ----------
    owner
        The platform's id. This process and its ancestors are spared.
    """
    me = psutil.Process()
    spared = {me.pid, *(parent.pid for parent in me.parents())}
    ended: set[int] = set()
    while left := [
        process for process in psutil.process_iter() if process.pid not in spared and _marked(process, OWNER, owner)
    ]:
        ended.update(process.pid for process in left)
        for process in left:
            _signal(process, signal.SIGKILL)
        time.sleep(0.01)
    return len(ended)


def _descendants(root: psutil.Process) -> list[psutil.Process]:
    try:
        return [process for process in (root, *root.children(recursive=True)) if _alive(process)]
    except psutil.Error:
        return []


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _marked(process: psutil.Process, name: str, value: str) -> bool:
    try:
        return process.environ().get(name) == value and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OSError):
        return False


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    """Signal a process, and never another that has its process id by now: the start time is compared first."""
    with suppress(psutil.Error, OSError):
        if sys.platform != "linux":
            process.send_signal(number)
            return
        held = os.pidfd_open(process.pid)
        try:
            if process.is_running():
                signal.pidfd_send_signal(held, number)
        finally:
            os.close(held)


def _end_of(process: subprocess.Popen[bytes]) -> asyncio.Future[int]:
    """Return what becomes the exit code of a program when it ends.

    On Linux it is not reaped then: as long as it is a zombie nobody else gets its process id, by which its
    session is told. `Child.end` reaps it.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[int] = loop.create_future()
    if sys.platform != "linux":

        def wait() -> None:
            returncode = process.wait()
            with suppress(RuntimeError):  # The loop has ended already.
                loop.call_soon_threadsafe(ended.set_result, returncode)

        threading.Thread(target=wait, daemon=True, name="child").start()
        return ended
    held = os.pidfd_open(process.pid)

    def note() -> None:
        loop.remove_reader(held)
        how = os.waitid(os.P_PIDFD, held, os.WEXITED | os.WNOWAIT)
        os.close(held)
        if how is not None:
            ended.set_result(how.si_status if how.si_code == os.CLD_EXITED else -how.si_status)

    loop.add_reader(held, note)
    return ended


async def _read(descriptor: int, on_lines: Callable[[list[str]], None]) -> None:
    loop = asyncio.get_running_loop()
    stream = asyncio.StreamReader(limit=_CHUNK, loop=loop)
    with os.fdopen(descriptor, "rb", buffering=0) as pipe:
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), pipe)
        try:
            async for lines in _lines(stream):
                on_lines([line.decode(errors="replace") for line in lines])
        finally:
            transport.close()


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[list[bytes]]:
    rest = b""
    while chunk := await stream.read(_CHUNK):
        *lines, rest = (rest + chunk).split(b"\n")
        pieces = [piece for line in lines for piece in _pieces(line.removesuffix(b"\r"))]
        while len(rest) >= _MAX_LINE_BYTES:
            pieces.append(rest[:_MAX_LINE_BYTES])
            rest = rest[_MAX_LINE_BYTES:]
        if pieces:
            yield pieces
        # A program that prints without end waits, so that the gateway answers meanwhile.
        await asyncio.sleep(_PAUSE_S if len(chunk) > _CHUNK // 2 else 0)
    if rest:
        yield [rest]


def _pieces(line: bytes) -> Iterator[bytes]:
    if len(line) <= _MAX_LINE_BYTES:
        yield line
    else:
        for at in range(0, len(line), _MAX_LINE_BYTES):
            yield line[at : at + _MAX_LINE_BYTES]
