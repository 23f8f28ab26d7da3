"""Driver: carries exchanges out over a transport, blocking and awaiting."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol, TypeVar

from createos_nb.api.message import Exchange, Request, Reserve, Response, Step, Unanswered
from createos_nb.errors import ConnectionFailed

T = TypeVar("T")


class Transport(Protocol):
    """Sends one request at a time, blocking; raises `ConnectionFailed` (not sent) or `Unanswered` (sent)."""

    name: str

    def send(self, request: Request) -> Response:
        """Send one request and return its answer."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


class AsyncTransport(Protocol):
    """The twin of `Transport`, awaiting."""

    name: str

    async def send(self, request: Request) -> Response:
        """Send one request and return its answer."""
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...


class Driver:
    """Carries exchanges out over a transport, blocking. Safe to use from several threads."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    def run(self, exchange: Exchange[T]) -> T:
        """Carry an exchange out and return its value."""
        try:
            step = next(exchange)
            while True:
                try:
                    answer = self._carry_out(step)
                except (ConnectionFailed, Unanswered) as error:
                    step = exchange.throw(error)
                else:
                    step = exchange.send(answer)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return] # StopIteration carries the generator's value
        finally:
            exchange.close()

    def _carry_out(self, step: Step) -> Response | float | None:
        if isinstance(step, Request):
            return self.transport.send(step)
        if isinstance(step, Reserve):
            return 0.0
        if step.seconds > 0:
            time.sleep(step.seconds)
        return time.monotonic()


class AsyncDriver:
    """Carries exchanges out over a transport, awaiting; the twin of `Driver`."""

    def __init__(self, transport: AsyncTransport) -> None:
        self.transport = transport

    async def run(self, exchange: Exchange[T]) -> T:
        """Carry an exchange out and return its value."""
        try:
            step = next(exchange)
            while True:
                try:
                    answer = await self._carry_out(step)
                except (ConnectionFailed, Unanswered) as error:
                    step = exchange.throw(error)
                else:
                    step = exchange.send(answer)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return] # StopIteration carries the generator's value
        finally:
            exchange.close()

    async def _carry_out(self, step: Step) -> Response | float | None:
        if isinstance(step, Request):
            return await self.transport.send(step)
        if isinstance(step, Reserve):
            return 0.0
        if step.seconds > 0:
            await asyncio.sleep(step.seconds)
        return time.monotonic()
