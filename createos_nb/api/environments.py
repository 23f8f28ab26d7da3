"""Environments: where a project's deployments serve; each with variables, resources and one live deployment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field, WrapValidator

from createos_nb.api.branch import Branch, fitting, unless_image
from createos_nb.api.listing import Listing
from createos_nb.api.message import Exchange
from createos_nb.api.model import Bounds, Model, Omissible, Sent, Timestamp, known, without_empty
from createos_nb.api.operation import operation
from createos_nb.api.parameter import Query
from createos_nb.api.procedure import Procedure
from createos_nb.api.projects import Availability, Created, Description, DisplayName, Id, Port, UniqueName
from createos_nb.api.resource import AsyncResource, Resource
from createos_nb.api.secret import Secret
from createos_nb.api.waiting import until
from createos_nb.errors import NotFound, WaitFailed

EnvironmentStatus = Annotated[str, known("active", "updating", "promoting", "resizing", "deleting")]

Cpu = Annotated[int, Bounds(minimum=200, maximum=500)]
Memory = Annotated[int, Bounds(minimum=500, maximum=1024)]
Replicas = Annotated[int, Bounds(minimum=1, maximum=3)]
PlainDescription = Annotated[
    str,
    Field(
        min_length=4,
        max_length=2048,
        pattern=r"^[a-zA-Z0-9 _-]+$",
        description="letters, digits, spaces, underscores and hyphens",
    ),
]


class Resources(Sent):
    """What each environment may use."""

    cpu: Cpu
    """Millicores, 200 to 500."""
    memory: Memory
    """MB, 500 to 1024."""
    replicas: Replicas
    """1 to 3."""

    def same_as(self, other: Resources | None) -> bool:
        """Whether these are the other's, whatever else a newer platform says of them."""
        return other is not None and (self.cpu, self.memory, self.replicas) == (
            other.cpu,
            other.memory,
            other.replicas,
        )


class EnvironmentSettings(Sent):
    """The variables its processes are started with."""

    run_envs: dict[str, Secret] = Field(default_factory=dict)


class EnvironmentExtra(Model):
    """Where it answers."""

    endpoint: Omissible[str] = None
    custom_domains: tuple[str, ...] = ()


class Environment(Model):
    """An environment: what is live on it and what it may use."""

    id: str
    project_id: str
    unique_name: str
    display_name: str
    description: Omissible[str] = None
    status: EnvironmentStatus
    branch: Omissible[str] = None
    is_auto_promote_enabled: bool = False
    project_deployment_id: str | None = None
    """The deployment that is live."""
    resources: Omissible[Resources] = None
    settings: Annotated[EnvironmentSettings, WrapValidator(without_empty)] = EnvironmentSettings()
    extra: EnvironmentExtra = EnvironmentExtra()
    created_at: Timestamp
    updated_at: Omissible[Timestamp] = None


