"""Serving: which processes answer for which environment; switched without losing a request."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from createos_nb.platform.children import Variables
from createos_nb.platform.clock import Clock
from createos_nb.platform.entrance import Entrance
from createos_nb.platform.processes import PortTaken, Process, StartFailed, Supervisor
from createos_nb.platform.served import Served

if TYPE_CHECKING:
    from createos_nb.platform.builds import Artefact

BACKOFF_S = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Pauses before the restarts of a replica that keeps ending; after the last of them it is given up."""
MAX_RESTARTS = 12
RESTARTS_WITHIN_S = 600.0
"""A replica that ran well in between is given up, too, when it would be restarted more often than this."""

_HEALTHY_AGAIN_S = 60.0
_DRAIN_WITHIN_S = 70.0
"""Longer than the gateway waits for an answer, so that what it granted is not cut off; what never ends, is."""
_GIVE_WAY_WITHIN_S = 10.0
"""Less where nothing answers meanwhile: the next version cannot start before this one has ended."""


class Serving:
    """Keeps for every environment the processes that should answer for it.

    Parameters
    ----------
    supervisor
        Starts and ends the processes; its ``on_exit`` becomes this object's.
    routes
        What tells the gateway where to look.
    backoff_s
        Pauses before the restarts of a replica that keeps ending.
    clock
        By which it pauses.

    Attributes
    ----------
    on_crash
        Called with environment, deployment and the last lines when a replica was given up.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        routes: Entrance,
        *,
        backoff_s: Sequence[float] = BACKOFF_S,
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock if clock is not None else Clock()
        self.on_crash: Callable[[str, str, Sequence[str]], None] | None = None
        self._supervisor = supervisor
        self._routes = routes
        self._backoff_s = backoff_s
        self._served: dict[str, Served] = {}
        # Whoever holds or awaits one keeps it.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._tasks: set[asyncio.Task[None]] = set()
        self._draining: dict[str, set[Process]] = {}
        supervisor.on_exit = self._ended

    async def serve(
        self,
        environment_id: str,
        *,
        hosts: Sequence[str],
        deployment_id: str,
        artefact: Artefact,
        variables: Variables,
        replicas: int,
        memory_mb: int | None,
        cpu_millicores: int | None = None,
        giving_way: Sequence[str] = (),
    ) -> bool:
        """Serve a deployment: start its replicas, then switch to them at once, then end the old ones.

        Requests under way are answered by the replica that has them. The old replicas end in the
        background, after their last request and at most 70 seconds later.

        An application that ignores ``PORT`` cannot run twice at once: the old one ends before the new one
        starts, and comes back if that fails.

        Parameters
        ----------
        hosts
            Host names, without port, by which the environment is reached.
        variables
            The environment's variables.
        replicas
            How many processes.
        memory_mb
            Limit of the memory of each, in MiB.
        cpu_millicores
            Limit of the cpu of each, in thousandths of a core, where this machine can keep it.
        giving_way
            Other places, which go to sleep when they hold the port that the application wants.

        Returns
        -------
        bool
            Whether it took the old one's place without a gap.

        Raises
        ------
        StartFailed
            A replica did not start; what served before does, still or again.
        """
        async with self._lock(environment_id):
            new = Served(
                *(environment_id, tuple(hosts), deployment_id, artefact, variables),
                *(replicas, memory_mb, cpu_millicores),
            )
            old = self._served.get(environment_id)
            try:
                await self._start(new, range(replicas))
            except PortTaken:
                cut_short = await self._cut_short((environment_id, *giving_way))
                if old is not None and old.ignores_port:
                    await self._start_instead(old, new)
                    return False
                if not await self._made_way(giving_way) and not cut_short:
                    raise
                await self._start(new, range(replicas))
            self._served[environment_id] = new
            self._route(new)
            await self._routes.settled()
            if old is not None:
                self._retire(old, tuple(old.processes.values()))
            return True

    async def resize(
        self,
        environment_id: str,
        replicas: int,
        *,
        memory_mb: int | None = None,
        cpu_millicores: int | None = None,
    ) -> None:
        """Change the number of replicas; of an environment that serves nothing, do nothing.

        Parameters
        ----------
        memory_mb
            New limit of the memory of each replica in MiB; None leaves it.
        cpu_millicores
            New limit of the cpu of each replica in thousandths of a core; None leaves it.

        Raises
        ------
        StartFailed
            A further replica did not start; those there were serve on.
        """
        async with self._lock(environment_id):
            served = self._served.get(environment_id)
            if served is None:
                return
            served.memory_mb = served.memory_mb if memory_mb is None else memory_mb
            served.cpu_millicores = served.cpu_millicores if cpu_millicores is None else cpu_millicores
            for process in served.processes.values():
                process.limit(memory_mb=served.memory_mb, cpu_millicores=served.cpu_millicores)
            await self._start(served, range(served.replicas, replicas))
            surplus = tuple(process for number, process in served.processes.items() if number >= replicas)
            served.replicas = replicas
            self._retire(served, surplus)

    async def sleep(
        self,
        environment_id: str,
        hosts: Sequence[str],
        *,
        unused_since: float = math.inf,
        within_s: float = _DRAIN_WITHIN_S,
    ) -> bool:
        """End what an environment serves after the requests under way; it is started when it is asked for.

        Parameters
        ----------
        hosts
            By which it is asked for.
        unused_since
            Leave it when it was used after this time, in unix seconds.
        within_s
            Seconds after which a request under way is cut off.

        Returns
        -------
        bool
            Whether it sleeps.
        """
        async with self._lock(environment_id):
            if not await self._routes.rest(environment_id, hosts, unused_since=unused_since):
                return False
            served = self._served.pop(environment_id, None)
            # Once more: a replica that ended meanwhile, or came back, has set what answers.
            self._routes.replace(environment_id, hosts, (), asleep=True)
            if served is not None and served.processes:
                # What comes meanwhile waits for this, but not for as long as a last request may take.
                draining = [self._run(self._drain(process, within_s)) for process in served.processes.values()]
                await asyncio.wait(draining, timeout=_GIVE_WAY_WITHIN_S)
            return True

    async def stop(self, environment_id: str) -> None:
        """Serve nothing in an environment, and forget its hosts."""
        async with self._lock(environment_id):
            self._routes.remove(environment_id)
            await self._routes.settled()
            served = self._served.pop(environment_id, None)
            if served is not None:
                await asyncio.gather(*(self._supervisor.stop(process) for process in served.processes.values()))
            await self._cut_short((environment_id,))

    async def close(self) -> None:
        """Serve nothing any more."""
        for environment_id in tuple(self._served):
            await self.stop(environment_id)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._supervisor.stop_all()

    @property
    def environment_ids(self) -> tuple[str, ...]:
        """The environments that serve something."""
        return tuple(self._served)

    def set_hosts(self, environment_id: str, hosts: Sequence[str], *, asleep: bool | None = None) -> None:
        """Set the hosts by which an environment is reached.

        Parameters
        ----------
        asleep
            Whether they wake it while it serves nothing, or answer 503; None for as before.
        """
        served = self._served.get(environment_id)
        if served is None:
            self._routes.replace(environment_id, hosts, (), asleep=asleep)
        else:
            served.hosts = tuple(hosts)
            self._route(served)

    def processes_of(self, environment_id: str) -> tuple[Process, ...]:
        """Return the processes that answer for an environment, by replica."""
        served = self._served.get(environment_id)
        return tuple(process for _, process in sorted(served.processes.items())) if served else ()

    # --- inside -------------------------------------------------------------------------------------------

    def _lock(self, environment_id: str) -> asyncio.Lock:
        return self._locks.setdefault(environment_id, asyncio.Lock())

    async def _start(self, served: Served, numbers: Sequence[int]) -> None:
        """Start replicas side by side and route to them if they belong to what is served; all or none."""
        starts = [asyncio.create_task(self._start_one(served, number)) for number in numbers]
        try:
            started = await asyncio.gather(*starts)
            for process in started:
                if not process.child.running:
                    raise StartFailed("A replica ended right after it had begun to listen.", process.last_lines)
        except BaseException:
            for start in starts:
                start.cancel()
            for outcome in await asyncio.gather(*starts, return_exceptions=True):
                if isinstance(outcome, Process):
                    await self._supervisor.stop(outcome, grace_s=0)
            raise
        served.processes.update({process.replica: process for process in started})
        if self._served.get(served.environment_id) is served:
            self._route(served)

    async def _made_way(self, places: Sequence[str]) -> bool:
        """Put to sleep those places that hold a port of their own choice, and tell whether there were any."""
        held = [served for place in places if (served := self._served.get(place)) and served.ignores_port]
        # One that is being changed is left alone: it may be waiting for this one in turn.
        idle = [served for served in held if not self._lock(served.environment_id).locked()]
        for served in idle:
            await self.sleep(served.environment_id, served.hosts, within_s=_GIVE_WAY_WITHIN_S)
        await self._cut_short([served.environment_id for served in idle])
        return bool(idle)

    async def _start_instead(self, old: Served, new: Served) -> None:
        """End what is served, then start the new; start the old again when that fails."""
        processes = tuple(old.processes.values())
        old.processes.clear()
        self._route(old)
        await asyncio.gather(*(self._drain(process, _GIVE_WAY_WITHIN_S) for process in processes))
        # Not served meanwhile: a replica of it that ended just now is not to come back.
        del self._served[old.environment_id]
        try:
            await self._start(new, range(new.replicas))
        except BaseException:
            await self._start(old, range(old.replicas))
            self._served[old.environment_id] = old
            self._route(old)
            raise
        self._served[new.environment_id] = new
        self._route(new)
        await self._routes.settled()

    async def _start_one(self, served: Served, number: int) -> Process:
        return await self._supervisor.start(
            served.artefact,
            environment_id=served.environment_id,
            deployment_id=served.deployment_id,
            replica=number,
            variables=served.variables,
            memory_mb=served.memory_mb,
            cpu_millicores=served.cpu_millicores,
        )

    def _route(self, served: Served) -> None:
        self._routes.replace(served.environment_id, served.hosts, tuple(served.processes.values()))

    def _retire(self, served: Served, processes: Sequence[Process]) -> None:
        """Take processes out of the route and end each after its last request."""
        for process in processes:
            served.processes.pop(process.replica)
            self._run(self._drain(process))
        if self._served.get(served.environment_id) is served:
            self._route(served)

    async def _drain(self, process: Process, within_s: float = _DRAIN_WITHIN_S) -> None:
        draining = self._draining.setdefault(process.environment_id or "", set())
        draining.add(process)
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._routes.drained(process), within_s)
        finally:
            await self._supervisor.stop(process)
            draining.discard(process)
            if not draining:
                self._draining.pop(process.environment_id or "", None)

    async def _cut_short(self, places: Sequence[str]) -> bool:
        """End what has a last request at these places, and tell whether there was any."""
        last = [process for place in places for process in self._draining.get(place, ())]
        await asyncio.gather(*(self._supervisor.stop(process) for process in last))
        return bool(last)

    def _ended(self, process: Process, _returncode: int, reason: str) -> None:
        """Take a replica that ended by itself out of the route, and start it again."""
        served = self._served.get(process.environment_id or "")
        if served is None or served.processes.get(process.replica) is not process:
            return
        del served.processes[process.replica]
        self._route(served)
        self._run(self._restart(served, process, reason))

    async def _restart(self, served: Served, process: Process, reason: str) -> None:
        number, lines = process.replica, (*process.last_lines, reason)
        if self._clock.time() - process.started_at >= _HEALTHY_AGAIN_S:
            served.crashes.pop(number, None)
        while process.may_return and self._may_restart(served, number):
            crashes = served.crashes.get(number, 0)
            served.crashes[number] = crashes + 1
            await self._clock.sleep(self._backoff_s[crashes])
            async with self._lock(served.environment_id):
                if self._served.get(served.environment_id) is not served or number >= served.replicas:
                    return
                served.restarts.setdefault(number, []).append(self._clock.time())
                try:
                    await self._start(served, (number,))
                except StartFailed as failure:
                    lines = (*failure.last_lines, failure.reason)
                else:
                    return
        if self.on_crash is not None:
            self.on_crash(served.environment_id, served.deployment_id, lines)

    def _may_restart(self, served: Served, number: int) -> bool:
        since = self._clock.time() - RESTARTS_WITHIN_S
        lately = served.restarts[number] = [at for at in served.restarts.get(number, ()) if at > since]
        return served.crashes.get(number, 0) < len(self._backoff_s) and len(lately) < MAX_RESTARTS

    def _run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
