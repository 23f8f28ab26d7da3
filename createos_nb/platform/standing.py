"""Standing: what a deployment's status says of the environments that it is live on.

It is ``crashing`` while one of them has given it up, ``sleeping`` while it sleeps on all of them, and ``deployed``
else. What is live nowhere keeps the status it has.
"""

from __future__ import annotations

from createos_nb.api.deployments import Deployment
from createos_nb.api.environments import Environment
from createos_nb.platform.store import Store

_OF_WHAT_IS_LIVE = frozenset({"deployed", "sleeping", "crashing", "deploying"})


class Standing:
    """Keeps the statuses of deployments true when what happens to them happens on one environment.

    Parameters
    ----------
    store
        Holds them.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._given_up: dict[str, str] = {}

    def gave_up(self, environment_id: str, deployment_id: str) -> None:
        """Note that a deployment keeps ending on an environment, or does not start there."""
        self._given_up[environment_id] = deployment_id
        self._store.change(Deployment, deployment_id, status="crashing")

    def given_up(self, environment_id: str) -> str | None:
        """Return the deployment that an environment has given up, None when it has not."""
        return self._given_up.get(environment_id)

    def runs(self, environment_id: str, deployment_id: str) -> None:
        """Note that a deployment runs on an environment, or sleeps there, whatever was before."""
        self.left(environment_id)
        self.tell(deployment_id)

    def left(self, environment_id: str) -> None:
        """Note that an environment does not have any more what it gave up."""
        if (before := self._given_up.pop(environment_id, None)) is not None:
            self.tell(before)

    def answers(self, deployment_id: str) -> None:
        """Note that a deployment was woken at its own address; live nowhere, it sleeps no more."""
        live = self._store.find(Environment, project_deployment_id=deployment_id)
        if not live and self._store.get(Deployment, deployment_id).status == "sleeping":
            self._store.change(Deployment, deployment_id, status="deployed")

    def tell(self, deployment_id: str) -> None:
        """Say of a deployment what is so on the environments that it is live on."""
        live = self._store.find(Environment, project_deployment_id=deployment_id)
        if not live or self._store.get(Deployment, deployment_id).status not in _OF_WHAT_IS_LIVE:
            return
        if any(self._given_up.get(environment.id) == deployment_id for environment in live):
            status = "crashing"
        elif all(self._store.sleeps(environment.id) for environment in live):
            status = "sleeping"
        else:
            status = "deployed"
        self._store.change(Deployment, deployment_id, status=status)
