"""Apps: groups of projects and services that belong together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from createos_nb.api.listing import Listing
from createos_nb.api.model import Model, Omissible, Timestamp
from createos_nb.api.operation import operation
from createos_nb.api.projects import Created, Project
from createos_nb.api.resource import AsyncResource, Resource

AppName = Annotated[str, Field(min_length=2, max_length=255)]
Colour = Annotated[str, Field(pattern=r"^#[0-9A-Fa-f]{6}$", description="a colour such as #1f77b4")]
AppDescription = Annotated[str, Field(min_length=1, max_length=2048)]


class App(Model):
    """A group of projects and services."""

    id: str
    name: str
    description: str | None = None
    color: Omissible[str] = None
    user_id: Omissible[str] = None
    created_at: Timestamp
    updated_at: Omissible[Timestamp] = None


class Service(Model):
    """A managed service of an app; the API promises nothing of it."""

    id: Omissible[str] = None
    name: Omissible[str] = None
    type: Omissible[str] = None
    status: Omissible[str] = None
    details: Omissible[dict[str, Any]] = None


class _Operations:
    @operation("CreateApp", "POST", "/v1/apps", safety="creates")
    def create(
        self, *, name: AppName, description: AppDescription | None = None, color: Colour | None = None
    ) -> Created:
        """Create an app.

        Parameters
        ----------
        name
            2 to 255 characters.
        description
            1 to 2048 characters.
        color
            Such as ``"#1f77b4"``.
        """
        raise NotImplementedError

    @operation("ListApps", "GET", "/v1/apps")
    def list(self) -> Listing[App]:
        """List your apps."""
        raise NotImplementedError

    @operation("UpdateApp", "PATCH", "/v1/apps/{app_id}", safety="idempotent")
    def update(
        self,
        app_id: str,
        *,
        name: Annotated[str, Field(min_length=1, max_length=255)],
        description: AppDescription | None = None,
        color: Colour | None = None,
    ) -> str:
        """Change an app; what is None stays as it is.

        Parameters
        ----------
        name
            1 to 255 characters; always sent, since the API requires it.
        description
            1 to 2048 characters.
        color
            Such as ``"#1f77b4"``.

        Raises
        ------
        NotFound
            There is no such app.
        """
        raise NotImplementedError

    @operation("DeleteApp", "DELETE", "/v1/apps/{app_id}", safety="destroys")
    def delete(self, app_id: str) -> str:
        """Delete an app; its projects and services stay.

        Raises
        ------
        NotFound
            There is no such app.
        """
        raise NotImplementedError

    @operation("ListProjectsByApp", "GET", "/v1/apps/{app_id}/projects", paged=True)
    def list_projects(
        self,
        app_id: str,
        *,
        page_size: Annotated[int, Field(ge=1, le=20)] = 20,
        max_rows: Annotated[int, Field(ge=1)] | None = None,
    ) -> Listing[Project]:
        """List an app's projects.

        Parameters
        ----------
        page_size
            Rows a request, 1 to 20.
        max_rows
            Rows in all; None for every one.
        """
        raise NotImplementedError

    @operation("AddProjectsToApp", "POST", "/v1/apps/{app_id}/projects", safety="idempotent")
    def add_projects(self, app_id: str, *, project_ids: Sequence[str]) -> str:
        """Put projects into an app; a project is in one app at most.

        Parameters
        ----------
        project_ids
            Whose they are; one that is in another app leaves that.
        """
        raise NotImplementedError

    @operation("RemoveProjectsFromApp", "POST", "/v1/apps/{app_id}/projects/remove", safety="idempotent")
    def remove_projects(self, app_id: str, *, project_ids: Sequence[str]) -> str:
        """Take projects out of an app; they stay as they are.

        Parameters
        ----------
        project_ids
            Which of the app's projects.
        """
        raise NotImplementedError

    @operation("ListServicesByApp", "GET", "/v1/apps/{app_id}/services", paged=True)
    def list_services(
        self,
        app_id: str,
        *,
        page_size: Annotated[int, Field(ge=1, le=20)] = 20,
        max_rows: Annotated[int, Field(ge=1)] | None = None,
    ) -> Listing[Service]:
        """List an app's services.

        Parameters
        ----------
        page_size
            Rows a request, 1 to 20.
        max_rows
            Rows in all; None for every one.
        """
        raise NotImplementedError

    @operation("AddServicesToApp", "POST", "/v1/apps/{app_id}/services", safety="idempotent")
    def add_services(self, app_id: str, *, service_ids: Sequence[str]) -> str:
        """Put services into an app.

        Parameters
        ----------
        service_ids
            Which services.
        """
        raise NotImplementedError

    @operation("RemoveServicesFromApp", "POST", "/v1/apps/{app_id}/services/remove", safety="idempotent")
    def remove_services(self, app_id: str, *, service_ids: Sequence[str]) -> str:
        """Take services out of an app; they stay as they are.

        Parameters
        ----------
        service_ids
            Which of the app's services.
        """
        raise NotImplementedError


class Apps(_Operations, Resource):
    """Apps: groups of projects and services that belong together."""


class AsyncApps(_Operations, AsyncResource):
    """Apps, awaiting."""
