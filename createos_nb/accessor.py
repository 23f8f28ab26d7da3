"""Accessor: ``df.createos``, the metrics and the chart of a frame one Tab away.

Importing this module puts it on every DataFrame that has the columns for one of its methods; on others it
is not there, so that Tab does not offer what cannot work.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pandas as pd

from createos_nb import charts, metrics
from createos_nb.charts.drawable import kind_to_draw
from createos_nb.metrics.traffic import NEEDED

if TYPE_CHECKING:
    from createos_nb.charts.labels import Chart


@pd.api.extensions.register_dataframe_accessor("createos")
class CreateOSAccessor:
    """What createos_nb can say about a frame; only methods whose columns are there are offered."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame
        if not self._offered():
            # pandas takes this for "no such attribute", and leaves the accessor out of dir() and Tab.
            raise AttributeError(
                "This frame has no columns that createos_nb knows. See createos_nb.schema for those of every kind."
            )

    def error_rate(self) -> pd.DataFrame:
        """Return the share of requests answered with a 5xx status, per interval.

        Returns
        -------
        DataFrame
            As `createos_nb.metrics.error_rate`.
        """
        return metrics.error_rate(self._frame)

    def rpm(self) -> pd.DataFrame:
        """Return the requests per minute of each whole interval.

        Returns
        -------
        DataFrame
            As `createos_nb.metrics.rpm`.
        """
        return metrics.rpm(self._frame)

    def success_share(self) -> pd.DataFrame:
        """Return the share of requests that succeeded, per environment, in both ways of counting.

        Returns
        -------
        DataFrame
            As `createos_nb.metrics.success_share`.
        """
        return metrics.success_share(self._frame)

    def summary(self) -> pd.DataFrame:
        """Return the totals of each environment's requests over time, and the rates that follow.

        Returns
        -------
        DataFrame
            As `createos_nb.metrics.summary`.
        """
        return metrics.summary(self._frame)

    def chart(self, deployments: pd.DataFrame | None = None) -> Chart:
        """Draw a frame the way that fits its columns.

        Parameters
        ----------
        deployments
            Deployments to mark with dashed lines, where the chart is over time. See `schema.DEPLOYMENTS`.

        Returns
        -------
        Chart
            As `createos_nb.charts.chart`.

        Raises
        ------
        FrameError
            There is no chart for these columns.
        """
        return charts.chart(self._frame, deployments)

    def _offered(self) -> list[str]:
        headings = set(self._frame.columns)
        offered = [name for name, needed in NEEDED.items() if headings.issuperset(needed)]
        return [*offered, "chart"] if kind_to_draw(self._frame) else offered

    def __dir__(self) -> Iterable[str]:
        return self._offered()
