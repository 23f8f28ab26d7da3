"""Deployments."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from functools import partial
from typing import NoReturn

from createos_nb.api.deployments import BuildLogLine, Deployment, DeploymentExtra, Download, EncodedFile, SourceFile
from createos_nb.api.environments import Environment
from createos_nb.api.listing import Page
from createos_nb.api.projects import Created, Project
from createos_nb.api.secret import Secret
from createos_nb.errors import BadRequest, Unprocessable
from createos_nb.platform.archives import unpack_files, unpack_zip
from createos_nb.platform.endpoints import host_of
from createos_nb.platform.handlers.gaps import refuse
from createos_nb.platform.handlers.paging import page
from createos_nb.platform.platform import Context

DEFAULT_LOGS_S = 60
MAX_LOGS_S = 10 * 365 * 24 * 3600


async def list_all(context: Context, *, project_id: str, limit: int, offset: int) -> Page:
    """List a project's deployments, newest first."""
    rows, total = context.store.deployment_page(context.project(project_id).id, limit, offset)
    return page([_addressed(context, row) for row in rows], total, limit, offset)


async def get(context: Context, *, project_id: str, deployment_id: str) -> Deployment:
    """Return one deployment."""
    return _addressed(context, context.deployment(project_id, deployment_id))


def _addressed(context: Context, deployment: Deployment) -> Deployment:
    """Return it with where it answers by itself, once there is something that can."""
    if context.store.artefact(deployment.id) is None:
        return deployment
    host = host_of(context.store.get(Project, deployment.project_id), deployment)
    port = context.platform.gateway_url.rpartition(":")[2]
    return deployment.model_copy(update={"extra": DeploymentExtra(endpoint=f"http://{host}:{port}")})


async def upload_files(context: Context, *, project_id: str, files: Sequence[SourceFile]) -> Created:
    """Take text files as a new deployment."""
    project = _upload_project(context, project_id)
    contents = {file.path: file.content.encode() for file in files}
    if len(contents) < len(files):
        raise BadRequest.answer("Two of the files have the same path. Send each once.")
    source = {"files": len(files)}
    return Created(id=(await context.pipeline.upload(project, partial(unpack_files, contents), source)).id)


async def upload_base64_files(context: Context, *, project_id: str, files: Sequence[EncodedFile]) -> Created:
    """Take files in base64 as a new deployment."""
    project = _upload_project(context, project_id)
    contents = {file.path: base64.b64decode(file.content) for file in files}  # The model has seen that it is.
    if len(contents) < len(files):
        raise BadRequest.answer("Two of the files have the same path. Send each once.")
    source = {"files": len(files)}
    return Created(id=(await context.pipeline.upload(project, partial(unpack_files, contents), source)).id)


async def create(context: Context, *, project_id: str, image: str) -> NoReturn:
    """Refuse: no container images can be run."""
    project = context.project(project_id)
    if project.type != "image":
        raise Unprocessable.answer(f"A project of type {project.type} takes no images.")
    raise refuse("CreateDeployment")


async def trigger_latest(context: Context, *, project_id: str, branch: str | None) -> NoReturn:
    """Refuse: there is no git."""
    project = context.project(project_id)
    raise refuse("TriggerLatestDeployment") if project.type == "vcs" else _without_repository(project)


async def retrigger(
    context: Context, *, project_id: str, deployment_id: str, settings: str | None, branch: str | None
) -> NoReturn:
    """Refuse: what has deployments here was uploaded, and has no repository."""
    context.deployment(project_id, deployment_id)
    raise _without_repository(context.project(project_id))


def _without_repository(project: Project) -> Unprocessable:
    return Unprocessable.answer(f"A project of type {project.type} has no repository. Upload its files again.")


