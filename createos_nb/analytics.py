"""Analytics: the platform's eight analytics answers about a selection, as frames."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pandas as pd

from createos_nb import schema
from createos_nb.timerange import Moment, TimeRange

if TYPE_CHECKING:
    from createos_nb.selection import Selection


class Analytics:
    """The platform's eight analytics answers about a selection, as frames.

    All take a window: ``since="15m"``, or ``start=`` and ``end=``; the last hour when none is given. Times
    must say their zone. ``strict=True`` raises `PartialAnswer` instead of leaving out environments that failed.
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._api = selection.api.analytics

    def overall_requests(
        self,
        since: str | timedelta | None = None,
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        strict: bool = False,
    ) -> pd.DataFrame:
        """Return the number of requests by class of status (`schema.OVERALL_REQUESTS`).

        Parameters
        ----------
        since
            Length of the window up to ``end`` (or now), such as ``"15m"``; default one hour.
        start, end
            The window, half open; aware datetimes, ISO text or unix seconds.
        strict
            Raise `PartialAnswer` instead of leaving out environments that failed.
        """
        window = TimeRange.of(since, start=start, end=end)
        return self._selection.collect(
            schema.OVERALL_REQUESTS,
            "GetProjectEnvironmentAnalyticsOverallRequests",
            lambda one: [
                schema.overall_requests_row(
                    *one.names, window, self._api.overall_requests(*one.ids, start=window.start_s, end=window.end_s)
                )
            ],
            strict=strict,
        )

    def rpm(
        self,
        since: str | timedelta | None = None,
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        strict: bool = False,
    ) -> pd.DataFrame:
        """Return peak and average requests per minute (`schema.RPM`).

        Parameters
        ----------
        since
            Length of the window up to ``end`` (or now), such as ``"15m"``; default one hour.
        start, end
            The window, half open; aware datetimes, ISO text or unix seconds.
        strict
            Raise `PartialAnswer` instead of leaving out environments that failed.
        """
        window = TimeRange.of(since, start=start, end=end)
        return self._selection.collect(
            schema.RPM,
            "GetProjectEnvironmentAnalyticsRPM",
            lambda one: [
                schema.rpm_row(*one.names, window, self._api.rpm(*one.ids, start=window.start_s, end=window.end_s))
            ],
            strict=strict,
        )

    def success_percentage(
        self,
        since: str | timedelta | None = None,
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        strict: bool = False,
    ) -> pd.DataFrame:
        """Return the share of 2xx and 3xx answers, 0 to 100 (`schema.SUCCESS_PERCENTAGE`).

        Parameters
        ----------
        since
            Length of the window up to ``end`` (or now), such as ``"15m"``; default one hour.
        start, end
            The window, half open; aware datetimes, ISO text or unix seconds.
        strict
            Raise `PartialAnswer` instead of leaving out environments that failed.
        """
        window = TimeRange.of(since, start=start, end=end)
        return self._selection.collect(
            schema.SUCCESS_PERCENTAGE,
            "GetProjectEnvironmentAnalyticsSuccessPercentage",
            lambda one: [
                schema.success_percentage_row(
                    *one.names,
                    window,
                    self._api.success_percentage(*one.ids, start=window.start_s, end=window.end_s),
                )
            ],
            strict=strict,
        )

    def requests_over_time(
        self,
        since: str | timedelta | None = None,
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        strict: bool = False,
    ) -> pd.DataFrame:
        """Return the requests of each interval, by class of status (`schema.REQUESTS_OVER_TIME`).

        Parameters
        ----------
        since
            Length of the window up to ``end`` (or now), such as ``"15m"``; default one hour.
        start, end
            The window, half open; aware datetimes, ISO text or unix seconds.
        strict
            Raise `PartialAnswer` instead of leaving out environments that failed.
        """
        window = TimeRange.of(since, start=start, end=end)
        return self._selection.collect(
            schema.REQUESTS_OVER_TIME,
            "GetProjectEnvironmentAnalyticsRequestsOverTime",
            lambda one: schema.requests_over_time_rows(
                *one.names, window, self._api.requests_over_time(*one.ids, start=window.start_s, end=window.end_s)
            ),
            strict=strict,
        )

    def top_hit_paths(
        self,
        since: str | timedelta | None = None,
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        strict: bool = False,
    ) -> pd.DataFrame:
        """Return the ten paths asked for most (`schema.TOP_HIT_PATHS`).

        Parameters
        ----------
        since
            Length of the window up to ``end`` (or now), such as ``"15m"``; default one hour.
        start, end
            The window, half open; aware datetimes, ISO text or unix seconds.
        strict
            Raise `PartialAnswer` instead of leaving out environments that failed.
        """
        window = TimeRange.of(since, start=start, end=end)
        return self._selection.collect(
            schema.TOP_HIT_PATHS,
            "GetProjectEnvironmentAnalyticsTopHitPaths",
            lambda one: schema.top_hit_path_rows(
                *one.names, self._api.top_hit_paths(*one.ids, start=window.start_s, end=window.end_s)
            ),
            strict=strict,
        )

    def top_error_paths(
        self,
        since: str | timedelta | None = None,
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        strict: bool = False,
    ) -> pd.DataFrame:
        """Return the ten paths and statuses with most errors (`schema.TOP_ERROR_PATHS`).

        Parameters
        ----------
        since
            Length of the window up to ``end`` (or now), such as ``"15m"``; default one hour.
        start, end
            The window, half open; aware datetimes, ISO text or unix seconds.
        strict
            Raise `PartialAnswer` instead of leaving out environments that failed.
        """
        window = TimeRange.of(since, start=start, end=end)
        return self._selection.collect(
            schema.TOP_ERROR_PATHS,
            "GetProjectEnvironmentAnalyticsTopErrorPaths",
            lambda one: schema.top_error_path_rows(
                *one.names, self._api.top_error_paths(*one.ids, start=window.start_s, end=window.end_s)
            ),
            strict=strict,
        )

    def request_distribution(
        self,
        since: str | timedelta | None = None,
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        strict: bool = False,
    ) -> pd.DataFrame:
        """Return the number of answers of each status (`schema.REQUEST_DISTRIBUTION`).

        Parameters
        ----------
        since
            Length of the window up to ``end`` (or now), such as ``"15m"``; default one hour.
        start, end
            The window, half open; aware datetimes, ISO text or unix seconds.
        strict
            Raise `PartialAnswer` instead of leaving out environments that failed.
        """
        window = TimeRange.of(since, start=start, end=end)
        return self._selection.collect(
            schema.REQUEST_DISTRIBUTION,
            "GetProjectEnvironmentAnalyticsRequestDistribution",
            lambda one: schema.request_distribution_rows(
                *one.names, self._api.request_distribution(*one.ids, start=window.start_s, end=window.end_s)
            ),
            strict=strict,
        )

    def summary(
        self,
        since: str | timedelta | None = None,
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        strict: bool = False,
    ) -> pd.DataFrame:
        """Return the most important figures in one row (`schema.SUMMARY`), at one request an environment.

        Parameters
        ----------
        since
            Length of the window up to ``end`` (or now), such as ``"15m"``; default one hour.
        start, end
            The window, half open; aware datetimes, ISO text or unix seconds.
        strict
            Raise `PartialAnswer` instead of leaving out environments that failed.
        """
        window = TimeRange.of(since, start=start, end=end)
        return self._selection.collect(
            schema.SUMMARY,
            "GetProjectEnvironmentAnalytics",
            lambda one: [
                schema.summary_row(
                    *one.names, window, self._api.summary(*one.ids, start=window.start_s, end=window.end_s)
                )
            ],
            strict=strict,
        )
