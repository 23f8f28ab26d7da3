"""Projects."""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import Sequence
from datetime import timedelta

from pydantic.alias_generators import to_camel

from createos_nb.api.domains import Domain
from createos_nb.api.listing import Page
from createos_nb.api.project_settings import settings_of
from createos_nb.api.projects import (
    Availability,
    Created,
    ImageSettings,
    Project,
    Projects,
    SupportedType,
    Transfer,
    TransferUri,
    UploadSettings,
    VcsSettings,
    VcsSource,
)
from createos_nb.api.secret import Secret
from createos_nb.errors import BadRequest, Conflict, Forbidden, NotFound, Unprocessable
from createos_nb.platform.frameworks import FRAMEWORKS
from createos_nb.platform.handlers.apps import app_of
from createos_nb.platform.handlers.paging import page
from createos_nb.platform.platform import Context
from createos_nb.platform.runtimes import PROGRAMS, runs
from createos_nb.platform.store import digest
from createos_nb.platform.variables import checked

MAX_PROJECTS = 200
TRANSFER_TIME = timedelta(hours=6)
PYTHONS = tuple((3, minor) for minor in range(11, 16))
"""Versions that are looked for on this machine."""


_CLEARED = frozenset(
    {"framework", "runtime", "port", "directory_path", "install_command", "build_command", "run_command"}
    | {"build_dir", "build_flag", "run_flag"}
)
"""Settings that may be sent as null: there is none then, and it is found out from the files."""


async def create(
    context: Context,
    *,
    unique_name: str,
    display_name: str,
    type: str,
    settings: UploadSettings | VcsSettings | ImageSettings,
    source: VcsSource | None,
    description: str | None,
    app_id: str | None,
    enabled_security_scan: bool,
) -> Created:
    """Create a project."""
    if (source is not None) != (type == "vcs"):
        raise BadRequest.answer("A project of type vcs has a source, and the other types have none.")
    if type == "image" and settings.port is None:
        raise BadRequest.answer("settings.port is required for a project of type image.")
    _refuse_unstartable(settings)
    if _is_a_domains(context, unique_name):
        raise Conflict.answer(f"Somebody's domain ends in {unique_name}.localhost. Choose another name.")
    if app_id is not None:
        app_of(context, app_id)
    if len(context.store.find(Project, user_id=context.user_id, deleted_at=None)) >= MAX_PROJECTS:
        raise Forbidden.answer(f"You have {MAX_PROJECTS} projects, which is the quota. Delete one first.")
    project = context.store.add(
        Project,
        user_id=context.user_id,
        unique_name=unique_name,
        display_name=display_name,
        type=type,
        status="active",
        description=description,
        app_id=app_id,
        source_json=source if source is not None else {},
        settings_json=settings,
        enabled_security_scan=enabled_security_scan,
    )
    return Created(id=project.id)


async def list_all(
    context: Context,
    *,
    name: str | None,
    type: str | None,
    status: str | None,
    app: str | None,
    limit: int,
    offset: int,
) -> Page:
    """List a user's projects, newest first."""
    filters: list[tuple[str, object]] = [("deleted_at", None)] if status is None else [("status", status)]
    filters += [(column, value) for column, value in (("unique_name", name), ("type", type)) if value is not None]
    if app is not None:
        filters.append(("app_id", None if app == "null" else app))
    rows, total = context.store.project_page(context.user_id, filters, limit, offset)
    return page(rows, total, limit, offset)


async def get(context: Context, *, project_id: str) -> Project:
    """Return one project."""
    return context.project(project_id)


async def check_unique_name(context: Context, *, unique_name: str) -> Availability:
    """Say whether a name is free, regardless of case and of whose project has it."""
    taken = context.store.find(Project, unique_name=unique_name, deleted_at=None)
    return Availability(is_available=not taken and not _is_a_domains(context, unique_name))


async def update_settings(
    context: Context,
    *,
    project_id: str,
    runtime: str | None,
    framework: str | None,
    port: int | None,
    directory_path: str | None,
    install_command: str | None,
    build_command: str | None,
    run_command: str | None,
    build_dir: str | None,
    build_flag: str | None,
    build_flags: dict[str, str] | None,
    run_flag: str | None,
    build_vars: dict[str, Secret] | None,
    run_envs: dict[str, Secret] | None,
    has_dockerfile: bool | None,
    use_build_ai: bool | None,
    ignore_branches: Sequence[str] | None,
) -> str:
    """Change settings; they apply from the next deployment."""
    project = context.project(project_id)
    given = {
        "runtime": runtime,
        "framework": framework,
        "port": port,
        "directory_path": directory_path,
        "install_command": install_command,
        "build_command": build_command,
        "run_command": run_command,
        "build_dir": build_dir,
        "build_flag": build_flag,
        "build_flags": build_flags,
        "run_flag": run_flag,
        "has_dockerfile": has_dockerfile,
        "use_build_ai": use_build_ai,
        "ignore_branches": list(ignore_branches) if ignore_branches is not None else None,
        "build_vars": build_vars,
        "run_envs": run_envs,
    }
    for name in sorted(context.cleared):
        if name not in _CLEARED or (name == "port" and project.type == "image"):
            raise BadRequest.answer(f"{to_camel(name)} cannot be null. Leave it out, and it stays as it is.")
    changes = {name: value for name, value in given.items() if value is not None or name in context.cleared}
    for name in changes:
        if name not in settings_of(project.type).model_fields:
            raise BadRequest.answer(f"{to_camel(name)} is refused: a project of type {project.type} has none.")
    settings = (project.settings or VcsSettings()).model_copy(update=changes)
    _refuse_unstartable(settings)
    context.store.change(Project, project.id, settings_json=settings)
    return "Project settings updated"