async def wake(context: Context, *, project_id: str, deployment_id: str) -> str:
    """Begin to start a sleeping deployment where it is live; else see whether it starts."""
    deployment = context.deployment(project_id, deployment_id)
    if deployment.status != "sleeping":
        raise Unprocessable.answer(f"Deployment {deployment.version} is {deployment.status}, and does not sleep.")
    context.active_project(project_id)
    if not context.platform.sleep.wake(deployment):
        context.pipeline.wake(deployment)
    return "Deployment is waking up"


async def download(context: Context, *, project_id: str, deployment_id: str) -> Download:
    """Return where the files of a deployment can be had for five minutes."""
    deployment = context.deployment(project_id, deployment_id)
    path = context.platform.downloads.offer(context.pipeline.archive(deployment.id))
    return Download(download_uri=Secret(context.platform.api_url + path))


async def upload_zip(context: Context, *, project_id: str, file: bytes) -> Created:
    """Take a zip archive as a new deployment."""
    project = _upload_project(context, project_id)
    source = {"zip": len(file)}
    return Created(id=(await context.pipeline.upload(project, partial(unpack_zip, file), source)).id)


def _upload_project(context: Context, project_id: str) -> Project:
    project = context.project(project_id)
    if project.type != "upload":
        raise Unprocessable.answer(f"A project of type {project.type} takes no uploads.")
    return context.active_project(project_id)


async def build_logs(
    context: Context, *, project_id: str, deployment_id: str, skip: int | None
) -> list[BuildLogLine]:
    """Return a deployment's build log."""
    deployment = context.deployment(project_id, deployment_id)
    return await asyncio.to_thread(context.pipeline.build_logs.read, deployment.id, skip=skip or 0)


async def logs(context: Context, *, project_id: str, deployment_id: str, since_seconds: int | None) -> str:
    """Return what the processes of a deployment printed, in whichever environment."""
    deployment = context.deployment(project_id, deployment_id)
    reading = context.lifecycle.runtime_logs.reading(
        deployment_id=deployment.id, since_s=min(since_seconds or DEFAULT_LOGS_S, MAX_LOGS_S)
    )
    text = await asyncio.to_thread(reading)
    return text or "Listening for logs..."


async def cancel(context: Context, *, project_id: str, deployment_id: str) -> str:
    """Cancel a deployment that is queued or building."""
    deployment = context.deployment(project_id, deployment_id)
    if deployment.status not in {"queue", "building"}:
        raise Unprocessable.answer(f"Deployment {deployment.version} is {deployment.status}; it is too late.")
    context.pipeline.cancel(deployment)
    return "Deployment cancelled"


async def delete(context: Context, *, project_id: str, deployment_id: str) -> str:
    """Put a deployment to sleep; what was built is kept, and a request to where it is live wakes it."""
    deployment = context.deployment(project_id, deployment_id)
    going_live = [
        environment.unique_name
        for environment in context.store.find(Environment, project_id=deployment.project_id)
        if deployment.id == context.store.wanted(environment.id)
    ]
    if going_live:
        names = ", ".join(going_live)
        raise Unprocessable.answer(f"Deployment {deployment.version} is going live on {names}. Wait for it.")
    if deployment.status != "deployed":
        raise Unprocessable.answer(f"Deployment {deployment.version} is {deployment.status}, and does not run.")
    if not context.platform.sleep.put(deployment):
        context.store.change(Deployment, deployment.id, status="sleeping")
    await context.platform.endpoints.stop(deployment.id)
    return "Deployment terminated"


HANDLERS = {
    "ListDeployments": list_all,
    "GetDeployment": get,
    "UploadDeploymentFiles": upload_files,
    "UploadDeploymentBase64Files": upload_base64_files,
    "UploadDeploymentZip": upload_zip,
    "CreateDeployment": create,
    "TriggerLatestDeployment": trigger_latest,
    "RetriggerDeployment": retrigger,
    "WakeupDeployment": wake,
    "DownloadDeployment": download,
    "GetBuildLogs": build_logs,
    "GetDeploymentLogs": logs,
    "CancelDeployment": cancel,
    "DeleteDeployment": delete,
}
