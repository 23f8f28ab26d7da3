"""Accessor: ``df.createos``, the metrics and the chart of a frame one Tab away.

Importing this module puts it on every DataFrame that has the columns for one of its methods; on others it
is not there, so that Tab does not offer what cannot work.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd

from createos_nb import charts, metrics, registration
from createos_nb.charts.drawable import CHARTS, kind_to_draw
from createos_nb.completion import offers_dir
from createos_nb.metrics import NEEDED
from createos_nb.timerange import Moment

if TYPE_CHECKING:
    from createos_nb.charts.change import Deployment
    from createos_nb.charts.heatmap import By
    from createos_nb.charts.labels import Chart


registration.give_way()


@pd.api.extensions.register_dataframe_accessor(registration.NAME)
@offers_dir
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

    def objectives(self, *, objective: float = 0.999) -> pd.DataFrame:
        """Return each environment's service level, its error budget, what is spent of it, and what is to be done.

        Parameters
        ----------
        objective
            Share of requests that must not be answered 5xx, between 0 and 1.

        Returns
        -------
        DataFrame
            As `createos_nb.metrics.objectives`.
        """
        return metrics.objectives(self._frame, objective=objective)

    def burn_rates(self, *, objective: float = 0.999) -> pd.DataFrame:
        """Return how fast each environment's error budget burns, by each of the three rules of the SRE Workbook.

        Parameters
        ----------
        objective
            Share of requests that must not be answered 5xx, between 0 and 1.

        Returns
        -------
        DataFrame
            As `createos_nb.metrics.burn_rates`.
        """
        return metrics.burn_rates(self._frame, objective=objective)

    def incidents(
        self, *, threshold: float = 0.05, quiet: str | timedelta = "5m", min_errors: int = 5
    ) -> pd.DataFrame:
        """Return the times in which the 5xx share of an environment was over a threshold.

        Parameters
        ----------
        threshold
            5xx share, above 0 and below 1, from which on an interval is bad.
        quiet
            Time without a bad interval that ends an incident; shorter pauses belong to it.
        min_errors
            5xx answers, 1 or more, that an incident has at least; fewer are not reported.

        Returns
        -------
        DataFrame
            As `createos_nb.metrics.incidents`.
        """
        return metrics.incidents(self._frame, threshold=threshold, quiet=quiet, min_errors=min_errors)

    def change_points(
        self, *, significance: float = 0.01, difference: float = 0.05, min_requests: int = 50
    ) -> pd.DataFrame:
        """Return when the 5xx share of each environment changed, or that it did not, or that it cannot be told.

        Parameters
        ----------
        significance
            Chance, above 0 and below 1, of a change being seen anywhere in the frame when nowhere is one.
        difference
            Rise of the 5xx share, above 0 and below 1, that is worth knowing.
        min_requests
            Requests, 1 or more, on each side of a change.

        Returns
        -------
        DataFrame
            As `createos_nb.metrics.change_points`.
        """
        return metrics.change_points(
            self._frame, significance=significance, difference=difference, min_requests=min_requests
        )

    def compare(self, baseline: pd.DataFrame) -> pd.DataFrame:
        """Return each environment's error rate and volume beside those of a baseline, with intervals.

        Parameters
        ----------
        baseline
            Requests over time of an earlier window, or of another environment.

        Returns
        -------
        DataFrame
            As `createos_nb.metrics.compare`.
        """
        return metrics.compare(self._frame, baseline)

    def movers(self, before: pd.DataFrame) -> pd.DataFrame:
        """Return which paths moved most between two windows of equal length.

        Parameters
        ----------
        before
            Top paths of the earlier window, of the same kind and length as these.

        Returns
        -------
        DataFrame
            As `createos_nb.metrics.movers`.
        """
        return metrics.movers(self._frame, before)

    def dora(
        self,
        since: str | timedelta | None = None,
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        commits: pd.DataFrame | None = None,
        incidents: pd.DataFrame | None = None,
        journal: pd.DataFrame | None = None,
    ) -> pd.DataFrame:
        """Return deployment frequency, lead time, change failure rate and time to restore of each project.

        Parameters
        ----------
        since
            Length of the window up to ``end`` (or now), such as ``"90d"``; default 30 days.
        start, end
            The window, half open; aware datetimes, ISO text or unix seconds.
        commits
            ``commit`` (hash) and ``committed_at`` (aware time) of each commit, from git.
        incidents
            From `createos_nb.metrics.incidents`, over the same window, of the environments that count.
        journal
            From ``ws.journal()``: rollbacks that were carried out from this machine.

        Returns
        -------
        DataFrame
            As `createos_nb.metrics.dora`.
        """
        return metrics.dora(
            self._frame, since, start=start, end=end, commits=commits, incidents=incidents, journal=journal
        )

    def patterns(self) -> pd.DataFrame:
        """Return the templates that log messages follow, the most frequent first within each environment.

        Returns
        -------
        DataFrame
            As `createos_nb.metrics.patterns`.
        """
        return metrics.patterns(self._frame)

    def first_seen(self, *, since: str | pd.Timestamp | pd.Series[Any]) -> pd.DataFrame:
        """Return the templates that were first seen at a time or after it, such as since a deployment.

        Parameters
        ----------
        since
            A deployment's row of a frame; an aware Timestamp, such as its ``created_at``; an ISO 8601 text with
            an offset; or a length such as ``"15m"``, back from the latest line.

        Returns
        -------
        DataFrame
            As `createos_nb.metrics.first_seen`.
        """
        return metrics.first_seen(self._frame, since=since)

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

    def error_rate_chart(self, deployments: pd.DataFrame | None = None, *, objective: float | None = None) -> Chart:
        """Draw the share of requests answered 5xx over time, a line for each environment.

        Parameters
        ----------
        deployments
            Deployments to mark with dashed lines. See `schema.DEPLOYMENTS`.
        objective
            Share of requests that are to succeed, between 0 and 1; a line shows the budget it leaves.

        Returns
        -------
        Chart
            As `createos_nb.charts.error_rate`.
        """
        return charts.error_rate(self._frame, deployments, objective=objective)

    def rpm_chart(self, deployments: pd.DataFrame | None = None) -> Chart:
        """Draw requests per minute over time, a line for each environment.

        Parameters
        ----------
        deployments
            Deployments to mark with dashed lines. See `schema.DEPLOYMENTS`.

        Returns
        -------
        Chart
            As `createos_nb.charts.rpm`.
        """
        return charts.rpm(self._frame, deployments)

    def before_after_chart(self, deployment: Deployment, *, length: str | None = None) -> Chart:
        """Draw the window before a deployment and the one after it over each other, with their shares of errors.

        Parameters
        ----------
        deployment
            A row of `schema.DEPLOYMENTS`, or a time with its zone.
        length
            Length of each window, such as ``"30min"``; the longest that both sides have if not given.

        Returns
        -------
        Chart
            As `createos_nb.charts.before_after`.
        """
        return charts.before_after(self._frame, deployment, length=length)

    def fleet_chart(self, *, by: By = "error_share") -> Chart:
        """Draw environments over time as a heat map, by their share of 5xx answers or by their requests.

        Parameters
        ----------
        by
            ``"error_share"``, the worst first, or ``"requests"``, the busiest first.

        Returns
        -------
        Chart
            As `createos_nb.charts.heatmap`.
        """
        return charts.fleet(self._frame, by=by)

    def drilldown_chart(self, logs: pd.DataFrame, deployments: pd.DataFrame | None = None) -> Chart:
        """Draw traffic, log lines by level and the paths they name; a window marked in the first narrows the rest.

        Parameters
        ----------
        logs
            Log lines of the same environments. See `schema.LOGS`.
        deployments
            Deployments to mark with dashed lines. See `schema.DEPLOYMENTS`.

        Returns
        -------
        Chart
            As `createos_nb.charts.linked`.
        """
        return charts.drilldown(self._frame, logs, deployments)

    def _offered(self) -> list[str]:
        headings = set(self._frame.columns)
        offered = [name for name, needed in NEEDED.items() if headings.issuperset(needed)]
        offered += [name for name, (needed, _) in CHARTS.items() if any(map(headings.issuperset, needed))]
        return [*offered, "chart"] if kind_to_draw(self._frame) else offered

    def __dir__(self) -> Iterable[str]:
        return self._offered()
