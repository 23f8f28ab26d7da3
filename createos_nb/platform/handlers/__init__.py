"""Handlers: what the platform does for each operation, one module a noun."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from createos_nb.platform.handlers import (
    account,
    analytics,
    api_keys,
    apps,
    cronjobs,
    deployments,
    domains,
    environments,
    github,
    projects,
    security_scans,
    templates,
)

HANDLERS: dict[str, Callable[..., Awaitable[Any]]] = {
    name: handler
    for noun in (
        *(account, analytics, api_keys, apps, cronjobs, deployments, domains, environments, github, projects),
        *(security_scans, templates),
    )
    for name, handler in noun.HANDLERS.items()
}
"""Each operation's handler; takes the context, then the declaration's arguments by name."""
