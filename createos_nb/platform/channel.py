"""Channel: what the platform and its gateway say to each other, as lines of JSON over a socket pair."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, cast

_log = logging.getLogger(__name__)


class Channel(asyncio.Protocol):
    """One end of it.

    Parameters
    ----------
    handlers
        What answers what the other end says or asks, by name; each a function or a coroutine function.

    Attributes
    ----------
    ended
        Done when the other end is gone.
    """

    def __init__(self, handlers: Mapping[str, Callable[..., Any]]) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._handlers = handlers
        self._transport: asyncio.Transport | None = None
        self._numbers = itertools.count()
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._answering: set[asyncio.Task[None]] = set()
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin on a connection that is open."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - a protocol's method
        """End what is asked and answered."""
        self._transport = None
        for asked in self._asked.values():
            if not asked.done():
                asked.set_exception(ConnectionResetError("the other end is gone"))
        for task in self._answering:
            task.cancel()
        if not self.ended.done():
            self.ended.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Take what the other end says."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            kind, number, *what = json.loads(line)
            if kind == "answer":
                asked = self._asked.pop(number, None)
                if asked is not None and not asked.done():
                    asked.set_result(what[0])
            else:
                self._answer(number, *what)

    def _answer(self, number: int | None, name: str, arguments: list[Any]) -> None:
        answer = self._handlers[name](*arguments)
        if inspect.isawaitable(answer):
            task = asyncio.ensure_future(self._answer_later(number, answer))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
        elif number is not None:
            self._say("answer", number, answer)

    async def _answer_later(self, number: int | None, answer: Any) -> None:
        try:
            value = await answer
        except Exception:  # noqa: BLE001 - the other end must not wait for ever
            _log.exception("What the gateway or the platform asked for failed.")
            value = None
        if number is not None:
            self._say("answer", number, value)

    def tell(self, name: str, *arguments: Any) -> None:
        """Say something; in the order in which it is said it arrives."""
        self._say("tell", None, name, arguments)

    async def ask(self, name: str, *arguments: Any) -> Any:
        """Ask something and return the answer.

        Raises
        ------
        ConnectionResetError
            The other end is gone.
        """
        number = next(self._numbers)
        asked = asyncio.get_running_loop().create_future()
        if self._transport is None:
            raise ConnectionResetError("the other end is gone")
        self._asked[number] = asked
        self._say("ask", number, name, arguments)
        try:
            return await asked
        finally:
            self._asked.pop(number, None)

    def close(self) -> None:
        """Close this end, which ends the other."""
        if self._transport is not None:
            self._transport.close()

    def _say(self, *what: Any) -> None:
        if self._transport is not None:
            self._transport.write(json.dumps(what).encode() + b"\n")
