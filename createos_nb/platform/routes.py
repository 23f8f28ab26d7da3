"""Routes: which applications answer for which host."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Upstream:
    """One running application that requests may be passed to.

    Attributes
    ----------
    has_port
        Whether the port is still its own; asked for every new connection, before anything is sent on it.
    """

    host: str
    port: int
    environment_id: str
    deployment_id: str
    replica: int
    has_port: Callable[[], bool] | None = field(default=None, compare=False, repr=False)


class Routes:
    """Which applications answer for which host; changed at once, never between two parts of a request.

    Parameters
    ----------
    clock
        The unix time in seconds.

    Attributes
    ----------
    asleep
        The environments that nothing runs for until they are asked for.
    find
        Called with a host that none has; returns what wakes for it and the host, None for nothing.
    wake
        Called with one of them when it is; returns why it cannot answer, None when it can.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.asleep: set[str] = set()
        self.find: Callable[[str], tuple[str, str] | None] | None = None
        self.wake: Callable[[str], Awaitable[str | None]] | None = None
        self._clock = clock
        self._used: dict[str, float] = {}
        self._environments: dict[str, str] = {}
        self._hosts: dict[str, frozenset[str]] = {}
        self._upstreams: dict[str, tuple[Upstream, ...]] = {}
        self._next: dict[str, int] = {}
        self._active: dict[Upstream, int] = {}
        self._waiting: dict[Upstream, asyncio.Event] = {}

    def replace(self, environment_id: str, hosts: Iterable[str], upstreams: Sequence[Upstream]) -> None:
        """Set what answers for an environment.

        Parameters
        ----------
        hosts
            Host names without port, in any case.
        upstreams
            Each gets its share of the requests; with none of them the hosts answer 503.
        """
        self._forget(environment_id)
        self._hosts[environment_id] = frozenset(_host(host) for host in hosts)
        self._upstreams[environment_id] = tuple(upstreams)
        self._environments.update(dict.fromkeys(self._hosts[environment_id], environment_id))
        if upstreams:
            self.asleep.discard(environment_id)
            self._used[environment_id] = self._clock()

    def remove(self, environment_id: str) -> None:
        """Forget an environment: its hosts answer 421."""
        self.asleep.discard(environment_id)
        self._used.pop(environment_id, None)
        self._forget(environment_id)

    def _forget(self, environment_id: str) -> None:
        for host in self._hosts.pop(environment_id, ()):
            if self._environments.get(host) == environment_id:
                del self._environments[host]
        self._upstreams.pop(environment_id, None)

    def environment_of(self, host: str) -> str | None:
        """Return the environment that a ``Host`` header names, None when none has that host."""
        known = self._environments.get(_host(host))
        if known is not None or self.find is None or (found := self.find(_host(host))) is None:
            return known
        self.replace(found[0], [found[1]], ())
        self.asleep.add(found[0])
        return found[0]

    def pick(self, host: str) -> Upstream | None:
        """Return the application whose turn it is, None when none runs."""
        environment_id = self.environment_of(host)
        if environment_id is None:
            return None
        upstreams = self._upstreams[environment_id]
        if not upstreams:
            return None
        turn = self._next.get(environment_id, 0) % len(upstreams)
        self._next[environment_id] = turn + 1
        return upstreams[turn]

    async def ready(self, environment_id: str) -> str | None:
        """Wake an environment if it sleeps; return why nothing can answer for it, None when something does."""
        if environment_id in self.asleep and self.wake is not None:
            return await self.wake(environment_id)
        if self._upstreams.get(environment_id):
            return None
        return "Nothing runs in this environment now. Deploy, or try again in a moment."

    def unused_since(self, environment_id: str) -> float:
        """Return when an environment was last asked for or changed, in unix seconds; infinity while it answers."""
        if any(upstream.environment_id == environment_id for upstream in self._active):
            return math.inf
        return self._used.get(environment_id, -math.inf)

    @contextmanager
    def using(self, upstream: Upstream) -> Iterator[None]:
        """Count a request to an application, so that `drained` waits for it."""
        self._active[upstream] = self._active.get(upstream, 0) + 1
        try:
            yield
        finally:
            self._active[upstream] -= 1
            if upstream.environment_id in self._used:
                self._used[upstream.environment_id] = self._clock()
            if not self._active[upstream]:
                del self._active[upstream]
                if upstream in self._waiting:
                    self._waiting.pop(upstream).set()

    async def drained(self, upstream: Upstream) -> None:
        """Wait until no request to an application is under way."""
        if upstream in self._active:
            await self._waiting.setdefault(upstream, asyncio.Event()).wait()


def _host(header: str) -> str:
    """Return the name in a ``Host`` header; nothing when what follows it is no port."""
    name, _, port = header.lower().partition(":")
    return name if not port or (port.isascii() and port.isdigit()) else ""
