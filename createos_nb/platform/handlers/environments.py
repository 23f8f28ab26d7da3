"""Environments."""

from __future__ import annotations

import asyncio

from pydantic.alias_generators import to_camel

from createos_nb.api.deployments import Deployment
from createos_nb.api.domains import Domain
from createos_nb.api.environments import Environment, EnvironmentExtra, EnvironmentSettings, Resources
from createos_nb.api.projects import Availability, Created
from createos_nb.api.secret import Secret
from createos_nb.errors import BadRequest, Conflict, Unprocessable
from createos_nb.platform.handlers.deployments import DEFAULT_LOGS_S, MAX_LOGS_S
from createos_nb.platform.platform import Context
from createos_nb.platform.variables import checked

MAX_ENVIRONMENTS = 20


async def create(
    context: Context,
    *,
    project_id: str,
    unique_name: str,
    display_name: str,
    description: str | None,
    resources: Resources,
    settings: EnvironmentSettings,
    branch: str | None,
    is_auto_promote_enabled: bool,
) -> Created:
    """Create an environment; with auto-promotion on, the newest good deployment goes live at once."""
    project = context.project(project_id)
    if (branch is not None) != (project.type == "vcs"):
        raise BadRequest.answer("An environment of a vcs project follows a branch; of the other types, none.")
    context.active_project(project_id)
    checked(settings.run_envs)
    host = f"{unique_name}.{project.unique_name}.localhost"
    if context.store.find(Domain, name=host):
        raise Conflict.answer(f"The name {host} is a domain already. Choose another name.")
    if len(context.store.find(Environment, project_id=project.id)) >= MAX_ENVIRONMENTS:
        raise Conflict.answer(f"The project has {MAX_ENVIRONMENTS} environments, the most there can be.")
    environment = context.store.add(
        Environment,
        project_id=project.id,
        unique_name=unique_name,
        display_name=display_name,
        description=description,
        status="active",
        branch=branch,
        is_auto_promote_enabled=is_auto_promote_enabled,
        resources_json=resources,
        settings_json=settings,
    )
    context.lifecycle.route(environment.id)
    live = {each.project_deployment_id for each in context.store.find(Environment, project_id=project.id)}
    built = [
        deployment
        for deployment in context.store.find(Deployment, project_id=project.id)
        if deployment.status == "deployed" or (deployment.status == "sleeping" and deployment.id in live)
    ]
    if is_auto_promote_enabled and built:
        context.lifecycle.promote(environment, built[0])
    return Created(id=environment.id)


async def list_all(context: Context, *, project_id: str) -> list[Environment]:
    """List a project's environments, oldest first, with where each answers."""
    environments = context.store.find(Environment, project_id=context.project(project_id).id)
    port = context.platform.gateway_url.rpartition(":")[2]
    listed = []
    for environment in reversed(environments):
        own, *_ = context.lifecycle.hosts(environment)
        domains = context.store.find(Domain, environment_id=environment.id, status="active")
        names = tuple(domain.name for domain in domains)
        extra = EnvironmentExtra(endpoint=f"http://{own}:{port}", custom_domains=names)
        listed.append(environment.model_copy(update={"extra": extra}))
    return listed


async def check_unique_name(context: Context, *, project_id: str, unique_name: str) -> Availability:
    """Say whether a name is free in the project, regardless of case."""
    project = context.project(project_id)
    taken = context.store.find(Environment, project_id=project.id)
    names = {environment.unique_name.lower() for environment in taken}
    return Availability(is_available=unique_name.lower() not in names)


async def update(
    context: Context,
    *,
    project_id: str,
    environment_id: str,
    display_name: str,
    description: str,
    branch: str | None,
    is_auto_promote_enabled: bool | None,
) -> str:
    """Replace names, description, branch and auto-promotion."""
    environment = context.environment(project_id, environment_id)
    of_a_repository = context.project(project_id).type == "vcs"
    if branch is not None and not of_a_repository:
        raise BadRequest.answer("Only an environment of a vcs project follows a branch.")
    for name in context.cleared - ({"branch"} if not of_a_repository else set()):
        raise BadRequest.answer(f"{to_camel(name)} cannot be null. Leave it out, and it stays as it is.")
    changes = {"branch": branch, "is_auto_promote_enabled": is_auto_promote_enabled}
    context.store.change(
        Environment,
        environment.id,
        display_name=display_name,
        description=description,
        **{name: value for name, value in changes.items() if value is not None},
    )
    return "Project environment updated"


async def delete(context: Context, *, project_id: str, environment_id: str) -> str:
    """Begin to delete an environment."""
    context.lifecycle.delete_environment(context.environment(project_id, environment_id))
    return "Project environment is being deleted"


async def assign_deployment(context: Context, *, project_id: str, environment_id: str, deployment_id: str) -> str:
    """Begin to put a deployment live."""
    environment = context.environment(project_id, environment_id)
    deployment = context.deployment(project_id, deployment_id)
    # One that ended by itself may run with the variables or the memory that the environment has now.
    if deployment.status not in {"deployed", "sleeping", "crashing"}:
        raise Unprocessable.answer(
            f"Deployment {deployment.version} is {deployment.status}; only a deployed or sleeping one can serve."
        )
    _refuse_if_deleting(environment)
    context.active_project(project_id)
    context.lifecycle.promote(environment, deployment)
    return "Deployment is being assigned to the environment"


async def update_resources(
    context: Context, *, project_id: str, environment_id: str, cpu: int, memory: int, replicas: int
) -> str:
    """Begin to scale an environment."""
    environment = context.environment(project_id, environment_id)
    _refuse_if_deleting(environment)
    resources = Resources(cpu=cpu, memory=memory, replicas=replicas)
    context.lifecycle.resize(environment, resources)
    return "Environment is being resized"


async def update_variables(
    context: Context, *, project_id: str, environment_id: str, run_envs: dict[str, Secret], port: int | None
) -> str:
    """Replace the variables; they take effect with the next deployment or assignment."""
    environment = context.environment(project_id, environment_id)
    if port is not None and context.project(project_id).type != "image":
        raise BadRequest.answer("port can be changed here only for a project of type image.")
    checked(run_envs)
    # The port of its container is kept for when there are containers, as all of an image project is.
    kept = {"run_envs": run_envs, **({"port": port} if port is not None else {})}
    settings = environment.settings.model_copy(update=kept)
    context.store.change(Environment, environment.id, settings_json=settings)
    return "Environment variables updated"


async def logs(context: Context, *, project_id: str, environment_id: str, since_seconds: int | None) -> str:
    """Return what the processes of an environment printed."""
    environment = context.environment(project_id, environment_id)
    reading = context.lifecycle.runtime_logs.reading(
        environment_id=environment.id, since_s=min(since_seconds or DEFAULT_LOGS_S, MAX_LOGS_S)
    )
    text = await asyncio.to_thread(reading)
    return text or "Listening for logs..."


def _refuse_if_deleting(environment: Environment) -> None:
    if environment.status == "deleting":
        raise Unprocessable.answer("The environment is being deleted.")


HANDLERS = {
    "CreateProjectEnvironment": create,
    "ListProjectEnvironments": list_all,
    "CheckProjectEnvironmentUniqueName": check_unique_name,
    "UpdateProjectEnvironment": update,
    "DeleteProjectEnvironment": delete,
    "AssignDeploymentToProjectEnvironment": assign_deployment,
    "UpdateProjectEnvironmentResources": update_resources,
    "UpdateProjectEnvironmentEnvironmentVariables": update_variables,
    "GetProjectEnvironmentLogs": logs,
}