async def update(
    context: Context,
    *,
    project_id: str,
    display_name: str,
    description: str | None,
    enabled_security_scan: bool | None,
) -> str:
    """Change how a project is shown; what is not sent stays, and what is sent as null is no more."""
    changes: dict[str, object] = {}
    if description is not None or "description" in context.cleared:
        changes["description"] = description
    if enabled_security_scan is not None or "enabled_security_scan" in context.cleared:
        changes["enabled_security_scan"] = bool(enabled_security_scan)
    context.store.change(Project, context.project(project_id).id, display_name=display_name, **changes)
    return "Project updated"


async def suspend(context: Context, *, project_id: str) -> str:
    """Begin to stop everything that a project serves."""
    context.lifecycle.suspend(context.active_project(project_id))
    return "Project suspended"


async def unsuspend(context: Context, *, project_id: str) -> str:
    """Begin to serve a suspended project again."""
    project = context.project(project_id)
    if project.status != "suspended":
        raise Unprocessable.answer(f"The project is {project.status}.")
    context.lifecycle.unsuspend(project)
    return "Project unsuspended"


async def transfer_uri(context: Context, *, project_id: str) -> TransferUri:
    """Make a token for another user; only its digest is kept."""
    project = context.project(project_id)
    token, expires_at = secrets.token_urlsafe(32), context.now() + TRANSFER_TIME
    context.store.add(
        Transfer, project_id=project.id, from_user_id=context.user_id, digest=digest(token), expires_at=expires_at
    )
    uri = (
        f"{context.platform.api_url}{Projects.transfer.request(project.id, token=Secret(token)).path}?token={token}"
    )
    return TransferUri(token=Secret(token), frontend_uri=Secret(uri), expires_at=expires_at)


async def transfer(context: Context, *, project_id: str, token: Secret) -> str:
    """Take over a project; the token is good once."""
    found = context.store.find(Transfer, project_id=project_id, digest=digest(token.reveal()), to_user_id=None)
    if not found or found[0].expires_at is None or found[0].expires_at <= context.now():
        raise NotFound.answer("This transfer token is not known, was used, or has expired. Ask for a new one.")
    if found[0].from_user_id == context.user_id:
        raise Unprocessable.answer("The project is yours already.")
    project = context.store.get(Project, project_id, user_id=found[0].from_user_id, deleted_at=None)
    if project.status == "deleting":
        raise Unprocessable.answer("The project is being deleted.")
    if len(context.store.find(Project, user_id=context.user_id, deleted_at=None)) >= MAX_PROJECTS:
        raise Forbidden.answer(f"You have {MAX_PROJECTS} projects, which is the quota. Delete one first.")
    with context.store.transaction():
        context.store.change(Transfer, found[0].id, to_user_id=context.user_id)
        context.store.change(Project, project.id, user_id=context.user_id, app_id=None)
    return "Project transferred"


async def list_transfers(context: Context, *, project_id: str) -> list[Transfer]:
    """List from whom to whom a project went, newest first."""
    made = context.store.find(Transfer, project_id=context.project(project_id).id)
    return [transfer for transfer in made if transfer.to_user_id is not None]


async def delete(context: Context, *, project_id: str) -> str:
    """Begin to delete a project."""
    context.lifecycle.delete_project(context.project(project_id))
    return "Project is being deleted"


async def supported_types(_context: Context) -> list[SupportedType]:
    """Return the runtimes that this machine has what it takes for, and the frameworks that run on them."""
    programs = {"python{}.{}".format(*version): "python:{}.{}".format(*version) for version in PYTHONS}
    programs |= {program: name for name, program in PROGRAMS.items() if name != "python"}
    running = await asyncio.gather(*map(runs, programs))
    # A version manager has programs on PATH that only say that their version is not installed.
    own = "python:{}.{}".format(*sys.version_info[:2])
    there = [name for name, each in zip(programs.values(), running, strict=True) if each or name == own]
    found: dict[str, list[str]] = {}
    for name in there:
        found.setdefault(name.partition(":")[0], []).append(name)
    runtimes = [name for names in (*found.values(), ["static"]) for name in names]
    return [
        *(SupportedType(name=name, type="runtime", runtimes=(name,)) for name in runtimes),
        *(
            SupportedType(name=name, type="framework", runtimes=tuple(found[framework.runtime]))
            for name, framework in FRAMEWORKS.items()
            if framework.runtime in found
        ),
    ]


def _is_a_domains(context: Context, unique_name: str) -> bool:
    """Whether a domain is, or ends in, what would be a project's own address."""
    address = f".{unique_name}.localhost".lower()
    return any(f".{domain.name}".endswith(address) for domain in context.store.find(Domain))


def _refuse_unstartable(settings: UploadSettings | VcsSettings | ImageSettings) -> None:
    """Refuse settings that no program could be started with."""
    checked(settings.run_envs)
    if isinstance(settings, ImageSettings):
        return
    checked(settings.build_vars)
    if any("\0" in text for _, text in settings if isinstance(text, str)):
        raise BadRequest.answer("The settings have a NUL character, which no command or path can hold.")


HANDLERS = {
    "CreateProject": create,
    "ListProjects": list_all,
    "GetProject": get,
    "CheckProjectUniqueName": check_unique_name,
    "UpdateProjectSettings": update_settings,
    "UpdateProject": update,
    "SuspendProject": suspend,
    "UnsuspendProject": unsuspend,
    "GetProjectTransferUri": transfer_uri,
    "TransferProject": transfer,
    "ListProjectTransferHistory": list_transfers,
    "DeleteProject": delete,
    "GetSupportedProjectTypes": supported_types,
}
