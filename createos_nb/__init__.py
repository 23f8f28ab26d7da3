"""createos_nb: operate applications on CreateOS from a notebook.

Look (DataFrames and charts), decide (plans), act (panels, runbooks), tell (incident reports).

    import createos_nb as cos

    ws = cos.connect()                # the platform, with the key of your environment
    ws = cos.local()                  # or an embedded one on this machine, no account needed

    prod = ws["shop/production"]
    prod.analytics.requests_over_time(since="1h").createos.chart()
    prod.plan_rollback()              # shows what it would do; .apply() does it

Names are loaded when they are first used, so that the import itself takes no time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from createos_nb import registration

if TYPE_CHECKING:
    from createos_nb import errors, panels, runbooks
    from createos_nb.api.client import AsyncClient, Client
    from createos_nb.reports import incident
    from createos_nb.session import connect, local
    from createos_nb.timerange import TimeRange
    from createos_nb.workspace import Workspace

__version__ = "0.1.0"

__all__ = [
    "AsyncClient",
    "Client",
    "TimeRange",
    "Workspace",
    "connect",
    "errors",
    "incident",
    "local",
    "panels",
    "runbooks",
]

_HOME = {
    "AsyncClient": "createos_nb.api.client",
    "Client": "createos_nb.api.client",
    "TimeRange": "createos_nb.timerange",
    "Workspace": "createos_nb.workspace",
    "connect": "createos_nb.session",
    "incident": "createos_nb.reports",
    "local": "createos_nb.session",
}


if not TYPE_CHECKING:  # which would take any name for one of ours

    def __getattr__(name: str) -> Any:
        if name in {"errors", "panels", "runbooks"}:
            return _imported(f"createos_nb.{name}", name)
        if name in _HOME:
            value = getattr(_imported(_HOME[name], name), name)
            globals()[name] = value
            return value
        raise AttributeError(f"module 'createos_nb' has no attribute {name!r}")


def _imported(module: str, name: str) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        from createos_nb.extras import explained

        raise explained(error, f"createos_nb.{name}") from None


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])


registration.arrange()
