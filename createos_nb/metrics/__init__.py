"""Metrics: what a frame says; pure functions, frame in, frame or dataclass out."""

from __future__ import annotations

from collections.abc import Mapping

from createos_nb.metrics.change_points import NEEDED as _OF_CHANGE_POINTS
from createos_nb.metrics.change_points import change_points
from createos_nb.metrics.comparison import (
    Comparison,
    Counts,
    compare_error_rates,
    counts,
    difference_interval,
    wilson_interval,
)
from createos_nb.metrics.dora import NEEDED as _OF_DORA
from createos_nb.metrics.dora import dora
from createos_nb.metrics.incidents import NEEDED as _OF_INCIDENTS
from createos_nb.metrics.incidents import incidents
from createos_nb.metrics.movers import NEEDED as _OF_MOVERS
from createos_nb.metrics.movers import movers
from createos_nb.metrics.objectives import NEEDED as _OF_OBJECTIVES
from createos_nb.metrics.objectives import burn_rates, objectives
from createos_nb.metrics.patterns import NEEDED as _OF_LOGS
from createos_nb.metrics.patterns import first_seen, patterns
from createos_nb.metrics.traffic import NEEDED as _OF_TRAFFIC
from createos_nb.metrics.traffic import error_rate, rpm, success_share, summary
from createos_nb.metrics.windows import NEEDED as _OF_WINDOWS
from createos_nb.metrics.windows import compare

NEEDED: Mapping[str, tuple[str, ...]] = {
    **_OF_TRAFFIC,
    **_OF_OBJECTIVES,
    **_OF_INCIDENTS,
    **_OF_CHANGE_POINTS,
    **_OF_WINDOWS,
    **_OF_MOVERS,
    **_OF_DORA,
    **_OF_LOGS,
}
"""Columns that each function needs of the frame it is given."""

__all__ = [
    "NEEDED",
    "Comparison",
    "Counts",
    "burn_rates",
    "change_points",
    "compare",
    "compare_error_rates",
    "counts",
    "difference_interval",
    "dora",
    "error_rate",
    "first_seen",
    "incidents",
    "movers",
    "objectives",
    "patterns",
    "rpm",
    "success_share",
    "summary",
    "wilson_interval",
]
