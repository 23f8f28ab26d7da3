"""Routes: which applications answer for which host."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Upstream:
    """One running application that requests may be passed to."""

    host: str
    port: int
    environment_id: str
    deployment_id: str
    replica: int


class Routes:
    """Which applications answer for which host; changed at once, never between two parts of a request."""

    def __init__(self) -> None:
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
        self.remove(environment_id)
        self._hosts[environment_id] = frozenset(_host(host) for host in hosts)
        self._upstreams[environment_id] = tuple(upstreams)
        self._environments.update(dict.fromkeys(self._hosts[environment_id], environment_id))

    def remove(self, environment_id: str) -> None:
        """Forget an environment: its hosts answer 421."""
        for host in self._hosts.pop(environment_id, ()):
            if self._environments.get(host) == environment_id:
                del self._environments[host]
        self._upstreams.pop(environment_id, None)

    def environment_of(self, host: str) -> str | None:
        """Return the environment that a ``Host`` header names, None when none has that host."""
        return self._environments.get(_host(host))

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

    @contextmanager
    def using(self, upstream: Upstream) -> Iterator[None]:
        """Count a request to an application, so that `drained` waits for it."""
        self._active[upstream] = self._active.get(upstream, 0) + 1
        try:
            yield
        finally:
            self._active[upstream] -= 1
            if not self._active[upstream]:
                del self._active[upstream]
                if upstream in self._waiting:
                    self._waiting.pop(upstream).set()

    async def drained(self, upstream: Upstream) -> None:
        """Wait until no request to an application is under way."""
        if upstream in self._active:
            await self._waiting.setdefault(upstream, asyncio.Event()).wait()


def _host(header: str) -> str:
    return header.lower().partition(":")[0]
