"""Selection: the chart that shows a frame, chosen by its columns."""

from __future__ import annotations

import pandas as pd

from createos_nb.charts.deployments import deployment_timeline
from createos_nb.charts.distribution import request_distribution
from createos_nb.charts.drawable import kind_to_draw
from createos_nb.charts.heatmap import fleet
from createos_nb.charts.labels import Chart
from createos_nb.charts.logs import log_volume
from createos_nb.charts.paths import top_error_paths, top_paths
from createos_nb.charts.traffic import requests_over_time
from createos_nb.errors import FrameError
from createos_nb.schema import (
    DEPLOYMENTS,
    LOGS,
    REQUEST_DISTRIBUTION,
    REQUESTS_OVER_TIME,
    SUMMARY,
    TOP_ERROR_PATHS,
    TOP_HIT_PATHS,
)

_OVER_TIME = {REQUESTS_OVER_TIME: requests_over_time, LOGS: log_volume}
_OTHERS = {
    TOP_ERROR_PATHS: top_error_paths,
    TOP_HIT_PATHS: top_paths,
    REQUEST_DISTRIBUTION: request_distribution,
    SUMMARY: fleet,
    DEPLOYMENTS: deployment_timeline,
}


def chart(frame: pd.DataFrame, deployments: pd.DataFrame | None = None) -> Chart:
    """Draw a frame the way that fits its columns.

    Parameters
    ----------
    frame
        Requests over time, top paths, top error paths, request distribution, logs, summaries or deployments.
    deployments
        Deployments to mark with dashed lines, where the chart is over time. See `schema.DEPLOYMENTS`.

    Raises
    ------
    FrameError
        There is no chart for these columns.

    Examples
    --------
    >>> from createos_nb import schema
    >>> chart(schema.sample("TOP_HIT_PATHS")).title.text
    'Most requested paths'
    """
    kind = kind_to_draw(frame)
    if kind in _OVER_TIME:
        return _OVER_TIME[kind](frame, deployments)
    if kind in _OTHERS:
        return _OTHERS[kind](frame)
    drawable = ", ".join(kind.name for kind in (*_OVER_TIME, *_OTHERS))
    raise FrameError(f"There is no chart for these columns. There is one for frames of kind {drawable}.")
