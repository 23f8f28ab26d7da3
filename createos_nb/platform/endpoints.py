"""Endpoints: a deployment's own address, where it answers whether it is live anywhere or not.

It has one process of its own there, from its kept artefact, started at the first request; what it answers
is no part of an environment's analytics. A project's own address leads to what a person means by the project: its
oldest live environment, and before there is one its newest good deployment.
"""

from __future__ import annotations

import re

from createos_nb.api.deployments import Deployment
from createos_nb.api.environments import Environment
from createos_nb.api.projects import Project
from createos_nb.platform.builds import Artefact
from createos_nb.platform.processes import StartFailed
from createos_nb.platform.serving import Serving
from createos_nb.platform.store import Store
from createos_nb.platform.variables import started_with

PREFIX = "deployment."
"""What the name of a place begins with that is a deployment's own; ids of environments never do."""

_HOST = re.compile(r"v([1-9][0-9]{0,8})\.deployments\.([a-z0-9-]+)\.localhost")
_ADDRESS = re.compile(r"([a-z0-9-]+)\.localhost")
_STARTS = frozenset({"deployed", "sleeping", "crashing"})
_MEMORY_MB = 500


def host_of(project: Project, deployment: Deployment) -> str:
    """Return the host of a deployment's endpoint, such as ``v3.deployments.shop.localhost``."""
    return f"v{deployment.version_number}.deployments.{project.unique_name}.localhost".lower()


def is_a_deployments(host: str) -> bool:
    """Return whether a host is an endpoint of a deployment, whether there is one of that number or not."""
    return _HOST.fullmatch(host) is not None


def address_of(project: Project) -> str:
    """Return the host of a project's own address, such as ``shop.localhost``."""
    return f"{project.unique_name}.localhost".lower()


def front(store: Store, project: Project) -> str | None:
    """Return the name of the place that a project's own address leads to; None when there is nothing yet."""
    environments = store.find(Environment, project_id=project.id)
    for environment in reversed(environments):
        if environment.project_deployment_id is not None and environment.status != "deleting":
            return environment.id
    for deployment in store.find(Deployment, project_id=project.id):
        if deployment.status in _STARTS and store.artefact(deployment.id) is not None:
            return PREFIX + deployment.id
    return None


def names_of(store: Store, deployment: Deployment) -> list[str]:
    """Return the names of a deployment's place: its own, and the project's if that leads there."""
    project = store.get(Project, deployment.project_id)
    leads = front(store, project) == PREFIX + deployment.id
    return [host_of(project, deployment), *([address_of(project)] if leads else ())]


def own_places(store: Store, project_id: str) -> list[str]:
    """Return the places that a project's deployments have of their own, whether they serve anything or not."""
    return [PREFIX + deployment.id for deployment in store.find(Deployment, project_id=project_id)]


class Endpoints:
    """Serves deployments at their own addresses.

    Parameters
    ----------
    store, serving
        What it works with.
    """

    def __init__(self, store: Store, serving: Serving) -> None:
        self._store = store
        self._serving = serving

    def find(self, host: str) -> tuple[str, str] | None:
        """Return the name of the place that a host stands for, and the host as it is written; None for none."""
        if match := _HOST.fullmatch(host):
            for project in self._there(match[2]):
                for deployment in self._store.find(Deployment, project_id=project.id, version_number=int(match[1])):
                    if self._store.artefact(deployment.id) is not None:
                        return PREFIX + deployment.id, host
        elif match := _ADDRESS.fullmatch(host):
            for project in self._there(match[1]):
                place = front(self._store, project)
                if place is not None and place.startswith(PREFIX):  # An environment has been given its names.
                    return place, host
        return None

    def _there(self, name: str) -> list[Project]:
        projects = self._store.find(Project, unique_name=name, deleted_at=None)
        return [project for project in projects if project.status != "deleting"]

    async def start(self, place: str) -> None:
        """Start a deployment at its own address.

        Raises
        ------
        StartFailed
            It did not start, or is not to.
        """
        found = self._store.find(Deployment, id=place.removeprefix(PREFIX))
        written = self._store.artefact(found[0].id) if found else None
        if not found or written is None:
            raise StartFailed("The deployment is gone.")
        deployment, project = found[0], self._store.get(Project, found[0].project_id)
        if project.status != "active" or deployment.status not in _STARTS:
            raise StartFailed(f"The project is {project.status}, the deployment {deployment.status}.")
        await self._serving.serve(
            place,
            hosts=names_of(self._store, deployment),
            deployment_id=deployment.id,
            artefact=Artefact.from_json(written),
            variables=started_with(deployment, self._target(deployment)),
            replicas=1,
            memory_mb=_MEMORY_MB,
            giving_way=own_places(self._store, deployment.project_id),
        )

    def _target(self, deployment: Deployment) -> Environment | None:
        """Return the environment whose variables it has: one that it is live on, else the oldest."""
        environments = self._store.find(Environment, project_id=deployment.project_id)
        live = [each for each in environments if each.project_deployment_id == deployment.id]
        return next(reversed(live or environments), None)

    async def stop(self, deployment_id: str) -> None:
        """End a deployment at its own address, and forget the address until it is asked for."""
        await self._serving.stop(PREFIX + deployment_id)