class _Operations:
    @operation(
        "CreateProjectEnvironment",
        "POST",
        "/v1/projects/{project_id}/environments",
        safety="creates",
        status=201,
        before=fitting,
    )
    def create(
        self,
        project_id: str,
        *,
        unique_name: UniqueName,
        display_name: DisplayName,
        description: Description | None,
        resources: Resources,
        settings: EnvironmentSettings,
        branch: Branch | None = None,
        is_auto_promote_enabled: bool = False,
    ) -> Created:
        """Create an environment.

        Parameters
        ----------
        unique_name
            4 to 32 letters, digits or hyphens; part of its address.
        display_name
            4 to 48 letters, digits, spaces, ``_`` or ``-``.
        description
            4 to 2048 characters, or None. Only letters, digits, spaces, ``_`` and ``-`` can be written
            back by `update`, so keep to them.
        resources
            cpu 200 to 500 millicores, memory 500 to 1024 MB, 1 to 3 replicas.
        settings
            The variables of its processes.
        branch
            The branch a vcs project's environment follows, required there; an image project has none. The
            project is read first, to know which it is.
        is_auto_promote_enabled
            Put every successful deployment live by itself.
        """
        raise NotImplementedError

    @operation("ListProjectEnvironments", "GET", "/v1/projects/{project_id}/environments")
    def list(self, project_id: str) -> Listing[Environment]:
        """List a project's environments with their variables (masked), resources and live deployment."""
        raise NotImplementedError

    @operation(
        "CheckProjectEnvironmentUniqueName",
        "POST",
        "/v1/projects/{project_id}/environments/available-unique-name",
        safety="read",
    )
    def check_unique_name(self, project_id: str, *, unique_name: UniqueName) -> Availability:
        """Say whether an environment name is free in this project."""
        raise NotImplementedError

    @operation(
        "UpdateProjectEnvironment",
        "PUT",
        "/v1/projects/{project_id}/environments/{environment_id}",
        safety="idempotent",
        before=unless_image,
    )
    def update(
        self,
        project_id: str,
        environment_id: str,
        *,
        display_name: DisplayName,
        description: PlainDescription,
        branch: Branch | None = None,
        is_auto_promote_enabled: bool | None = None,
    ) -> str:
        """Replace an environment's names, description, branch and auto-promotion.

        The whole object is written: pass what is to stay as well.

        Parameters
        ----------
        display_name
            4 to 48 letters, digits, spaces, ``_`` or ``-``.
        description
            4 to 2048 letters, digits, spaces, ``_`` or ``-``: tighter than when it was created.
        branch
            Branch it follows; an image project has none, and is read first, to know whether it is one.
        is_auto_promote_enabled
            Put every successful deployment live by itself.
        """
        raise NotImplementedError

    @operation(
        "DeleteProjectEnvironment",
        "DELETE",
        "/v1/projects/{project_id}/environments/{environment_id}",
        safety="destroys",
    )
    def delete(self, project_id: str, environment_id: str) -> str:
        """Delete an environment; what is live on it stops."""
        raise NotImplementedError

    @operation(
        "AssignDeploymentToProjectEnvironment",
        "POST",
        "/v1/projects/{project_id}/environments/{environment_id}/assign-deployment",
        safety="idempotent",
    )
    def assign_deployment(self, project_id: str, environment_id: str, *, deployment_id: Id) -> str:
        """Make a deployment live on an environment; it goes on in the background, see `wait`.

        Parameters
        ----------
        deployment_id
            A deployment of the same project whose status is ``deployed``.

        Raises
        ------
        Unprocessable
            The deployment cannot serve.
        """
        raise NotImplementedError

    @operation(
        "UpdateProjectEnvironmentResources",
        "PUT",
        "/v1/projects/{project_id}/environments/{environment_id}/resources",
        safety="idempotent",
    )
    def update_resources(
        self, project_id: str, environment_id: str, *, cpu: Cpu, memory: Memory, replicas: Replicas
    ) -> str:
        """Scale an environment; it goes on in the background, see `wait`.

        Parameters
        ----------
        cpu
            Millicores for each replica, 200 to 500.
        memory
            MB for each replica, 500 to 1024.
        replicas
            Processes, 1 to 3.
        """
        raise NotImplementedError

    @operation(
        "UpdateProjectEnvironmentEnvironmentVariables",
        "PUT",
        "/v1/projects/{project_id}/environments/{environment_id}/environment-variables",
        safety="idempotent",
    )
    def update_variables(
        self, project_id: str, environment_id: str, *, run_envs: dict[str, Secret], port: Port | None = None
    ) -> str:
        """Replace all variables of an environment; they take effect with its next deployment.

        Parameters
        ----------
        run_envs
            The whole map: a name that is left out is removed.
        port
            1 to 65535 (image projects only).
        """
        raise NotImplementedError

    @operation("GetProjectEnvironmentLogs", "GET", "/v1/projects/{project_id}/environments/{environment_id}/logs")
    def logs(
        self,
        project_id: str,
        environment_id: str,
        *,
        since_seconds: Annotated[int, Field(ge=1), Query("since-seconds")] | None = None,
    ) -> str:
        """Return what an environment's processes printed, as one text.

        Parameters
        ----------
        since_seconds
            Seconds to look back; CreateOS uses 60 when it is not given.

        Notes
        -----
        Answers ``"Listening for logs..."`` when there is nothing.
        """
        raise NotImplementedError


