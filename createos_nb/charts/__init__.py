"""Charts: what a frame looks like; pure functions, frame in, `altair` chart out.

Every chart says what it shows, of what and when (UTC), has units on its axes, reads in greyscale, and says
so when there is nothing to show. Text of the platform is shown, never run: see `labels.shown`.

Altair takes a second to load, so it is loaded with the first chart; in a notebook, `renderer` then becomes the
way in which charts are shown. Altair's own HTML (`save("x.html")`, `to_html()`, its other renderers) writes what it
is given into a script without escaping ``<`` and needs a network. Of the platform's text our charts hold none, so
that they are safe even there, put beside or over each other too; a title or a column that you add yourself is as
it was. `to_html` here is the page that takes any chart: escaped, without network, its scripts named by their hash.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from createos_nb.charts.change import before_after
    from createos_nb.charts.deployments import deployment_timeline
    from createos_nb.charts.distribution import request_distribution
    from createos_nb.charts.heatmap import fleet
    from createos_nb.charts.linked import drilldown
    from createos_nb.charts.logs import log_volume
    from createos_nb.charts.page import to_html
    from createos_nb.charts.paths import top_error_paths, top_paths
    from createos_nb.charts.renderer import createos_renderer, enable, to_png
    from createos_nb.charts.selection import chart
    from createos_nb.charts.traffic import error_rate, requests_over_time, rpm

__all__ = [
    "before_after",
    "chart",
    "createos_renderer",
    "deployment_timeline",
    "drilldown",
    "enable",
    "error_rate",
    "fleet",
    "log_volume",
    "request_distribution",
    "requests_over_time",
    "rpm",
    "to_html",
    "to_png",
    "top_error_paths",
    "top_paths",
]

_HOME = {
    "before_after": "change",
    "deployment_timeline": "deployments",
    "drilldown": "linked",
    "fleet": "heatmap",
    "to_html": "page",
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
