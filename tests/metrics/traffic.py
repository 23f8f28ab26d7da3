"""Traffic for the tests of metrics: frames from a few counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from createos_nb import schema

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def minute(number):
    return NOON + timedelta(minutes=number)


def traffic(requests, errors, *, environment="production", project="shop", at=0, step_s=60, partial=(), **columns):
    """Requests over time with an interval for each count; ``None`` instead of a count is a row that is missing."""
    held = [
        (place, int(n), int(k)) for place, (n, k) in enumerate(zip(requests, errors, strict=True)) if n is not None
    ]
    return schema.REQUESTS_OVER_TIME.from_columns(
        {
            "project": [project] * len(held),
            "environment": [environment] * len(held),
            "timestamp": [NOON + timedelta(seconds=(at + place) * step_s) for place, _, _ in held],
            "requests": [n for _, n, _ in held],
            "status_2xx": [n - k for _, n, k in held],
            "status_3xx": [0] * len(held),
            "status_4xx": [0] * len(held),
            "status_5xx": [k for _, _, k in held],
            "interval_s": [step_s] * len(held),
            "partial": [place in partial for place, _, _ in held],
            **columns,
        }
    )


def drawn(chance: np.random.Generator, rates, rpm=60):
    """Requests and errors of independent requests, a minute for each rate."""
    requests = chance.poisson(rpm, len(rates))
    return requests, chance.binomial(requests, rates)
