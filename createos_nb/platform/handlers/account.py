"""Account."""

from __future__ import annotations

from createos_nb.api.account import Quota, Quotas, User
from createos_nb.api.projects import Project
from createos_nb.platform.handlers.api_keys import MAX_KEYS, in_use
from createos_nb.platform.handlers.projects import MAX_PROJECTS
from createos_nb.platform.platform import Context


async def user(context: Context) -> User:
    """Return whose key this is."""
    return context.store.get(User, context.user_id)


async def quotas(context: Context) -> Quotas:
    """Return what there is of projects and keys, and may be."""
    projects = len(context.store.find(Project, user_id=context.user_id, deleted_at=None))
    keys = len(in_use(context))
    return Quotas(projects=_quota(projects, MAX_PROJECTS), api_keys=_quota(keys, MAX_KEYS))


def _quota(current: int, most: int) -> Quota:
    return Quota.model_validate({"current": current, "max": most, "remaining": max(0, most - current)})


HANDLERS = {"GetCurrentUser": user, "GetQuotas": quotas}
