"""Projects: what is deployed; a repository, an image or uploaded files, with its build and run settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, WrapValidator

from createos_nb.api.listing import Listing
from createos_nb.api.model import Model, Omissible, Timestamp, known, without_empty
from createos_nb.api.operation import operation
from createos_nb.api.parameter import Body, Query
from createos_nb.api.project_settings import (
    ImageSettings as ImageSettings,
)
from createos_nb.api.project_settings import (
    Port as Port,
)
from createos_nb.api.project_settings import (
    Settings,
    ShortText,
    Source,
    fitting,
)
from createos_nb.api.project_settings import (
    UploadSettings as UploadSettings,
)
from createos_nb.api.project_settings import (
    VcsSettings as VcsSettings,
)
from createos_nb.api.project_settings import (
    VcsSource as VcsSource,
)
from createos_nb.api.resource import AsyncResource, Resource
from createos_nb.api.secret import Secret

ProjectType = Annotated[str, known("vcs", "image", "upload")]
ProjectStatus = Annotated[str, known("active", "suspended", "deleting", "deleted")]
"""``suspended`` is in no document, though `Projects.suspend` is: a project that serves nothing is not ``active``.
It cannot be filtered for, and is listed when no status is asked for."""

# A description says in words, for the person who is refused, what a pattern says for the machine.
UniqueName = Annotated[
    str,
    Field(min_length=4, max_length=32, pattern=r"^[a-zA-Z0-9-]+$", description="letters, digits and hyphens"),
]
DisplayName = Annotated[
    str,
    Field(
        min_length=4,
        max_length=48,
        pattern=r"^[a-zA-Z0-9 _-]+$",
        description="letters, digits, spaces, underscores and hyphens",
    ),
]
Description = Annotated[str, Field(min_length=4, max_length=2048)]
Id = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\s/\\%]+$", description="as the API lists it")]


class Project(Model):
    """A project: its type, its settings, and when it was made."""

    id: str
    unique_name: str
    display_name: str
    type: ProjectType
    status: ProjectStatus
    description: str | None = None
    app_id: str | None = None
    user_id: Omissible[str] = None
    source: Omissible[dict[str, Any]] = None
    settings: Omissible[Annotated[VcsSettings, WrapValidator(without_empty)]] = None
    enabled_security_scan: bool = False
    created_at: Timestamp
    updated_at: Omissible[Timestamp] = None
    deleted_at: Timestamp | None = None
    expire_at: Timestamp | None = None


class Created(Model):
    """What creating something answers: its id."""

    id: str


class Availability(Model):
    """Whether a name is free."""

    is_available: bool


class SupportedType(Model):
    """A runtime or a framework that the platform can build and run."""

    name: str
    type: Annotated[str, known("framework", "runtime")]
    runtimes: tuple[str, ...] = ()
    """Of a framework: the runtimes it can have."""
    editables: dict[str, Any] = Field(default_factory=dict)
    """Which settings a person may change."""


class TransferUri(Model):
    """What the recipient of a project needs, for six hours; whoever has it can take the project."""

    token: Secret
    frontend_uri: Secret = Field(
        description="Where the recipient takes it over. An embedded platform has no pages: there it is the address "
        "of the call itself, to be sent with the recipient's key in the header X-Api-Key."
    )
    """Holds the token."""
    expires_at: Timestamp


class Transfer(Model):
    """A project that went from one user to another."""

    id: str
    project_id: str
    from_user_id: str
    to_user_id: Omissible[str] = None
    expires_at: Omissible[Timestamp] = None
    """When the token expired, or would have."""
    created_at: Timestamp
    updated_at: Omissible[Timestamp] = None


class _Operations:
    @operation("CreateProject", "POST", "/v1/projects", safety="creates", status=201, check=fitting)
    def create(
        self,
        *,
        unique_name: UniqueName,
        display_name: DisplayName,
        type: Literal["vcs", "image", "upload"],
        settings: Settings,
        source: Source = None,
        description: Description | None = None,
        app_id: str | None = None,
        enabled_security_scan: bool = False,
    ) -> Created:
        """Create a project.

        Parameters
        ----------
        unique_name
            4 to 32 letters, digits or hyphens; part of its address, unique regardless of case.
        display_name
            4 to 48 letters, digits, spaces, ``_`` or ``-``.
        type
            ``"vcs"`` (GitHub), ``"image"`` (container image) or ``"upload"`` (files).
        settings
            `UploadSettings`, `VcsSettings` or `ImageSettings`, fitting the type.
        source
            The repository of a vcs project; the other types have none.
        description
            4 to 2048 characters.
        app_id
            The app to put it in.
        enabled_security_scan
            Scan every deployment.

        Raises
        ------
        Conflict
            The name is taken.
        """
        raise NotImplementedError

    @operation("ListProjects", "GET", "/v1/projects", paged=True)
    def list(
        self,
        *,
        name: Annotated[str, Field(max_length=100)] | None = None,
        type: Literal["vcs", "image", "upload"] | None = None,
        status: Literal["active", "deleting", "deleted"] | None = None,
        app: str | None = None,
        page_size: Annotated[int, Field(ge=1, le=20)] = 20,
        max_rows: Annotated[int, Field(ge=1)] | None = None,
    ) -> Listing[Project]:
        """List your projects, newest first.

        Parameters
        ----------
        name
            Only those whose name contains this, at most 100 characters.
        type, status
            Only those of this type, in this state.
        app
            Only those of this app, by id; ``"null"`` for those without one.
        page_size
            Rows a request, 1 to 20.
        max_rows
            Rows in all; None for every one.
        """
        raise NotImplementedError

    @operation("GetProject", "GET", "/v1/projects/{project_id}")
    def get(self, project_id: str) -> Project:
        """Return one project with its settings.

        Raises
        ------
        NotFound
            There is no such project, or this key may not see it.
        """
        raise NotImplementedError

    @operation("CheckProjectUniqueName", "POST", "/v1/projects/available-unique-name", safety="read")
    def check_unique_name(self, *, unique_name: UniqueName) -> Availability:
        """Say whether a project name is free."""
        raise NotImplementedError

    @operation("UpdateProjectSettings", "PUT", "/v1/projects/{project_id}/settings", safety="idempotent")
    def update_settings(
        self,
        project_id: str,
        *,
        runtime: ShortText | None = None,
        framework: ShortText | None = None,
        port: Port | None = None,
        directory_path: ShortText | None = None,
        install_command: ShortText | None = None,
        build_command: ShortText | None = None,
        run_command: ShortText | None = None,
        build_dir: ShortText | None = None,
        build_flag: ShortText | None = None,
        build_flags: dict[str, str] | None = None,
        run_flag: ShortText | None = None,
        build_vars: dict[str, Secret] | None = None,
        run_envs: dict[str, Secret] | None = None,
        has_dockerfile: bool | None = None,
        use_build_ai: Annotated[bool, Body("useBuildAI")] | None = None,
        ignore_branches: Sequence[ShortText] | None = None,
    ) -> str:
        """Replace settings of a project; they apply from the next deployment.

        Parameters
        ----------
        port
            1 to 65535.
        runtime, framework, directory_path, install_command, build_command, run_command, build_dir
            Texts of at most 255 characters; what is not given keeps its value.
        build_flag, run_flag
            Appended to the build and the run command.
        build_flags
            Of a vcs project: flags by name.
        build_vars, run_envs
            Whole maps: a name that is left out is removed.
        has_dockerfile
            Build with the repository's own Dockerfile.
        use_build_ai
            Find out from the files how to build.
        ignore_branches
            Of a vcs project: branches whose pushes deploy nothing.
        """
        raise NotImplementedError

    @operation("UpdateProject", "PUT", "/v1/projects/{project_id}", safety="idempotent")
    def update(
        self,
        project_id: str,
        *,
        display_name: DisplayName,
        description: Description | None = None,
        enabled_security_scan: bool | None = None,
    ) -> str:
        """Change how a project is shown, and whether its deployments are scanned.

        Parameters
        ----------
        display_name
            4 to 48 letters, digits, spaces, ``_`` or ``-``; always sent, since the API requires it.
        description
            4 to 2048 characters.
        enabled_security_scan
            Scan every deployment.
        """
        raise NotImplementedError

    @operation("SuspendProject", "PUT", "/v1/projects/{project_id}/suspend", safety="idempotent", tool=None)
    def suspend(self, project_id: str) -> str:
        """Stop everything that a project serves, until `unsuspend`; has no MCP tool."""
        raise NotImplementedError

    @operation("UnsuspendProject", "PUT", "/v1/projects/{project_id}/unsuspend", safety="idempotent", tool=None)
    def unsuspend(self, project_id: str) -> str:
        """Serve a suspended project again; has no MCP tool."""
        raise NotImplementedError

    @operation("GetProjectTransferUri", "GET", "/v1/projects/{project_id}/transfer-uri", safety="creates")
    def transfer_uri(self, project_id: str) -> TransferUri:
        """Make a token with which another user can take over a project, for six hours.

        Notes
        -----
        A GET that creates: it is never repeated by itself.
        """
        raise NotImplementedError

    @operation("TransferProject", "GET", "/v1/projects/{project_id}/transfer", safety="destroys")
    def transfer(self, project_id: str, *, token: Annotated[Secret, Query("token")]) -> str:
        """Take over a project of another user, who made the token; this cannot be undone.

        Parameters
        ----------
        token
            From `transfer_uri`, at most six hours old.

        Notes
        -----
        A GET that changes: it is never repeated by itself.
        """
        raise NotImplementedError

    @operation("ListProjectTransferHistory", "GET", "/v1/projects/{project_id}/transfer-history")
    def list_transfers(self, project_id: str) -> Listing[Transfer]:
        """List from whom to whom a project went."""
        raise NotImplementedError

    @operation("DeleteProject", "DELETE", "/v1/projects/{project_id}", safety="destroys")
    def delete(self, project_id: str) -> str:
        """Delete a project with everything in it; it goes on in the background."""
        raise NotImplementedError

    @operation("GetSupportedProjectTypes", "GET", "/v1/projects/supported")
    def supported_types(self) -> Listing[SupportedType]:
        """List the runtimes and frameworks that the platform can build."""
        raise NotImplementedError


class Projects(_Operations, Resource):
    """Projects: what is deployed; a repository, an image or uploaded files."""


class AsyncProjects(_Operations, AsyncResource):
    """Projects, awaiting."""
