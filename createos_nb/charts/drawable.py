"""Drawable: which kinds of frame have a chart; known without loading Altair, so that Tab can ask."""

from __future__ import annotations

import pandas as pd

from createos_nb.schema import (
    DEPLOYMENTS,
    LOGS,
    REQUEST_DISTRIBUTION,
    REQUESTS_OVER_TIME,
    SUMMARY,
    TOP_ERROR_PATHS,
    TOP_HIT_PATHS,
    Kind,
)

# Error paths have all columns of paths, so they are looked for first.
DRAWABLE = (REQUESTS_OVER_TIME, LOGS, TOP_ERROR_PATHS, TOP_HIT_PATHS, REQUEST_DISTRIBUTION, SUMMARY, DEPLOYMENTS)

_OVER_TIME = ("project", "environment", "timestamp", "requests", "status_5xx", "interval_s", "partial")
_CLASSES = (*_OVER_TIME, "status_2xx", "status_3xx", "status_4xx")
_SUMMARY = ("project", "environment", "start", "end", "requests", "server_errors")

CHARTS = {
    "error_rate_chart": ((_CLASSES,), "error_rate"),
    "rpm_chart": ((_CLASSES,), "rpm"),
    "before_after_chart": ((_OVER_TIME,), "before_after"),
    "fleet_chart": ((_OVER_TIME, _SUMMARY), "fleet"),
    "drilldown_chart": ((_CLASSES,), "drilldown"),
}
"""Charts on the accessor besides ``chart``: columns of which one set is needed, and the function's name."""


def kind_to_draw(frame: pd.DataFrame) -> Kind | None:
    """Return the kind whose chart `createos_nb.charts.chart` would draw, None when these columns have none."""
    headings = set(frame.columns)
    return next((kind for kind in DRAWABLE if headings.issuperset(column.name for column in kind.columns)), None)
