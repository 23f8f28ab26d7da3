"""Domains: names of your own that lead to an environment."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from createos_nb.api.listing import Listing
from createos_nb.api.model import Model, Timestamp, known
from createos_nb.api.operation import operation
from createos_nb.api.projects import Created
from createos_nb.api.resource import AsyncResource, Resource

STATUSES = ("pending", "issuing", "updating", "active", "error", "deleting")
"""The documented states, in the order of a domain's life."""

DomainStatus = Annotated[str, known(*STATUSES)]
DomainName = Annotated[
    str,
    Field(
        min_length=3,
        max_length=255,
        # RFC 1035, section 2.3.1: labels of letters, digits and inner hyphens. The API bounds only the length.
        pattern=r"^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)+$",
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
    records: dict[str, Any] | None = None
    """What to enter at the registrar."""
    failed_verification_count: int = 0
    last_failed_verified_at: Timestamp | None = None
    created_at: Timestamp
    updated_at: Timestamp | None = None
    deleting_at: Timestamp | None = None


class _Operations:
    @operation("CreateDomain", "POST", "/v1/projects/{project_id}/domains", safety="creates")
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


class Domains(_Operations, Resource):
    """Domains: names of your own that lead to an environment."""


class AsyncDomains(_Operations, AsyncResource):
    """Domains, awaiting."""
