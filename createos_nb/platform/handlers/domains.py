"""Domains: names under ``.localhost`` become active when refreshed; DNS is not part of this platform yet."""

from __future__ import annotations

from createos_nb.api.domains import Domain
from createos_nb.api.environments import Environment
from createos_nb.api.projects import Created, Project
from createos_nb.errors import Conflict, Unprocessable
from createos_nb.platform import endpoints
from createos_nb.platform.platform import Context

TARGET = "gateway.localhost"
"""What the CNAME record of a domain would have to name."""


async def create(context: Context, *, project_id: str, name: str, environment_id: str | None) -> Created:
    """Add a domain; it is pending until it is refreshed."""
    project = context.project(project_id)
    if environment_id is not None:
        environment_id = context.environment(project_id, environment_id).id
    if _is_given_out(context, project, name.lower()):
        raise Conflict.answer(
            f"{name} is an address of a project or an environment here, or may become one. Choose another."
        )
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


def _is_given_out(context: Context, project: Project, name: str) -> bool:
    """Whether a project, of whoever, has or may come to have an address; a domain must not take its requests.

    Under its own address a project may choose any name that none of its environments has.
    """
    if endpoints.is_a_deployments(name):
        return True
    rest = name.removesuffix(".localhost")
    environment, _, owner = rest.rpartition(".")
    if rest == name or "." in environment or not context.store.find(Project, unique_name=owner, deleted_at=None):
        return False
    if not environment or owner != project.unique_name.lower():
        return True
    return bool(context.store.find(Environment, project_id=project.id, unique_name=environment))


def _domain(context: Context, project_id: str, domain_id: str) -> Domain:
    return context.store.get(Domain, domain_id, project_id=context.project(project_id).id)


HANDLERS = {
    "CreateDomain": create,
    "ListDomains": list_all,
    "RefreshDomain": refresh,
    "UpdateDomainEnvironment": update_environment,
    "DeleteDomain": delete,
}
