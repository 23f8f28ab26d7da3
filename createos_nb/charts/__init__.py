"""Charts: what a frame looks like; pure functions, frame in, `altair` chart out.

Every chart says what it shows, of what and when (UTC), has units on its axes, reads in greyscale, and says
so when there is nothing to show. Text of the platform is shown, never run: see `labels.shown`.

Altair takes a second to load, so it is loaded with the first chart; in a notebook, `renderer` then becomes the
way in which charts are shown.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_HOME = {
    "chart": "selection",
    "createos_renderer": "renderer",
    "enable": "renderer",
    "error_rate": "traffic",
    "log_volume": "logs",
    "request_distribution": "distribution",
    "requests_over_time": "traffic",
    "rpm": "traffic",
    "to_png": "renderer",
    "top_error_paths": "paths",
    "top_paths": "paths",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if "IPython" in sys.modules:
        import_module(f"{__name__}.renderer").enable()
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
