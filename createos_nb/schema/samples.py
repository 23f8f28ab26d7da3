"""Samples: small frames of every analytics kind, the same every time, for examples and tests.

They show one story: ``shop/production`` on 23 November 2026, 12:00 to 12:10 UTC. Version 3 goes live at
12:04 and its checkout answers 500; the environment is put back to version 2 at 12:08.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pandas as pd

from createos_nb.errors import FrameError
from createos_nb.schema.kind import Kind
from createos_nb.schema.kinds import KINDS
from createos_nb.schema.rows import Row

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
_TARGET: Row = {"project": "shop", "environment": "production"}
_WINDOW: Row = {**_TARGET, "start": NOON, "end": NOON + timedelta(minutes=10)}

# Per minute: 2xx, 3xx, 4xx, 5xx.
_MINUTES = (
    *((52, 6, 2, 0), (58, 7, 1, 0), (55, 5, 3, 0), (61, 6, 2, 0)),
    *((44, 6, 2, 18), (40, 5, 3, 22), (42, 7, 2, 20), (41, 6, 2, 21)),
    *((57, 6, 2, 2), (60, 5, 2, 0)),
)


def sample(name: str) -> pd.DataFrame:
    """Return a small frame of a kind, the same every time.

    Parameters
    ----------
    name
        Name of a kind, such as ``"REQUESTS_OVER_TIME"``.

    Raises
    ------
    FrameError
        There is no sample of that name.

    Examples
    --------
    >>> sample("REQUESTS_OVER_TIME")[["timestamp", "requests", "status_5xx"]].head(2)
                      timestamp  requests  status_5xx
    0 2026-11-23 12:00:00+00:00        60           0
    1 2026-11-23 12:01:00+00:00        66           0
    """
    if name not in _ROWS:
        raise FrameError(f"There is no sample frame {name!r}. There are: {', '.join(_ROWS)}.")
    kind: Kind = KINDS[name]
    return kind.frame(_ROWS[name]())


def _deployments() -> list[Row]:
    made = (("v1", -40, ""), ("v2", -15, "production"), ("v3", 4, ""))
    return [
        {
            "project": "shop",
            "project_id": "11111111-0000-4000-8000-000000000001",
            "deployment_id": f"33333333-0000-4000-8000-00000000000{number}",
            "version": version,
            "status": "deployed",
            "created_at": NOON + timedelta(minutes=minute),
            "environments": environments,
        }
        for number, (version, minute, environments) in enumerate(made, start=1)
    ]


def _requests_over_time() -> list[Row]:
    return [
        {
            **_TARGET,
            "timestamp": NOON + timedelta(minutes=minute),
            "requests": sum(counts),
            **dict(zip(("status_2xx", "status_3xx", "status_4xx", "status_5xx"), counts, strict=True)),
            "interval_s": 60,
            "partial": False,
        }
        for minute, counts in enumerate(_MINUTES)
    ]


def _overall_requests() -> list[Row]:
    success, redirects, client, server = (sum(column) for column in zip(*_MINUTES, strict=True))
    requests = success + redirects + client + server
    return [
        {
            **_WINDOW,
            "requests": requests,
            "success": success,
            "client_errors": client,
            "server_errors": server,
        }
    ]


def _top_hit_paths() -> list[Row]:
    counts = (("/products", 248), ("/", 171), ("/checkout", 119), ("/products/17", 88), ("/cart", 53))
    return [
        {**_WINDOW, "rank": rank, "path": path, "requests": requests}
        for rank, (path, requests) in enumerate(counts, start=1)
    ]


def _top_error_paths() -> list[Row]:
    counts = (("/checkout", "500", 83), ("/favicon.ico", "404", 15), ("/products/99", "404", 6))
    return [
        {**_WINDOW, "rank": rank, "path": path, "status": status, "requests": requests}
        for rank, (path, status, requests) in enumerate(counts, start=1)
    ]


def _request_distribution() -> list[Row]:
    counts = (("200", 481), ("201", 29), ("303", 59), ("404", 21), ("500", 83))
    total = sum(count for _, count in counts)
    return [{**_WINDOW, "status": status, "requests": n, "share": n / total} for status, n in counts]


def _logs() -> list[Row]:
    lines = (
        (1, "INFO", "GET /products 200", "GET", "/products", 200, 3.1),
        (3, "WARNING", "GET /products/99 404", "GET", "/products/99", 404, 1.2),
        (5, "ERROR", "POST /checkout 500", "POST", "/checkout", 500, 8.4),
        (6, "ERROR", "POST /checkout 500", "POST", "/checkout", 500, 7.9),
        (9, "INFO", "POST /checkout 201", "POST", "/checkout", 201, 6.0),
    )
    return [
        {
            **_TARGET,
            "timestamp": NOON + timedelta(minutes=minute),
            "level": level,
            "message": message,
            "logger": "shop",
            "method": method,
            "path": path,
            "status": status,
            "duration_ms": duration_ms,
            "format": "time",
            "raw": f"{NOON + timedelta(minutes=minute):%Y-%m-%dT%H:%M:%SZ} {level} {message}",
        }
        for minute, level, message, method, path, status, duration_ms in lines
    ]


_ROWS: dict[str, Callable[[], list[Row]]] = {
    "DEPLOYMENTS": _deployments,
    "REQUESTS_OVER_TIME": _requests_over_time,
    "OVERALL_REQUESTS": _overall_requests,
    "TOP_HIT_PATHS": _top_hit_paths,
    "TOP_ERROR_PATHS": _top_error_paths,
    "REQUEST_DISTRIBUTION": _request_distribution,
    "LOGS": _logs,
}
