"""Cron jobs: what an environment does by the clock."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from createos_nb.api.listing import Listing
from createos_nb.api.model import Model, Omissible, Sent, Timestamp, known
from createos_nb.api.operation import operation
from createos_nb.api.projects import Created, Id
from createos_nb.api.resource import AsyncResource, Resource
from createos_nb.api.secret import Secret, Settings

STATUSES = ("pending", "building", "active", "suspending", "suspended", "deleting", "deleted")
"""The documented states."""

CronjobStatus = Annotated[str, known(*STATUSES)]
_FIELDS = "minute, hour, day of the month, month and day of the week, such as 0 3 * * 1-5"


def _at_some_time(schedule: str) -> str:
    """Refuse what runs at no time that anybody meant; the API itself bounds only the length."""
    from cronsim import CronSim, CronSimError

    # Other schedulers write ? for any day, and 15W for the weekday nearest to the 15th.
    plain = re.sub(r"(\d)W\b", r"\1", schedule.replace("?", "*"))
    try:
        if len(plain.split()) != 5:
            raise CronSimError("it has not five fields")
        CronSim(plain, datetime(2000, 1, 1))  # noqa: DTZ001 - of no zone: only whether it can be read
    except CronSimError as error:
        raise ValueError(f"{str(error).lower()}; it must be {_FIELDS}") from None
    return schedule


Schedule = Annotated[str, Field(max_length=256, description=_FIELDS), AfterValidator(_at_some_time)]
JobName = Annotated[str, Field(min_length=1, max_length=255)]


class HttpCall(Sent):
    """The request that an ``http`` job sends to its environment."""

    path: Annotated[str, Field(max_length=2048)]
    method: Literal["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"]
    headers: dict[str, Secret] | None = None
    body: Annotated[str, Field(max_length=65536)] | None = None
    timeout_in_seconds: Annotated[int, Field(ge=1, le=5)] | None = None


class Cronjob(Model):
    """Something that an environment does by the clock."""

    id: str
    project_id: str
    environment_id: str
    name: str
    schedule: str
    type: Annotated[str, known("http", "artifact")]
    status: CronjobStatus
    settings: Settings | None = None
    metadata: dict[str, Any] | None = None
    suspended_at: Timestamp | None = None
    suspend_text: str | None = None
    suspended_by_owner: bool | None = None
    user_request_terminated_at: Timestamp | None = None
    created_at: Timestamp
    updated_at: Omissible[Timestamp] = None


class CronjobActivity(Model):
    """One run of a cron job."""

    id: str
    cron_job_id: str
    scheduled_at: Timestamp
    success: bool | None = None
    """None while it runs."""
    status_code: int | None = None
    log: str | None = None
    created_at: Timestamp


class _Operations:
    @operation("CreateCronjob", "POST", "/v1/projects/{project_id}/cronjobs", safety="creates")
    def create(
        self,
        project_id: str,
        *,
        name: JobName,
        schedule: Schedule,
        type: Literal["http", "artifact"],
        environment_id: Id,
        settings: HttpCall | None = None,
    ) -> Created:
        """Create a cron job.

        Parameters
        ----------
        name
            1 to 255 characters.
        schedule
            Five fields, such as ``"0 3 * * 1-5"``, at most 256 characters.
        type
            ``"http"`` asks the application, ``"artifact"`` runs what was built.
        environment_id
            Whose it is.
        settings
            What an ``http`` job sends.
        """
        raise NotImplementedError

    @operation("ListCronjobs", "GET", "/v1/projects/{project_id}/cronjobs")
    def list(self, project_id: str) -> Listing[Cronjob]:
        """List a project's cron jobs."""
        raise NotImplementedError

    @operation("GetCronjob", "GET", "/v1/projects/{project_id}/cronjobs/{cronjob_id}")
    def get(self, project_id: str, cronjob_id: str) -> Cronjob:
        """Return one cron job.

        Raises
        ------
        NotFound
            The project has no such cron job.
        """
        raise NotImplementedError

    @operation("UpdateCronjob", "PUT", "/v1/projects/{project_id}/cronjobs/{cronjob_id}", safety="idempotent")
    def update(
        self,
        project_id: str,
        cronjob_id: str,
        *,
        name: JobName,
        schedule: Schedule,
        settings: HttpCall | None = None,
    ) -> str:
        """Change a cron job.

        Parameters
        ----------
        name
            1 to 255 characters.
        schedule
            Five fields, such as ``"0 3 * * 1-5"``, at most 256 characters.
        settings
            What an ``http`` job sends.
        """
        raise NotImplementedError

    @operation("DeleteCronjob", "DELETE", "/v1/projects/{project_id}/cronjobs/{cronjob_id}", safety="destroys")
    def delete(self, project_id: str, cronjob_id: str) -> str:
        """Begin to delete a cron job.

        Raises
        ------
        NotFound
            The project has no such cron job.
        """
        raise NotImplementedError

    @operation("ListCronjobActivities", "GET", "/v1/projects/{project_id}/cronjobs/{cronjob_id}/activities")
    def list_activities(self, project_id: str, cronjob_id: str) -> Listing[CronjobActivity]:
        """List the runs of a cron job."""
        raise NotImplementedError

    @operation(
        "SuspendCronjob", "POST", "/v1/projects/{project_id}/cronjobs/{cronjob_id}/suspend", safety="idempotent"
    )
    def suspend(self, project_id: str, cronjob_id: str) -> str:
        """Let a cron job rest until `unsuspend`."""
        raise NotImplementedError

    @operation(
        "UnsuspendCronjob", "POST", "/v1/projects/{project_id}/cronjobs/{cronjob_id}/unsuspend", safety="idempotent"
    )
    def unsuspend(self, project_id: str, cronjob_id: str) -> str:
        """Let a suspended cron job run again."""
        raise NotImplementedError


class Cronjobs(_Operations, Resource):
    """Cron jobs: what an environment does by the clock."""


class AsyncCronjobs(_Operations, AsyncResource):
    """Cron jobs, awaiting."""
