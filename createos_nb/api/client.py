"""Client: the typed CreateOS API, one attribute per noun."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from createos_nb import settings as _settings
from createos_nb.api.budget import LONGEST_WAIT_S, Budget
from createos_nb.api.driver import AsyncDriver, Driver
from createos_nb.api.mcp import AsyncMcpTransport, McpTransport
from createos_nb.api.nouns import AsyncNouns, Nouns
from createos_nb.api.pace import Lane, Pace
from createos_nb.api.rest import AsyncRestTransport, RestTransport
from createos_nb.api.retries import Retries
from createos_nb.api.secret import Secret, frameless
from createos_nb.errors import InvalidArgument, SettingsError

T = TypeVar("T")

TransportName = Literal["rest", "mcp"]
"""What requests travel over: REST, or tool calls of the Model Context Protocol."""


_TRANSPORTS: dict[str, type[RestTransport | McpTransport]] = {"rest": RestTransport, "mcp": McpTransport}
_ASYNC_TRANSPORTS: dict[str, type[AsyncRestTransport | AsyncMcpTransport]] = {
    "rest": AsyncRestTransport,
    "mcp": AsyncMcpTransport,
}


def _chosen(transport: str, kinds: Mapping[str, T]) -> T:
    if transport not in kinds:
        raise InvalidArgument(f"transport={transport!r} is refused: it must be 'rest' or 'mcp'.")
    return kinds[transport]


def _link() -> str | None:
    try:
        link = _settings.project_link()
    except SettingsError as error:
        return str(error)
    return None if link is None else f"{link.project_name or link.project_id} ({link.path})"


def _budget(chosen: _settings.Settings) -> Budget:
    return Budget.of(chosen.account, _settings.home)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _timeout(timeout_s: float) -> float:
    if not _is_number(timeout_s) or not 0 < timeout_s <= LONGEST_WAIT_S:
        raise InvalidArgument(
            f"timeout_s={timeout_s!r} is refused: it must be more than 0, up to {LONGEST_WAIT_S}."
        )
    return timeout_s


def _pace(lane: Lane, patience_s: float) -> Pace:
    if lane not in {"interactive", "background"}:
        raise InvalidArgument(f"lane={lane!r} is refused: it must be 'interactive' or 'background'.")
    if not _is_number(patience_s) or not 0 <= patience_s <= LONGEST_WAIT_S:
        raise InvalidArgument(f"patience_s={patience_s!r} is refused: it must be 0 to {LONGEST_WAIT_S} seconds.")
    return Pace(lane, patience_s)


def _info(chosen: _settings.Settings, driver: Driver | AsyncDriver) -> dict[str, Any]:
    return {
        "api_url": chosen.api_url,
        "transport": driver.transport.name,
        "credential": str(chosen.credential),
        "header": chosen.header,
        "source": chosen.source,
        "proxy": chosen.shown_proxy,
        "project_link": _link(),
        "budget": driver.budget.state(),
    }


class Client(Nouns):
    """The typed client, blocking; safe to use from several threads.

    Parameters
    ----------
    api_url
        Origin of the API; default ``CREATEOS_API_URL``, else the public platform.
    api_key
        A key, or the path of the file that holds it; default as in `createos_nb.settings.resolve`.
    access_token
        An OAuth access token, in place of a key.
    transport
        ``"rest"``, or ``"mcp"`` for tool calls at ``/mcp``; the operations are the same, but for the few that
        have no tool and raise `NotOverMCP`.
    timeout_s
        Seconds that a piece of a request may take to be sent, and that an answer may take to come whole, until it
        counts as unanswered.
    lane, patience_s
        How to wait for a place in the key's budget; see `paced`.

    Attributes
    ----------
    projects, environments, deployments, domains, apps, github, api_keys, security_scans, account,
    analytics, cronjobs, templates
        The operations of each noun.

    Raises
    ------
    SettingsError
        No key was found, or the URL is malformed.
    """

    _borrows = False

    @frameless
    def __init__(
        self,
        api_url: str | None = None,
        *,
        api_key: str | Secret | Path | None = None,
        access_token: str | Secret | None = None,
        transport: TransportName = "rest",
        timeout_s: float = 30.0,
        lane: Lane = "interactive",
        patience_s: float = 20.0,
    ) -> None:
        kind = _chosen(transport, _TRANSPORTS)
        self._settings = _settings.resolve(api_url, api_key=api_key, access_token=access_token)
        budget, retries = _budget(self._settings), Retries.of(self._settings.account)
        carrier = kind(self._settings, timeout_s=_timeout(timeout_s))
        self._driver = Driver(carrier, budget, _pace(lane, patience_s), retries)

    @property
    def settings(self) -> _settings.Settings:
        """Where requests go and how they are signed."""
        return self._settings

    def paced(
        self, *, lane: Lane = "background", patience_s: float = 900.0, stop: threading.Event | None = None
    ) -> Client:
        """Return a client that shares this one's connections and budget, and waits in another way.

        Closing it closes nothing: the connections are this one's.

        Parameters
        ----------
        lane
            ``"background"`` leaves a fifth of each window to those who wait in front of a screen.
        patience_s
            Seconds to wait for a place in the budget, up to two hours.
        stop
            Setting it ends every wait of this client's calls, and keeps them from sending more: they raise
            `GivenUp`.
        """
        other = object.__new__(Client)
        other._settings, other._borrows = self._settings, True
        other._driver = self._driver.paced(replace(_pace(lane, patience_s), stop=stop))
        return other

    @property
    def stop(self) -> threading.Event | None:
        """What gives this client's calls up, if it was paced with one."""
        return self._driver.pace.stop

    def now(self) -> datetime:
        """Return the present by the platform's clock, as far as its answers tell; aware UTC."""
        return self._driver.clock.now()

    def info(self) -> dict[str, Any]:
        """Return which platform and which key are in use, and what is left of the budget; the key is masked."""
        return _info(self._settings, self._driver)

    def close(self) -> None:
        """Close the connections; the client is of no use afterwards."""
        if not self._borrows:
            self._driver.transport.close()
            self._driver.budget.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self._settings.api_url}, key from {self._settings.source})"


