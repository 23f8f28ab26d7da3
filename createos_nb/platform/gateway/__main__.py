"""The gateway's process: ``python -m createos_nb.platform.gateway DESCRIPTOR DIRECTORY KEYS``, of `entrance`.

The descriptor is its end of a socket pair, the directory that of its records, and KEYS is how the platform's keys
begin. When it is ready it says so and is handed the socket that it is to listen on, and the platform's lock, so
that nothing begins on the platform's state before this process is gone. It ends when the other end does.
"""

from __future__ import annotations

import asyncio
import resource
import signal
import socket
import sys
import time
import weakref
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from createos_nb.platform.channel import Channel
from createos_nb.platform.gateway.recorder import Recorder
from createos_nb.platform.gateway.routes import Routes, Upstream
from createos_nb.platform.gateway.server import Gateway
from createos_nb.platform.listening import listening

_SYNC_EVERY_S = 0.5
_FINISH_WITHIN_S = 2.0


class _Application(Upstream):
    """An application that the platform told of."""

    __slots__ = ("__weakref__", "_asking", "_sockets", "channel", "number")

    def __init__(self, channel: Channel, number: int, *described: Any) -> None:
        super().__init__(*described)
        self.has_port = self._has_port
        self.number = number
        self.channel = channel
        self._sockets: frozenset[int] = frozenset()
        self._asking = asyncio.Lock()

    async def _has_port(self) -> bool:
        async with self._asking:
            found = listening(self.port)
            if found and found <= self._sockets:
                return True
            # It may have opened the port anew, or a child of it has.
            owned, sockets = await self.channel.ask("sockets", self.number) or (False, ())
            self._sockets = frozenset(sockets)
            return bool(owned)


class _Told:
    """What the platform says becomes the gateway's routes."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.routes = Routes(lambda: time.time() + recorder.ahead_s)
        self.routes.find = partial(self._ask, "find")
        self.routes.wake = partial(self._ask, "wake")
        self.finish = asyncio.Event()
        self._applications: weakref.WeakValueDictionary[int, _Application] = weakref.WeakValueDictionary()
        self.channel = Channel(
            {
                "ahead": self._ahead,
                "drained": self._drained,
                "finish": self.finish.set,
                "remove": self.routes.remove,
                "replace": self._replace,
                "rest": lambda place, hosts, since: self.routes.rest(place, hosts, unused_since=since),
                "settled": lambda: True,
                "unused since": self.routes.unused_since,
            }
        )
        recorder.on_full = partial(self.channel.tell, "full")

    async def _ask(self, name: str, argument: str) -> Any:
        return await self.channel.ask(name, argument)

    def _ahead(self, seconds: float) -> None:
        self.recorder.ahead_s = seconds

    def _replace(
        self,
        place: str,
        hosts: list[str],
        applications: list[list[Any]],
        asleep: bool,  # noqa: FBT001 - as told
        used: float,
    ) -> None:
        upstreams = [self._application(*told) for told in applications]
        self.routes.replace(place, hosts, upstreams, asleep=asleep, used=used)

    def _application(self, number: int, *told: Any) -> _Application:
        known = self._applications.get(number)
        if known is None:
            known = self._applications[number] = _Application(self.channel, number, *told)
        return known

    async def _drained(self, number: int) -> bool:
        application = self._applications.get(number)
        if application is not None:
            await application.drained()
        return True


async def _serve(link: socket.socket, listener: socket.socket, directory: Path, withheld: bytes) -> None:
    recorder = Recorder(directory)
    told = _Told(recorder)
    loop = asyncio.get_running_loop()
    await loop.create_connection(lambda: told.channel, sock=link)
    # What answers is told first; until then connections wait in the queue of the socket.
    await told.channel.ask("routes")
    gateway = Gateway(told.routes, recorder, withheld=withheld)
    await gateway.begin(listener)
    syncing = loop.create_task(_sync(recorder))
    finishing = loop.create_task(told.finish.wait())
    ends: set[asyncio.Future[Any]] = {told.channel.ended, finishing}
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    await gateway.end(within_s=0 if told.channel.ended.done() else _FINISH_WITHIN_S)
    syncing.cancel()
    finishing.cancel()
    recorder.close()


async def _sync(recorder: Recorder) -> None:
    while True:
        await asyncio.sleep(_SYNC_EVERY_S)
        with suppress(OSError):  # It may just have gone on to the next file.
            await asyncio.get_running_loop().run_in_executor(None, recorder.sync)


def main() -> None:
    """Serve until the platform is gone, or says that it is to end."""
    # The platform decides when it ends: a terminal's interrupt reaches every process.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with socket.socket(fileno=int(sys.argv[1])) as link:
        link.sendall(b"\n")
        _, handed, _, _ = socket.recv_fds(link, 1, 2)
        if not handed:
            return
        link.settimeout(0)
        with suppress(ConnectionError):
            listener, directory = socket.socket(fileno=handed[0]), Path(sys.argv[2])
            asyncio.run(_serve(link, listener, directory, sys.argv[3].encode()))


if __name__ == "__main__":
    main()
