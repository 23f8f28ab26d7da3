"""Facts: what plans read before they say anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from createos_nb.api.client import Client
from createos_nb.api.deployments import Deployment
from createos_nb.api.environments import Environment, Resources
from createos_nb.errors import CreateOSError, WaitFailed


@dataclass(frozen=True)
class LiveFacts:
    """An environment, its project's deployments, and which of them is live."""

    environment: Environment
    deployments: Sequence[Deployment]
    live: Deployment | None


def live_facts(client: Client, project_id: str, environment_id: str) -> LiveFacts:
    """Read an environment and its project's deployments.

    Raises
    ------
    CreateOSError
        The list of deployments could not be read whole, so that a choice from it would be a guess.
    """
    environment = client.environments.get(project_id, environment_id)
    deployments = client.deployments.list(project_id)
    if not deployments.complete:
        raise CreateOSError("The list of deployments changed while it was read. Plan again in a moment.")
    live_id = environment.project_deployment_id
    live = next((item for item in deployments if item.id == live_id), None)
    return LiveFacts(environment, deployments, live)


def at_rest(
    client: Client,
    project_id: str,
    environment_id: str,
    *,
    deployment_id: str | None = None,
    resources: Resources | None = None,
) -> Environment:
    """Wait until an environment is at rest, and return it as it is then: what did not arrive is the plan's to tell.

    Raises
    ------
    WaitFailed
        It is gone.
    """
    try:
        return client.environments.wait(
            project_id, environment_id, deployment_id=deployment_id, resources=resources, progress=False
        )
    except WaitFailed as error:
        if not error.outcome.startswith("other_"):
            raise
        return cast("Environment", error.last)


def newest_version(deployments: Sequence[Deployment]) -> Deployment:
    """Return the newest of some deployments."""
    return max(deployments, key=lambda item: (item.version_number or 0, item.created_at))


def version_of(client: Client, project_id: str, deployment_id: str | None) -> str:
    """Return a deployment's version for people, empty when there is none."""
    return client.deployments.get(project_id, deployment_id).version if deployment_id else ""