class AsyncClient(AsyncNouns):
    """The typed client, awaiting: the same operations with the same signatures as `Client`."""

    _borrows = False

    @frameless
    def __init__(
        self,
        api_url: str | None = None,
        *,
        api_key: str | Secret | Path | None = None,
        access_token: str | Secret | None = None,
        transport: TransportName = "rest",
        timeout_s: float = 30.0,
        lane: Lane = "interactive",
        patience_s: float = 20.0,
    ) -> None:
        kind = _chosen(transport, _ASYNC_TRANSPORTS)
        self._settings = _settings.resolve(api_url, api_key=api_key, access_token=access_token)
        carrier = kind(self._settings, timeout_s=_timeout(timeout_s))
        budget, retries = _budget(self._settings), Retries.of(self._settings.account)
        self._driver = AsyncDriver(carrier, budget, _pace(lane, patience_s), retries)

    def paced(self, *, lane: Lane = "background", patience_s: float = 900.0) -> AsyncClient:
        """Return a client that shares this one's connections and budget, and waits in another way.

        Closing it closes nothing: the connections are this one's.

        Parameters
        ----------
        lane
            ``"background"`` leaves a fifth of each window to those who wait in front of a screen.
        patience_s
            Seconds to wait for a place in the budget, up to two hours.
        """
        other = object.__new__(AsyncClient)
        other._settings, other._borrows = self._settings, True
        other._driver = self._driver.paced(_pace(lane, patience_s))
        return other

    def now(self) -> datetime:
        """Return the present by the platform's clock, as far as its answers tell; aware UTC."""
        return self._driver.clock.now()

    def info(self) -> dict[str, Any]:
        """Return which platform and which key are in use, and what is left of the budget; the key is masked."""
        return _info(self._settings, self._driver)

    async def aclose(self) -> None:
        """Close the connections; the client is of no use afterwards."""
        if not self._borrows:
            await self._driver.transport.aclose()
            self._driver.budget.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"AsyncClient({self._settings.api_url}, key from {self._settings.source})"
