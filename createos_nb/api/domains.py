"""Domains: names of your own that lead to an environment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field

from createos_nb.api.listing import Listing
from createos_nb.api.message import Exchange
from createos_nb.api.model import Model, Omissible, Timestamp, known
from createos_nb.api.operation import operation
from createos_nb.api.procedure import Procedure
from createos_nb.api.projects import Created
from createos_nb.api.resource import AsyncResource, Resource
from createos_nb.api.waiting import until
from createos_nb.errors import NotFound, WaitFailed
from createos_nb.markup import one_line

STATUSES = ("pending", "issuing", "updating", "active", "error", "deleting")
"""The documented states, in the order of a domain's life."""

DomainStatus = Annotated[str, known(*STATUSES)]

DomainName = Annotated[
    str,
    Field(
        min_length=3,
        max_length=255,
        # RFC 1035, section 2.3.1: labels of letters, digits and inner hyphens, the last of which is no number, as
        # an address's is (RFC 3696, section 2). The API bounds only the length.
        pattern=r"^([a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.)+[a-zA-Z]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$",
        description="labels of letters, digits and inner hyphens with dots between them, such as api.example.com",
    ),
]


class Domain(Model):
    """A name of your own, and the environment it leads to."""

    id: str
    project_id: str
    name: str
    status: DomainStatus
    """Only an ``active`` one may change environment."""
    environment_id: str | None = None
    message: str | None = None
    """Why it is not active."""
    records: Omissible[dict[str, Any]] = None
    """What to enter at the registrar."""
    failed_verification_count: int = 0
    last_failed_verified_at: Timestamp | None = None
    created_at: Timestamp
    updated_at: Omissible[Timestamp] = None
    deleting_at: Timestamp | None = None
    domain_certificate_id: str | None = None


class _Operations:
    @operation("CreateDomain", "POST", "/v1/projects/{project_id}/domains", safety="creates", status=201)
    def create(self, project_id: str, *, name: DomainName, environment_id: str | None = None) -> Created:
        """Add a domain to a project; it is ``pending`` until `refresh` finds its records.

        Parameters
        ----------
        name
            3 to 255 characters, such as ``"api.example.com"``.
        environment_id
            The environment it is to lead to.

        Raises
        ------
        Conflict
            The name is taken.
        """
        raise NotImplementedError

    @operation("ListDomains", "GET", "/v1/projects/{project_id}/domains")
    def list(self, project_id: str) -> Listing[Domain]:
        """List a project's domains."""
        raise NotImplementedError

    @operation(
        "RefreshDomain", "POST", "/v1/projects/{project_id}/domains/{domain_id}/refresh", safety="idempotent"
    )
    def refresh(self, project_id: str, domain_id: str) -> str:
        """Check a pending domain's records now.

        Raises
        ------
        Unprocessable
            The domain is not ``pending``.
        """
        raise NotImplementedError

    @operation(
        "UpdateDomainEnvironment",
        "PUT",
        "/v1/projects/{project_id}/domains/{domain_id}/environment",
        safety="idempotent",
    )
    def update_environment(self, project_id: str, domain_id: str, *, environment_id: str | None) -> str:
        """Lead an active domain to another environment.

        Parameters
        ----------
        environment_id
            An environment of the same project; None leads it nowhere.

        Raises
        ------
        Unprocessable
            The domain is not ``active``.
        """
        raise NotImplementedError

    @operation("DeleteDomain", "DELETE", "/v1/projects/{project_id}/domains/{domain_id}", safety="destroys")
    def delete(self, project_id: str, domain_id: str) -> str:
        """Remove a domain."""
        raise NotImplementedError


def _active(domain: Domain) -> bool:
    if domain.status in {"error", "deleting"}:
        why = one_line(domain.message or "no reason given", limit=300).rstrip(".")
        raise WaitFailed(f"{domain.name} ended as {domain.status}: {why}.", outcome=domain.status, last=domain)
    return domain.status == "active"


class _Procedures(_Operations):
    @Procedure
    def get(self, project_id: str, domain_id: str) -> Exchange[Domain]:
        """Return one domain, out of the list of its project.

        Raises
        ------
        NotFound
            The project has no such domain.
        """
        for domain in (yield from Domains.list.exchange(project_id)):
            if domain.id == domain_id:
                return domain
        raise NotFound(
            f"The project has no domain {one_line(domain_id)}. Check the id, or whether it was deleted.",
            operation="ListDomains",
        )

    @Procedure
    def wait(
        self,
        project_id: str,
        domain_id: str,
        *,
        timeout_s: float = 900.0,
        on_change: Callable[[Any], None] | None = None,
        progress: bool = True,
    ) -> Exchange[Domain]:
        """Wait until a domain is active.

        A ``pending`` one needs its `records` at the registrar; `refresh` has them looked at now.

        Parameters
        ----------
        timeout_s
            Seconds to wait; a registrar may take hours.
        on_change
            Called with the domain at every change.
        progress
            Whether to show its status and the time, in a notebook or at a terminal.

        Returns
        -------
        Domain
            Always one that is ``active``; an unknown status is waited out, never taken for success.

        Raises
        ------
        WaitFailed
            It ended otherwise; ``outcome`` is ``"error"``, ``"deleting"`` or ``"vanished"``, and ``last`` the
            domain as last seen.
        Unauthorized
            The key was refused meanwhile; the verification goes on.
        TimedOut
            It was not active within ``timeout_s``; call again to go on waiting.
        """
        domain: Domain = yield from until(
            lambda: Domains.get.function(self, project_id, domain_id),
            _active,
            timeout_s=timeout_s,
            what=f"Domain {domain_id} being active",
            on_change=on_change,
            progress=progress,
        )
        return domain


class Domains(_Procedures, Resource):
    """Domains: names of your own that lead to an environment."""


class AsyncDomains(_Procedures, AsyncResource):
    """Domains, awaiting."""
