"""Rows: what the platform answered, as rows of a frame; the one bridge from models to frames.

Each function takes the unique names a person knows and a model, and gives the mapping (or mappings) that
`Kind.frame` of the kind with the same name takes::

    schema.PROJECTS.frame(map(schema.project_row, listing), complete=listing.complete)

The environments of a project are asked for where a row says what leads to, or is live on, one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TypeVar

from createos_nb.api.account import Quotas, User
from createos_nb.api.analytics import (
    RPM,
    Analytics,
    ErrorPathCount,
    OverallRequests,
    PathCount,
    RequestsOverTimeRow,
    StatusCount,
)
from createos_nb.api.api_keys import APIKey
from createos_nb.api.deployments import BuildLogLine, Deployment
from createos_nb.api.domains import Domain
from createos_nb.api.environments import Environment
from createos_nb.api.projects import Project, SupportedType
from createos_nb.timerange import TimeRange

Row = dict[str, object]
Counted = TypeVar("Counted", PathCount, ErrorPathCount)

DEFAULT_INTERVAL_S = 60
"""Length of an interval when there is only one, and so nothing to infer it from."""


def project_row(project: Project) -> Row:
    """Return the row of a project for `PROJECTS`."""
    return {
        "project": project.unique_name,
        "project_id": project.id,
        "display_name": project.display_name,
        "type": project.type,
        "status": project.status,
        "description": project.description,
        "app_id": project.app_id,
        "created_at": project.created_at,
        "updated_at": project.updated_at,
    }


def environment_row(project: str, environment: Environment) -> Row:
    """Return the row of an environment for `ENVIRONMENTS`."""
    return {
        **resource_row(project, environment),
        "project_id": environment.project_id,
        "environment_id": environment.id,
        "display_name": environment.display_name,
        "description": environment.description,
        "status": environment.status,
        "branch": environment.branch or None,
        "auto_promote": environment.is_auto_promote_enabled,
        "deployment_id": environment.project_deployment_id,
        "endpoint": environment.extra.endpoint,
        "created_at": environment.created_at,
        "updated_at": environment.updated_at,
    }


def deployment_row(project: str, deployment: Deployment, environments: Iterable[Environment]) -> Row:
    """Return the row of a deployment for `DEPLOYMENTS`; add ``live`` for `LIVE_DEPLOYMENTS`."""
    source = deployment.source or {}
    return {
        "project": project,
        "project_id": deployment.project_id,
        "deployment_id": deployment.id,
        "version": deployment.version,
        "status": deployment.status,
        "created_at": deployment.created_at,
        "branch": source.get("branch"),
        "commit": source.get("commit"),
        "message": source.get("commitMessage") or source.get("image"),
        "environments": live_on(environments).get(deployment.id, ""),
    }


def live_on(environments: Iterable[Environment]) -> dict[str, str]:
    """Return the names of the environments that each deployment is live on, by its id, joined by commas."""
    names: dict[str, list[str]] = {}
    for environment in environments:
        if environment.project_deployment_id is not None:
            names.setdefault(environment.project_deployment_id, []).append(environment.unique_name)
    return {identity: ",".join(sorted(found)) for identity, found in names.items()}


def domain_row(project: str, domain: Domain, environments: Iterable[Environment]) -> Row:
    """Return the row of a domain for `DOMAINS`."""
    names = {environment.id: environment.unique_name for environment in environments}
    return {
        "project": project,
        "project_id": domain.project_id,
        "domain": domain.name,
        "domain_id": domain.id,
        "status": domain.status,
        "environment": names.get(domain.environment_id) if domain.environment_id else None,
        "environment_id": domain.environment_id,
        "message": domain.message,
        "created_at": domain.created_at,
    }


def api_key_row(key: APIKey) -> Row:
    """Return the row of an API key for `API_KEYS`."""
    return {
        "name": key.name,
        "api_key_id": key.id,
        "description": key.description,
        "created_at": key.created_at,
        "expires_at": key.expired_at,
        "revoked_at": key.revoked_at,
    }


def quota_rows(quotas: Quotas) -> list[Row]:
    """Return the rows for `QUOTAS`."""
    return [
        {"resource": name, "used": quota.current, "limit": quota.max, "remaining": quota.remaining}
        for name, quota in (("projects", quotas.projects), ("api_keys", quotas.api_keys))
    ]


def user_rows(user: User) -> list[Row]:
    """Return the rows for `USER`, one for each thing the platform knows."""
    return [{"field": name, "value": value} for name, value in user.model_dump(mode="json").items()]


def supported_type_row(supported: SupportedType) -> Row:
    """Return the row of a runtime or a framework for `SUPPORTED_TYPES`."""
    return {"kind": supported.type, "name": supported.name}


def variable_rows(project: str, environment: Environment) -> list[Row]:
    """Return the rows of an environment for `VARIABLES`; the values stay masked."""
    return [
        {"project": project, "environment": environment.unique_name, "name": name, "value": str(value)}
        for name, value in sorted(environment.settings.run_envs.items())
    ]


def resource_row(project: str, environment: Environment) -> Row:
    """Return the row of an environment for `RESOURCES`."""
    resources = environment.resources
    return {
        "project": project,
        "environment": environment.unique_name,
        "cpu_millicores": resources.cpu if resources else None,
        "memory_mb": resources.memory if resources else None,
        "replicas": resources.replicas if resources else None,
    }


def build_log_rows(project: str, deployment_id: str, lines: Iterable[BuildLogLine]) -> list[Row]:
    """Return the rows of a deployment for `BUILD_LOGS`."""
    return [
        {
            "project": project,
            "deployment_id": deployment_id,
            "timestamp": line.ts,
            "stage": line.stage,
            "line": line.line_number,
            "message": line.log,
        }
        for line in lines
    ]


def overall_requests_row(project: str, environment: str, window: TimeRange, answer: OverallRequests) -> Row:
    """Return the row of an environment for `OVERALL_REQUESTS`."""
    return {
        **_windowed(project, environment, window),
        "requests": round(answer.total),
        "success": round(answer.success),
        "client_errors": round(answer.client),
        "server_errors": round(answer.server),
    }


def rpm_row(project: str, environment: str, window: TimeRange, answer: RPM) -> Row:
    """Return the row of an environment for `RPM`."""
    return {
        **_windowed(project, environment, window),
        "rpm_peak": answer.peak,
        "rpm_average": answer.average,
    }


def success_percentage_row(project: str, environment: str, window: TimeRange, percentage: float) -> Row:
    """Return the row of an environment for `SUCCESS_PERCENTAGE`."""
    return {**_windowed(project, environment, window), "success_percentage": percentage}


def requests_over_time_rows(
    project: str,
    environment: str,
    window: TimeRange,
    answer: Sequence[RequestsOverTimeRow],
    *,
    now: datetime | None = None,
) -> list[Row]:
    """Return the rows of an environment for `REQUESTS_OVER_TIME`, oldest first.

    Parameters
    ----------
    project, environment
        Their unique names.
    window
        What was asked for; an interval that reaches out of it is partial.
    answer
        The platform's rows. The length of an interval is not documented, so it is the shortest distance
        between two of them.
    now
        The present, for tests; an interval that ends after it is partial, one without requests that
        begins after it is left out: there is nothing to say of it yet.
    """
    ordered = sorted(answer, key=lambda row: row.timestamp)
    steps = [after.timestamp - before.timestamp for before, after in pairwise(ordered)]
    interval_s = min((step for step in steps if step > 0), default=DEFAULT_INTERVAL_S)
    present = now or datetime.now(UTC)
    over = min(window.end, present)
    return [
        {
            "project": project,
            "environment": environment,
            "timestamp": (start := datetime.fromtimestamp(row.timestamp, UTC)),
            "requests": row.count,
            "status_2xx": row.status2xx,
            "status_3xx": row.status3xx,
            "status_4xx": row.status4xx,
            "status_5xx": row.status5xx,
            "interval_s": interval_s,
            "partial": start < window.start or start + timedelta(seconds=interval_s) > over,
        }
        for row in ordered
        # What has requests has begun, however late this machine's clock is.
        if row.timestamp <= present.timestamp() or row.count
    ]


def top_hit_path_rows(project: str, environment: str, window: TimeRange, answer: Iterable[PathCount]) -> list[Row]:
    """Return the rows of an environment for `TOP_HIT_PATHS`, most frequent first."""
    return [
        {
            **_windowed(project, environment, window),
            "rank": rank,
            "path": row.path,
            "requests": round(row.count),
        }
        for rank, row in _ranked(answer)
    ]


def top_error_path_rows(
    project: str, environment: str, window: TimeRange, answer: Iterable[ErrorPathCount]
) -> list[Row]:
    """Return the rows of an environment for `TOP_ERROR_PATHS`, most frequent first."""
    return [
        {
            **_windowed(project, environment, window),
            "rank": rank,
            "path": row.path,
            "status": row.status,
            "requests": round(row.count),
        }
        for rank, row in _ranked(answer)
    ]


def request_distribution_rows(
    project: str, environment: str, window: TimeRange, answer: Iterable[StatusCount]
) -> list[Row]:
    """Return the rows of an environment for `REQUEST_DISTRIBUTION`, by status."""
    held = sorted(answer, key=lambda row: row.status)
    total = sum(row.count for row in held)
    return [
        {
            **_windowed(project, environment, window),
            "status": row.status,
            "requests": round(row.count),
            "share": row.count / total if total else None,
        }
        for row in held
    ]


def summary_row(project: str, environment: str, window: TimeRange, answer: Analytics) -> Row:
    """Return the row of an environment for `SUMMARY`, from one answer that holds them all."""
    overall = answer.overall_requests
    paths = top_hit_path_rows(project, environment, window, answer.top_hit_paths)
    error_paths = top_error_path_rows(project, environment, window, answer.top_error_paths)
    return {
        **overall_requests_row(project, environment, window, overall),
        **rpm_row(project, environment, window, answer.rpm),
        "success_percentage": answer.success_percentage,
        "error_rate": overall.server / overall.total if overall.total else None,
        "top_path": paths[0]["path"] if paths else None,
        "top_error_path": error_paths[0]["path"] if error_paths else None,
    }


def _windowed(project: str, environment: str, window: TimeRange) -> Row:
    return {"project": project, "environment": environment, "start": window.start, "end": window.end}


def _ranked(answer: Iterable[Counted]) -> Iterator[tuple[int, Counted]]:
    return enumerate(sorted(answer, key=lambda row: -row.count), start=1)
