"""Resource: one noun of the API, bound to something that carries exchanges out."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol, TypeVar

from createos_nb.api.message import Exchange

T = TypeVar("T")


class Driver(Protocol):
    """Carries exchanges out, blocking."""

    def run(self, exchange: Exchange[T]) -> T:
        """Carry an exchange out and return its value."""
        ...


class AsyncDriver(Protocol):
    """Carries exchanges out, awaiting."""

    def run(self, exchange: Exchange[T]) -> Awaitable[T]:
        """Carry an exchange out; awaiting it gives its value."""
        ...


class Resource:
    """The operations of one noun, blocking."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def run(self, exchange: Exchange[T]) -> T:
        """Carry an exchange out and return its value."""
        return self._driver.run(exchange)


class AsyncResource:
    """The operations of one noun, awaiting."""

    def __init__(self, driver: AsyncDriver) -> None:
        self._driver = driver

    def run(self, exchange: Exchange[T]) -> Awaitable[T]:
        """Carry an exchange out; awaiting it gives its value."""
        return self._driver.run(exchange)
