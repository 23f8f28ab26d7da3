"""Charts: what a frame looks like; pure functions, frame in, `altair` chart out.

Every chart says what it shows, of what and when (UTC), has units on its axes, reads in greyscale, and says
so when there is nothing to show. Text of the platform is shown, never run: see `labels.shown`.
"""

from __future__ import annotations

from createos_nb.charts.distribution import request_distribution
from createos_nb.charts.logs import log_volume
from createos_nb.charts.paths import top_error_paths, top_paths
from createos_nb.charts.renderer import createos_renderer, enable, to_png
from createos_nb.charts.selection import chart
from createos_nb.charts.traffic import error_rate, requests_over_time, rpm

__all__ = [
    "chart",
    "createos_renderer",
    "enable",
    "error_rate",
    "log_volume",
    "request_distribution",
    "requests_over_time",
    "rpm",
    "to_png",
    "top_error_paths",
    "top_paths",
]
