"""Fixtures for plans: a client that fails where it is told to, and records what was sent."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest

from createos_nb.api.client import Client
from createos_nb.api.message import Exchange, Request
from createos_nb.api.operation import OPERATIONS
from createos_nb.endpoints import reach
from tests.api.played import nouns


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
        return [name for name in self.sent if OPERATIONS[name].safety != "read"]


@pytest.fixture
def wired(platform):
    """A client on the platform, and its wire."""
    with Client(platform.api_url, api_key=platform.api_key()) as client:
        wire = Wire(client._driver)
        for noun in nouns(client).values():
            noun._driver = wire
        yield client, wire


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock():
    return Clock()


def visit(shop, paths, *, environment="production"):
    """Ask for each path through the gateway, and return the statuses."""
    address, headers = reach(shop.environment(environment).extra.endpoint)
    with httpx.Client(base_url=address, headers=headers, trust_env=False) as visitor:
        return [visitor.get(path).status_code for path in paths]


@pytest.fixture(name="visit")
def visit_fixture():
    return visit


@pytest.fixture
def on_wire(wired, shop):
    """The shop seen through a client whose wire can be watched."""
    client, wire = wired
    return replace(shop, client=client), wire
