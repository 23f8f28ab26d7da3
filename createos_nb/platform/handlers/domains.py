"""Domains: names under ``.localhost`` become active when refreshed; DNS is not part of this platform yet."""

from __future__ import annotations

from createos_nb.api.domains import Domain
from createos_nb.api.environments import Environment
from createos_nb.api.projects import Created, Project
from createos_nb.errors import Conflict, Unprocessable
from createos_nb.platform.platform import Context

TARGET = "gateway.localhost"
"""What the CNAME record of a domain would have to name."""


async def create(context: Context, *, project_id: str, name: str, environment_id: str | None) -> Created:
    """Add a domain; it is pending until it is refreshed."""
    project = context.project(project_id)
    if environment_id is not None:
        environment_id = context.environment(project_id, environment_id).id
    if _is_an_environments(context, name) or context.platform.endpoints.find(name.lower()) is not None:
        raise Conflict.answer(f"{name} is the name of an environment. Choose another.")
    domain = context.store.add(
        Domain,
        project_id=project.id,
        name=name.lower(),
        status="pending",
        environment_id=environment_id,
        message="Not verified yet. Refresh it.",
        records_json={"cname": TARGET},
    )
    return Created(id=domain.id)


async def list_all(context: Context, *, project_id: str) -> list[Domain]:
    """List a project's domains, newest first."""
    return context.store.find(Domain, project_id=context.project(project_id).id)


async def refresh(context: Context, *, project_id: str, domain_id: str) -> str:
    """Verify a pending domain."""
    domain = _domain(context, project_id, domain_id)
    if domain.status != "pending":
        raise Unprocessable.answer(f"The domain is {domain.status}; only a pending one can be refreshed.")
    if not domain.name.endswith(".localhost"):
        context.store.change(
            Domain,
            domain.id,
            message=f"No CNAME record of {domain.name} leads here: this platform looks up no DNS, and serves "
            "names that end in .localhost.",
            failed_verification_count=domain.failed_verification_count + 1,
            last_failed_verified_at=context.now(),
        )
        return "Domain is not verified yet"
    context.store.change(Domain, domain.id, status="active", message=None)
    context.lifecycle.route(domain.environment_id)
    return "Domain is active"


async def update_environment(
    context: Context, *, project_id: str, domain_id: str, environment_id: str | None
) -> str:
    """Lead an active domain to an environment, or nowhere."""
    domain = _domain(context, project_id, domain_id)
    if domain.status != "active":
        raise Unprocessable.answer(f"The domain is {domain.status}; only an active one may change environment.")
    if environment_id is not None:
        environment_id = context.environment(project_id, environment_id).id
    context.store.change(Domain, domain.id, environment_id=environment_id)
    context.lifecycle.route(domain.environment_id)
    context.lifecycle.route(environment_id)
    return "Domain environment updated"


async def delete(context: Context, *, project_id: str, domain_id: str) -> str:
    """Remove a domain."""
    domain = _domain(context, project_id, domain_id)
    context.store.remove(Domain, domain.id)
    context.lifecycle.route(domain.environment_id)
    return "Domain deleted"


def _is_an_environments(context: Context, name: str) -> bool:
    """Whether an environment, of whoever, answers to a name by itself; a domain must not take its requests."""
    environment, _, rest = name.partition(".")
    project, _, top = rest.rpartition(".")
    owners = context.store.find(Project, unique_name=project, deleted_at=None) if top.lower() == "localhost" else []
    return any(context.store.find(Environment, project_id=owner.id, unique_name=environment) for owner in owners)


def _domain(context: Context, project_id: str, domain_id: str) -> Domain:
    return context.store.get(Domain, domain_id, project_id=context.project(project_id).id)


HANDLERS = {
    "CreateDomain": create,
    "ListDomains": list_all,
    "RefreshDomain": refresh,
    "UpdateDomainEnvironment": update_environment,
    "DeleteDomain": delete,
}
