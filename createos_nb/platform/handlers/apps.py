"""Apps. There are no managed services on this platform, so that no app has any."""

from __future__ import annotations

from collections.abc import Sequence

from createos_nb.api.apps import App
from createos_nb.api.listing import Page
from createos_nb.api.projects import Created, Project
from createos_nb.errors import BadRequest, NotFound
from createos_nb.platform.handlers.paging import page
from createos_nb.platform.platform import Context


async def create(context: Context, *, name: str, description: str | None, color: str | None) -> Created:
    """Create an app."""
    app = context.store.add(App, user_id=context.user_id, name=name, description=description, color=color)
    return Created(id=app.id)


async def list_all(context: Context) -> list[App]:
    """List a user's apps, newest first."""
    return context.store.find(App, user_id=context.user_id)


async def update(context: Context, *, app_id: str, name: str, description: str | None, color: str | None) -> str:
    """Change an app."""
    given = {"name": name, "description": description, "color": color}
    if "color" in context.cleared:
        raise BadRequest.answer("color cannot be null. Leave it out, and it stays as it is.")
    changes = {column: value for column, value in given.items() if value is not None or column in context.cleared}
    context.store.change(App, app_of(context, app_id).id, **changes)
    return "App updated"


async def delete(context: Context, *, app_id: str) -> str:
    """Delete an app; its projects stay."""
    app = app_of(context, app_id)
    with context.store.transaction():
        for project in context.store.find(Project, app_id=app.id):
            context.store.change(Project, project.id, app_id=None)
        context.store.remove(App, app.id)
    return "App deleted"


async def list_projects(context: Context, *, app_id: str, limit: int, offset: int) -> Page:
    """List an app's projects, newest first."""
    filters = [("deleted_at", None), ("app_id", app_of(context, app_id).id)]
    rows, total = context.store.project_page(context.user_id, filters, limit, offset)
    return page(rows, total, limit, offset)


async def add_projects(context: Context, *, app_id: str, project_ids: Sequence[str]) -> str:
    """Put projects into an app."""
    app = app_of(context, app_id)
    projects = [context.project(project_id) for project_id in project_ids]
    with context.store.transaction():
        for project in projects:
            context.store.change(Project, project.id, app_id=app.id)
    return "Projects added to the app"


async def remove_projects(context: Context, *, app_id: str, project_ids: Sequence[str]) -> str:
    """Take projects out of an app; those that are not in it are left alone."""
    app = app_of(context, app_id)
    projects = [context.project(project_id) for project_id in project_ids]
    with context.store.transaction():
        for project in projects:
            if project.app_id == app.id:
                context.store.change(Project, project.id, app_id=None)
    return "Projects removed from the app"


async def list_services(context: Context, *, app_id: str, limit: int, offset: int) -> Page:
    """List an app's services: none."""
    app_of(context, app_id)
    return page([], 0, limit, offset)


async def change_services(context: Context, *, app_id: str, service_ids: Sequence[str]) -> str:
    """Put services into an app or take them out: there are none that could be named."""
    app_of(context, app_id)
    if service_ids:
        raise NotFound.answer(f"There is no service {service_ids[0]} here.")
    return "Nothing to change"


def app_of(context: Context, app_id: str) -> App:
    """Return an app of this user, or raise `NotFound`."""
    return context.store.get(App, app_id, user_id=context.user_id)


HANDLERS = {
    "CreateApp": create,
    "ListApps": list_all,
    "UpdateApp": update,
    "DeleteApp": delete,
    "ListProjectsByApp": list_projects,
    "AddProjectsToApp": add_projects,
    "RemoveProjectsFromApp": remove_projects,
    "ListServicesByApp": list_services,
    "AddServicesToApp": change_services,
    "RemoveServicesFromApp": change_services,
}
