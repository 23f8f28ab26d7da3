"""Cron jobs: there are none, since this platform has no scheduler for them."""

from __future__ import annotations

from typing import NoReturn

from createos_nb.api.cronjobs import Cronjob, HttpCall
from createos_nb.errors import BadRequest, NotFound
from createos_nb.platform.handlers.gaps import refuse
from createos_nb.platform.platform import Context


async def create(
    context: Context,
    *,
    project_id: str,
    name: str,
    schedule: str,
    type: str,
    environment_id: str,
    settings: HttpCall | None,
) -> NoReturn:
    """Refuse: there is no scheduler."""
    context.environment(project_id, environment_id)
    if (settings is not None) != (type == "http"):
        raise BadRequest.answer("A cron job of type http has settings, and one of type artifact has none.")
    raise refuse("CreateCronjob")


async def list_all(context: Context, *, project_id: str) -> list[Cronjob]:
    """List a project's cron jobs: none."""
    context.project(project_id)
    return []


async def any_of(context: Context, *, project_id: str, cronjob_id: str) -> NoReturn:
    """Refuse: there is no cron job that could be named."""
    context.project(project_id)
    raise NotFound.answer(f"There is no cron job {cronjob_id} here.")


async def update(
    context: Context,
    *,
    project_id: str,
    cronjob_id: str,
    name: str,
    schedule: str,
    settings: HttpCall | None,
) -> NoReturn:
    """Refuse: there is no cron job that could be named."""
    await any_of(context, project_id=project_id, cronjob_id=cronjob_id)


HANDLERS = {
    "CreateCronjob": create,
    "ListCronjobs": list_all,
    "GetCronjob": any_of,
    "UpdateCronjob": update,
    "DeleteCronjob": any_of,
    "ListCronjobActivities": any_of,
    "SuspendCronjob": any_of,
    "UnsuspendCronjob": any_of,
}
