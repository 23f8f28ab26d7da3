"""Routes: which applications answer for which host, and which of them are in use."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from createos_nb.platform.gateway.upstreams import UpstreamConnection


NOTHING_RUNS = "Nothing runs in this environment now. Deploy, or try again in a moment."


@dataclass(eq=False, slots=True)
class Upstream:
    """One running application that requests may be passed to.

    Attributes
    ----------
    has_port
        Whether the port is still its own; asked for every new connection, before anything is sent on it.
    active
        How many requests it has now.
    idle
        Connections to it that wait for the next request, the latest last.
    """

    host: str
    port: int
    environment_id: str
    deployment_id: str
    replica: int
    has_port: Callable[[], Awaitable[bool]] | None = field(default=None, repr=False)
    active: int = 0
    idle: list[UpstreamConnection] = field(default_factory=list, repr=False)
    _drained: asyncio.Event | None = field(default=None, repr=False)

    async def drained(self) -> None:
        """Wait until no request to it is under way."""
        if self.active:
            if self._drained is None:
                self._drained = asyncio.Event()
            await self._drained.wait()

    def ended(self) -> None:
        """Count one request less."""
        self.active -= 1
        if not self.active and self._drained is not None:
            self._drained.set()
            self._drained = None


@dataclass(eq=False, slots=True)
class Place:
    """What answers for an environment.

    Attributes
    ----------
    asleep
        Whether nothing runs for it until it is asked for.
    used
        When it was last asked for or changed, in unix seconds.
    active
        How many requests it has now.
    """

    environment_id: str
    hosts: frozenset[str] = frozenset()
    upstreams: tuple[Upstream, ...] = ()
    asleep: bool = False
    used: float = -math.inf
    active: int = 0
    turn: int = 0
    removed: bool = False


class Routes:
    """Which applications answer for which host; changed at once, never between two parts of a request.

    Parameters
    ----------
    clock
        The unix time in seconds.

    Attributes
    ----------
    find
        Called with a host that none has; returns when what it stands for, if anything, was added.
    wake
        Called with an environment that is asked for and has nothing that answers; returns why, or None once it has.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.find: Callable[[str], Awaitable[object]] | None = None
        self.wake: Callable[[str], Awaitable[str | None]] | None = None
        self._clock = clock
        self._by_host: dict[str, Place] = {}
        self._places: dict[str, Place] = {}

    # --- what the platform says ---------------------------------------------------------------------------------

    def replace(
        self,
        environment_id: str,
        hosts: Iterable[str],
        upstreams: Sequence[Upstream],
        *,
        asleep: bool = False,
        used: float | None = None,
    ) -> None:
        """Set what answers for an environment.

        Parameters
        ----------
        hosts
            Host names without port, in any case.
        upstreams
            Each gets its share of the requests; with none of them the hosts answer 503.
        asleep
            Whether it is woken when it is asked for.
        used
            When it was last asked for or changed, as far as is known, in unix seconds; now when not given.
        """
        place = self._places.setdefault(environment_id, Place(environment_id))
        self._forget(place)
        place.hosts, place.upstreams = frozenset(map(_name, hosts)), tuple(upstreams)
        place.asleep, place.removed = asleep, False
        self._by_host.update(dict.fromkeys(place.hosts, place))
        if upstreams:
            place.used = self._clock() if used is None else max(place.used, used)

    def rest(self, environment_id: str, hosts: Iterable[str], *, unused_since: float = math.inf) -> bool:
        """Let an environment sleep until it is asked for; return False for one that was used after a time."""
        if self.unused_since(environment_id) > unused_since:
            return False
        self.replace(environment_id, hosts, (), asleep=True)
        return True

    def remove(self, environment_id: str) -> None:
        """Forget an environment: its hosts answer 421."""
        if (place := self._places.get(environment_id)) is not None:
            self._forget(place)
            place.hosts, place.upstreams, place.asleep = frozenset(), (), False
            place.used, place.removed = -math.inf, True
            self._drop(place)

    def unused_since(self, environment_id: str) -> float:
        """Return when an environment was last asked for or changed, in unix seconds; infinity while it answers."""
        place = self._places.get(environment_id)
        if place is None:
            return -math.inf
        return math.inf if place.active else place.used

    def _forget(self, place: Place) -> None:
        for host in place.hosts:
            if self._by_host.get(host) is place:
                del self._by_host[host]

    def _drop(self, place: Place) -> None:
        if place.removed and not place.active and self._places.get(place.environment_id) is place:
            del self._places[place.environment_id]

    # --- what a request asks ------------------------------------------------------------------------------------

    def place_of(self, host: str) -> Place | None:
        """Return what answers for the environment that a ``Host`` header names, None when none is known for it."""
        return self._by_host.get(_name(host))

    def environment_of(self, host: str) -> str | None:
        """Return the environment that a ``Host`` header names, None when none is known to have that host."""
        place = self.place_of(host)
        return place.environment_id if place else None

    async def found(self, host: str) -> Place | None:
        """Return what answers for a host, also for one that the platform has to be asked about."""
        place = self.place_of(host)
        if place is None and self.find is not None:
            await self.find(_name(host))
            place = self.place_of(host)
        return place

    def pick(self, host: str) -> Upstream | None:
        """Return the application whose turn it is, None when none runs."""
        place = self.place_of(host)
        return self.next_of(place) if place else None

    def next_of(self, place: Place) -> Upstream | None:
        """Return the application whose turn it is at a place, None when none runs there."""
        upstreams = place.upstreams
        if not upstreams:
            return None
        turn = place.turn % len(upstreams)
        place.turn = turn + 1
        return upstreams[turn]

    async def ready(self, place: Place) -> str | None:
        """Wait until something answers for an environment, which may have to be woken; return why nothing does."""
        if place.upstreams:
            return None
        return await self.wake(place.environment_id) if self.wake is not None else NOTHING_RUNS

    def begun(self, place: Place, upstream: Upstream) -> None:
        """Count a request to an application, so that `Upstream.drained` waits for it."""
        place.active += 1
        upstream.active += 1

    def ended(self, place: Place, upstream: Upstream) -> None:
        """Count one request less."""
        place.active -= 1
        place.used = self._clock()
        upstream.ended()
        self._drop(place)


def _name(header: str) -> str:
    """Return the name in a ``Host`` header; nothing when what follows it is no port."""
    name, _, port = header.lower().partition(":")
    return name if not port or (port.isascii() and port.isdigit()) else ""