def find(environments: Listing[Environment], environment_id: str) -> Environment:
    """Return the environment with this id; there is no operation that gets a single one.

    Raises
    ------
    NotFound
        The project has no such environment.
    """
    for environment in environments:
        if environment.id == environment_id:
            return environment
    raise NotFound(
        f"The project has no environment {environment_id}. Check the id, or whether it was deleted.",
        operation="ListProjectEnvironments",
        status=404,
    )


def _settled(deployment_id: str | None, resources: Resources | None) -> Callable[[Environment], bool]:
    """Return a test of whether an environment has come to rest after a change.

    A change is accepted before it shows: an environment that is still ``active`` as it was before counts as
    at rest only when it was seen busy since, or has stayed so for several reads (about 10 s).
    """
    reads, was_busy = 0, False

    def settled(environment: Environment) -> bool:
        nonlocal reads, was_busy
        reads += 1
        if environment.status == "deleting":
            raise WaitFailed(
                f"{environment.unique_name} is being deleted.", outcome=environment.status, last=environment
            )
        if environment.status != "active":
            was_busy = True
            return False
        if deployment_id not in {None, environment.project_deployment_id}:
            other = "other_deployment", f"another deployment is live, not {deployment_id}. Read its logs"
        elif resources is not None and not resources.same_as(environment.resources):
            other = "other_resources", f"with other resources than {resources}. Scale again"
        else:
            return True
        if was_busy or reads > 8:
            outcome, what = other
            raise WaitFailed(f"{environment.unique_name} is active, but {what}.", outcome=outcome, last=environment)
        return False

    return settled


class _Procedures(_Operations):
    @Procedure
    def get(self, project_id: str, environment_id: str) -> Exchange[Environment]:
        """Return one environment, out of the list of its project.

        Raises
        ------
        NotFound
            The project has no such environment.
        """
        return find((yield from Environments.list.exchange(project_id)), environment_id)

    @Procedure
    def wait(
        self,
        project_id: str,
        environment_id: str,
        *,
        deployment_id: str | None = None,
        resources: Resources | None = None,
        timeout_s: float = 300.0,
        on_change: Callable[[Any], None] | None = None,
        progress: bool = True,
    ) -> Exchange[Environment]:
        """Wait until an environment is active, and serves a given deployment.

        Parameters
        ----------
        deployment_id
            The deployment that is to be live; None for whichever is.
        resources
            The resources that are to be in force; None for whichever are.
        timeout_s
            Seconds to wait.
        on_change
            Called with the environment at every change.
        progress
            Whether to show its status and the time, in a notebook or at a terminal.

        Returns
        -------
        Environment
            As it is once active, always with what was given.

        Raises
        ------
        WaitFailed
            It came to rest otherwise; ``outcome`` is ``"other_deployment"`` (the promotion failed, and what was
            live still is), ``"other_resources"``, ``"deleting"`` or ``"vanished"``, and ``last`` the environment.
        Unauthorized
            The key was refused meanwhile; the change goes on.
        TimedOut
            It was not active within ``timeout_s``.
        """
        environment: Environment = yield from until(
            lambda: Environments.get.function(self, project_id, environment_id),
            _settled(deployment_id, resources),
            timeout_s=timeout_s,
            what=f"Environment {environment_id} being active",
            on_change=on_change,
            progress=progress,
        )
        return environment


class Environments(_Procedures, Resource):
    """Environments: where a project's deployments serve."""


class AsyncEnvironments(_Procedures, AsyncResource):
    """Environments, awaiting."""
