"""History: access records of a past that did not happen, marked as generated, for scenarios.

The database makes them by itself, from a formula, so that a week of a whole fleet takes seconds. The same
history comes out every time: what looks random is a hash of the record's number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # its database engine loads longer than all the rest of the platform
    from createos_nb.platform.accesslog import AccessLog

SHOP_PATHS = {"/": 30, "/products": 30, "/products/duck": 12, "/cart": 14, "/checkout": 12, "/missing": 2}
"""What visitors of the shop ask for, by weight."""


@dataclass(frozen=True)
class History:
    """The requests of one environment over a time, as they might have been.

    Attributes
    ----------
    environment_id, deployment_id
        Whose they are.
    start_s, end_s
        Unix seconds, half open.
    per_minute
        Requests a minute on average; there are twice as many at noon UTC as at midnight.
    paths
        Path to weight.
    statuses
        Path to the status it answers, where that is not 200.
    failing
        Share of the requests that answer 500, 0 to 1, whatever their path.
    """

    environment_id: str
    deployment_id: str
    start_s: float
    end_s: float
    per_minute: float
    paths: Mapping[str, int] = field(default_factory=lambda: SHOP_PATHS)
    statuses: Mapping[str, int] = field(default_factory=lambda: {"/missing": 404})
    failing: float = 0.0


def _share(what: str) -> str:
    """Return the expression of a random number for each record, 0 to 1: its hash, which never changes."""
    # Of one number: hashes of several are not independent of each other, and a text for each record is slow.
    return f"(hash(xor(number, seed_{what})) / 18446744073709551616.0)"


_SHARES = ("when", "whether", "path", "failing", "slow", "bytes")
_RECORDS = f"""
with histories as (
    select *, {", ".join(f"hash(concat(environment_id, '|{what}')) as seed_{what}" for what in _SHARES)}
    from (select unnest($histories, recursive := true))
),
candidates as (
    select *, start_s + (end_s - start_s) * {_share("when")} as at_s
    from (select *, unnest(range(candidates))::ubigint as number from histories)
),
kept as (
    -- Of twice as many candidates the day's curve keeps half on average.
    select * from candidates where {_share("whether")} < 0.5 - 0.17 * cos(2 * pi() * (at_s % 86400) / 86400)
),
asked as (
    select *, list_extract(paths, 1 + floor({_share("path")} * len(paths))::integer) as path from kept
)
select environment_id,
       (at_s * 1000000)::bigint as arrived_us,
       deployment_id,
       0 as replica,
       'GET' as method,
       path,
       case when {_share("failing")} < failing then 500
            else coalesce(list_extract(odd_statuses, list_position(odd_paths, path)), 200) end as status,
       4 + 40 * pow({_share("slow")}, 6) as duration_ms,
       200 + floor(4000 * {_share("bytes")})::bigint as bytes_sent,
       true as generated
from asked
order by environment_id, arrived_us
"""


def write(log: AccessLog, histories: Iterable[History]) -> None:
    """Add histories to the access log: all of them, or none.

    Parameters
    ----------
    log
        Of the platform.
    histories
        What to make up.
    """
    if values := [_values(history) for history in histories]:
        log.add_selected(_RECORDS, {"histories": values})


def _values(history: History) -> dict[str, Any]:
    return {
        "environment_id": history.environment_id,
        "deployment_id": history.deployment_id,
        "start_s": float(history.start_s),
        "end_s": float(history.end_s),
        "candidates": round(2 * history.per_minute * (history.end_s - history.start_s) / 60),
        "paths": [path for path, weight in history.paths.items() for _ in range(weight)],
        "odd_paths": list(history.statuses),
        "odd_statuses": list(history.statuses.values()),
        "failing": float(history.failing),
    }
