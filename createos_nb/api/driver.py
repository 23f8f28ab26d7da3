"""Driver: carries exchanges out over a transport, blocking and awaiting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from createos_nb.api.budget import Budget
from createos_nb.api.clock import PlatformClock
from createos_nb.api.message import Exchange, Request, Reserve, Response, Step, Unanswered, Work
from createos_nb.api.pace import Pace
from createos_nb.api.retries import Retries
from createos_nb.errors import ConnectionFailed, GivenUp, OutcomeUnknown

T = TypeVar("T")


class Transport(Protocol):
    """Sends one request at a time, blocking; raises `ConnectionFailed` (not sent) or `Unanswered` (sent)."""

    name: str

    def check(self, request: Request) -> None:
        """Refuse what cannot be sent at all, before it takes a place in the budget."""
        ...

    def send(self, request: Request) -> Response:
        """Send one request and return its answer."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


class AsyncTransport(Protocol):
    """The twin of `Transport`, awaiting."""

    name: str

    def check(self, request: Request) -> None:
        """Refuse what cannot be sent at all, before it takes a place in the budget."""
        ...

    async def send(self, request: Request) -> Response:
        """Send one request and return its answer."""
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...


def _remember(error: OutcomeUnknown, run: Callable[[Exchange[Any]], Any], begun: tuple[Step | None, float]) -> None:
    """Let an error read back what it does not know, with the request that failed and through the same driver."""
    request, failed_s = error.request, time.monotonic()
    begun_s = begun[1] if begun[0] is request else failed_s
    if request is not None:
        from createos_nb.api.reconciliation import reconciled

        error.bound_to(lambda: run(reconciled(request, begun_s, failed_s)))


@contextmanager
def _interruptible(request: Request) -> Iterator[None]:
    """Say of a change that was interrupted on its way that it may have happened."""
    try:
        yield
    except Exception:
        raise
    except BaseException as interruption:
        if request.safety != "read":
            interruption.add_note(
                f"{request} was on its way: it may have happened. Look at the present state before trying again."
            )
        raise


def _hurried(pace: Pace, step: Reserve) -> Pace:
    """Return the pace of one request, which may have less time than others, or more."""
    return pace if step.patience_s is None else replace(pace, patience_s=step.patience_s)


class Driver:
    """Carries exchanges out over a transport, blocking. Safe to use from several threads.

    Parameters
    ----------
    transport
        What sends.
    budget
        Of the key.
    pace
        How to wait for a place in it.
    retries
        How many further attempts there may be; shared by drivers of one transport.
    clock
        The platform's; shared by drivers of one transport.
    """

    def __init__(
        self,
        transport: Transport,
        budget: Budget,
        pace: Pace | None = None,
        retries: Retries | None = None,
        clock: PlatformClock | None = None,
    ) -> None:
        self.transport = transport
        self.budget = budget
        self.pace = pace if pace is not None else Pace()
        self.retries = retries if retries is not None else Retries()
        self.clock = clock if clock is not None else PlatformClock()

    def paced(self, pace: Pace) -> Driver:
        """Return a driver that shares all of this one's, but waits in another way."""
        return Driver(self.transport, self.budget, pace, self.retries, self.clock)

    def run(self, exchange: Exchange[T]) -> T:
        """Carry an exchange out and return its value."""
        begun: tuple[Step | None, float] = None, 0.0
        try:
            step = next(exchange)
            while True:
                begun = (step, time.monotonic()) if isinstance(step, Request) else begun
                try:
                    answer = self._carry_out(step)
                except (ConnectionFailed, Unanswered) as error:
                    step = exchange.throw(error)
                else:
                    step = exchange.send(answer)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return] # StopIteration carries the generator's value
        except OutcomeUnknown as error:
            _remember(error, self.run, begun)
            raise
        except Exception:
            raise
        except BaseException as interruption:  # noqa: BLE001 - whatever interrupts it
            # What shows the values of its frames, as ``%xmode Verbose`` does, would show half an answer in clear.
            raise interruption.with_traceback(None)  # noqa: B904 - it is the same one
        finally:
            exchange.close()

    def _carry_out(self, step: Step) -> Any:
        if isinstance(step, Work):
            return step.call()
        if isinstance(step, Request):
            self._unless_given_up()
            with _interruptible(step):
                response = self.transport.send(step)
            self.budget.learn(response)
            self.retries.earn(response)
            self.clock.learn(response)
            return response
        if isinstance(step, Reserve):
            self.transport.check(step.request)
            if step.attempt > 1 and not self.retries.take():
                return False
            wait_s, place = self.budget.reserve(step.request, _hurried(self.pace, step))
            if wait_s > 0:
                try:
                    self._sleep(wait_s)
                except BaseException:
                    self.budget.release(step.request, place)
                    raise
            return True
        if step.seconds > 0:
            self._sleep(step.seconds)
        return time.monotonic()

    def _sleep(self, seconds: float) -> None:
        if self.pace.stop is None:
            time.sleep(seconds)
        else:
            self.pace.stop.wait(seconds)
            self._unless_given_up()

    def _unless_given_up(self) -> None:
        if self.pace.stop is not None and self.pace.stop.is_set():
            raise GivenUp("Nothing more was sent: the call that this was part of was given up.")


class AsyncDriver:
    """Carries exchanges out over a transport, awaiting; the twin of `Driver`."""

    def __init__(
        self,
        transport: AsyncTransport,
        budget: Budget,
        pace: Pace | None = None,
        retries: Retries | None = None,
        clock: PlatformClock | None = None,
    ) -> None:
        self.transport = transport
        self.budget = budget
        self.pace = pace if pace is not None else Pace()
        self.retries = retries if retries is not None else Retries()
        self.clock = clock if clock is not None else PlatformClock()

    def paced(self, pace: Pace) -> AsyncDriver:
        """Return a driver that shares all of this one's, but waits in another way."""
        return AsyncDriver(self.transport, self.budget, pace, self.retries, self.clock)

    async def run(self, exchange: Exchange[T]) -> T:
        """Carry an exchange out and return its value."""
        begun: tuple[Step | None, float] = None, 0.0
        try:
            step = next(exchange)
            while True:
                begun = (step, time.monotonic()) if isinstance(step, Request) else begun
                try:
                    answer = await self._carry_out(step)
                except (ConnectionFailed, Unanswered) as error:
                    step = exchange.throw(error)
                else:
                    step = exchange.send(answer)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return] # StopIteration carries the generator's value
        except OutcomeUnknown as error:
            _remember(error, self.run, begun)
            raise
        except Exception:
            raise
        except BaseException as interruption:  # noqa: BLE001 - whatever interrupts it
            # What shows the values of its frames, as ``%xmode Verbose`` does, would show half an answer in clear.
            raise interruption.with_traceback(None)  # noqa: B904 - it is the same one
        finally:
            exchange.close()

    async def _carry_out(self, step: Step) -> Any:
        if isinstance(step, Work):
            return await asyncio.to_thread(step.call)
        if isinstance(step, Request):
            with _interruptible(step):
                response = await self.transport.send(step)
            self.budget.learn(response)
            self.retries.earn(response)
            self.clock.learn(response)
            return response
        if isinstance(step, Reserve):
            self.transport.check(step.request)
            if step.attempt > 1 and not self.retries.take():
                return False
            wait_s, place = self.budget.reserve(step.request, _hurried(self.pace, step))
            if wait_s > 0:
                try:
                    await asyncio.sleep(wait_s)
                except BaseException:
                    self.budget.release(step.request, place)
                    raise
            return True
        if step.seconds > 0:
            await asyncio.sleep(step.seconds)
        return time.monotonic()
