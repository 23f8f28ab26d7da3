"""Processes: the applications that run, each a child of the platform that was seen to listen."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from createos_nb.platform import limits, ports
from createos_nb.platform.cgroups import MAX_PROCESSES, Cgroups, Group
from createos_nb.platform.children import Child, Variables, end_owned, environment
from createos_nb.platform.clock import Clock
from createos_nb.platform.listening import listening

if TYPE_CHECKING:
    from createos_nb.platform.builds import Artefact
    from createos_nb.platform.runtimelogs import RuntimeLogs

LAST_LINES = 50
"""How many lines of an application are kept to explain why it ended."""

_USE_CHECK_S = 1.0
_DISK_CHECK_S = 1.0
_PORT_IN_USE = ("address already in use", "eaddrinuse", "only one usage of each socket address")
_PORT_ATTEMPTS = 3
_OTHER_PORT_S = 1.0


class StartFailed(Exception):
    """An application did not start to listen.

    Attributes
    ----------
    reason
        One sentence that says what happened and what to do.
    last_lines
        What the application printed last, oldest first.
    """

    def __init__(self, reason: str, last_lines: tuple[str, ...] = ()) -> None:
        super().__init__("\n".join((reason, *last_lines)))
        self.reason = reason
        self.last_lines = last_lines


class PortTaken(StartFailed):
    """An application that does not read ``PORT`` wants one that another has."""


@dataclass(eq=False)
class Process:
    """One running application: a replica of a deployment in an environment.

    Attributes
    ----------
    pid
        Process id.
    host, port
        The loopback address it really listens on.
    environment_id, deployment_id, replica
        What it serves.
    ignores_port
        Whether it listens elsewhere than it was told to, so that there can be only one of it at a time.
    started_at
        Unix seconds of the platform's clock.
    memory_mb
        Memory from which on it is ended, in MiB, all its processes together; None for no limit.
    directory
        Where it runs.
    may_return
        Whether it may be started again when it has ended by itself.
    group
        The control group it is in, where this machine has them.
    """

    pid: int
    host: str
    port: int
    environment_id: str | None
    deployment_id: str
    replica: int
    ignores_port: bool
    started_at: float
    memory_mb: int | None
    directory: Path
    child: Child = field(repr=False)
    output: deque[str] = field(repr=False)
    group: Group | None = field(default=None, repr=False)
    may_return: bool = True
    stopping: bool = field(default=False, repr=False)
    ended_for: str | None = field(default=None, repr=False)
    refused_tasks: bool = field(default=False, repr=False)
    sockets: frozenset[int] = field(default=frozenset(), repr=False)

    def has_port(self) -> bool:
        """Whether it is still the application that listens on its port, and not whoever has it since it ended."""
        found = listening(self.port)
        if found is None:
            return self.child.running
        if not found <= self.sockets:  # It may have opened the port anew.
            self.sockets = ports.sockets(self.child)
        return bool(found) and found <= self.sockets

    def limit(self, *, memory_mb: int | None, cpu_millicores: int | None) -> None:
        """Change its limits; None for none."""
        self.memory_mb = memory_mb
        if self.group is not None:
            self.group.limit(memory_mb=memory_mb, cpu_millicores=cpu_millicores)

    @property
    def last_lines(self) -> tuple[str, ...]:
        """What it printed last, oldest first."""
        return tuple(self.output)


class Supervisor:
    """Starts applications, watches them, and ends them with everything they started.

    Parameters
    ----------
    logs
        Where their output goes.
    owner
        The platform's id; processes that carry it are the platform's, also after a crash (`sweep`).
    cgroups
        What keeps their limits; by default those of this machine.
    clock
        Of the platform; this machine's when not given.

    Attributes
    ----------
    on_exit
        Called with the process, its exit code and a sentence when one ended without being asked to.
    """

    def __init__(
        self, logs: RuntimeLogs, *, owner: str, cgroups: Cgroups | None = None, clock: Clock | None = None
    ) -> None:
        self.on_exit: Callable[[Process, int, str], None] | None = None
        self.cgroups = cgroups if cgroups is not None else Cgroups(owner)
        self._clock = clock if clock is not None else Clock()
        self._logs = logs
        self._owner = owner
        self._running: dict[Process, asyncio.Task[None]] = {}
        self._watches: list[asyncio.Task[None]] = []

    @property
    def processes(self) -> tuple[Process, ...]:
        """The processes that run now, oldest first."""
        return tuple(self._running)

    async def start(
        self,
        artefact: Artefact,
        *,
        environment_id: str | None,
        deployment_id: str,
        replica: int,
        variables: Variables,
        memory_mb: int | None,
        cpu_millicores: int | None = None,
        healthy_within_s: float = 30,
    ) -> Process:
        """Start an application and wait until a socket of its own accepts connections.

        Parameters
        ----------
        artefact
            What to run.
        environment_id, deployment_id, replica
            What it serves, for logs and records.
        variables
            The environment's variables. ``PORT`` is the platform's to set.
        memory_mb
            Limit of its memory in MiB.
        cpu_millicores
            Limit of its cpu in thousandths of a core, from the moment on at which it listens.
        healthy_within_s
            Seconds until it must listen.

        Raises
        ------
        PortTaken
            It wants a port of its own choice, which is in use.
        StartFailed
            It ended, or did not listen in time; nothing of it is left.
        """
        for attempt in range(_PORT_ATTEMPTS):
            port = ports.free()
            output: deque[str] = deque(maxlen=LAST_LINES)

            def on_lines(lines: list[str], output: deque[str] = output) -> None:
                output.extend(lines)
                self._logs.write_lines(environment_id, deployment_id, replica, lines)

            group = self.cgroups.group()
            if group is not None:
                group.limit(memory_mb=memory_mb, cpu_millicores=None)
            try:
                child = await Child.start(
                    artefact.command,
                    directory=artefact.directory,
                    variables=environment(
                        {"PYTHONUNBUFFERED": "1"}, artefact.environment, variables, {"PORT": str(port)}
                    ),
                    owner=self._owner,
                    on_lines=on_lines,
                    entrances=group.entrances if group is not None else (),
                )
            except OSError as error:
                if group is not None:
                    group.remove()
                raise StartFailed(f"This machine could not start it: {error}.") from error
            try:
                host, listening_port = await _listening(child, (port, artefact.port), healthy_within_s)
            except (StartFailed, asyncio.CancelledError) as failure:
                await child.end(grace_s=0)
                ran_out = group is not None and group.oom_kills > 0
                if group is not None:
                    group.remove()
                if isinstance(failure, asyncio.CancelledError):
                    raise
                if ran_out:
                    raise StartFailed(limits.out_of_memory(memory_mb), tuple(output)) from None
                # Between our look for a free port and the application's use of it, another took it.
                if attempt + 1 < _PORT_ATTEMPTS and ports.taken(port):
                    continue
                raise _explained(failure, output, artefact.port) from None
            process = Process(
                child.pid,
                host,
                listening_port,
                environment_id,
                deployment_id,
                replica,
                ignores_port=listening_port != port,
                started_at=self._clock.time(),
                memory_mb=memory_mb,
                directory=artefact.directory,
                child=child,
                output=output,
                group=group,
            )
            process.limit(memory_mb=memory_mb, cpu_millicores=cpu_millicores)
            self._running[process] = asyncio.create_task(self._watch(process))
            if not self._watches:
                self._watches = [asyncio.create_task(self._watch_use()), asyncio.create_task(self._watch_disk())]
            return process
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def stop(self, process: Process, *, grace_s: float = 5) -> None:
        """End an application; it is asked first and killed after ``grace_s`` seconds."""
        process.stopping = True
        watch = self._running.get(process)
        await process.child.end(grace_s=grace_s)
        if watch is not None:
            await asyncio.wait({watch})

    async def stop_all(self) -> None:
        """End every application."""
        await asyncio.gather(*(self.stop(process) for process in self.processes))
        for watch in self._watches:
            watch.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)
        self._watches.clear()
        self.cgroups.sweep()

    def sweep(self) -> int:
        """End what an earlier platform with the same id left behind, and return how many processes.

        To be called before anything is started.
        """
        ended = end_owned(self._owner)
        self.cgroups.sweep()
        return ended

    def _note(self, process: Process, sentence: str) -> None:
        self._logs.write(process.environment_id, process.deployment_id, process.replica, sentence)

    async def _watch(self, process: Process) -> None:
        returncode = await process.child.wait()
        if not process.stopping:
            await process.child.drain()
            await process.child.end(grace_s=0)
        del self._running[process]
        if _oom_killed(process):
            process.ended_for = limits.out_of_memory(process.memory_mb)
        if process.ended_for and not process.stopping:
            self._note(process, process.ended_for)
        if process.group is not None:
            process.group.remove()
        if not process.stopping and self.on_exit is not None:
            self.on_exit(process, returncode, process.ended_for or _ending(returncode))

    async def _watch_use(self) -> None:
        """End applications that take too much: the kernel may have ended only one of their processes."""
        by_kernel = self.cgroups.enforced
        while True:
            await asyncio.sleep(_USE_CHECK_S)
            roots = set() if {"memory", "pids"} <= by_kernel else {process.pid for process in self._running}
            used = await asyncio.to_thread(limits.used, roots) if roots else {}
            for process in self.processes:
                use, reason = used.get(process.pid, limits.Use()), None
                allowed = process.memory_mb if "memory" not in by_kernel else None
                if _oom_killed(process) or (allowed is not None and use.resident_bytes > allowed * 2**20):
                    reason = limits.out_of_memory(process.memory_mb)
                elif "pids" not in by_kernel and use.tasks > MAX_PROCESSES:
                    reason = limits.TOO_MANY
                if reason is not None and not process.stopping:
                    process.ended_for = reason
                    await process.child.end(grace_s=0)
                elif process.group is not None and process.group.refused_tasks and not process.refused_tasks:
                    process.refused_tasks = True
                    self._note(process, limits.NO_MORE)

    async def _watch_disk(self) -> None:
        """End applications that fill the disk, before there is no room for what the platform has to note."""
        while True:
            await asyncio.sleep(_DISK_CHECK_S)
            for directory in {process.directory for process in self._running}:
                with suppress(OSError):
                    if limits.is_short(directory):
                        await self._end_fillers(directory)

    async def _end_fillers(self, directory: Path) -> None:
        running = [process for process in self._running if process.directory == directory and not process.stopping]
        roots = {process.pid: process.child.began_at for process in running}
        fillers = await asyncio.to_thread(limits.fillers, directory, roots) if roots else {}
        for process in running:
            if reason := fillers.get(process.pid):
                process.ended_for, process.may_return = reason, False
                await process.child.end(grace_s=0)


async def _listening(child: Child, told: tuple[int, ...], within_s: float) -> tuple[str, int]:
    """Return the address on which the child's own processes accept connections.

    The ports it was told are taken at once; another one when it stays the only one for a second, since
    a debugger's or a metrics port often opens before the application's.
    """
    ended = asyncio.ensure_future(child.wait())
    pause, other_since = 0.02, float("inf")
    try:
        async with asyncio.timeout(within_s):
            while not ended.done():
                now = time.monotonic()
                for address in await ports.accepting(child):
                    if address[1] in told or now - other_since >= _OTHER_PORT_S:
                        return address
                    other_since = min(other_since, now)
                await asyncio.wait({ended}, timeout=pause)
                pause = min(pause * 1.5, 0.25)
            raise StartFailed(f"The application ended before it listened. {_ending(ended.result())}")
    except TimeoutError:
        raise StartFailed(
            f"The application did not listen on a port within {within_s:g} s. "
            "Let it listen on the port in the environment variable PORT."
        ) from None
    finally:
        ended.cancel()


def _oom_killed(process: Process) -> bool:
    return process.group is not None and process.group.oom_kills > 0


def _ending(returncode: int) -> str:
    if returncode >= 0:
        return f"It ended with exit code {returncode}."
    return f"It was ended by signal {-returncode}."


def _explained(failure: StartFailed, output: deque[str], declared_port: int) -> StartFailed:
    if any(sign in line.lower() for line in output for sign in _PORT_IN_USE):
        reason = (
            f"The application wants a port that is in use (its settings say {declared_port}). "
            "Let it listen on the port in the environment variable PORT, which is its alone."
        )
        return PortTaken(reason, tuple(output))
    return StartFailed(failure.reason, tuple(output))
