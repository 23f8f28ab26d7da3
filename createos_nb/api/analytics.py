"""Analytics: what an environment answered, by time, status and path.

All windows are unix seconds, ``start`` inclusive, ``end`` exclusive; CreateOS uses the last hour when they
are not given. ``success`` counts 2xx answers, `SuccessPercentage` counts 2xx and 3xx: they need not agree.
There is no latency, no split by deployment and none by path over time.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from createos_nb.api.listing import Listing
from createos_nb.api.model import Model
from createos_nb.api.operation import operation
from createos_nb.api.resource import AsyncResource, Resource

UnixSecond = Annotated[
    int,
    Field(ge=0, le=253402300799, description="unix seconds such as int(time.time()) or int(t.timestamp())"),
]


class OverallRequests(Model):
    """Requests of a window, by class of their status."""

    total: float
    success: float
    """2xx answers."""
    client: float
    """4xx answers."""
    server: float
    """5xx answers."""


class RPM(Model):
    """Requests per minute of a window."""

    peak: float
    """Of the busiest aligned minute; of its part in the window, where the window begins or ends within it."""
    average: float
    """Over the window's length; of one shorter than a minute it is a rate that can be above ``peak``, a count."""


class SuccessPercentage(Model):
    """Share of 2xx and 3xx answers, 0 to 100."""

    success_percentage: float


class RequestsOverTimeRow(Model):
    """Requests of one interval; its length is not documented."""

    timestamp: int
    """Start of the interval, unix seconds."""
    count: int
    status2xx: Annotated[int, Field(alias="status2xx")]
    status3xx: Annotated[int, Field(alias="status3xx")]
    status4xx: Annotated[int, Field(alias="status4xx")]
    status5xx: Annotated[int, Field(alias="status5xx")]


class PathCount(Model):
    """How often a path was asked for."""

    path: str
    count: float


class ErrorPathCount(Model):
    """How often a path answered with an error status."""

    path: str
    status: str
    count: float


class StatusCount(Model):
    """How often a status was answered."""

    status: str
    count: float


class Analytics(Model):
    """Seven of the eight answers at once: all but the requests over time."""

    overall_requests: OverallRequests
    request_distribution: list[StatusCount]
    rpm: RPM
    success_percentage: float
    top_error_paths: list[ErrorPathCount]
    top_hit_paths: list[PathCount]


class _Operations:
    @operation(
        "GetProjectEnvironmentAnalytics",
        "GET",
        "/v1/projects/{project_id}/environments/{environment_id}/analytics",
    )
    def summary(
        self,
        project_id: str,
        environment_id: str,
        *,
        start: UnixSecond | None = None,
        end: UnixSecond | None = None,
    ) -> Analytics:
        """Return seven of the eight answers in one request: all but `requests_over_time`.

        Parameters
        ----------
        start, end
            Unix seconds, half open; the last hour when they are not given.
        """
        raise NotImplementedError

    @operation(
        "GetProjectEnvironmentAnalyticsOverallRequests",
        "GET",
        "/v1/projects/{project_id}/environments/{environment_id}/analytics/overall-requests",
    )
    def overall_requests(
        self,
        project_id: str,
        environment_id: str,
        *,
        start: UnixSecond | None = None,
        end: UnixSecond | None = None,
    ) -> OverallRequests:
        """Return the number of requests, in all and by class of status.

        Parameters
        ----------
        start, end
            Unix seconds, half open; the last hour when they are not given.
        """
        raise NotImplementedError

    @operation(
        "GetProjectEnvironmentAnalyticsRPM",
        "GET",
        "/v1/projects/{project_id}/environments/{environment_id}/analytics/rpm",
    )
    def rpm(
        self,
        project_id: str,
        environment_id: str,
        *,
        start: UnixSecond | None = None,
        end: UnixSecond | None = None,
    ) -> RPM:
        """Return the peak and average requests per minute.

        Parameters
        ----------
        start, end
            Unix seconds, half open; the last hour when they are not given.
        """
        raise NotImplementedError

    @operation(
        "GetProjectEnvironmentAnalyticsSuccessPercentage",
        "GET",
        "/v1/projects/{project_id}/environments/{environment_id}/analytics/success-percentage",
    )
    def success_percentage(
        self,
        project_id: str,
        environment_id: str,
        *,
        start: UnixSecond | None = None,
        end: UnixSecond | None = None,
    ) -> SuccessPercentage:
        """Return the share of 2xx and 3xx answers, 0 to 100.

        Parameters
        ----------
        start, end
            Unix seconds, half open; the last hour when they are not given.
        """
        raise NotImplementedError

    @operation(
        "GetProjectEnvironmentAnalyticsRequestsOverTime",
        "GET",
        "/v1/projects/{project_id}/environments/{environment_id}/analytics/requests-over-time",
    )
    def requests_over_time(
        self,
        project_id: str,
        environment_id: str,
        *,
        start: UnixSecond | None = None,
        end: UnixSecond | None = None,
    ) -> Listing[RequestsOverTimeRow]:
        """Return the number of requests of each interval, by class of status.

        Parameters
        ----------
        start, end
            Unix seconds, half open; the last hour when they are not given.
        """
        raise NotImplementedError

    @operation(
        "GetProjectEnvironmentAnalyticsTopHitPaths",
        "GET",
        "/v1/projects/{project_id}/environments/{environment_id}/analytics/top-hit-paths",
    )
    def top_hit_paths(
        self,
        project_id: str,
        environment_id: str,
        *,
        start: UnixSecond | None = None,
        end: UnixSecond | None = None,
    ) -> Listing[PathCount]:
        """Return the ten paths asked for most.

        Parameters
        ----------
        start, end
            Unix seconds, half open; the last hour when they are not given.
        """
        raise NotImplementedError

    @operation(
        "GetProjectEnvironmentAnalyticsTopErrorPaths",
        "GET",
        "/v1/projects/{project_id}/environments/{environment_id}/analytics/top-error-paths",
    )
    def top_error_paths(
        self,
        project_id: str,
        environment_id: str,
        *,
        start: UnixSecond | None = None,
        end: UnixSecond | None = None,
    ) -> Listing[ErrorPathCount]:
        """Return the ten paths and statuses with most 4xx and 5xx answers.

        Parameters
        ----------
        start, end
            Unix seconds, half open; the last hour when they are not given.
        """
        raise NotImplementedError

    @operation(
        "GetProjectEnvironmentAnalyticsRequestDistribution",
        "GET",
        "/v1/projects/{project_id}/environments/{environment_id}/analytics/request-distribution",
    )
    def request_distribution(
        self,
        project_id: str,
        environment_id: str,
        *,
        start: UnixSecond | None = None,
        end: UnixSecond | None = None,
    ) -> Listing[StatusCount]:
        """Return the number of answers of each status.

        Parameters
        ----------
        start, end
            Unix seconds, half open; the last hour when they are not given.
        """
        raise NotImplementedError


class AnalyticsOperations(_Operations, Resource):
    """Analytics: what an environment answered, by time, status and path."""


class AsyncAnalyticsOperations(_Operations, AsyncResource):
    """Analytics, awaiting."""
