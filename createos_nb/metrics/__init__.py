"""Metrics: what a frame says; pure functions, frame in, frame or dataclass out."""

from __future__ import annotations

from createos_nb.metrics.comparison import (
    Comparison,
    Counts,
    compare_error_rates,
    counts,
    difference_interval,
    wilson_interval,
)
from createos_nb.metrics.traffic import error_rate, rpm, success_share, summary

__all__ = [
    "Comparison",
    "Counts",
    "compare_error_rates",
    "counts",
    "difference_interval",
    "error_rate",
    "rpm",
    "success_share",
    "summary",
    "wilson_interval",
]
