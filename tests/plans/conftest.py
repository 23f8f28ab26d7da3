"""Fixtures for plans: a client that fails where it is told to, and records what was sent."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from createos_nb.api.client import Client
from createos_nb.api.message import Exchange, Request


class Wire:
    """Sits between a client and its driver: notes every request, and acts before or instead of one.

    Not a mock: what passes is carried out by the real driver on the real platform.
    """

    def __init__(self, driver) -> None:
        self._driver = driver
        self.sent: list[str] = []
        self.before: dict[str, Callable[[], None]] = {}

    def run(self, exchange: Exchange):
        return self._driver.run(self._noting(exchange))

    def _noting(self, exchange: Exchange) -> Exchange:
        step = next(exchange)
        try:
            while True:
                try:
                    if isinstance(step, Request):
                        self.sent.append(step.operation)
                        self.before.get(step.operation, lambda: None)()
                    answer = yield step
                except Exception as error:  # noqa: BLE001 - the exchange decides what it means
                    step = exchange.throw(error)
                else:
                    step = exchange.send(answer)
        except StopIteration as end:
            return end.value

    @property
    def changes(self) -> list[str]:
        """The operations sent so far that are not reads."""
        from createos_nb.api.operation import OPERATIONS

        return [name for name in self.sent if OPERATIONS[name].safety != "read"]


@pytest.fixture
def wired(platform):
    """A client on the platform, and its wire."""
    with Client(platform.api_url, api_key=platform.api_key()) as client:
        wire = Wire(client._driver)
        for noun in vars(client).values():
            if hasattr(noun, "_driver"):
                noun._driver = wire
        yield client, wire
