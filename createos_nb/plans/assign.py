"""Assign: put a chosen deployment live on an environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from createos_nb.api.client import Client
from createos_nb.api.deployments import Deployment
from createos_nb.errors import InvalidArgument
from createos_nb.markup import one_line
from createos_nb.plans.candidates import SERVING
from createos_nb.plans.facts import at_rest, live_facts, version_of
from createos_nb.plans.plan import Call, Plan
from createos_nb.plans.run import Run


@dataclass(frozen=True, kw_only=True, repr=False)
class Assign(Plan):
    """Puts a deployment live on an environment; see `assign`."""

    kind: ClassVar[str] = "assign"

    deployment: Deployment

    def observe(self) -> dict[str, object]:
        """Read what is live, and the state of what is to be."""
        environment = self.client.environments.get(self.project_id, str(self.environment_id))
        return {
            "live": version_of(self.client, self.project_id, environment.project_deployment_id),
            "environment_status": environment.status,
            "deployment_status": self.client.deployments.get(self.project_id, self.deployment.id).status,
        }

    def carry_out(self, run: Run) -> None:
        """Assign, and wait until it is live."""
        assign, wait = self.calls
        environment_id = str(self.environment_id)
        run.step(
            assign,
            lambda: self.client.environments.assign_deployment(
                self.project_id, environment_id, deployment_id=self.deployment.id
            ),
        )
        live = run.step(
            wait,
            lambda: at_rest(self.client, self.project_id, environment_id, deployment_id=self.deployment.id),
            note=lambda environment: environment.status,
        )
        if live.project_deployment_id == self.deployment.id:
            run.end("done", f"{self.deployment.version} is live on {self.target}.")
        else:
            run.end("undone", f"{self.deployment.version} did not come live; what was live before still is.")


def assign(
    client: Client, *, project: str, project_id: str, environment: str, environment_id: str, deployment: str
) -> Assign:
    """Plan to put a deployment live.

    Parameters
    ----------
    project, project_id, environment, environment_id
        Where.
    deployment
        Its id or version (``"v2"``).

    Raises
    ------
    InvalidArgument
        There is no such deployment, or it cannot serve.
    """
    facts = live_facts(client, project_id, environment_id)
    found = next((item for item in facts.deployments if deployment in {item.id, item.version}), None)
    if found is None:
        known = ", ".join(item.version for item in facts.deployments[:10]) or "none"
        raise InvalidArgument(f"{one_line(deployment)!r} is no deployment of {project}. There are: {known}.")
    if found.status not in SERVING:
        raise InvalidArgument(f"{found.version} cannot serve: it is {found.status}. Choose another.")
    notes: tuple[str, ...] = ()
    if facts.environment.is_auto_promote_enabled:
        notes = ("The environment promotes by itself: the next deployment replaces it. plan_rollback() pins.",)
    return Assign(
        client=client,
        project=project,
        project_id=project_id,
        environment=environment,
        environment_id=environment_id,
        before={
            "live": facts.live.version if facts.live else "",
            "environment_status": facts.environment.status,
            "deployment_status": found.status,
        },
        after={"live": found.version},
        calls=(
            Call("AssignDeploymentToProjectEnvironment", {"deployment_id": found.id}, f"put {found.version} live"),
            Call("ListProjectEnvironments", {}, "wait until it is live"),
        ),
        requests=10,
        risk="It goes live unverified; watch the error rate.",
        notes=notes,
        deployment=found,
    )
