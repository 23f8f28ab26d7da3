"""Templates: there are none, since this platform has no marketplace for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from createos_nb.api.templates import TemplateCounts
from createos_nb.errors import NotFound
from createos_nb.platform.handlers.gaps import refuse
from createos_nb.platform.platform import Context

ROWS_IN = {
    "ListPublishedProjectTemplates": "templates",
    "ListMyProjectTemplates": "templates",
    "ListProjectTemplatePurchases": "purchases",
    "ListProjectTemplateRejections": "rejections",
}
"""Where these lists have their rows; other pages have them in ``data``, and other lists are their rows."""


async def create(
    context: Context,
    *,
    name: str,
    description: str,
    overview: str,
    use_cases: str,
    project_id: str,
    environment_id: str,
    image_uri: str,
    project_configuration: dict[str, Any],
    environment_configuration: dict[str, Any],
    deployment_resources: dict[str, Any],
    build_resources: dict[str, Any],
    categories: Sequence[str] | None,
    amount: float | None,
    video_url: str | None,
) -> NoReturn:
    """Refuse: there is no marketplace."""
    context.environment(project_id, environment_id)
    raise refuse("CreateProjectTemplate")


async def list_published(
    _context: Context,
    *,
    name: str | None,
    categories: str | None,
    limit: int,
    offset: int,
) -> dict[str, Any]:
    """List the published templates: none."""
    return _none("ListPublishedProjectTemplates", limit, offset)


async def list_mine(_context: Context, *, limit: int, offset: int) -> dict[str, Any]:
    """List the user's templates: none."""
    return _none("ListMyProjectTemplates", limit, offset)


async def list_purchases(_context: Context, *, limit: int, offset: int) -> dict[str, Any]:
    """List what the user bought: nothing."""
    return _none("ListProjectTemplatePurchases", limit, offset)


async def counts(_context: Context, *, name: str | None) -> TemplateCounts:
    """Count the templates."""
    return TemplateCounts(total=0)


async def any_of(_context: Context, *, template_id: str) -> NoReturn:
    """Refuse: there is no template that could be named."""
    raise NotFound.answer(f"There is no template {template_id} here.")


async def update(
    context: Context,
    *,
    template_id: str,
    name: str,
    description: str,
    overview: str,
    use_cases: str,
    video_url: str,
    image_uri: str,
    categories: Sequence[str] | None,
    amount: float | None,
) -> NoReturn:
    """Refuse: there is no template that could be named."""
    await any_of(context, template_id=template_id)


async def download(_context: Context, *, purchase_id: str) -> NoReturn:
    """Refuse: there is no purchase that could be named."""
    raise NotFound.answer(f"There is no purchase {purchase_id} here.")


async def deploy(
    context: Context,
    *,
    purchase_id: str,
    installation_id: int,
) -> NoReturn:
    """Refuse: there is no purchase that could be named."""
    await download(context, purchase_id=purchase_id)


def _none(operation: str, limit: int, offset: int) -> dict[str, Any]:
    return {ROWS_IN[operation]: [], "pagination": {"total": 0, "limit": limit, "offset": offset, "count": 0}}


HANDLERS = {
    "CreateProjectTemplate": create,
    "ListPublishedProjectTemplates": list_published,
    "ListMyProjectTemplates": list_mine,
    "ListProjectTemplatePurchases": list_purchases,
    "ListProjectTemplateCounts": counts,
    "GetProjectTemplate": any_of,
    "UpdateProjectTemplate": update,
    "DeleteProjectTemplate": any_of,
    "UpdateProjectTemplateStatus": any_of,
    "ListProjectTemplateRejections": any_of,
    "BuyProjectTemplate": any_of,
    "DownloadProjectTemplate": download,
    "DeployProjectTemplateViaGithub": deploy,
}
