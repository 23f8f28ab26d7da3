"""Drawable: which kinds of frame have a chart; known without loading Altair, so that Tab can ask."""

from __future__ import annotations

import pandas as pd

from createos_nb.schema import (
    LOGS,
    REQUEST_DISTRIBUTION,
    REQUESTS_OVER_TIME,
    TOP_ERROR_PATHS,
    TOP_HIT_PATHS,
    Kind,
)

# Error paths have all columns of paths, so they are looked for first.
DRAWABLE = (REQUESTS_OVER_TIME, LOGS, TOP_ERROR_PATHS, TOP_HIT_PATHS, REQUEST_DISTRIBUTION)


def kind_to_draw(frame: pd.DataFrame) -> Kind | None:
    """Return the kind whose chart `createos_nb.charts.chart` would draw, None when these columns have none."""
    headings = set(frame.columns)
    return next((kind for kind in DRAWABLE if headings.issuperset(column.name for column in kind.columns)), None)
