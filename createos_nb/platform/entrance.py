"""Entrance: the gateway's process as the platform sees it: started, told the routes, asked what is in use."""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import os
import socket
import sys
import time
import weakref
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from createos_nb.platform.channel import Channel
from createos_nb.platform.children import OWNER, environment
from createos_nb.platform.clock import Clock
from createos_nb.platform.gateway.routes import NOTHING_RUNS
from createos_nb.settings import LOCAL_KEY

if TYPE_CHECKING:
    from createos_nb.platform.processes import Process

_ANSWER_WITHIN_S = 5.0
_END_WITHIN_S = 5.0
_PAUSES_S = (0.0, 0.1, 0.5, 1.0)

_log = logging.getLogger(__name__)


@dataclass
class _Place:
    """What the gateway was told of an environment."""

    hosts: tuple[str, ...]
    processes: tuple[Process, ...]
    asleep: bool


class Entrance:
    """Keeps a gateway running on a socket, and tells it what answers for which host.

    What it is told before the gateway runs, and what a gateway that died knew, the next one is told. Connections
    wait meanwhile, in the queue of the socket, which is the platform's.

    Parameters
    ----------
    directory
        Where the gateway records the requests.
    clock
        Of the platform; this machine's when not given.
    owner
        The platform's id, by which what is left of a gateway is found.

    Attributes
    ----------
    asleep
        The environments that nothing runs for until they are asked for.
    find
        Called with a host that none has; returns what wakes for it and the host, None for nothing.
    wake
        Called with one of them when it is; returns why it cannot answer, None when it can.
    on_full
        Called when there are many records to take over.
    """

    def __init__(self, directory: Path, clock: Clock | None = None, *, owner: str = "") -> None:
        self.asleep: set[str] = set()
        self.find: Callable[[str], tuple[str, str] | None] | None = None
        self.wake: Callable[[str], Awaitable[str | None]] | None = None
        self.on_full: Callable[[], None] | None = None
        self._directory = directory
        self._clock = clock if clock is not None else Clock()
        self._clock.on_move = lambda ahead_s: self._tell("ahead", ahead_s)
        self._owner = owner
        self._places: dict[str, _Place] = {}
        self._used: dict[str, float] = {}
        self._numbers: weakref.WeakKeyDictionary[Process, int] = weakref.WeakKeyDictionary()
        self._processes: weakref.WeakValueDictionary[int, Process] = weakref.WeakValueDictionary()
        self._count = itertools.count()
        self._channel: Channel | None = None
        self._running: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._closing = False

    # --- the routes ---------------------------------------------------------------------------------------------

    def replace(
        self,
        environment_id: str,
        hosts: Iterable[str],
        processes: Sequence[Process],
        *,
        asleep: bool | None = None,
    ) -> None:
        """Set what answers for an environment.

        Parameters
        ----------
        hosts
            Host names without port, in any case.
        processes
            Each gets its share of the requests; with none of them the hosts answer 503.
        asleep
            Whether it is woken when it is asked for; None for as before, as long as nothing answers.
        """
        sleeps = (environment_id in self.asleep and not processes) if asleep is None else asleep
        (self.asleep.add if sleeps else self.asleep.discard)(environment_id)
        self._places[environment_id] = _Place(tuple(hosts), tuple(processes), sleeps)
        if processes:
            self._used[environment_id] = self._clock.time()
        self._tell("replace", *self._told(environment_id))

    def remove(self, environment_id: str) -> None:
        """Forget an environment: its hosts answer 421."""
        self.asleep.discard(environment_id)
        self._places.pop(environment_id, None)
        self._used.pop(environment_id, None)
        self._tell("remove", environment_id)

    async def rest(self, environment_id: str, hosts: Sequence[str], *, unused_since: float = math.inf) -> bool:
        """Let an environment sleep until it is asked for, unless it was used after a time; return whether it does.

        The gateway decides, so that no request begins in between.
        """
        rests = await self._ask("rest", environment_id, tuple(hosts), unused_since)
        if rests is None:
            rests = self._used.get(environment_id, -math.inf) <= unused_since
        if rests:
            self.replace(environment_id, hosts, (), asleep=True)
        return bool(rests)

    async def unused_since(self, environment_id: str) -> float:
        """Return when an environment was last asked for or changed, in unix seconds; infinity while it answers."""
        answer = await self._ask("unused since", environment_id)
        return self._used.get(environment_id, -math.inf) if answer is None else float(answer)

    async def drained(self, process: Process) -> None:
        """Wait until no request to an application is under way."""
        number = self._numbers.get(process)
        if number is not None and self._channel is not None:
            with suppress(ConnectionError):
                await self._channel.ask("drained", number)

    async def settled(self) -> None:
        """Wait until the gateway does what it was told."""
        await self._ask("settled")

    def _told(self, environment_id: str) -> tuple[Any, ...]:
        place = self._places[environment_id]
        described = [self._described(each) for each in place.processes]
        # A gateway that starts only now takes none of it for just used.
        return environment_id, place.hosts, described, place.asleep, self._used.get(environment_id, -math.inf)

    def _described(self, process: Process) -> tuple[Any, ...]:
        number = self._numbers.get(process)
        if number is None:
            number = self._numbers[process] = next(self._count)
            self._processes[number] = process
        names = process.environment_id or "", process.deployment_id, process.replica
        return number, process.host, process.port, *names

    def _tell(self, name: str, *arguments: Any) -> None:
        if self._channel is not None:
            self._channel.tell(name, *arguments)

    async def _ask(self, name: str, *arguments: Any) -> Any:
        """Ask the gateway; None when there is none, or it does not answer."""
        if self._channel is None:
            return None
        with suppress(ConnectionError, TimeoutError):
            return await asyncio.wait_for(self._channel.ask(name, *arguments), _ANSWER_WITHIN_S)
        return None

    # --- what the gateway asks ----------------------------------------------------------------------------------

    def _routes(self) -> bool:
        """Tell all of them, before the answer."""
        self._tell("ahead", self._clock.ahead_s)
        for environment_id in self._places:
            self._tell("replace", *self._told(environment_id))
        return True

    def _find(self, host: str) -> None:
        found = self.find(host) if self.find is not None else None
        # Another request may have found it, and had it started.
        if found is not None and found[0] not in self._places:
            self.replace(found[0], [found[1]], (), asleep=True)

    async def _wake(self, environment_id: str) -> str | None:
        if self.wake is None:
            return NOTHING_RUNS
        return await self.wake(environment_id)

    async def _sockets(self, number: int) -> tuple[bool, list[int]]:
        process = self._processes.get(number)
        if process is None:
            return False, []
        # It looks through all processes of this machine.
        owned = await asyncio.to_thread(process.has_port)
        return owned, list(process.sockets)

    def _full(self) -> None:
        if self.on_full is not None:
            self.on_full()

    # --- the process --------------------------------------------------------------------------------------------

    def open(self, listener: socket.socket, *held: int) -> None:
        """Keep a gateway running on a socket from now on.

        Parameters
        ----------
        listener
            Which listens already.
        held
            Descriptors that it is to hold for as long as it runs.
        """
        self._running = asyncio.create_task(self._keep_running(listener.fileno(), *held))

    async def _keep_running(self, *descriptors: int) -> None:
        for number in itertools.count():
            began = time.monotonic()
            ended = await self._run(descriptors)
            if self._closing:
                return
            _log.warning("The gateway has ended (%s); it is started again.", ended)
            now = self._clock.time()
            self._used = dict.fromkeys(self._used, now)
            if time.monotonic() - began < _PAUSES_S[-1]:
                await asyncio.sleep(_PAUSES_S[min(number, len(_PAUSES_S) - 1)])

    async def _run(self, descriptors: Sequence[int]) -> int:
        """Run a gateway until it ends; return its exit code."""
        ours, theirs = socket.socketpair()
        ours.settimeout(0)
        try:
            with theirs:
                self._process = process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-P", "-m", "createos_nb.platform.gateway"),
                    *(str(theirs.fileno()), str(self._directory), LOCAL_KEY),
                    stdin=asyncio.subprocess.DEVNULL,
                    env=self._variables(),
                    pass_fds=(theirs.fileno(),),
                )
            loop = asyncio.get_running_loop()
            with suppress(ConnectionError):
                if await loop.sock_recv(ours, 1):
                    socket.send_fds(ours, [b"\n"], list(descriptors))
                    await loop.create_connection(self._open_channel, sock=ours)
            return await process.wait()
        finally:
            if self._channel is not None:
                self._channel.close()
            self._channel = self._process = None
            ours.close()

    def _open_channel(self) -> Channel:
        self._channel = Channel(
            {
                "find": self._find,
                "full": self._full,
                "routes": self._routes,
                "sockets": self._sockets,
                "wake": self._wake,
            }
        )
        return self._channel

    def _variables(self) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
        return environment(inherited, {OWNER: self._owner} if self._owner else {})

    async def close(self) -> None:
        """End the gateway, after the requests under way."""
        self._closing = True
        if self._running is None:
            return
        if self._channel is not None:
            self._channel.tell("finish")
            await asyncio.wait({self._running}, timeout=_END_WITHIN_S)
        if self._process is not None:
            self._process.kill()
        else:
            self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)
